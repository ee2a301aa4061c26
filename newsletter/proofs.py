"""Proofs: previews and test mails. Their links work, nothing is counted, nobody is unsubscribed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from newsletter.audience import ReaderKind
from newsletter.delivery import Envelope, PlannedEdition, letter, to_header
from newsletter.editions import Edition, fill
from newsletter.text import slugify
from newsletter.tracking import TEST, Stamper


class Proofs:
    """Makes proofs of editions with tokens that are marked as a test's."""

    def __init__(self, stamper: Stamper) -> None:
        self.stamper = stamper

    def message(self, edition: Edition | sa.Row[Any], to: str) -> Envelope:
        """The edition (or its row) as a message to one address."""
        now = datetime.now(UTC)
        values = self.values(edition.id, to)
        return Envelope(
            mailing=TEST,
            n=int(now.timestamp() * 1000),
            sender=self.stamper.sender(values["bounce"]),
            recipient=to,
            letter=letter(edition),
            values=values,
        )

    def write(
        self,
        folder: Path,
        planned: Sequence[PlannedEdition],
        people: Mapping[ReaderKind, int],
        names: Mapping[str, str],
        page: Callable[..., str],
    ) -> list[Path]:
        """Write editions as HTML and text into an emptied folder; returns an index page, then them.

        `people` counts readers by what their edition depends on, `names` maps segment keys to names, in
        order of priority, and `page` renders the index from its `editions`.
        """
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        files: list[Path] = []
        entries: list[dict[str, Any]] = []
        for one in planned:
            edition = one.edition
            values = self.values(edition.id)
            stem = (
                f"{slugify(edition.lens or 'everybody')}-{one.readers[0].language}-{edition.id[:6]}"
            )
            html, text = folder / f"{stem}.html", folder / f"{stem}.txt"
            html.write_text(fill(edition.html, edition.nonce, values, "html"), "utf-8")
            text.write_text(fill(edition.text, edition.nonce, values, "text"), "utf-8")
            files += [html, text]
            read_by = {key for reader in one.readers for key in reader.segments}
            entries.append(
                {
                    "edition": edition.id,
                    "lens": edition.lens,
                    "segments": [name for key, name in names.items() if key in read_by],
                    "recipients": sum(people.get(reader, 0) for reader in one.readers),
                    "bytes": edition.html_bytes,
                    "subject": edition.subject,
                    "html_file": html.name,
                    "text_file": text.name,
                }
            )
        entries.sort(key=lambda entry: -entry["recipients"])
        index = folder / "index.html"
        index.write_text(page(editions=entries), "utf-8")
        return [index, *sorted(files)]

    def values(self, edition: str, to: str = "you@example.com") -> dict[str, str]:
        """What fills the slots of a proof of an edition, by its id."""
        now = datetime.now(UTC)
        return self.stamper.values(
            TEST,
            0,
            to=to_header("", to),
            consent_at=now,
            consent_source="preview",
            created_at=now,
            tokens=self.stamper.keyring.test_tokens(edition),
        )
