"""A plug-in in its process, as a hub sees it."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from gantry_plugin.frames import Kind

from .hub import TIMEOUT_S, Hub, environment

PLUG = Path(__file__).parent / "plug.py"
VALIDATE, CREATE, CHECK, ATTACH, CHECK_SETTINGS, DETACH, DRAIN, STOP, DESTROY = range(1, 10)
SUGGEST, ROTATE = 10, 11
POLL, STREAM, HTTP, ACKNOWLEDGE, EXTEND, LOOKUP, DELIVER = 16, 17, 18, 19, 20, 32, 48
OK, TRANSIENT, CONFIG, PANIC, CANCELED, UNSUPPORTED, PROTOCOL = 0, 4, 9, 10, 11, 12, 13
INSTANCE, CAPTURE, PARITY, TOLD = 1, 2, 3, 4


class Serving(unittest.TestCase):
    """Operations of a plug-in that runs."""

    def setUp(self) -> None:
        self.hub = Hub(PLUG)
        self.addCleanup(self.hub.__exit__)
        self.hello = self.hub.greet()
        config = {"last": 6, "key": "open sesame"}
        self.ok(CREATE, INSTANCE, {"name": "row", "config": config})
        for target, role in ((CAPTURE, "capture"), (PARITY, "lookup"), (TOLD, "callback")):
            request = {"instance": INSTANCE, "role": role, "name": role, "settings": {}}
            self.ok(ATTACH, target, request)

    def ok(self, opcode: int, target: int, request: Any = None) -> Any:
        status, reply = self.hub.call(opcode, target, request)
        self.assertEqual(status, OK, reply)
        return reply

    def fails(self, status: int, opcode: int, target: int, request: Any = None) -> Any:
        got, error = self.hub.call(opcode, target, request)
        self.assertEqual(got, status, error)
        return error

    def test_it_says_who_it_is(self) -> None:
        self.assertEqual(self.hello["protocol"], [1, 1])
        self.assertEqual(self.hello["encodings"], ["json"])
        self.assertEqual((self.hello["name"], self.hello["version"]), ("counter", "1.2.3"))
        capture = self.hello["manifest"]["capture"]
        self.assertEqual(capture["modes"], ["poll", "stream", "http"])
        self.assertTrue(capture["leases"])

    def test_faults_have_their_place(self) -> None:
        faults = self.ok(VALIDATE, 0, {"json": {"last": 3}})
        self.assertEqual(faults, [{"path": "last", "message": "must be even"}])
        faults = self.ok(VALIDATE, 0, {"json": {"last": 4, "pause": "soon"}})
        self.assertEqual(faults[0]["path"], "pause")
        faults = self.ok(VALIDATE, 0, {"role": "capture", "json": {"step": 0}})
        self.assertEqual(faults, [{"path": "step", "message": "must be 1 or more"}])
        self.assertEqual(self.ok(VALIDATE, 0, {"role": "lookup", "json": {}}), [])

    def test_it_polls_on_from_a_position(self) -> None:
        first = self.ok(POLL, CAPTURE, {"limit": 2})
        self.assertTrue(first["more"])
        payloads = [part["payload"] for part in first["records"]]
        self.assertEqual(payloads, ['{"number":1}', '{"number":2}'])
        last = first["records"][1]
        self.assertEqual((last["message_id"], last["position"]), ("2", "3"))
        self.assertEqual(last["lease"], {"token": "2", "for_ms": 1000})
        rest = self.ok(POLL, CAPTURE, {"from": last["position"], "limit": 10})
        self.assertEqual(len(rest["records"]), 4)
        self.assertNotIn("more", rest)

    def test_a_stream_waits_for_credit(self) -> None:
        op = self.hub.start(STREAM, CAPTURE, {"credit": 2})
        self.assertEqual(len(self.hub.next_batch()["records"]), 2)
        # Nothing may come before there is credit: a call gets its answer first.
        self.ok(LOOKUP, PARITY, [])
        self.assertEqual(self.hub.emitted, [])
        self.hub.send(Kind.CREDIT, 0, op, struct.pack("<I", 10))
        rest = self.hub.next_batch()
        self.assertEqual([part["payload"] for part in rest["records"]], ["2", "3", "4", "5"])
        self.assertEqual(rest["position_after"], {"base64": "/w=="})
        drain = self.hub.start(DRAIN, INSTANCE, {"deadline_ms": 1000})
        ended = {self.hub.next()[0], self.hub.next()[0]}
        self.assertEqual(ended, {op, drain})
        level, about, line = self.hub.logs[0]
        self.assertEqual((level, about, line["message"]), (2, INSTANCE, "draining row"))
        self.assertEqual(line["fields"], {"key": "***"})

    def test_credit_that_comes_at_once_counts(self) -> None:
        self.hub.send(Kind.OP, STREAM, 99, struct.pack("<Q", CAPTURE) + b'{"credit":0}')
        self.hub.send(Kind.CREDIT, 0, 99, struct.pack("<I", 6))
        self.assertEqual(len(self.hub.next_batch()["records"]), 6)

    def test_http_captures_or_refuses(self) -> None:
        request = {"method": "POST", "path": "/", "query": "", "headers": [["x-key", "1"]]}
        captured = self.ok(HTTP, CAPTURE, {**request, "body": {"base64": "/w=="}})["capture"]
        self.assertEqual(captured["records"], [{"payload": {"base64": "/w=="}}])
        self.assertEqual(captured["response"]["body"], "outcomes")
        refused = self.ok(HTTP, CAPTURE, {**request, "headers": [], "body": ""})["refuse"]
        self.assertEqual(refused["status"], 401)

    def test_outcomes_come_back_and_errors_say_how_long_to_wait(self) -> None:
        outcomes = [{"outcome": "accepted", "position": "3"}, {"outcome": "retry"}]
        self.ok(ACKNOWLEDGE, CAPTURE, {"outcomes": outcomes})
        error = self.fails(3, ACKNOWLEDGE, CAPTURE, {"outcomes": outcomes[:1]})
        self.assertEqual((error["class"], error["retry_after_ms"]), ("throttled", 2000))

    def test_leases_are_extended_each_in_its_way(self) -> None:
        leases = [{"token": token, "for_ms": 1000} for token in ("4", "40", "x")]
        kept, lost, failed = self.ok(EXTEND, CAPTURE, leases)
        self.assertEqual(kept, {"kept": {"for_ms": 2000}})
        self.assertEqual(lost, {"lost": {"reason": "somebody has it"}})
        self.assertEqual(failed["failed"]["class"], "transient")

    def test_it_recommends_values(self) -> None:
        asked = {"role": "capture", "json": {"step": 2}, "field": "step"}
        suggestions = self.ok(SUGGEST, INSTANCE, asked)
        self.assertEqual(suggestions, [{"value": 3, "note": "the next"}])
        self.assertEqual(self.ok(SUGGEST, INSTANCE, {**asked, "field": "x"}), [])

    def test_what_rotates_is_told_until_it_is_kept(self) -> None:
        rotate = self.hub.start(ROTATE, INSTANCE, {})
        waits = self.hub.start(SUGGEST, INSTANCE, {"json": {}, "field": "key"})
        number, _, told = self.hub.next()
        self.assertEqual((number, told), (rotate, {"number": 1, "field": "key", "value": "key-2"}))
        self.assertEqual(self.ok(ROTATE, INSTANCE, {}), told)
        rotate = self.hub.start(ROTATE, INSTANCE, {"kept": 1})
        self.assertEqual(self.hub.next()[0], waits)
        drain = self.hub.start(DRAIN, INSTANCE, {"deadline_ms": 1000})
        ended = {self.hub.next()[0], self.hub.next()[0]}
        self.assertEqual(ended, {rotate, drain})

    def test_a_lookup_finds_misses_and_fails(self) -> None:
        queries = [{"attributes": {"number": number}} for number in (4, 40, -4)]
        found, missing, failed = self.ok(LOOKUP, PARITY, queries)
        self.assertEqual(found, {"found": {"attributes": {"even": True}}})
        self.assertEqual(missing, "missing")
        self.assertEqual(failed["failed"]["class"], "permanent")

    def test_deliveries_end_each_in_its_way(self) -> None:
        delivery = {
            "idempotency_key": "k",
            "event": "completed",
            "item_id": "18446744073709551615",
            "external_id": "o-7",
            "capture_point": "row",
            "occurred_at_ms": 1,
            "sequence": 4,
            "attempt": 1,
            "details": {},
            "attributes": {},
        }
        again, gone = {**delivery, "attempt": 2}, {**delivery, "details": {"gone": True}}
        outcomes = self.ok(DELIVER, TOLD, [delivery, again, gone])
        self.assertEqual(outcomes[:2], ["done", "already_done"])
        self.assertEqual(outcomes[2]["refused"], {"class": "gone", "message": "no o-7"})

    def test_what_is_called_off_completes(self) -> None:
        op = self.hub.start(LOOKUP, PARITY, [{"attributes": {"number": "slow"}}])
        self.ok(LOOKUP, PARITY, [])
        self.hub.send(Kind.CANCEL, 0, op)
        self.assertEqual(self.hub.next()[:2], (op, CANCELED))
        # Called off before it began, and after it ended.
        self.hub.send(Kind.OP, LOOKUP, 99, struct.pack("<Q", PARITY) + b"[]")
        self.hub.send(Kind.CANCEL, 0, 99)
        self.hub.send(Kind.CANCEL, 0, 99)
        self.assertEqual(self.hub.next()[0], 99)

    def test_a_bug_is_a_panic_and_the_log_says_where(self) -> None:
        error = self.fails(PANIC, LOOKUP, PARITY, [{"attributes": {}}])
        self.assertEqual(error["message"], "KeyError: 'number'")
        level, _, line = self.hub.logs[0]
        self.assertEqual(level, 1)
        self.assertIn("plug.py", line["fields"]["exception"])

    def test_trouble_of_the_network_is_transient(self) -> None:
        self.assertIn("Connect", self.fails(TRANSIENT, CHECK, INSTANCE)["message"])

    def test_what_it_does_not_know_it_says(self) -> None:
        self.fails(UNSUPPORTED, 77, 0)
        self.fails(UNSUPPORTED, DELIVER, PARITY, [])
        self.fails(PROTOCOL, LOOKUP, 999, [])
        error = self.fails(CONFIG, CREATE, 9, {"name": "x", "config": {"last": "many"}})
        self.assertEqual(error["field"], "last")
        self.fails(PANIC, POLL, CAPTURE, {"from": "nonsense", "limit": 1})

    def test_what_is_destroyed_is_gone(self) -> None:
        self.ok(STOP, INSTANCE)
        self.ok(DETACH, TOLD)
        self.fails(PROTOCOL, DELIVER, TOLD, [])
        self.ok(DESTROY, INSTANCE)
        self.fails(PROTOCOL, LOOKUP, PARITY, [])

    def test_it_answers_pings_while_a_method_blocks(self) -> None:
        op = self.hub.start(LOOKUP, PARITY, [{"attributes": {"number": "block"}}])
        self.hub.send(Kind.PING, 0, 7, struct.pack("<q", 1_800_000_000_000))
        self.assertEqual(self.hub.receive(), (Kind.PONG, 0, 7, b""))
        self.assertEqual(self.hub.next()[0], op)
        answers = self.ok(LOOKUP, PARITY, [{"attributes": {"number": "time"}}])
        self.assertGreaterEqual(answers[0]["found"]["attributes"]["now_ms"], 1_800_000_000_000)

    def test_after_a_shutdown_it_says_goodbye(self) -> None:
        self.hub.send(Kind.SHUTDOWN, body=struct.pack("<I", 1000))
        self.assertEqual(self.hub.receive(), (Kind.GOODBYE, 0, 0, b""))
        self.assertEqual(self.hub.end(), 0)

    def test_without_a_hub_it_ends_at_once_though_a_method_runs(self) -> None:
        self.hub.start(LOOKUP, PARITY, [{"attributes": {"number": "slow"}}])
        self.hub.socket.close()
        self.assertEqual(self.hub.end(), 0)

    def test_it_ends_when_the_hub_breaks_the_protocol(self) -> None:
        self.hub.socket.sendall(b"\0\0\0\0\xff" + bytes(11))
        kind, _, _, reason = self.hub.receive()
        self.assertEqual((kind, reason), (Kind.GOODBYE, b"a frame of kind 255 with flags 0"))
        self.assertEqual(self.hub.end(), 1)


class ByHand(unittest.TestCase):
    """A plug-in that a person starts."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.plug = Path(folder.name) / "plug.py"
        self.plug.write_text(PLUG.read_text())

    def run_plug(self, *arguments: str) -> str:
        command = [sys.executable, str(self.plug), *arguments]
        said = subprocess.check_output(command, env=environment(), timeout=TIMEOUT_S)
        return said.decode()

    def test_it_says_what_it_is(self) -> None:
        said = "counter 1.2.3, a plug-in of the Gantry hub: Counts, for tests."
        self.assertIn(said, self.run_plug())

    def test_it_writes_its_manifest(self) -> None:
        self.assertIn("gantry-plugin.json", self.run_plug("--manifest"))
        said = json.loads(self.plug.with_name("gantry-plugin.json").read_text())
        self.assertEqual(said["command"], ["python3", "plug.py"])
        self.assertEqual(said["permissions"], {"read": ["config:folder"]})
        self.assertEqual(said["config"]["required"], ["last"])
        last = said["config"]["properties"]["last"]
        description = "The number to stop at"
        self.assertEqual(last, {"type": "integer", "description": description, "minimum": 1})
        self.assertTrue(said["config"]["properties"]["key"]["x-gantry-secret"])
        self.assertEqual(said["config"]["properties"]["pause"]["default"], "5s")
        self.assertFalse(said["lookup"]["settings"]["additionalProperties"])

    def test_a_stale_manifest_is_told(self) -> None:
        self.run_plug("--manifest")
        path = self.plug.with_name("gantry-plugin.json")
        path.write_text(path.read_text().replace("1.2.3", "1.2.2"))
        with Hub(self.plug) as hub:
            kind, _, _, reason = hub.receive()
            self.assertEqual(kind, Kind.GOODBYE)
            self.assertIn(b"plug.py --manifest", reason)
            self.assertEqual(hub.end(), 1)


