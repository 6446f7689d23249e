"""The life of the process: greeting, serving, end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from . import config
from .context import Clock
from .frames import Connection, Frame, FrameError, Kind
from .manifest import FILE_NAME, PROTOCOL, VERSION, Definition, is_stale, manifest, write
from .messages import write_json
from .plugin import Callback, Capture, Lookup, Plugin
from .session import HubLog, Session

COOKIE = "GANTRY_PLUGIN_COOKIE"
FD = 3
_TIME = struct.Struct("<q")


def run(
    plugin: type[Plugin[Any]],
    *,
    capture: type[Capture[Any, Any]] | None = None,
    lookup: type[Lookup[Any, Any]] | None = None,
    callback: type[Callback[Any, Any]] | None = None,
) -> None:
    """What the program does: serves the hub that started it, and does not return.

    Started by hand it says what it is; with `--manifest` it writes `gantry-plugin.json` beside
    itself, which the hub reads without running anything.
    """
    definition = Definition.of(plugin, capture, lookup, callback)
    program = Path(sys.argv[0]).resolve()
    said = manifest(definition, program)
    if sys.argv[1:] == ["--manifest"]:
        _warn(said)
        print(f"wrote {write(said, program.parent)}")
    elif COOKIE in os.environ:
        _serve(definition, said, program)
    else:
        _introduce(said, program)


def _introduce(said: dict[str, Any], program: Path) -> None:
    print(f"{said['name']} {said['version']}, a plug-in of the Gantry hub: {said['description']}")
    print(f"The hub starts it. Put the folder {program.parent} into one of its plug-in folders.")
    print(f"  python3 {program.name} --manifest   writes {FILE_NAME}, which the hub reads")


def _warn(said: dict[str, Any]) -> None:
    tables = {"config": said["config"]}
    roles = ("capture", "lookup", "callback")
    tables.update({role: said[role]["settings"] for role in roles if role in said})
    for table, schema in tables.items():
        for key in config.unmarked_secrets(schema):
            print(f"warning: {table}: `{key}` looks like a secret; make it a Secret")


def _serve(definition: Definition, said: dict[str, Any], program: Path) -> None:
    hub = socket.socket(fileno=FD)
    hub.set_inheritable(False)
    connection = Connection(hub)
    for output in (sys.stdout, sys.stderr):
        # Each line becomes a log line of the hub as it is written.
        output.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if is_stale(said, program.parent):
        reason = f"{FILE_NAME} is not of this version: run `python3 {program.name} --manifest`"
        connection.send(Kind.GOODBYE, body=reason.encode())
        _exit(1)
    hello = {
        "protocol": PROTOCOL,
        "encodings": ["json"],
        "name": said["name"],
        "version": said["version"],
        "pid": os.getpid(),
        "sdk": said["build"]["sdk"],
        "manifest": said,
    }
    connection.send(Kind.HELLO, body=write_json(hello).encode())
    asyncio.run(_main(definition, connection))


async def _main(definition: Definition, connection: Connection) -> None:
    clock = Clock()
    session = Session(definition, connection, clock)
    reader = _Reader(asyncio.get_running_loop(), connection, session, clock)
    # A thread of its own, so that pings are answered and the hub's end is seen while a method
    # blocks the event loop.
    threading.Thread(target=reader.read, name="gantry", daemon=True).start()
    await asyncio.Event().wait()


class _Reader:
    """Reads what the hub says; ends the process when the hub says so or is gone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: Connection,
        session: Session,
        clock: Clock,
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._session = session
        self._clock = clock

    def read(self) -> None:
        """Reads to the end."""
        try:
            while (frames := self._connection.receive()) is not None:
                work = [frame for frame in frames if not self._take(frame)]
                if work:
                    self._loop.call_soon_threadsafe(self._session.take, work)
        except FrameError as error:
            self._goodbye(str(error), 1)
        except OSError:
            pass  # the hub is gone
        _exit(0)

    def _take(self, frame: Frame) -> bool:
        """Answers what needs no method of the author's; false for all else."""
        if frame.kind is Kind.PING:
            self._clock.set(*_TIME.unpack(frame.body))
            self._connection.send(Kind.PONG, 0, frame.number)
        elif frame.kind is Kind.WELCOME:
            self._welcome(frame)
        elif frame.kind is Kind.SHUTDOWN:
            self._goodbye("", 0)
        elif frame.kind is Kind.GOODBYE:
            print(f"the hub ended the connection: {frame.body.decode(errors='replace')}")
            _exit(1)
        elif frame.kind in (Kind.OP, Kind.CANCEL, Kind.CREDIT):
            return False
        else:
            raise FrameError(f"the hub sent `{frame.kind.name.lower()}`")
        return True

    def _welcome(self, frame: Frame) -> None:
        told = json.loads(frame.body)
        self._clock.set(told["now_ms"])
        handler = HubLog(self._connection, told["log_level"])
        logging.basicConfig(level=handler.level, handlers=[handler], force=True)

    def _goodbye(self, reason: str, status: int) -> None:
        self._connection.send(Kind.GOODBYE, body=reason.encode())
        _exit(status)


def _exit(status: int) -> None:
    """Ends the process at once, whatever other threads are at."""
    for output in (sys.stdout, sys.stderr):
        try:
            output.flush()
        except OSError:
            pass  # whoever read it is gone
    os._exit(status)
