"""A plug-in that gives back what it gets; for `bench`."""

from __future__ import annotations

from gantry_plugin import Answer, Batch, Capture, Error, Lookup, Plugin, Query, Record, run

from tests.bench import PAYLOAD


class Echo(Plugin[None]):
    """Gives back what it gets."""

    name = "echo"
    version = "0.1.0"


class Records(Capture[Echo, None]):
    async def poll(self, position: bytes | None, limit: int) -> Batch:
        records = [Record.json(PAYLOAD, message_id=str(n), position=str(n)) for n in range(limit)]
        return Batch(records)


class Answers(Lookup[Echo, None]):
    async def lookup(self, queries: list[Query]) -> list[Answer | Error | None]:
        return [Answer(query.attributes) for query in queries]


if __name__ == "__main__":
    run(Echo, capture=Records, lookup=Answers)
