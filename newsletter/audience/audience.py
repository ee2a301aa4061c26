"""The audience of one publication: what a marketer does with it, each change in the audit log with who
and why. Addresses stand in no log; people are numbers there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from newsletter.audience.columns import Options
from newsletter.audience.conditions import Asked
from newsletter.audience.explain import Belonging, belongings
from newsletter.audience.imports import Importer, ImportResult, Policy, Progress
from newsletter.audience.people import find
from newsletter.audience.rules import Rule
from newsletter.audience.segments import Segments
from newsletter.audience.tables import How, open_table
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
            )
