"""All that the author of a Gantry plug-in in Python imports. A whole plug-in:

    from dataclasses import dataclass
    from typing import Annotated

    from gantry_plugin import Batch, Capture, Error, Plugin, Record, Secret, run

    @dataclass
    class Config:
        endpoint: Annotated[str, "Where the shop answers"]
        key: Annotated[Secret, "Its key"]

    class Shop(Plugin[Config]):
        '''Orders of the shop.'''

        name = "shop"
        version = "0.1.0"

    class Orders(Capture[Shop, None]):
        async def poll(self, position: bytes | None, limit: int) -> Batch:
            page = await fetch(self.plugin.config, position, limit)
            records = [Record.json(order, message_id=order["id"]) for order in page.orders]
            return Batch(records, position_after=page.end, more=page.more)

    if __name__ == "__main__":
        run(Shop, capture=Orders)

`python3 plug.py --manifest` writes `gantry-plugin.json`; put the folder with both into a plug-in
folder of the hub. Start reading at `Plugin`, then the role's class and `Error`.
"""

from .config import Secret
from .context import Context, Emitter
from .errors import Error, ErrorClass
from .messages import (
    Answer,
    Batch,
    ConfigFault,
    Delivery,
    DeliveryOutcome,
    Extended,
    HttpCapture,
    HttpRequest,
    HttpResponse,
    Kept,
    Lease,
    Lost,
    MessageKind,
    Outcome,
    Query,
    Record,
    RecordOutcome,
    Suggestion,
)
from .plugin import Callback, Capture, Lookup, Permissions, Plugin
from .runtime import run

__all__ = [
    "Answer",
    "Batch",
    "Callback",
    "Capture",
    "ConfigFault",
    "Context",
    "Delivery",
    "DeliveryOutcome",
    "Emitter",
    "Error",
    "ErrorClass",
    "Extended",
    "HttpCapture",
    "HttpRequest",
    "HttpResponse",
    "Kept",
    "Lease",
    "Lookup",
    "Lost",
    "MessageKind",
    "Outcome",
    "Permissions",
    "Plugin",
    "Query",
    "Record",
    "RecordOutcome",
    "Secret",
    "Suggestion",
    "run",
]
