"""A plug-in that does what the tests ask for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

from gantry_plugin import (
    Answer,
    Batch,
    Callback,
    Capture,
    ConfigFault,
    Delivery,
    DeliveryOutcome,
    Emitter,
    Error,
    Extended,
    HttpCapture,
    HttpRequest,
    HttpResponse,
    Kept,
    Lease,
    Lookup,
    Lost,
    Outcome,
    Permissions,
    Plugin,
    Query,
    Record,
    RecordOutcome,
    Secret,
    Suggestion,
    run,
)

JsonObject = dict[str, Any]


@dataclass
class Config:
    """A row of numbers."""

    last: Annotated[int, "The number to stop at", {"minimum": 1}]
    key: Annotated[Secret, "Opens it"] = field(default_factory=lambda: Secret(""))
    pause: timedelta = timedelta(seconds=5)


@dataclass
class Step:
    step: int = 1


class Counter(Plugin[Config]):
    """Counts, for
    tests.

    What else there is to say.
    """

    name = "counter"
    version = "1.2.3"
    permissions = Permissions(read=["config:folder"])

    @classmethod
    def validate(cls, config: Config) -> list[ConfigFault]:
        return [ConfigFault("last", "must be even")] if config.last % 2 else []

    async def suggest(self, role: str | None, told: JsonObject, field: str) -> list[Suggestion]:
        if (role, field) == (None, "key"):
            await self.cx.rotated("key", Secret("key-2"))
        return [Suggestion(told.get("step", 0) + 1, "the next")] if field == "step" else []

    async def check(self) -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    async def drain(self) -> None:
        self.cx.log.warning("draining %s", self.cx.instance, extra={"key": str(self.config.key)})


class Numbers(Capture[Counter, Step]):
    acknowledged = 0

    @classmethod
    def validate_settings(cls, settings: Step) -> list[ConfigFault]:
        return [] if settings.step else [ConfigFault("step", "must be 1 or more")]

    async def poll(self, position: bytes | None, limit: int) -> Batch:
        first = 1 if position is None else int(position)
        numbers = range(first, self.plugin.config.last + 1, self.settings.step)[:limit]
        records = [
            Record.json(
                {"number": n},
                message_id=str(n),
                position=str(n + self.settings.step),
                lease=Lease(str(n), 1000),
            )
            for n in numbers
        ]
        return Batch(records, more=len(records) == limit)

    async def stream(self, position: bytes | None, out: Emitter) -> None:
        records = [Record(str(n)) for n in range(self.plugin.config.last)]
        await out.emit(Batch(records, position_after=b"\xff"))
        await self.cx.draining()

    async def http(self, request: HttpRequest) -> HttpCapture | HttpResponse:
        if request.header("x-key") is None:
            return HttpResponse.problem(401, "no key")
        return HttpCapture([Record(request.body)])

    async def acknowledge(self, outcomes: list[RecordOutcome]) -> None:
        settled = [part for part in outcomes if part.outcome is not Outcome.RETRY]
        type(self).acknowledged += len(settled)
        if type(self).acknowledged == 2:
            raise Error.throttled("cannot acknowledge", timedelta(seconds=2))

    async def extend(self, leases: list[Lease]) -> list[Extended]:
        return [self.extended(lease) for lease in leases]

    def extended(self, lease: Lease) -> Extended:
        if not lease.token.isdecimal():
            return Error.transient("cannot tell")
        if int(lease.token) > self.plugin.config.last:
            return Lost("somebody has it")
        return Kept(lease.for_ms * 2)


class Parity(Lookup[Counter, None]):
    async def lookup(self, queries: list[Query]) -> list[Answer | Error | None]:
        answers: list[Answer | Error | None] = []
        for query in queries:
            number = query.attributes["number"]
            if number == "slow":
                await asyncio.sleep(60)
            elif number == "block":
                time.sleep(0.5)
            elif number == "time":
                answers.append(Answer({"now_ms": self.cx.now_ms()}))
            elif number < 0:
                answers.append(Error.permanent("cannot tell"))
            elif number > self.plugin.config.last:
                answers.append(None)
            else:
                answers.append(Answer({"even": number % 2 == 0}))
        return answers


class Told(Callback[Counter, None]):
    async def deliver(self, deliveries: list[Delivery]) -> list[DeliveryOutcome]:
        outcomes = []
        for delivery in deliveries:
            try:
                delivery.details["gone"]
            except KeyError as error:
                done = DeliveryOutcome.already_done() if delivery.attempt > 1 else None
                outcomes.append(done or DeliveryOutcome.done())
                del error
            else:
                outcomes.append(DeliveryOutcome.refused(Error.gone(f"no {delivery.external_id}")))
        return outcomes


if __name__ == "__main__":
    run(Counter, capture=Numbers, lookup=Parity, callback=Told)
