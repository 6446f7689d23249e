"""Credentials that the source replaced, on their way to the hub."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from .errors import Error

KEPT_WITHIN = 10.0
"""Seconds that the hub may take to keep one."""


class Rotations:
    """Those that are not durable yet, the oldest first."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, str, str, asyncio.Future[None]]] = deque()
        self._newest = 0
        self._changed = asyncio.Event()

    async def push(self, field: str, value: str) -> None:
        """Waits until the hub keeps it."""
        self._newest += 1
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append((self._newest, field, value, kept))
        self._changed.set()
        try:
            # Whoever gives up waiting takes nothing back.
            await asyncio.wait_for(asyncio.shield(kept), KEPT_WITHIN)
        except asyncio.TimeoutError as error:
            message = f"the hub does not keep the new `{field}`; is it in `rotates`?"
            raise Error.transient(message) from error

    async def next(self, kept: int | None) -> dict[str, Any]:
        """The oldest that is not kept, once there is one."""
        while self._waiting and kept is not None and self._waiting[0][0] <= kept:
            done = self._waiting.popleft()[3]
            if not done.done():
                done.set_result(None)
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        number, field, value, _ = self._waiting[0]
        return {"number": number, "field": field, "value": value}
