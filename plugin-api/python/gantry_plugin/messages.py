"""What a plug-in and the hub say to each other: records, questions, events, requests.

The names are those of the protocol; in JSON an absent field is left out.
"""

from __future__ import annotations

import base64
import enum
import json
from dataclasses import dataclass, field
from typing import Any

from .errors import Error

POSITION_LEN_MAX = 4096

JsonObject = dict[str, Any]


def write_json(value: Any) -> str:
    """Compact JSON; a number that JSON does not have (NaN) is a `ValueError`."""
    return _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class MessageKind(enum.Enum):
    """What a record asks the hub to do. Where the plug-in does not say, the capture point does."""

    CREATE = "create"
    UPDATE = "update"
    HOLD = "hold"
    RESUME = "resume"
    CANCEL = "cancel"
    COMPLETE = "complete"
    RESTART = "restart"


class Outcome(enum.Enum):
    """How a record ended. There is no fifth way."""

    ACCEPTED = "accepted"
    """Durable in the hub."""
    FILTERED = "filtered"
    """Not wanted by the capture point's rules; counted."""
    REFUSED = "refused"
    """Not usable; its dead letter is durable."""
    RETRY = "retry"
    """Not settled: make it come again."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A thing that the source lent to us and takes back in time: a lock, a visibility time-out."""

    token: str
    """Of one thing it stays the same, also when the thing is lent again; at most 1024 bytes."""
    for_ms: int
    """How long it was lent for when it was last granted, in milliseconds."""

    @classmethod
    def from_json(cls, told: JsonObject) -> Lease:
        """From what the hub said."""
        return cls(told["token"], told["for_ms"])


@dataclass(frozen=True, slots=True)
class Kept:
    """A lease was extended: it is ours for so many milliseconds from now on."""

    for_ms: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Somebody else has the thing, or it is gone: the hub withdraws the item with this reason."""

    reason: str


Extended = Kept | Lost | Error
"""What became of one lease; an `Error`: that cannot be said now, the hub asks again."""


def extended_to_json(extended: Extended) -> Any:
    """As the hub reads it."""
    if isinstance(extended, Kept):
        return {"kept": {"for_ms": extended.for_ms}}
    if isinstance(extended, Lost):
        return {"lost": {"reason": extended.reason}}
    return {"failed": extended.to_json()}


@dataclass(slots=True)
class Record:
    """One thing a source handed over; the hub's mapping reads the payload."""

    payload: bytes | str
    """What the mapping reads; text stands for its UTF-8."""
    content_type: str = "application/json"
    message_id: str | None = None
    """The source's id of this message, stable over redelivery: the hub knows a repeat by it."""
    version: str | None = None
    """The version of the thing in the source, where it has one."""
    position: bytes | str | None = None
    """The place right after this record, at most 4096 bytes: reading from here gives the next."""
    partition: str | None = None
    """The part of the source in which records are ordered; none = one order."""
    message: MessageKind | None = None
    """What the record asks for, if the source says so."""
    ack_token: bytes | str | None = None
    """Comes back in `RecordOutcome`."""
    occurred_at_ms: int | None = None
    """When it happened in the source: Unix milliseconds."""
    traceparent: str | None = None
    """W3C trace context the source sent along."""
    unreadable_because: str | None = None
    """See `Record.unreadable`."""
    lease: Lease | None = None
    """The source has only lent it: `Capture.extend` is called as long as the item is open."""

    @classmethod
    def json(cls, value: Any, **fields: Any) -> Record:
        """A record of a JSON value; `fields` are those of the record."""
        return cls(write_json(value), **fields)

    @classmethod
    def unreadable(cls, payload: bytes | str, reason: str, **fields: Any) -> Record:
        """One that cannot be read: its raw bytes and the reason (`line 7: …`).

        It is handed over like any other, so that it ends as a dead letter and not in a log.
        """
        return cls(payload, "application/octet-stream", unreadable_because=reason, **fields)

    def to_json(self) -> JsonObject:
        """As the hub reads it."""
        told: JsonObject = {"payload": bytes_to_json(self.payload)}
        if self.content_type != "application/json":
            told["content_type"] = self.content_type
        if self.message_id is not None:
            told["message_id"] = self.message_id
        if self.position is not None:
            told["position"] = position_to_json(self.position)
        if self.version is not None:
            told["version"] = self.version
        if self.partition is not None:
            told["partition"] = self.partition
        if self.message is not None:
            told["message"] = self.message.value
        if self.ack_token is not None:
            told["ack_token"] = bytes_to_json(self.ack_token)
        if self.occurred_at_ms is not None:
            told["occurred_at_ms"] = self.occurred_at_ms
        if self.traceparent is not None:
            told["traceparent"] = self.traceparent
        if self.unreadable_because is not None:
            told["unreadable"] = self.unreadable_because
        if self.lease is not None:
            told["lease"] = {"token": self.lease.token, "for_ms": self.lease.for_ms}
        return told


@dataclass(slots=True)
class Batch:
    """Records in the order of the source."""

    records: list[Record] = field(default_factory=list)
    position_after: bytes | str | None = None
    """Where to go on once all records are settled, also when there are none; absent = the position
    of the last record, or unchanged."""
    more: bool = False
    """There is more at once: poll again without waiting for the schedule."""

    def to_json(self) -> JsonObject:
        """As the hub reads it."""
        told: JsonObject = {"records": [record.to_json() for record in self.records]}
        if self.position_after is not None:
            told["position_after"] = position_to_json(self.position_after)
        if self.more:
            told["more"] = True
        return told


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """What became of one record, told once that is durable."""

    outcome: Outcome
    message_id: str | None = None
    ack_token: bytes | None = None
    position: bytes | None = None
    partition: str | None = None
    reason: str | None = None
    """Why it was refused or must be retried, for a person."""

    @classmethod
    def from_json(cls, told: JsonObject) -> RecordOutcome:
        """From what the hub said."""
        return cls(
            Outcome(told["outcome"]),
            told.get("message_id"),
            optional_bytes_from_json(told.get("ack_token")),
            optional_bytes_from_json(told.get("position")),
            told.get("partition"),
            told.get("reason"),
        )


@dataclass(slots=True)
class ConfigFault:
    """A mistake in a configuration, with its place."""

    path: str
    """Dotted path of the key (`tls.ca`); empty for the whole."""
    message: str
    """What is wrong and what to write instead: lower case, no full stop."""

    def to_json(self) -> JsonObject:
        """As the hub reads it."""
        return {"path": self.path, "message": self.message}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value that could stand at a key of the config."""

    value: Any
    note: str | None = None
    """What it is, in a few words."""

    def to_json(self) -> JsonObject:
        """As the hub reads it."""
        note = {} if self.note is None else {"note": self.note}
        return {"value": self.value, **note}


Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request the hub's server received for a capture point."""

    method: str
    """Upper case: `POST`."""
    path: str
    """The path behind the capture point's own, from `/` on."""
    query: str
    """The raw query string, without the question mark."""
    headers: Headers
    """Names in lower case, in the order received; a name may come more than once."""
    body: bytes
    """The bytes as received: signatures are computed over these."""
    remote: str | None = None
    """The sender's address, as far as the hub knows it."""

    def header(self, name: str) -> str | None:
        """The first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @classmethod
    def from_json(cls, told: JsonObject) -> HttpRequest:
        """From what the hub said."""
        headers = [(name, value) for name, value in told.get("headers", [])]
        body = bytes_from_json(told.get("body", ""))
        return cls(told["method"], told["path"], told["query"], headers, body, told.get("remote"))


@dataclass(slots=True)
class HttpResponse:
    """An answer that refuses a request: no such path, a bad signature."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes | str = b""

    @classmethod
    def problem(cls, status: int, title: str) -> HttpResponse:
        """A refusal that says why, as `application/problem+json`."""
        body = write_json({"status": status, "title": title})
        return cls(status, [("content-type", "application/problem+json")], body)

    def to_json(self) -> JsonObject:
        """As the hub reads it."""
        body = bytes_to_json(self.body)
        return {"refuse": {"status": self.status, "headers": self.headers, "body": body}}


@dataclass(slots=True)
class HttpCapture:
    """Records of a request, and what the hub answers once every record is settled.

    If a record has to be retried, the hub answers 503 by itself: the sender must send again.
    """

    records: list[Record]
    status: int = 202
    """If at least one record was accepted or filtered, or there is none."""
    status_refused: int = 422
    """If each record was refused."""
    headers: Headers = field(default_factory=list)
    body: bytes | str | None = None
    """None = the hub's JSON, one outcome a record."""

    def to_json(self) -> JsonObject:
        """As the hub reads it."""
        response = {
            "status": self.status,
            "status_refused": self.status_refused,
            "headers": self.headers,
            "body": "outcomes" if self.body is None else {"fixed": bytes_to_json(self.body)},
        }
        records = [record.to_json() for record in self.records]
        return {"capture": {"records": records, "response": response}}


@dataclass(frozen=True, slots=True)
class Query:
    """One question to another system."""

    attributes: JsonObject
    """What the operator's mapping asks with."""
    traceparent: str | None = None
    """W3C trace context of what the question is about."""


@dataclass(slots=True)
class Answer:
    """What the other system knows; the operator's mapping picks from it."""

    attributes: JsonObject


def answer_to_json(answer: Answer | Error | None) -> Any:
    """As the hub reads it: `None` is that there is no such key, which is an answer, too."""
    if answer is None:
        return "missing"
    if isinstance(answer, Error):
        return {"failed": answer.to_json()}
    return {"found": {"attributes": answer.attributes}}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One life-cycle event on its way to a subscriber."""

    idempotency_key: str
    """The same on every retry: the other side drops a repeat by it."""
    event: str
    """What happened: `captured`, `assigned`, `completed`, …"""
    item_id: int
    """The hub's id of the work item."""
    external_id: str
    """The source's id of the work item."""
    capture_point: str
    """Where the item entered."""
    occurred_at_ms: int
    """When it happened: Unix milliseconds."""
    sequence: int
    """Rising in the life of the item; gaps are events not subscribed to."""
    attempt: int
    """1 on the first try."""
    details: JsonObject
    """What belongs to the event, such as agent and disposition."""
    attributes: JsonObject
    """The item's attributes at the event."""
    traceparent: str | None = None
    """W3C trace context."""

    @classmethod
    def from_json(cls, told: JsonObject) -> Delivery:
        """From what the hub said."""
        return cls(
            told["idempotency_key"],
            told["event"],
            int(told["item_id"]),
            told["external_id"],
            told["capture_point"],
            told["occurred_at_ms"],
            told["sequence"],
            told["attempt"],
            told["details"],
            told["attributes"],
            told.get("traceparent"),
        )


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """How one delivery ended."""

    name: str
    error: Error | None = None

    @classmethod
    def done(cls) -> DeliveryOutcome:
        """The other side has it."""
        return cls("done")

    @classmethod
    def already_done(cls) -> DeliveryOutcome:
        """The other side had it already (a repeat); counts as done."""
        return cls("already_done")

    @classmethod
    def retry(cls, error: Error) -> DeliveryOutcome:
        """Not now; the class of the error says when to try again."""
        return cls("retry", error)

    @classmethod
    def refused(cls, error: Error) -> DeliveryOutcome:
        """Never; a dead letter, and later deliveries of the same item wait for it."""
        return cls("refused", error)

    def to_json(self) -> Any:
        """As the hub reads it."""
        return self.name if self.error is None else {self.name: self.error.to_json()}


def bytes_to_json(value: bytes | str) -> Any:
    """Bytes as a text if they are UTF-8, else as base64."""
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def bytes_from_json(told: Any) -> bytes:
    """The bytes the hub said."""
    if isinstance(told, str):
        return told.encode()
    return base64.b64decode(told["base64"])


def optional_bytes_from_json(told: Any) -> bytes | None:
    """As `bytes_from_json`, of what may be absent."""
    return None if told is None else bytes_from_json(told)


def position_to_json(position: bytes | str) -> Any:
    """As `bytes_to_json`, of at most 4096 bytes: a position names a place, it is no store."""
    size = len(position.encode() if isinstance(position, str) else position)
    if size > POSITION_LEN_MAX:
        raise Error.permanent(
            f"cannot take a position of {size} bytes: at most {POSITION_LEN_MAX}"
        )
    return bytes_to_json(position)
