"""Changing `subscribers/segments.toml`, as an editor would: comments and order stay, and a file that
somebody else changed meanwhile is not overwritten."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT, Table

from newsletter.audience.segments import FILE, MOST, Segments, load_segments
from newsletter.config import FieldSettings
from newsletter.errors import ConfigError, InputError, NotFoundError, RefusedError
from newsletter.files import replace_file
from newsletter.text import did_you_mean

LAST = 1_000  #: priority of segments that were made for tags: no other one loses by them


class Definitions:
    """The segments of a workspace as they are written."""

    def __init__(self, root: Path, fields: Mapping[str, FieldSettings]) -> None:
        self.root = root
        self.fields = fields

    def add(self, values: Mapping[str, Any]) -> Segments:
        """Add a segment: `key`, `name`, `aliases`, `priority`, `rule` or `manual`, `choosable`; those
        that are None are left out. Returns all of them. Raises ConfigError for what makes no sense,
        RefusedError for a key that is taken."""
        return self.add_all([values])

    def add_all(self, several: list[Mapping[str, Any]]) -> Segments:
        """Several at once, all or none."""

        def change(tables: AoT) -> None:
            for values in several:
                if any(one.get("key") == values["key"] for one in tables):
                    raise RefusedError(f'there is a segment "{values["key"]}" already')
                table = tomlkit.table()
                _set(table, values)
                tables.append(table)

        return self._change(change)

    def edit(self, key: str, values: Mapping[str, Any]) -> Segments:
        """Change what is given of a segment; its key stays. A `rule` ends membership by hand, and the
        other way round."""

        def change(tables: AoT) -> None:
            for table in tables:
                if table.get("key") == key:
                    if values.get("rule") is not None:
                        table.pop("manual", None)
                    if values.get("manual"):
                        table.pop("rule", None)
                    _set(table, values)
                    return
            known = [str(one.get("key")) for one in tables]
            raise NotFoundError(f'there is no segment "{key}".{did_you_mean(key, known)}')

        return self._change(change)

    def delete(self, key: str) -> Segments:
        """Take a segment out of the file. Raises RefusedError when another one's rule asks for it."""

        def change(tables: AoT) -> None:
            for n, table in enumerate(tables):
                if table.get("key") == key:
                    del tables[n]
                    return
            known = [str(one.get("key")) for one in tables]
            raise NotFoundError(f'there is no segment "{key}".{did_you_mean(key, known)}')

        return self._change(change)

    def _change(self, change: Callable[[AoT], None]) -> Segments:
        path = self.root / FILE
        before = path.read_bytes() if path.exists() else b""
        try:
            document = tomlkit.parse(before.decode("utf-8-sig"))
        except (tomlkit.exceptions.TOMLKitError, UnicodeDecodeError):
            load_segments(self.root, self.fields)  # says where and what
            raise
        tables = document.get("segment")
        if tables is None:
            tables = tomlkit.aot()
            document.append("segment", tables)
        if not isinstance(tables, AoT):
            raise InputError("must hold [[segment]] tables", file=str(FILE))
        change(tables)
        if len(tables) > MOST:
            raise RefusedError(f"there would be {len(tables)} segments; {MOST} is the most")
        text = re.sub(r"(?<=[^\n])\n(?=\[\[segment\]\])", "\n\n", tomlkit.dumps(document))
        tomllib.loads(text)
        try:
            segments = load_segments(self.root, self.fields, text)
        except ConfigError as error:  # its line is one of a file that will not be
            raise RefusedError(error.message) from None
        path.parent.mkdir(exist_ok=True)
        if (path.read_bytes() if path.exists() else b"") != before:
            raise RefusedError("was changed by somebody else just now; try again", file=str(FILE))
        replace_file(path, text)
        return segments


def _set(table: Table, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if value is None or (
            name in ("manual", "choosable") and value is False and name not in table
        ):
            continue
        if name == "manual" and value is False:
            table.pop(name, None)
        else:
            table[name] = value
