"""Serves a hub: its operations become calls of the author's methods, each in a task of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from . import config
from .context import ABOUT, Clock, Context, Emitter
from .errors import Error, ErrorClass
from .frames import Connection, Frame, FrameError, Kind
from .manifest import Definition
from .messages import (
    Batch,
    ConfigFault,
    Delivery,
    HttpRequest,
    Lease,
    Query,
    RecordOutcome,
    answer_to_json,
    extended_to_json,
    optional_bytes_from_json,
    write_json,
)
from .plugin import Callback, Capture, Lookup, Plugin, Role
from .rotation import Rotations

_TARGET = struct.Struct("<Q")
_CREDIT = struct.Struct("<I")
_STREAM = 17
_FIELDS: dict[int, tuple[str, ...]] = {
    1: ("json",),
    2: ("name", "config"),
    4: ("instance", "role", "name", "settings"),
    7: (),
    10: ("json", "field"),
    11: (),
    16: ("limit",),
    _STREAM: ("credit",),
    18: ("method", "path", "query"),
    19: ("outcomes",),
}
"""What the request of an operation must have in it."""
_LISTS = (20, 32, 48)
"""Operations whose request is a list."""
_LEVELS = (
    logging.CRITICAL + 1,
    logging.ERROR,
    logging.WARNING,
    logging.INFO,
    logging.DEBUG,
    logging.NOTSET,
)
"""By the protocol's number of a level."""


@dataclass
class _Instance:
    plugin: Plugin[Any]
    cx: Context
    rotations: Rotations


@dataclass
class _Attachment:
    role: Role[Any, Any]
    instance: int


@dataclass
class _Op:
    """An operation under way."""

    number: int
    target: int
    request: Any


class Session:
    """All that a hub has made in this process. Lives on the event loop."""

    def __init__(self, definition: Definition, connection: Connection, clock: Clock) -> None:
        self._definition = definition
        self._connection = connection
        self._clock = clock
        self._instances: dict[int, _Instance] = {}
        self._attachments: dict[int, _Attachment] = {}
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._emitters: dict[int, Emitter] = {}
        self._methods: dict[int, Callable[[_Op], Awaitable[Any]]] = {
            1: self._validate,
            2: self._create,
            3: self._check,
            4: self._attach,
            5: self._check_settings,
            6: self._detach,
            7: self._drain,
            8: self._stop,
            9: self._destroy,
            10: self._suggest,
            11: self._rotate,
            16: self._poll,
            _STREAM: self._stream,
            18: self._http,
            19: self._acknowledge,
            20: self._extend,
            32: self._lookup,
            48: self._deliver,
        }

    def take(self, frames: list[Frame]) -> None:
        """Begins what the hub asks for."""
        for frame in frames:
            if frame.kind is Kind.OP:
                self._begin(frame)
            elif frame.kind is Kind.CANCEL:
                task = self._tasks.get(frame.number)
                if task is not None:
                    task.cancel()
            elif frame.kind is Kind.CREDIT:
                emitter = self._emitters.get(frame.number)
                if emitter is not None:
                    emitter.add_credit(*_CREDIT.unpack(frame.body))

    def _begin(self, frame: Frame) -> None:
        if frame.code == _STREAM:
            # Now, for the credit that follows may come before the task begins.
            self._emitters[frame.number] = self._emitter(frame.number)
        task = asyncio.ensure_future(self._run(frame))
        self._tasks[frame.number] = task
        task.add_done_callback(lambda task: self._end(frame.number, task))

    async def _run(self, frame: Frame) -> bytes:
        method = self._methods.get(frame.code)
        if method is None:
            raise Error.unsupported(f"operation {frame.code}")
        (target,) = _TARGET.unpack_from(frame.body)
        body = frame.body[_TARGET.size :]
        reply = await method(_Op(frame.number, target, _request(frame.code, body)))
        return b"" if reply is None else write_json(reply).encode()

    def _end(self, number: int, task: asyncio.Task[bytes]) -> None:
        """Completes the operation; also one that was cancelled before it began."""
        del self._tasks[number]
        emitter = self._emitters.pop(number, None)
        if emitter is not None:
            emitter.close()
        try:
            self._connection.send(Kind.COMPLETE, 0, number, task.result())
            return
        except FrameError as caught:
            error = Error.permanent(str(caught))
        except (Exception, asyncio.CancelledError) as caught:
            error = Error.of(caught)
            if error.error_class is ErrorClass.PANIC:
                logging.getLogger(__name__).error("a bug in the plug-in", exc_info=caught)
        body = write_json(error.to_json()).encode()
        self._connection.send(Kind.COMPLETE, error.error_class.code, number, body)

    async def _validate(self, op: _Op) -> Any:
        role = op.request.get("role")
        try:
            return [fault.to_json() for fault in self._faults(role, op.request["json"])]
        except Error as error:
            if error.error_class is not ErrorClass.CONFIG:
                raise
            return [ConfigFault(error.field or "", error.message).to_json()]

    def _faults(self, role: str | None, told: Any) -> list[ConfigFault]:
        if role is None:
            value = config.read(self._definition.config, told)
            return self._definition.plugin.validate(value)
        kind = self._kind(role)
        return kind.validate_settings(config.read(self._definition.settings(role), told))

    async def _create(self, op: _Op) -> None:
        name = op.request["name"]
        value = config.read(self._definition.config, op.request["config"])
        rotations = Rotations()
        cx = Context(name, now_ms=self._clock.now_ms, about=op.target, rotations=rotations)
        plugin = self._definition.plugin(value, cx)
        self._instances[op.target] = _Instance(plugin, cx, rotations)

    async def _check(self, op: _Op) -> None:
        await self._instance(op.target).plugin.check()

    async def _attach(self, op: _Op) -> None:
        number, role, name = op.request["instance"], op.request["role"], op.request["name"]
        instance = self._instance(number)
        kind = self._kind(role)
        settings = config.read(self._definition.settings(role), op.request["settings"])
        cx = instance.cx.named(name, op.target)
        attached = kind(instance.plugin, settings, cx)
        self._attachments[op.target] = _Attachment(attached, number)

    async def _check_settings(self, op: _Op) -> None:
        attachment = self._attachments.get(op.target)
        if attachment is None:
            raise _unknown(op.target)
        await attachment.role.check_settings()

    async def _detach(self, op: _Op) -> None:
        self._attachments.pop(op.target, None)

    async def _suggest(self, op: _Op) -> Any:
        plugin, told = self._instance(op.target).plugin, op.request
        suggestions = await plugin.suggest(told.get("role"), told["json"], told["field"])
        return [suggestion.to_json() for suggestion in suggestions]

    async def _rotate(self, op: _Op) -> Any:
        instance = self._instance(op.target)
        rotated = asyncio.ensure_future(instance.rotations.next(op.request.get("kept")))
        draining = asyncio.ensure_future(instance.cx.draining())
        try:
            await asyncio.wait({rotated, draining}, return_when=asyncio.FIRST_COMPLETED)
            if rotated.done():
                return rotated.result()
            # It is no work that a drain should wait for.
            raise Error(ErrorClass.CANCELED, "the instance is about to stop")
        finally:
            rotated.cancel()
            draining.cancel()

    async def _drain(self, op: _Op) -> None:
        instance = self._instance(op.target)
        instance.cx.drain()
        await instance.plugin.drain()

    async def _stop(self, op: _Op) -> None:
        await self._instance(op.target).plugin.stop()

    async def _destroy(self, op: _Op) -> None:
        self._instances.pop(op.target, None)
        gone = [at for at, part in self._attachments.items() if part.instance == op.target]
        for number in gone:
            del self._attachments[number]

    async def _poll(self, op: _Op) -> Any:
        position = optional_bytes_from_json(op.request.get("from"))
        batch = await self._capture(op).poll(position, op.request["limit"])
        return batch.to_json()

    async def _stream(self, op: _Op) -> None:
        position = optional_bytes_from_json(op.request.get("from"))
        emitter = self._emitters[op.number]
        emitter.add_credit(op.request["credit"])
        await self._capture(op).stream(position, emitter)

    def _emitter(self, number: int) -> Emitter:
        def send(batch: Batch) -> None:
            self._connection.send(Kind.EMIT, 0, number, write_json(batch.to_json()).encode())

        return Emitter(0, send)

    async def _http(self, op: _Op) -> Any:
        return (await self._capture(op).http(HttpRequest.from_json(op.request))).to_json()

    async def _acknowledge(self, op: _Op) -> None:
        outcomes = [RecordOutcome.from_json(told) for told in op.request["outcomes"]]
        await self._capture(op).acknowledge(outcomes)

    async def _extend(self, op: _Op) -> Any:
        leases = [Lease.from_json(told) for told in op.request]
        extended = await self._capture(op).extend(leases)
        _count("extend", len(leases), len(extended))
        return [extended_to_json(one) for one in extended]

    async def _lookup(self, op: _Op) -> Any:
        queries = [Query(told["attributes"], told.get("traceparent")) for told in op.request]
        answers = await self._role(op, Lookup).lookup(queries)
        _count("lookup", len(queries), len(answers))
        return [answer_to_json(answer) for answer in answers]

    async def _deliver(self, op: _Op) -> Any:
        deliveries = [Delivery.from_json(told) for told in op.request]
        outcomes = await self._role(op, Callback).deliver(deliveries)
        _count("deliver", len(deliveries), len(outcomes))
        return [outcome.to_json() for outcome in outcomes]

    def _kind(self, role: str) -> type[Role[Any, Any]]:
        kind = self._definition.roles.get(role)
        if kind is None:
            raise Error.unsupported(role)
        return kind

    def _instance(self, target: int) -> _Instance:
        instance = self._instances.get(target)
        if instance is None:
            raise _unknown(target)
        return instance

    def _capture(self, op: _Op) -> Capture[Any, Any]:
        capture: Capture[Any, Any] = self._role(op, Capture)
        return capture

    def _role(self, op: _Op, kind: type[Any]) -> Any:
        attachment = self._attachments.get(op.target)
        if attachment is None:
            raise _unknown(op.target)
        if not isinstance(attachment.role, kind):
            raise Error.unsupported(kind.__name__.lower())
        return attachment.role


def _request(code: int, body: bytes) -> Any:
    """Reads a request; what is none is no bug of the author's."""
    try:
        request = json.loads(body) if body else None
    except ValueError as error:
        raise Error(ErrorClass.PROTOCOL, f"cannot read the request: {error}") from error
    fields = _FIELDS.get(code)
    if fields is not None and not (
        isinstance(request, dict) and all(field in request for field in fields)
    ):
        raise Error(ErrorClass.PROTOCOL, f"the request needs {', '.join(fields) or 'an object'}")
    if code in _LISTS and not isinstance(request, list):
        raise Error(ErrorClass.PROTOCOL, "the request is no list")
    return request


class HubLog(logging.Handler):
    """Passes the lines of `logging` to the hub."""

    def __init__(self, connection: Connection, level: int) -> None:
        super().__init__(_LEVELS[min(max(level, 0), 5)])
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a line; what cannot be sent is dropped, for a log line is not worth a life."""
        try:
            extra = record.__dict__.items()
            fields = {key: value for key, value in extra if key not in _NO_FIELDS}
            if record.exc_info:
                fields["exception"] = _FORMATTER.formatException(record.exc_info)
            line = {"target": record.name, "message": record.getMessage(), "fields": fields}
            body = json.dumps(line, default=str).encode()
            about = getattr(record, ABOUT, 0)
            self._connection.send(Kind.LOG, _level(record.levelno), about, body)
        except Exception:  # noqa: BLE001
            self.handleError(record)


_FORMATTER = logging.Formatter()
_NO_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", ABOUT}


def _level(levelno: int) -> int:
    return next((level for level in range(1, 5) if levelno >= _LEVELS[level]), 5)


def _unknown(target: int) -> Error:
    return Error(ErrorClass.PROTOCOL, f"there is no target {target}")


def _count(what: str, asked: int, given: int) -> None:
    if asked != given:
        raise RuntimeError(f"`{what}` gave {given} answers to {asked} questions")
