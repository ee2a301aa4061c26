"""Forgetting somebody outside the database: the files that this installation owns."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newsletter.audience import AddressError, parse_address
from newsletter.delivery import forget
from newsletter.files import new_private_file

BACKUPS = Path("var") / "backups"


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was done to forget somebody, and what is left to others."""

    deliveries: int  #: that stay under a number
    mails: int  #: files of the outbox that were removed
    rejects: int  #: lines of rejects files that were removed
    backups: tuple[str, ...]  #: that still hold the person; `db restore` erases them again

    def as_dict(self) -> dict[str, Any]:
        return {
            "deliveries": self.deliveries,
            "mails": self.mails,
            "rejects": self.rejects,
            "backups": list(self.backups),
        }


def forget_files(
    root: Path, outboxes: Iterable[Path], email: str, deliveries: Sequence[tuple[int, int]]
) -> Erasure:
    """Remove a person's mails from the outboxes, and their lines from rejects files."""
    mails = sum(forget(path, deliveries, email) for path in outboxes)
    rejects = sum(
        _without(path, email) for path in sorted((root / "var" / "imports").glob("*.rejects.csv"))
    )
    backups = tuple(
        path.relative_to(root).as_posix()
        for path in sorted((root / BACKUPS).glob("*"))
        if path.is_file()
    )
    return Erasure(len(deliveries), mails, rejects, backups)


def _without(path: Path, email: str) -> int:
    """Rewrite a rejects file without the rows that name an address; returns how many there were."""
    csv.field_size_limit(sys.maxsize)  # a cell may be as long as its file's lines
    gone = kept = 0
    with path.open(encoding="utf-8", newline="") as file, new_private_file(path) as new:
        text = io.TextIOWrapper(new, "utf-8", newline="", write_through=True)
        writer = csv.writer(text)
        for row in csv.reader(file):
            if any(_names(cell, email) for cell in row):
                gone += 1
            else:
                writer.writerow(row)
                kept += 1
        text.detach()
    if kept <= 1:
        path.unlink()
    return gone


def _names(cell: str, email: str) -> bool:
    if email.lower() in cell.lower():
        return True
    try:
        return "@" in cell and parse_address(cell).key == parse_address(email).key
    except AddressError:
        return False
