"""One finding of a check, with its place. Parsers, lints and issue checks all speak this."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source file; line and column count from 1, columns in characters."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. Only an unwaived `error` blocks."""

    code: str
    severity: Severity
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    waived: str | None = None  #: the reason, when the issue's manifest waives it
    brief: str | None = None  #: slug of the brief that it is about; a waiver can name it
    segment: str | None = None  #: key of the segment that it is about ("-" for nobody's), likewise

    def as_dict(self) -> dict[str, object]:
        """The shape that `--json` prints."""
        shape: dict[str, object] = {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
        }
        for name in ("waived", "brief", "segment"):
            if (value := getattr(self, name)) is not None:
                shape[name] = value
        return shape

    @property
    def blocks(self) -> bool:
        return self.severity == "error" and self.waived is None

    @property
    def place(self) -> str:
        """`file:line:column` as far as it is known, for editors that jump there."""
        parts = [str(part) for part in (self.file, self.line, self.column) if part is not None]
        return ":".join(parts)


def blocking(findings: Iterable[Finding]) -> bool:
    """Whether any finding forbids going on."""
    return any(finding.blocks for finding in findings)
