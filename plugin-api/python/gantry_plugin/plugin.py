"""The classes an author derives from: `Plugin` always, and one for each role the plug-in has.

What holds for all methods:

- They may run concurrently on one instance, except where a method says otherwise.
- They run on one event loop: blocking it hurts only this plug-in, but as a whole. What blocks goes
  through `await asyncio.to_thread(…)`.
- The hub may call an operation off: its task is cancelled at the next `await`.
- An exception that is no `Error`, `OSError` or time-out is a bug: the operation ends with class
  `panic`, and the hub makes the instance anew.
- No method retries, sleeps or backs off on its own: it raises an `Error`, and its class decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from .context import Context, Emitter
from .errors import Error
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
    JsonObject,
    Lease,
    Query,
    RecordOutcome,
    Suggestion,
)

C = TypeVar("C")
P = TypeVar("P", bound="Plugin[Any]")
S = TypeVar("S")


@dataclass(frozen=True)
class Permissions:
    """What a plug-in needs from the machine; a key of the config as `config:KEY`."""

    network: list[str] = field(default_factory=list)
    """Hosts and ports it connects to: `host:port`, `*:443`."""
    read: list[str] = field(default_factory=list)
    """Paths it reads."""
    write: list[str] = field(default_factory=list)
    """Paths it writes."""
    exec: list[str] = field(default_factory=list)
    """Programs it starts."""
    env: list[str] = field(default_factory=list)
    """Environment variables it reads."""


class Plugin(Generic[C]):
    """A connection to a source system: one object is one `[source.NAME]` of the operator.

    `class Shop(Plugin[Config])`, or `Plugin[None]` if there is nothing to configure. The first
    paragraph of its doc string describes the plug-in.
    """

    name: ClassVar[str]
    """What the operator writes in `plugin = "…"`: small letters, digits, `_`."""
    version: ClassVar[str]
    """The plug-in's own version."""
    permissions: ClassVar[Permissions] = Permissions()
    """What it needs from the machine."""
    rotates: ClassVar[list[str]] = []
    """Keys of the config whose secret the source replaces while it is used: `cx.rotated`."""

    def __init__(self, config: C, cx: Context) -> None:
        """Makes the instance; no input or output, no task: connections open on first use.

        May raise `Error.config` for what only shows when the parts are put together.
        """
        self.config = config
        self.cx = cx

    @classmethod
    def validate(cls, config: C) -> list[ConfigFault]:
        """Checks what the schema cannot say; all faults at once. Pure: no input or output."""
        return []

    async def check(self) -> None:
        """Connects as running would and changes nothing, so that the operator sees it works."""

    async def suggest(self, role: str | None, told: JsonObject, field: str) -> list[Suggestion]:
        """Recommends values for a key of the config that somebody is writing.

        `role` is `None` for the source's config, `told` what stands beside the key so far, and may
        be wrong. Connects if it must, and changes nothing.
        """
        return []

    async def drain(self) -> None:
        """Finishes what is begun; operations may still be running, `cx.is_draining` is true."""

    async def stop(self) -> None:
        """Lets go: closes connections. Called after the last operation ended; not after a crash."""


class Role(Generic[P, S]):
    """What all roles have: one object is one table of the operator that uses a source."""

    def __init__(self, plugin: P, settings: S, cx: Context) -> None:
        """As the plug-in's own: no input or output, no task."""
        self.plugin = plugin
        self.settings = settings
        self.cx = cx

    @classmethod
    def validate_settings(cls, settings: S) -> list[ConfigFault]:
        """As `Plugin.validate`, for the settings."""
        return []

    async def check_settings(self) -> None:
        """As `Plugin.check`, for one table: its file is there, its statement can be prepared."""


class Capture(Role[P, S]):
    """Gets records out of a source: `class Orders(Capture[Shop, OrderSettings])`.

    One object is one `[capture.NAME]`. Write the methods of the modes you offer: `poll`, `stream`,
    `http`; which ones you wrote is what the manifest says.

    The hub stores position and records in one transaction and acknowledges afterwards, so after a
    crash it hands back the last stored position and gets the rest again: at least once.
    """

    async def poll(self, position: bytes | None, limit: int) -> Batch:
        """At most `limit` records that come after `position`, in the order of the source.

        Called on the operator's schedule and at once after a batch that said `more`; never twice
        at a time. `position` is none on the very first poll, and may be an earlier one than the
        last batch's end: then give the same records again.
        """
        raise Error.unsupported("poll")

    async def stream(self, position: bytes | None, out: Emitter) -> None:
        """Emits records as they come, until `cx.draining()` or the source ends.

        Never twice at a time. `await out.emit(batch)` waits for credit, and that is the
        back-pressure: do not buffer beyond it.
        """
        raise Error.unsupported("stream")

    async def http(self, request: HttpRequest) -> HttpCapture | HttpResponse:
        """Says what a request to the capture point's own path means; any number at a time.

        The sender is answered only after the records are settled. A request that is wrong in
        itself is no error: return an `HttpResponse`.
        """
        raise Error.unsupported("http")

    async def acknowledge(self, outcomes: list[RecordOutcome]) -> None:
        """Learns what became of records, after that is durable: the time to delete or commit.

        May repeat, and may not come at all after a crash. `Outcome.RETRY` is no acknowledgement:
        make the record come again.
        """

    async def extend(self, leases: list[Lease]) -> list[Extended]:
        """Extends what the source has lent (`Record.lease`), one answer a lease, in order.

        Called after a third of its time as long as the work item is open, and at once after a
        start of the hub; never twice at a time. `Lost` withdraws the item; a list's `Error` is that
        of one lease, a raised one that of the call as a whole: the hub asks again.
        """
        raise Error.unsupported("extend")


class Lookup(Role[P, S]):
    """Answers questions about an item: `class Customers(Lookup[Shop, None])`."""

    async def lookup(self, queries: list[Query]) -> list[Answer | Error | None]:
        """Answers each query, in the order asked; any number of calls at a time.

        `None` says that there is no such key: an answer like any other. A list's `Error` is that of
        one query, a raised one that of the call as a whole.
        """
        raise Error.unsupported("lookup")


class Callback(Role[P, S]):
    """Tells a source what happened to its items: `class Done(Callback[Shop, None])`."""

    async def deliver(self, deliveries: list[Delivery]) -> list[DeliveryOutcome]:
        """Delivers each event; as many outcomes, in the order given.

        Calls may be concurrent, but never two with the same item. May repeat with the same
        idempotency key: write so that a second time does no harm, and say `already_done`.
        """
        raise Error.unsupported("deliver")


def argument(derived: type, base: type, at: int) -> Any:
    """The type that a class gives to a base: `Config` of `class Shop(Plugin[Config])`."""
    for ancestor in derived.__mro__:
        for written in getattr(ancestor, "__orig_bases__", ()):
            if get_origin(written) is base:
                return get_args(written)[at]
    raise TypeError(
        f"{derived.__name__}: derive it from {base.__name__}[…], with its types in the brackets"
    )
