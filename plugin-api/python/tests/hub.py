"""The hub's half, as far as the tests need it: starts a plug-in and talks to it over its socket."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from gantry_plugin.frames import HEADER, Kind

PACKAGE = Path(__file__).parent.parent
TIMEOUT_S = 20


class Hub:
    """One plug-in process and the connection to it."""

    def __init__(self, program: Path) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(TIMEOUT_S)
        theirs.set_inheritable(True)
        number = theirs.fileno()
        self.socket = ours
        self.process = subprocess.Popen(
            # The plug-in finds its socket at 3.
            ["/bin/sh", "-c", f'exec 3<&{number}; exec "$0" "$1"', sys.executable, str(program)],
            env={**environment(), "GANTRY_PLUGIN_COOKIE": "test"},
            pass_fds=(number,),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        theirs.close()
        self.last_op = 0
        self.logs: list[tuple[int, int, Any]] = []
        self.emitted: list[tuple[int, Any]] = []

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.process.wait(TIMEOUT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def greet(self, log_level: int = 3, now_ms: int = 1_700_000_000_000) -> Any:
        """Awaits the hello and answers it."""
        kind, _, _, body = self.receive()
        assert kind is Kind.HELLO, (kind, body)
        welcome = {
            "protocol": 1,
            "encoding": "json",
            "hub": "test",
            "log_level": log_level,
            "now_ms": now_ms,
            "ping_every_ms": 1000,
            "ping_timeout_ms": 10000,
            "body_max": 16 << 20,
        }
        self.send(Kind.WELCOME, body=json.dumps(welcome).encode())
        return json.loads(body)

    def send(self, kind: Kind, code: int = 0, number: int = 0, body: bytes = b"") -> None:
        """Sends a frame."""
        self.socket.sendall(HEADER.pack(len(body), kind, 0, code, number) + body)

    def receive(self) -> tuple[Kind, int, int, bytes]:
        """The next frame; an end of the connection is an `EOFError`."""
        length, kind, flags, code, number = HEADER.unpack(self._read(HEADER.size))
        assert flags == 0
        return Kind(kind), code, number, self._read(length)

    def _read(self, n: int) -> bytes:
        found = b""
        while len(found) < n:
            part = self.socket.recv(n - len(found))
            if not part:
                raise EOFError
            found += part
        return found

    def start(self, opcode: int, target: int, request: Any = None) -> int:
        """Starts an operation; gives its number."""
        self.last_op += 1
        body = struct.pack("<Q", target)
        if request is not None:
            body += json.dumps(request).encode()
        self.send(Kind.OP, opcode, self.last_op, body)
        return self.last_op

    def next(self) -> tuple[int, int, Any]:
        """The next completion: operation, status, reply. Log lines and batches are collected."""
        while True:
            kind, code, number, body = self.receive()
            said = json.loads(body) if body else None
            if kind is Kind.COMPLETE:
                return number, code, said
            if kind is Kind.LOG:
                self.logs.append((code, number, said))
            elif kind is Kind.EMIT:
                self.emitted.append((number, said))
            else:
                raise AssertionError((kind, said))

    def call(self, opcode: int, target: int, request: Any = None) -> tuple[int, Any]:
        """Runs an operation to its end: status and reply."""
        op = self.start(opcode, target, request)
        number, status, reply = self.next()
        assert number == op
        return status, reply

    def next_batch(self) -> Any:
        """The next batch of a stream."""
        kind, _, _, body = self.receive()
        assert kind is Kind.EMIT, (kind, body)
        return json.loads(body)

    def end(self) -> int:
        """Waits for the end of the process: its status."""
        return self.process.wait(TIMEOUT_S)


def environment() -> dict[str, str]:
    """That of a plug-in, with this package where it stands."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE)}
