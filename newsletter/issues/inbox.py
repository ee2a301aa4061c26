"""The inbox: briefs that are in no issue yet."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from newsletter.errors import RefusedError
from newsletter.files import replace_file
from newsletter.issues.issue import FOLDER, INBOX, SUFFIXES, brief_files

_FORM = """\
---
slug: {slug}
date: {day}
tags: []
---

# {headline}

What happened, in one to three paragraphs (per Source).

## {take}

What we make of it, in a sentence or two.

## {why}

Why it matters to the reader.

## {action}

{actions}
"""


def inbox(root: Path) -> list[Path]:
    """The brief files that are in no issue yet."""
    return brief_files(root / FOLDER / INBOX)


def put_into_inbox(root: Path, slug: str, suffix: str, text: str) -> Path:
    """Write a brief's text into the inbox; returns the file. Raises RefusedError when the workspace
    has a brief of this name already."""
    for path in (root / FOLDER).glob("**/*"):
        if path.is_file() and path.stem == slug and path.suffix.lower() in SUFFIXES:
            where = path.relative_to(root)
            raise RefusedError(f'a brief "{slug}" is there already ({where}); rename this one')
    target = root / FOLDER / INBOX / f"{slug}{suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, text)
    return target


def form(
    headline: str, slug: str, day: date, *, labels: dict[str, str], audiences: list[str]
) -> str:
    """A form for a new brief. `labels` are those of take, why and action."""
    actions = "\n".join(f"- {name}: one thing to do, with its date." for name in audiences)
    return _FORM.format(headline=headline, slug=slug, day=day, actions=actions, **labels)
