"""The audience of one publication: what a marketer does with it, each change in the audit log with who
and why. Addresses stand in no log; people are numbers there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from newsletter.audience.columns import Options
from newsletter.audience.conditions import Asked
from newsletter.audience.definitions import LAST, Definitions
from newsletter.audience.explain import Belonging, belongings
from newsletter.audience.exports import export
from newsletter.audience.imports import Importer, ImportResult, Policy, Progress
from newsletter.audience.people import find, log
from newsletter.audience.rules import Rule
from newsletter.audience.segments import Segments
from newsletter.audience.tables import Format, How, open_table
from newsletter.config import Settings
from newsletter.db import Database

_AS_FOUND = How()
_AS_WRITTEN = Options()


class Audience:
    """Everything that can be asked of and done to the people of a publication."""

    def __init__(
        self, database: Database, settings: Settings, segments: Segments, *, root: Path, actor: str
    ) -> None:
        self.database = database
        self.settings = settings
        self.segments = segments
        self.root = root
        self.actor = actor

    # -- asking ----------------------------------------------------------------------------------

    def rule(self, text: str) -> Rule:
        """A rule over this publication's fields and segments. Raises RuleError."""
        return Rule(text, self.settings.fields, self.segments.keys)

    def asked(self, person: int | None = None) -> Asked:
        """What rules are asked against now."""
        return Asked(self.segments, datetime.now(UTC), person)

    def belongings(self, email: str) -> list[Belonging]:
        """Every segment in order of priority: is this person in it, and why. Raises NotFoundError."""
        with self.database.read() as connection:
            person = find(connection, email).id
            return belongings(connection, self.asked(person))

    # -- files -----------------------------------------------------------------------------------

    def import_file(
        self,
        path: Path | None,
        stdin: IO[bytes] | None = None,
        *,
        how: How = _AS_FOUND,
        options: Options = _AS_WRITTEN,
        policy: Policy = "update",
        dry: bool = False,
        progress: Progress | None = None,
    ) -> ImportResult:
        """Import a table; see `Importer.run`. Refused rows go to var/imports/<name>.rejects.csv."""
        name = path.name if path else "standard-input"
        importer = Importer(
            self.database,
            self.segments,
            self.settings.fields,
            actor=self.actor,
            progress=progress,
        )
        with open_table(path, stdin, how) as table:
            return importer.run(
                table,
                self.root / "var" / "imports" / f"{Path(name).stem}.rejects.csv",
                source=f"import:{name}",
                options=options,
                policy=policy,
                dry=dry,
                make_segments=self._make_segments,
            )

    def _make_segments(self, names: Mapping[str, str]) -> None:
        made: list[Mapping[str, Any]] = [
            {"key": key, "name": name, "manual": True, "priority": LAST}
            for key, name in names.items()
        ]
        self.segments = self.definitions.add_all(made)

    @property
    def definitions(self) -> Definitions:
        """The segments' file, for changing it."""
        return Definitions(self.root, self.settings.fields)

    def export(
        self,
        file: IO[bytes],
        kind: Format,
        *,
        rule: str | None = None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> int:
        """Write a table of everybody, or of those whom a rule finds; returns how many. Who took it is
        in the audit log. Raises RuleError."""
        checked = self.rule(rule) if rule is not None else None
        with self.database.read() as connection:
            number = export(
                connection,
                file,
                kind,
                self.settings.fields,
                rule=checked,
                asked=self.asked(),
                progress=progress,
            )
        with self.database.write() as connection:
            log(connection, self.actor, "export", kind, {"people": number, "rule": rule})
        return number
