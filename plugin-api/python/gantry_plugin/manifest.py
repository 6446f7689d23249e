"""The manifest: what a plug-in says about itself. The hub reads it from `gantry-plugin.json` beside
the program, without running the program."""

from __future__ import annotations

import dataclasses
import json
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import config
from .plugin import Callback, Capture, Lookup, Plugin, Role, argument

FILE_NAME = "gantry-plugin.json"
PROTOCOL = (1, 1)
VERSION = "0.1.0"


@dataclass(frozen=True)
class Definition:
    """The classes of a plug-in."""

    plugin: type[Plugin[Any]]
    roles: dict[str, type[Role[Any, Any]]]
    """By the name of the operator's table."""

    @classmethod
    def of(
        cls,
        plugin: type[Plugin[Any]],
        capture: type[Capture[Any, Any]] | None,
        lookup: type[Lookup[Any, Any]] | None,
        callback: type[Callback[Any, Any]] | None,
    ) -> Definition:
        """The classes that there are."""
        roles = {"capture": capture, "lookup": lookup, "callback": callback}
        return cls(plugin, {name: role for name, role in roles.items() if role is not None})

    @property
    def config(self) -> Any:
        """The type of `[source.NAME] config`."""
        return argument(self.plugin, Plugin, 0)

    def settings(self, role: str) -> Any:
        """The type of a role's settings."""
        return argument(self.roles[role], _BASES[role], 1)

    def description(self) -> str:
        """The first paragraph of the plug-in's doc string."""
        return " ".join((self.plugin.__doc__ or "").split("\n\n")[0].split())


_BASES: dict[str, type] = {"capture": Capture, "lookup": Lookup, "callback": Callback}


def manifest(definition: Definition, program: Path) -> dict[str, Any]:
    """The manifest as JSON. Raises `TypeError` with what the author has to mend."""
    plugin = definition.plugin
    name = getattr(plugin, "name", "")
    if not re.fullmatch("[a-z0-9_]+", name):
        raise TypeError(f"{plugin.__name__}.name: use small letters, digits and `_`, not `{name}`")
    if not isinstance(getattr(plugin, "version", None), str):
        raise TypeError(f'{plugin.__name__}.version: give one, such as "0.1.0"')
    permissions = dataclasses.asdict(plugin.permissions)
    said: dict[str, Any] = {
        "name": name,
        "version": plugin.version,
        "description": definition.description(),
        "command": ["python3", program.name],
        "config": config.schema(definition.config),
    }
    for role, kind in definition.roles.items():
        settings = {"settings": config.schema(definition.settings(role))}
        said[role] = {**_written(kind), **settings} if role == "capture" else settings
    if plugin.rotates:
        said["rotates"] = plugin.rotates
    said["permissions"] = {key: value for key, value in permissions.items() if value}
    said["build"] = {
        "plugin_api": VERSION,
        "sdk": f"gantry-plugin {VERSION} (Python {platform.python_version()})",
    }
    return said


def _written(capture: type[Role[Any, Any]]) -> dict[str, Any]:
    """What the author wrote: the modes, and whether leases are extended."""

    def written(method: str) -> bool:
        return getattr(capture, method) is not getattr(Capture, method)

    modes = [mode for mode in ("poll", "stream", "http") if written(mode)]
    if not modes:
        raise TypeError(f"{capture.__name__}: write `poll`, `stream` or `http`")
    return {"modes": modes, "leases": True} if written("extend") else {"modes": modes}


def write(said: dict[str, Any], folder: Path) -> Path:
    """Writes the file that the hub reads."""
    path = folder / FILE_NAME
    path.write_text(json.dumps(said, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return path


def is_stale(said: dict[str, Any], folder: Path) -> bool:
    """Whether the file says something else than the program; what it was made with aside."""
    try:
        found = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    found.pop("build", None)
    return bool(found != {key: part for key, part in said.items() if key != "build"})
