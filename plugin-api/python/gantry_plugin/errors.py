"""The errors a plug-in answers with. The class decides what the hub does; the text is for people.

A plug-in never sleeps, loops or retries on its own: it says what happened, and the hub acts.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

N_CAUSES_MAX = 16


class ErrorClass(enum.Enum):
    """What kind of trouble it is, and so what the hub does about it."""

    AUTH_EXPIRED = "auth_expired"
    """Credentials were right and are no longer: the hub creates the instance anew, once."""
    AUTH_DENIED = "auth_denied"
    """The source does not let us in: the instance stops until a person acts."""
    THROTTLED = "throttled"
    """Too many requests: the hub waits at least as long as `retry_after` says."""
    TRANSIENT = "transient"
    """Worth trying again with growing pauses: network, time-out, an unavailable server."""
    CONFLICT = "conflict"
    """The source has another version of the thing than the one we speak of."""
    GONE = "gone"
    """The thing no longer exists in the source."""
    CURSOR_EXPIRED = "cursor_expired"
    """The source no longer knows the position; the hub reads from the beginning."""
    PERMANENT = "permanent"
    """Trying again would give the same."""
    CONFIG = "config"
    """The configuration is wrong; `field` says where."""
    PANIC = "panic"
    """A bug in the plug-in; made by this package. The instance is not used again."""
    CANCELED = "canceled"
    """The operation was called off; made by this package."""
    UNSUPPORTED = "unsupported"
    """The plug-in does not do this; made by this package."""
    PROTOCOL = "protocol"
    """One side did not understand the other; made by this package."""

    @property
    def code(self) -> int:
        """The number that crosses the boundary, 1 and up."""
        return _CODES[self]


_CODES = {error_class: code for code, error_class in enumerate(ErrorClass, start=1)}


class Error(Exception):
    """What went wrong: a class to act on and a text to read.

    Message: lower case, no full stop, what was tried and the object. `raise Error.transient("cannot
    list orders") from error` passes the causes on to the hub.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        *,
        retry_after: timedelta | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.message = message
        self.retry_after = retry_after
        self.field = field

    @classmethod
    def auth_expired(cls, message: str) -> Error:
        """See `ErrorClass.AUTH_EXPIRED`."""
        return cls(ErrorClass.AUTH_EXPIRED, message)

    @classmethod
    def auth_denied(cls, message: str) -> Error:
        """See `ErrorClass.AUTH_DENIED`."""
        return cls(ErrorClass.AUTH_DENIED, message)

    @classmethod
    def throttled(cls, message: str, retry_after: timedelta | None = None) -> Error:
        """See `ErrorClass.THROTTLED`; `retry_after` as the source gave it."""
        return cls(ErrorClass.THROTTLED, message, retry_after=retry_after)

    @classmethod
    def transient(cls, message: str) -> Error:
        """See `ErrorClass.TRANSIENT`."""
        return cls(ErrorClass.TRANSIENT, message)

    @classmethod
    def conflict(cls, message: str) -> Error:
        """See `ErrorClass.CONFLICT`."""
        return cls(ErrorClass.CONFLICT, message)

    @classmethod
    def gone(cls, message: str) -> Error:
        """See `ErrorClass.GONE`."""
        return cls(ErrorClass.GONE, message)

    @classmethod
    def cursor_expired(cls, message: str) -> Error:
        """See `ErrorClass.CURSOR_EXPIRED`."""
        return cls(ErrorClass.CURSOR_EXPIRED, message)

    @classmethod
    def permanent(cls, message: str) -> Error:
        """See `ErrorClass.PERMANENT`."""
        return cls(ErrorClass.PERMANENT, message)

    @classmethod
    def config(cls, field: str, message: str) -> Error:
        """See `ErrorClass.CONFIG`; `field` is a dotted path (`tls.ca`), empty for the whole."""
        return cls(ErrorClass.CONFIG, message, field=field)

    @classmethod
    def unsupported(cls, operation: str) -> Error:
        """See `ErrorClass.UNSUPPORTED`."""
        return cls(ErrorClass.UNSUPPORTED, f"plug-in does not offer `{operation}`")

    @classmethod
    def of(cls, error: BaseException) -> Error:
        """What an exception of any kind tells the hub.

        One of the system or the network (`OSError`, a time-out) is `transient`, a cancelled task
        `canceled`; all else is a bug and so a `panic`.
        """
        if isinstance(error, Error):
            return error
        name = type(error).__name__
        if isinstance(error, asyncio.CancelledError):
            return cls(ErrorClass.CANCELED, "operation was called off")
        if isinstance(error, (OSError, asyncio.TimeoutError)):
            told = cls.transient(f"{name}: {error}" if str(error) else name)
        else:
            told = cls(ErrorClass.PANIC, f"{name}: {error}")
        told.__cause__ = _cause(error)
        return told

    def to_json(self) -> dict[str, Any]:
        """As the hub reads it."""
        told: dict[str, Any] = {"class": self.error_class.value, "message": self.message}
        if self.retry_after is not None:
            told["retry_after_ms"] = max(0, self.retry_after // timedelta(milliseconds=1))
        if self.field is not None:
            told["field"] = self.field
        causes = list(_causes(self))
        if causes:
            told["causes"] = causes
        return told


def _causes(error: BaseException) -> Iterator[str]:
    cause = _cause(error)
    for _ in range(N_CAUSES_MAX):
        if cause is None:
            return
        yield str(cause) or type(cause).__name__
        cause = _cause(cause)


def _cause(error: BaseException) -> BaseException | None:
    """As Python shows it: `raise … from`, or what was being handled."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
