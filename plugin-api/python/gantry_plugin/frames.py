"""The frames between the hub and this process, and the socket they go over.

A header of 16 bytes (length, kind, flags, code, number; little-endian) and a body; see
`docs/plugins/frames.md` of the hub.
"""

from __future__ import annotations

import enum
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct("<IBBHQ")
BODY_MAX = 16 << 20
RECEIVE_MAX = 1 << 18


class Kind(enum.IntEnum):
    """The kinds of frames by number."""

    HELLO = 1
    WELCOME = 2
    OP = 3
    COMPLETE = 4
    CANCEL = 5
    EMIT = 6
    CREDIT = 7
    LOG = 8
    PING = 9
    PONG = 10
    SHUTDOWN = 11
    GOODBYE = 12


class FrameError(Exception):
    """The hub said what this protocol does not have, or a body is too long."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing said."""

    kind: Kind
    code: int = 0
    number: int = 0
    body: bytes = b""


class Decoder:
    """Bytes in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def take(self, chunk: bytes) -> Iterator[Frame]:
        """The frames that are whole with this chunk.

        Raises `FrameError` at the first that is none.
        """
        self._buffer += chunk
        begin = 0
        while len(self._buffer) - begin >= HEADER.size:
            length, kind, flags, code, number = HEADER.unpack_from(self._buffer, begin)
            if length > BODY_MAX:
                raise FrameError(f"a frame of {length} bytes: at most {BODY_MAX}")
            if flags != 0 or not Kind.HELLO <= kind <= Kind.GOODBYE:
                raise FrameError(f"a frame of kind {kind} with flags {flags}")
            end = begin + HEADER.size + length
            if end > len(self._buffer):
                break
            body = bytes(self._buffer[begin + HEADER.size : end])
            yield Frame(Kind(kind), code, number, body)
            begin = end
        del self._buffer[:begin]


class Connection:
    """The socket to the hub; any thread may send."""

    def __init__(self, hub: socket.socket) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._decoder = Decoder()

    def send(self, kind: Kind, code: int = 0, number: int = 0, body: bytes = b"") -> None:
        """Sends a frame; waits while the hub does not read.

        Raises `FrameError` if the body is too long, `OSError` if the hub is gone.
        """
        if len(body) > BODY_MAX:
            raise FrameError(f"cannot send {len(body)} bytes at once: at most {BODY_MAX}")
        frame = HEADER.pack(len(body), kind, 0, code, number) + body
        with self._lock:
            self._hub.sendall(frame)

    def receive(self) -> list[Frame] | None:
        """Waits for frames; none once the hub is gone. For one thread only.

        Raises `FrameError` if the hub breaks the protocol.
        """
        try:
            chunk = self._hub.recv(RECEIVE_MAX)
        except ConnectionError:
            return None
        return list(self._decoder.take(chunk)) if chunk else None
