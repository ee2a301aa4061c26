"""The issue's manifest, `issues/<id>/issue.toml`: typed, with the line of every complaint."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from newsletter.config import find_line, line_of_error
from newsletter.errors import InputError, RefusedError
from newsletter.issues.resolve import Policy
from newsletter.text import did_you_mean, tidy

FILE = "issue.toml"
BASE_ARM = "a"
PLACES = ("digest", "end")  #: where a block may stand besides below a brief
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_SAFE = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+$", re.IGNORECASE)
_WEEK = re.compile(r"(\d{4})-W(\d{2})")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        """Subjects go into headers, and no other text here is longer than a paragraph."""
        return tidy(value) if isinstance(value, str) else value


class PolicyTable(_Table):
    resolution: Policy = "first"
    digest: int = Field(3, ge=0, le=20)  #: actions in the digest at the top; 0 for all


class Gate(_Table):
    """How many actions every reader must end up with."""

    min: int = Field(0, ge=0)
    max: int | None = Field(None, ge=0)


class Override(_Table):
    """What a segment's edition says instead; None where it says the same."""

    subject: str | None = None
    preheader: str | None = None
    intro: str | None = None


class Waiver(_Table):
    """A finding that is meant. Without brief or segment it holds for all of them."""

    code: str
    brief: str | None = None
    segment: str | None = None
    reason: str = Field(min_length=3)

    def fits(self, code: str, brief: str | None, segment: str | None) -> bool:
        """Whether it waives a finding of this code about this brief and segment."""
        return self.code == code and self.brief in (None, brief) and self.segment in (None, segment)


class Block(_Table):
    """What the issue says beside its briefs: a sponsor's words, a note, a quote, a fact, an image."""

    kind: Literal["sponsor", "note", "quote", "fact", "image"]
    title: str = ""
    text: str = ""  #: inline Markdown; an image's caption
    by: str = ""  #: who says it, or pays for it
    url: str = Field("", max_length=2000)
    button: str = ""  #: words of the link
    image: str = ""  #: `images/…` of the workspace
    alt: str = ""  #: what the image shows
    segments: tuple[str, ...] = ()  #: only for these; empty for everybody
    after: str = "digest"  #: one of PLACES, or a brief's slug

    @field_validator("url")
    @classmethod
    def _leads_somewhere(cls, value: str) -> str:
        if value and not _SAFE.match(value):
            raise ValueError("write the whole address, with https://, http:// or mailto:")
        return value


class Arm(_Table):
    """One other side of a split test: what it says instead, to which share of the readers."""

    name: str = Field(pattern=r"[a-z0-9][a-z0-9-]{0,19}$")
    share: float = Field(gt=0, lt=1)
    subject: str = ""
    actions: dict[str, str] = Field(default_factory=dict)  #: sentences by action id


class Split(_Table):
    """A split test. Readers in no other arm are in arm `a`, the issue as it stands."""

    seed: int = Field(0, ge=0)  #: another seed draws other people
    arm: tuple[Arm, ...] = ()

    @model_validator(mode="after")
    def _shares(self) -> Split:
        names = [BASE_ARM, *(arm.name for arm in self.arm)]
        if len(set(names)) < len(names):
            raise ValueError(f"two arms have one name, or one is called {BASE_ARM}")
        if sum(arm.share for arm in self.arm) >= 1:
            raise ValueError(
                f"the shares leave nothing for arm {BASE_ARM}; they must sum to less than 1"
            )
        for arm in self.arm:
            if not arm.subject and not arm.actions:
                raise ValueError(
                    f'arm "{arm.name}" says nothing else; give it a subject or actions'
                )
        return self

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """Every arm with its share, they sum to 1; empty without a test."""
        if not self.arm:
            return ()
        rest = 1 - sum(arm.share for arm in self.arm)
        return ((BASE_ARM, rest), *((arm.name, arm.share) for arm in self.arm))


class Manifest(_Table):
    """issue.toml, typed. Every key has a default, so that an empty file is a valid start."""

    title: str = ""
    subject: str = ""
    preheader: str = ""
    intro: str = ""
    look: str = Field("", pattern=r"^[a-z0-9-]*$", max_length=40)  #: "" for the publication's
    send_at: datetime | None = None
    order: tuple[str, ...] = ()
    text: Literal["lead", "full"] | None = None
    policy: PolicyTable = PolicyTable()  # type: ignore[call-arg]
    gate: Gate = Gate()  # type: ignore[call-arg]
    segments: dict[str, Override] = Field(default_factory=dict)
    split: Split = Split()  # type: ignore[call-arg]
    block: tuple[Block, ...] = ()
    waiver: tuple[Waiver, ...] = ()


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A manifest with its text, so that findings can name lines."""

    manifest: Manifest
    text: str
    file: str
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def line(self, *keys: str) -> int:
        """The line where a key stands, or would be added: 1 when it is not there."""
        return find_line(self.text, list(keys)) or 1

    @property
    def sends_at(self) -> datetime | None:
        """The scheduled time, aware: a time without zone is the publication's."""
        moment = self.manifest.send_at
        if moment is None or moment.tzinfo:
            return moment
        return moment.replace(tzinfo=self.zone)


def require_id(issue: str) -> str:
    """The id itself. Raises RefusedError for what can be no folder name and no part of an address."""
    if not _ID.fullmatch(issue) or issue.lower() == "inbox":
        raise RefusedError(
            f'"{tidy(issue)}" can be no issue: use letters, digits and hyphens, e.g. 2026-W48'
        )
    if week := _WEEK.fullmatch(issue):
        try:
            date.fromisocalendar(int(week[1]), int(week[2]), 1)
        except ValueError:
            raise RefusedError(
                f"{issue} can be no issue: {week[1]} has no week {int(week[2])}"
            ) from None
    return issue


def require_new_id(issue: str) -> str:
    """The id of an issue to be made: also no week in another spelling, which would be a special issue."""
    if week := re.fullmatch(r"(\d{4})-?[Ww](\d{1,2})", issue):
        right = f"{week[1]}-W{int(week[2]):02}"
        if right != issue:
            raise RefusedError(f'"{issue}" can be no issue: write the week as {right}')
    return require_id(issue)


def monday_of(issue: str) -> date | None:
    """The Monday of the ISO week that the id names, or None for a special issue."""
    week = _WEEK.fullmatch(issue)
    return date.fromisocalendar(int(week[1]), int(week[2]), 1) if week else None


def title_of(issue: str) -> str:
    """`Week 48` for 2026-W48, the id itself for a special issue."""
    week = _WEEK.fullmatch(issue)
    return f"Week {int(week[2])}" if week else issue


def read_manifest(path: Path, shown_as: str, zone: ZoneInfo) -> ManifestFile:
    """Raises InputError with file, line and remedy."""
    try:
        text = path.read_text("utf-8-sig")
        values: Mapping[str, Any] = tomllib.loads(text)
    except UnicodeDecodeError:
        raise InputError("is not UTF-8; save it with the encoding UTF-8", file=shown_as) from None
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(error, text)
        raise InputError(f"is not valid TOML: {error}", file=shown_as, line=line) from None
    send_at = values.get("send_at")
    if isinstance(send_at, date) and not isinstance(send_at, datetime):
        raise InputError(
            "send_at needs a time too, e.g. 2026-11-24T07:30:00+01:00",
            file=shown_as,
            line=find_line(text, ["send_at"]),
        )
    try:
        return ManifestFile(Manifest(**values), text, shown_as, zone)
    except ValidationError as error:
        raise _explain(error, text, shown_as) from None


def _explain(error: ValidationError, text: str, file: str) -> InputError:
    problem = error.errors()[0]
    keys = [str(part) for part in problem["loc"]]
    line = find_line(text, keys)
    name = ".".join(keys)
    if problem["type"] == "extra_forbidden":
        tables = (Manifest, Waiver, Override, Block)
        options = [key for table in tables for key in table.model_fields]
        return InputError(
            f'unknown key "{name}".{did_you_mean(keys[-1], options)}', file=file, line=line
        )
    if problem["type"] == "missing":
        return InputError(f'"{name}" is missing', file=file, line=line)
    return InputError(f'"{name}": {tidy(problem["msg"])}', file=file, line=line)
