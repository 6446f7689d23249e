"""What a plug-in knows of the world outside: names, the hub's time and log, whether to end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from .config import Secret
from .errors import Error, ErrorClass
from .messages import Batch
from .rotation import Rotations

ABOUT = "gantry_about"
"""The key of a log record under which the number of an instance or attachment stands."""


class Clock:
    """The hub's time, as it last said it; in between, time passes by itself."""

    def __init__(self) -> None:
        self._hub_ms = 0
        self._told_at = time.monotonic()

    def set(self, now_ms: int) -> None:
        """The hub says what time it is."""
        self._hub_ms, self._told_at = now_ms, time.monotonic()

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self._hub_ms + int((time.monotonic() - self._told_at) * 1000)


class Context:
    """An instance or attachment, seen from inside."""

    def __init__(
        self,
        instance: str,
        *,
        name: str | None = None,
        now_ms: Callable[[], int] = Clock().now_ms,
        draining: asyncio.Event | None = None,
        about: int = 0,
        rotations: Rotations | None = None,
    ) -> None:
        """Outside a hub, for the author's own tests, a name is enough."""
        self._rotations = rotations
        self._draining = asyncio.Event() if draining is None else draining
        self._now_ms = now_ms
        self.instance = instance
        """The operator's name of the source: `crm` for `[source.crm]`."""
        self.name = instance if name is None else name
        """That of the capture point, look-up or callback; else that of the source."""
        self.log = _Log(logging.getLogger(instance), {ABOUT: about})
        """The hub's log; the keys of `extra={…}` become fields of the line."""

    def named(self, name: str, about: int) -> Context:
        """The same world, seen from a capture point, look-up or callback of the instance."""
        return Context(
            self.instance,
            name=name,
            now_ms=self._now_ms,
            draining=self._draining,
            about=about,
            rotations=self._rotations,
        )

    async def rotated(self, field: str, value: Secret) -> None:
        """Gives a credential back that the source has replaced, and waits until the hub keeps it.

        From then on, also after a restart, it stands in place of the one the operator gave, until
        the operator gives another one. `field` is its key in the source's config, a dotted path,
        which `Plugin.rotates` names. Outside a hub it returns at once.
        """
        if self._rotations is not None:
            await self._rotations.push(field, value.expose())

    def now_ms(self) -> int:
        """The hub's time in Unix milliseconds: ask it rather than the system."""
        return self._now_ms()

    @property
    def is_draining(self) -> bool:
        """Whether the instance is about to stop: finish what is begun, begin nothing."""
        return self._draining.is_set()

    async def draining(self) -> None:
        """Waits until the instance is about to stop."""
        await self._draining.wait()

    def drain(self) -> None:
        """Says that the instance is about to stop; in the author's tests, too."""
        self._draining.set()


if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # takes no type before Python 3.11


class _Log(_Adapter):
    """A logger whose lines know what they are about."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


class Emitter:
    """Hands batches to the hub. A record costs one credit, a batch without records one as well."""

    def __init__(self, credit: int, send: Callable[[Batch], None]) -> None:
        """Outside a hub, for the author's own tests, `send` may be the `append` of a list."""
        self._credit = credit
        self._send = send
        self._closed = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turn = asyncio.Lock()

    async def emit(self, batch: Batch) -> None:
        """Sends a batch, waiting for credit; one larger than the credit at hand goes in parts.

        Raises `Error` of class `canceled` once the hub no longer listens: return from the stream.
        If it is cancelled, some of the records may have been sent, never a record twice.
        """
        async with self._turn:
            records = batch.records
            while True:
                await self._wait()
                n = min(max(len(records), 1), self._credit)
                part, records = records[:n], records[n:]
                last = not records
                self._credit -= n
                self._send(Batch(part, batch.position_after if last else None, not last))
                if last:
                    return

    async def _wait(self) -> None:
        while self._credit == 0 and not self._closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        if self._closed:
            raise Error(ErrorClass.CANCELED, "cannot emit: the hub has ended the stream")

    def add_credit(self, n: int) -> None:
        """The hub takes so many records more."""
        self._credit += n
        self._wake()

    def close(self) -> None:
        """Nobody listens any more."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
