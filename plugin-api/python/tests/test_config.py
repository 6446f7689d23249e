"""Dataclasses as configuration, and the parts that need no process."""

from __future__ import annotations

import asyncio
import copy
import unittest
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from gantry_plugin import Batch, Context, Emitter, Error, Record, Secret
from gantry_plugin.config import read, read_duration, schema, unmarked_secrets, write_duration
from gantry_plugin.errors import N_CAUSES_MAX
from gantry_plugin.frames import Decoder, Frame, FrameError, Kind


@dataclass
class Tls:
    ca: str
    verify: bool = True


@dataclass
class All:
    name: str
    tls: Tls
    level: Literal["low", "high"] = "low"
    share: float = 0.5
    tags: list[str] = field(default_factory=list)
    weights: dict[str, int] = field(default_factory=dict)
    password: str | None = None


class Configuration(unittest.TestCase):
    """Schemas, and values that fit them or do not."""

    def test_a_schema_says_all_types(self) -> None:
        said = schema(All)
        self.assertEqual(said["required"], ["name", "tls"])
        properties = said["properties"]
        self.assertEqual(properties["tls"]["required"], ["ca"])
        self.assertEqual(properties["level"]["enum"], ["low", "high"])
        self.assertEqual(properties["tags"], {"type": "array", "items": {"type": "string"}})
        self.assertEqual(properties["weights"]["additionalProperties"], {"type": "integer"})
        self.assertEqual(unmarked_secrets(said), ["password"])

    def test_values_arrive_as_their_types(self) -> None:
        told = {"name": "n", "tls": {"ca": "/ca"}, "share": 1, "tags": ["a"], "weights": {"b": 2}}
        self.assertEqual(read(All, told), All("n", Tls("/ca"), "low", 1.0, ["a"], {"b": 2}))

    def test_a_mistake_has_its_place(self) -> None:
        good = {"name": "n", "tls": {"ca": "/ca"}}
        cases: list[tuple[dict[str, Any], str]] = [
            ({**good, "tls": {}}, "tls.ca"),
            ({**good, "tls": {"ca": 1}}, "tls.ca"),
            ({**good, "extra": 1}, "extra"),
            ({**good, "level": "middle"}, "level"),
            ({**good, "tags": ["a", 2]}, "tags[1]"),
            ({**good, "weights": {"b": True}}, "weights.b"),
        ]
        for told, place in cases:
            with self.subTest(place=place), self.assertRaises(Error) as raised:
                read(All, told)
            self.assertEqual(raised.exception.field, place)

    def test_an_unknown_type_is_the_authors_mistake(self) -> None:
        with self.assertRaisesRegex(TypeError, "complex"):
            schema(complex)

    def test_durations_go_there_and_back(self) -> None:
        for text in ("0s", "250ms", "1h30m", "2d"):
            self.assertEqual(write_duration(read_duration(text)), text)
        for text in ("", "5", "s", "5 s", "1h-3m"):
            with self.subTest(text=text), self.assertRaises(Error):
                read_duration(text)


class Parts(unittest.IsolatedAsyncioTestCase):
    """Secrets, errors, credit, frames."""

    def test_a_secret_does_not_show(self) -> None:
        secret = Secret("sesame")
        self.assertEqual(f"{secret} {secret!r} {[secret]} {secret:>5}", "*** *** [***]   ***")
        self.assertEqual(secret.expose(), "sesame")
        with self.assertRaises(TypeError):
            copy.deepcopy(secret)

    def test_an_error_tells_its_causes(self) -> None:
        try:
            try:
                raise ValueError("HTTP 429")
            except ValueError as error:
                raise Error.throttled("too many", timedelta(seconds=1)) from error
        except Error as error:
            told = error.to_json()
        expected = {"class": "throttled", "message": "too many", "retry_after_ms": 1000}
        self.assertEqual(told, {**expected, "causes": ["HTTP 429"]})

    def test_a_chain_without_end_is_cut(self) -> None:
        error = Error.permanent("x")
        first, second = ValueError("a"), ValueError("b")
        error.__cause__, first.__cause__, second.__cause__ = first, second, first
        self.assertEqual(len(error.to_json()["causes"]), N_CAUSES_MAX)

    async def test_an_emitter_sends_in_parts_and_ends(self) -> None:
        sent: list[Batch] = []
        out = Emitter(2, sent.append)
        batch = Batch([Record(str(n)) for n in range(3)], position_after="3")
        emitting = asyncio.ensure_future(out.emit(batch))
        await asyncio.sleep(0)
        self.assertEqual([len(part.records) for part in sent], [2])
        self.assertIsNone(sent[0].position_after)
        out.add_credit(1)
        await emitting
        self.assertEqual(sent[1].position_after, "3")
        waiting = asyncio.ensure_future(out.emit(Batch(position_after="4")))
        await asyncio.sleep(0)
        out.close()
        with self.assertRaisesRegex(Error, "the hub has ended the stream"):
            await waiting

    async def test_a_context_drains(self) -> None:
        cx = Context("row")
        self.assertFalse(cx.is_draining)
        cx.drain()
        await cx.draining()
        self.assertEqual(cx.name, "row")

    def test_a_position_is_short(self) -> None:
        with self.assertRaisesRegex(Error, "4097 bytes"):
            Record("", position="x" * 4097).to_json()

    def test_frames_come_in_pieces(self) -> None:
        # The examples of the protocol's manual.
        said = bytes.fromhex("080000000300030009000000000000000100000000000000")
        said += bytes.fromhex("00000000050000000900000000000000")
        decoder = Decoder()
        frames = [frame for at in range(len(said)) for frame in decoder.take(said[at : at + 1])]
        op = Frame(Kind.OP, 3, 9, b"\x01" + bytes(7))
        self.assertEqual(frames, [op, Frame(Kind.CANCEL, 0, 9)])
        with self.assertRaisesRegex(FrameError, "at most"):
            list(Decoder().take(bytes.fromhex("ffffffff050000000900000000000000")))
