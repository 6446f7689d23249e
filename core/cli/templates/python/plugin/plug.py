"""Things of the other system. Start reading at `Config`, then the class of each role."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

from gantry_plugin import (
    #@if lookup
    Answer,
    #@end
    #@if capture
    Batch,
    #@end
    #@if callback
    Callback,
    #@end
    #@if capture
    Capture,
    #@end
    ConfigFault,
    #@if callback
    Delivery,
    DeliveryOutcome,
    #@end
    Error,
    #@if capture callback
    ErrorClass,
    #@end
    #@if lookup
    Lookup,
    #@end
    Permissions,
    Plugin,
    #@if lookup
    Query,
    #@end
    #@if capture
    Record,
    #@end
    Secret,
    run,
)


@dataclass
class Config:
    """The other system."""

    endpoint: Annotated[str, "Where it answers: http://127.0.0.1:7878"]
    token: Annotated[Secret, "Sent as a bearer token"] = field(default_factory=lambda: Secret(""))
    timeout: Annotated[timedelta, "For one request"] = timedelta(seconds=10)


class @Name@(Plugin[Config]):
    """Things of the other system."""

    name = "@name@"
    version = "0.1.0"
    # In a process of its own it gets this and no more: it talks to the endpoint, no file is its.
    permissions = Permissions(network=["config:endpoint"])

    @classmethod
    def validate(cls, config: Config) -> list[ConfigFault]:
        if config.endpoint.startswith(("http://", "https://")):
            return []
        return [ConfigFault("endpoint", "must begin with `http://` or `https://`")]

    async def check(self) -> None:
        await self.request("GET", "/")

    async def request(
        self, method: str, path: str, *, key: str | None = None, body: Any = None
    ) -> tuple[int, Any]:
        """Asks the other system; 404 and 409 are answers, the rest that is no success an error.

        Never tried again here: the class of the error tells the hub what to do.
        """
        headers = {"content-type": "application/json"}
        if token := self.config.token.expose():
            headers["authorization"] = f"Bearer {token}"
        if key is not None:
            headers["idempotency-key"] = key
        data = None if body is None else json.dumps(body).encode()
        url = self.config.endpoint.rstrip("/") + path
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        # It blocks, so it has a thread; without an answer it raises an OSError, which is transient.
        return await asyncio.to_thread(self.send, request)

    def send(self, request: urllib.request.Request) -> tuple[int, Any]:
        try:
            timeout = self.config.timeout.total_seconds()
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as answer:
            if answer.code in (404, 409):
                return answer.code, None
            raise failure(answer) from None


def failure(answer: urllib.error.HTTPError) -> Error:
    """What an answer that is no success means to the hub."""
    message = f"the other system answers {answer.code}"
    if answer.code in (401, 403):
        return Error.auth_denied(message)
    if answer.code == 410:
        return Error.gone(message)
    if answer.code == 429:
        after = answer.headers.get("retry-after", "")
        return Error.throttled(message, timedelta(seconds=int(after)) if after.isdigit() else None)
    return Error.transient(message) if answer.code >= 500 else Error.permanent(message)


#@if capture
@dataclass
class ThingsSettings:
    """Which things become items."""

    path: Annotated[str, "Where they are listed: /things"]


class Things(Capture[@Name@, ThingsSettings]):
    """Things become work items."""

    async def poll(self, position: bytes | None, limit: int) -> Batch:
        after = "" if position is None else position.decode()
        query = urllib.parse.urlencode({"after": after, "limit": limit})
        try:
            status, page = await self.plugin.request("GET", f"{self.settings.path}?{query}")
        except Error as error:
            if error.error_class is not ErrorClass.GONE:
                raise
            # The place is not known there any more: the hub begins anew.
            raise Error.cursor_expired(f"cannot go on after `{after}`") from None
        if status != 200:
            raise Error.permanent(f"no list `{self.settings.path}`")
        records = [Record.json(thing) for thing in page["things"]]
        # The hub stores the position with the records, and asks from there next time.
        return Batch(records, position_after=page["next"], more=page["more"])


#@end
#@if lookup
@dataclass
class OwnersSettings:
    """What is looked up."""

    path: Annotated[str, "Where it is found: /owners, to which /KEY is added"]
    attribute: Annotated[str, "The attribute of the item that has the key, such as customer_id"]


class Owners(Lookup[@Name@, OwnersSettings]):
    """What the other system knows of an item."""

    async def lookup(self, queries: list[Query]) -> list[Answer | Error | None]:
        return list(await asyncio.gather(*(self.ask(query) for query in queries)))

    async def ask(self, query: Query) -> Answer | Error | None:
        key = query.attributes.get(self.settings.attribute)
        if key is None:
            return None
        key = urllib.parse.quote(str(key), safe="")
        try:
            status, found = await self.plugin.request("GET", f"{self.settings.path}/{key}")
        except Error as error:
            return error
        return Answer(found) if status == 200 else None


#@end
#@if callback
@dataclass
class EventsSettings:
    """Whom to tell."""

    path: Annotated[str, "Where events are posted to: /events"]


class Events(Callback[@Name@, EventsSettings]):
    """The other system hears what happened to its things."""

    async def deliver(self, deliveries: list[Delivery]) -> list[DeliveryOutcome]:
        return list(await asyncio.gather(*(self.tell(delivery) for delivery in deliveries)))

    async def tell(self, delivery: Delivery) -> DeliveryOutcome:
        said = {"event": delivery.event, "id": delivery.external_id, "at": delivery.occurred_at_ms}
        path, key = self.settings.path, delivery.idempotency_key
        try:
            status, _ = await self.plugin.request("POST", path, key=key, body=said)
        except Exception as error:
            problem = Error.of(error)
            # Trying again would be pointless: a person has to see to it.
            if problem.error_class is ErrorClass.PERMANENT:
                return DeliveryOutcome.refused(problem)
            return DeliveryOutcome.retry(problem)
        if status == 404:
            return DeliveryOutcome.refused(Error.permanent(f"there is no `{path}`"))
        return DeliveryOutcome.already_done() if status == 409 else DeliveryOutcome.done()


#@end
if __name__ == "__main__":
    run(
        @Name@,
        #@if capture
        capture=Things,
        #@end
        #@if lookup
        lookup=Owners,
        #@end
        #@if callback
        callback=Events,
        #@end
    )
