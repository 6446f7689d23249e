"""The operator's configuration as dataclasses: their JSON Schema, and their values out of JSON.

    @dataclass
    class Config:
        endpoint: Annotated[str, "Where the shop answers"]
        key: Annotated[Secret, "Its key"]
        every: Annotated[timedelta, "Pause between pages"] = timedelta(seconds=5)
        step: Annotated[int, "How far apart", {"minimum": 1}] = 1

A text in `Annotated` is the description, a dict holds further keywords of JSON Schema. Types:
`str`, `int`, `float`, `bool`, `Secret`, `timedelta` (`"1h30m"`), `Literal` of texts, `list`,
`dict` with texts as keys, other dataclasses, and `X | None` with a default.
"""

from __future__ import annotations

import dataclasses
import re
import types
from datetime import timedelta
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints
from typing import Annotated

from .errors import Error

T = TypeVar("T")

SECRET_KEYWORD = "x-gantry-secret"
_REDACTED = "***"


class Secret:
    """A value that must never be seen; it prints as `***` and cannot be pickled.

    The operator gives it by reference (`{ env = "SHOP_KEY" }`); call `expose` where it is used,
    and keep no copy.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def expose(self) -> str:
        """The value itself: the only way to it."""
        return self._value

    def __repr__(self) -> str:
        return _REDACTED

    def __format__(self, spec: str) -> str:
        return format(_REDACTED, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


@dataclasses.dataclass
class _Nothing:
    """What `None` in place of a configuration stands for."""


def schema(config: type | None) -> dict[str, Any]:
    """The JSON Schema of a dataclass; of `None`, that there is nothing to configure."""
    if config is None or config is type(None):
        return {"type": "object", "additionalProperties": False}
    return _schema(config, config.__name__)


def read(config: type[T], value: Any) -> T:
    """The value of a dataclass out of JSON.

    Raises `Error` of class `config`, with the place, if it does not fit.
    """
    if config is type(None):
        config = _Nothing  # type: ignore[assignment]
    told = _read(config, value, "")
    return None if isinstance(told, _Nothing) else told  # type: ignore[return-value]


def unmarked_secrets(found: dict[str, Any]) -> list[str]:
    """Keys of a schema whose name says secret and whose type does not: one forgotten type, and a
    password is printed."""
    ends = ("password", "secret", "token", "api_key")
    properties: dict[str, dict[str, Any]] = found.get("properties", {})
    return [
        key
        for key, part in properties.items()
        if key.endswith(ends) and SECRET_KEYWORD not in part
    ]


def _schema(kind: Any, place: str) -> dict[str, Any]:
    """The schema of a type; `place` names it in errors."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        found = _schema(arguments[0], place)
        for extra in arguments[1:]:
            found.update({"description": extra} if isinstance(extra, str) else extra)
        return found
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if kind is Secret:
        return {"type": "string", SECRET_KEYWORD: True, "writeOnly": True}
    if kind is timedelta:
        pattern = "^([0-9]+(ms|d|h|m|s))+$"
        return {"type": "string", "pattern": pattern, "x-gantry-type": "duration"}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], place)}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _schema(arguments[1], place)}
    if origin in (Union, types.UnionType):
        return _schema(_without_none(kind, place), place)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _object(kind)
    raise TypeError(f"{place}: cannot configure a {kind}; see the types of gantry_plugin.config")


_PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _object(config: type) -> dict[str, Any]:
    properties, required = {}, []
    hints = get_type_hints(config, include_extras=True)
    for option in dataclasses.fields(config):
        found = _schema(hints[option.name], f"{config.__name__}.{option.name}")
        if option.default is not dataclasses.MISSING:
            if isinstance(option.default, (str, int, float, bool)):
                found["default"] = option.default
            elif isinstance(option.default, timedelta):
                found["default"] = write_duration(option.default)
        elif option.default_factory is dataclasses.MISSING:
            required.append(option.name)
        properties[option.name] = found
    found = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        found["required"] = required
    doc = config.__doc__ or ""
    if doc and not doc.startswith(f"{config.__name__}("):
        found["description"] = " ".join(doc.split("\n\n")[0].split())
    return found


def _without_none(kind: Any, place: str) -> Any:
    others = [part for part in get_args(kind) if part is not type(None)]
    if len(others) == 1:
        return others[0]
    raise TypeError(f"{place}: cannot configure a choice of types other than `X | None`")


def _read(kind: Any, value: Any, path: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _read(arguments[0], value, path)
    if kind is Secret:
        return Secret(_of(str, value, path))
    if kind is timedelta:
        return read_duration(_of(str, value, path), path)
    if kind in _PLAIN:
        return _of(kind, value, path)
    if origin is Literal:
        if value not in arguments:
            names = ", ".join(f"`{name}`" for name in arguments)
            raise Error.config(path, f"is one of {names}")
        return value
    if origin is list:
        parts = enumerate(_of(list, value, path))
        return [_read(arguments[0], part, f"{path}[{at}]") for at, part in parts]
    if origin is dict:
        entries = _of(dict, value, path).items()
        return {key: _read(arguments[1], part, _join(path, key)) for key, part in entries}
    if origin in (Union, types.UnionType):
        return None if value is None else _read(_without_none(kind, path), value, path)
    return _read_object(kind, _of(dict, value, path), path)


def _read_object(config: Any, value: dict[str, Any], path: str) -> Any:
    hints = get_type_hints(config, include_extras=True)
    known = {option.name: option for option in dataclasses.fields(config)}
    for key in value:
        if key not in known:
            raise Error.config(_join(path, key), "is not known")
    found = {key: _read(hints[key], part, _join(path, key)) for key, part in value.items()}
    for key, option in known.items():
        factory = option.default_factory
        no_default = option.default is dataclasses.MISSING and factory is dataclasses.MISSING
        if key not in found and no_default:
            raise Error.config(_join(path, key), "is missing")
    return config(**found)


def _of(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is kind:
        return value
    names = {**_PLAIN, list: "list", dict: "table"}
    raise Error.config(path, f"is not of type {names[kind]}")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def read_duration(text: str, path: str = "") -> timedelta:
    """A span of time as people write it: `250ms`, `1h30m`."""
    parts = re.findall(r"([0-9]+)(ms|d|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Error.config(path, f"`{text}` is no duration: write `30s` or `1h30m`")
    return timedelta(milliseconds=sum(int(number) * _UNITS_MS[unit] for number, unit in parts))


def write_duration(span: timedelta) -> str:
    """As `read_duration` reads it."""
    rest = span // timedelta(milliseconds=1)
    text = ""
    for unit, unit_ms in _UNITS_MS.items():
        if rest >= unit_ms:
            text += f"{rest // unit_ms}{unit}"
            rest %= unit_ms
    return text or "0s"
