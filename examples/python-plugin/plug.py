"""A folder of CSV files as a source: rows become items, a table is looked up, events are appended.

Each file begins with a line of column names.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gantry_plugin import (
    Answer,
    Batch,
    Callback,
    Capture,
    Context,
    Delivery,
    DeliveryOutcome,
    Error,
    Lookup,
    Permissions,
    Plugin,
    Query,
    Record,
    run,
)


@dataclass
class Config:
    folder: Annotated[str, "Where the files lie"]


class Csv(Plugin[Config]):
    """A folder of CSV files: rows as items, a table to look up, a journal of events."""

    name = "csv"
    version = "0.1.0"
    permissions = Permissions(read=["config:folder"], write=["config:folder"])

    def path(self, file: str) -> Path:
        return Path(self.config.folder) / file

    async def check(self) -> None:
        await asyncio.to_thread(os.listdir, self.config.folder)


@dataclass
class RowsSettings:
    file: Annotated[str, "The file whose rows become items; new ones are appended"]


class Rows(Capture[Csv, RowsSettings]):
    """A position is the byte after a row."""

    async def check_settings(self) -> None:
        await asyncio.to_thread(self.plugin.path(self.settings.file).stat)

    async def poll(self, position: bytes | None, limit: int) -> Batch:
        if position is not None and not position.isdigit():
            raise Error.cursor_expired(f"cannot read position {position!r}")
        begin = 0 if position is None else int(position)
        return await asyncio.to_thread(self.read, begin, limit)

    def read(self, begin: int, limit: int) -> Batch:
        with self.plugin.path(self.settings.file).open("rb") as file:
            if begin > file.seek(0, os.SEEK_END):
                raise Error.cursor_expired(f"`{self.settings.file}` is shorter than before")
            file.seek(0)
            columns = file.readline().decode().rstrip("\r\n").split(",")
            file.seek(max(begin, file.tell()))
            batch = Batch()
            for raw, values, end in rows(file, file.tell()):
                batch.records.append(record(columns, raw, values, end))
                if len(batch.records) == limit:
                    batch.more = True
                    break
            return batch


def rows(lines: Iterable[bytes], begin: int) -> Iterator[tuple[bytes, list[str], int]]:
    """Raw bytes, values and end of each row that is written to its end."""
    raw = b""
    for line in lines:
        raw += line
        # A quoted value may go over several lines: its quotes are then not yet even.
        if not raw.endswith(b"\n") or raw.count(b'"') % 2:
            continue
        begin += len(raw)
        values = next(csv.reader(io.StringIO(raw.decode(errors="replace"))), [])
        yield raw, values, begin
        raw = b""


def record(columns: list[str], raw: bytes, values: list[str], end: int) -> Record:
    """A row with its columns' names; one that does not fit becomes a dead letter."""
    position = str(end)
    if len(values) != len(columns):
        reason = f"before byte {end}: {len(values)} values in {len(columns)} columns"
        return Record.unreadable(raw, reason, position=position)
    return Record.json(dict(zip(columns, values)), position=position)


@dataclass
class TableSettings:
    file: Annotated[str, "The table"]
    column: Annotated[str, "The column to look in"]
    value: Annotated[str, "What to look for: an attribute, as `:customer_id`", {"pattern": "^:"}]


class Table(Lookup[Csv, TableSettings]):
    """Reads the table anew when the file has changed."""

    def __init__(self, plugin: Csv, settings: TableSettings, cx: Context) -> None:
        super().__init__(plugin, settings, cx)
        self.changed_at = -1
        self.table: dict[str, dict[str, str]] = {}

    async def check_settings(self) -> None:
        await asyncio.to_thread(self.load)
        file, column = self.settings.file, self.settings.column
        if self.table and column not in next(iter(self.table.values())):
            raise Error.config("column", f"`{file}` has no column `{column}`")

    async def lookup(self, queries: list[Query]) -> list[Answer | Error | None]:
        await asyncio.to_thread(self.load)
        attribute = self.settings.value.removeprefix(":")
        rows = [self.table.get(str(query.attributes.get(attribute))) for query in queries]
        return [None if row is None else Answer(dict(row)) for row in rows]

    def load(self) -> None:
        path = self.plugin.path(self.settings.file)
        changed_at = path.stat().st_mtime_ns
        if changed_at != self.changed_at:
            with path.open(newline="", encoding="utf-8") as file:
                column = self.settings.column
                self.table = {row.get(column, ""): row for row in csv.DictReader(file)}
            self.changed_at = changed_at
            self.cx.log.info("table read", extra={"rows": len(self.table)})


@dataclass
class JournalSettings:
    file: Annotated[str, "Where a line an event is appended"]


class Journal(Callback[Csv, JournalSettings]):
    """Appends each event once: its key is the first column."""

    def __init__(self, plugin: Csv, settings: JournalSettings, cx: Context) -> None:
        super().__init__(plugin, settings, cx)
        self.turn = asyncio.Lock()
        self.keys: set[str] | None = None

    async def deliver(self, deliveries: list[Delivery]) -> list[DeliveryOutcome]:
        async with self.turn:
            return await asyncio.to_thread(self.append, deliveries)

    def append(self, deliveries: list[Delivery]) -> list[DeliveryOutcome]:
        outcomes = []
        with self.plugin.path(self.settings.file).open("a+", newline="", encoding="utf-8") as file:
            if self.keys is None:
                file.seek(0)
                self.keys = {row[0] for row in csv.reader(file) if row}
            journal = csv.writer(file)
            fresh: set[str] = set()
            for each in deliveries:
                if each.idempotency_key in self.keys | fresh:
                    outcomes.append(DeliveryOutcome.already_done())
                    continue
                journal.writerow([each.idempotency_key, each.event, each.external_id])
                fresh.add(each.idempotency_key)
                outcomes.append(DeliveryOutcome.done())
            file.flush()
            os.fsync(file.fileno())
        # Only now: what could not be written comes again.
        self.keys |= fresh
        return outcomes


if __name__ == "__main__":
    run(Csv, capture=Rows, lookup=Table, callback=Journal)
