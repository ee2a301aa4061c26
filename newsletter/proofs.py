"""Proofs: previews and test mails. Their links work, nothing is counted, nobody is unsubscribed."""

from __future__ import annotations

import base64
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from newsletter.audience import ReaderKind
from newsletter.delivery import Envelope, PlannedEdition, letter, to_header
from newsletter.editions import Composer, Edition, Renderer, Signature, fill, media_file
from newsletter.text import slugify
from newsletter.tracking import TEST, Stamper

TO = "you@example.com"  #: whom the mail of a preview is to
SCRIPT = "preview.js"  #: of the page, in the templates' folder and beside every page
#: of an edition, as `issue preview --json` prints it
FIELDS = (
    "edition", "lens", "arm", "segments", "recipients", "bytes", "subject", "html_file", "text_file"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preview:
    """A written preview."""

    index: Path  #: the page that shows all editions
    files: tuple[Path, ...]  #: HTML and text of each
    editions: tuple[dict[str, Any], ...]  #: with `FIELDS`; the one for most readers first


class Media:
    """The pictures that mails refer to on the public server, which need not run while somebody looks:
    as `data:` addresses they are in the page itself, and its frames need nothing from anywhere."""

    def __init__(self, root: Path, base_url: str) -> None:
        self.root = root
        self._address = re.compile(re.escape(f"{base_url}/media/") + r"(?P<name>[0-9a-f]{32}\.\w+)")
        self._known: dict[str, str] = {}

    def names(self, html: str) -> dict[str, str]:
        """Names of the pictures in a mail, by their address. What is gone is left out."""
        found = {one[0]: one["name"] for one in self._address.finditer(html)}
        return {one: name for one, name in found.items() if media_file(self.root, name)}

    def carried(self, html: str) -> dict[str, str]:
        """The same pictures as `data:` addresses."""
        return {address: self._data(name) for address, name in self.names(html).items()}

    def inlined(self, html: str) -> str:
        """The mail with its pictures in it."""
        return self._address.sub(lambda one: self._data(one["name"]) or one[0], html)

    def _data(self, name: str) -> str:
        if name not in self._known:
            found = media_file(self.root, name)
            if found is None:
                return ""
            path, kind = found
            content = base64.b64encode(path.read_bytes()).decode("ascii")
            self._known[name] = f"data:{kind};base64,{content}"
        return self._known[name]


def listing(
    signatures: Mapping[Signature, Sequence[ReaderKind]],
    people: Mapping[ReaderKind, int],
    names: Mapping[str, str],
    shares: Mapping[str, tuple[float, float]],
) -> list[tuple[dict[str, Any], Signature]]:
    """What can be said of editions before they are rendered, the one for most readers first. Each has
    a `key`, which stays the same while its words change.

    `shares` says from where to where, between 0 and 1, an arm of a split test reaches; so much of an
    edition's readers is counted for it. Who they are is drawn when the issue is planned.
    """
    found: list[tuple[dict[str, Any], Signature]] = []
    for signature, kinds in signatures.items():
        read_by = {key for reader in kinds for key in reader.segments}
        everybody = sum(people.get(reader, 0) for reader in kinds)
        begin, end = shares.get(signature.arm, (0.0, 1.0))
        entry: dict[str, Any] = {
            "lens": signature.lens,
            "arm": signature.arm,
            "language": signature.language,
            "segments": [name for key, name in names.items() if key in read_by],
            "recipients": round(everybody * end) - round(everybody * begin),
            "subject": signature.subject,
            "preheader": signature.preheader,
        }
        found.append((entry, signature))
    found.sort(
        key=lambda one: (-one[0]["recipients"], one[0]["lens"], one[0]["segments"], one[0]["arm"])
    )
    used: Counter[str] = Counter()
    for entry, _ in found:
        stem = _stem(entry["lens"], entry["language"], entry["arm"])
        used[stem] += 1
        entry["key"] = stem if used[stem] == 1 else f"{stem}-{used[stem]}"
    return found


def _stem(lens: str, language: str, arm: str) -> str:
    return "-".join(filter(None, (slugify(lens or "everybody"), language, arm and slugify(arm))))


class Drafts:
    """The editions of an issue as its files are now: listed at once, each rendered when it is asked
    for, which takes 10 ms. Not for several threads at a time."""

    def __init__(
        self,
        composer: Composer,
        renderer: Renderer,
        signatures: Mapping[Signature, Sequence[ReaderKind]],
        people: Mapping[ReaderKind, int],
        *,
        names: Mapping[str, str],
        shares: Mapping[str, tuple[float, float]],
    ) -> None:
        found = listing(signatures, people, names, shares)
        for entry, _ in found:
            entry |= {"html_file": f"{entry['key']}.html", "text_file": f"{entry['key']}.txt"}
        self.entries = [entry for entry, _ in found]
        self._signatures = {entry["key"]: signature for entry, signature in found}
        self._readers = {key: signatures[one][0] for key, one in self._signatures.items()}
        self._composer, self._renderer = composer, renderer
        self._rendered: dict[str, Edition] = {}

    def edition(self, key: str) -> Edition | None:
        """The edition with this key, or None. Raises TemplateError."""
        if key not in self._rendered and key in self._signatures:
            self._rendered[key] = self._renderer.edition(
                self._composer, self._readers[key].segments, self._signatures[key]
            )
        return self._rendered.get(key)


def page_data(editions: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """What the page's script works with."""
    return {
        "editions": editions,
        "languages": len({one["language"] for one in editions}),
        "look": "",  # that is tried
        "looks": [],  # to choose from
        "pictures": {},
        "findings": [],
        "error": None,
        **more,
    }


def _lines(text: str, pieces: dict[str, int]) -> list[int]:
    """The text as numbers of its lines in `pieces`, which grows."""
    return [pieces.setdefault(line, len(pieces)) for line in text.split("\n")]


class Proofs:
    """Makes proofs of editions with tokens that are marked as a test's."""

    def __init__(self, stamper: Stamper, media: Media) -> None:
        self.stamper = stamper
        self.media = media

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
        *,
        people: Mapping[ReaderKind, int],
        names: Mapping[str, str],
        shares: Mapping[str, tuple[float, float]],
        look: str,
        page: Callable[[Mapping[str, Any]], str],
        script: bytes,
    ) -> Preview:
        """Write editions as HTML and text into an emptied folder, and a page that shows them.

        `people` counts readers by what their edition depends on, `names` maps segment keys to names, in
        order of priority, `shares` is as for `listing`, `look` a look that is tried ("" for the issue's),
        `page` renders the page from what its `script` works with.
        """
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        files: list[Path] = []
        pieces: dict[str, int] = {}
        pictures: dict[str, str] = {}
        shown: list[dict[str, Any]] = []
        of = {one.edition.signature: one.edition for one in planned}
        for entry, signature in listing(
            {one.edition.signature: one.readers for one in planned}, people, names, shares
        ):
            edition = of[signature]
            values = self.values(edition.id, TO)
            stem = f"{_stem(edition.lens, signature.language, signature.arm)}-{edition.id[:6]}"
            html, text = folder / f"{stem}.html", folder / f"{stem}.txt"
            html.write_text(fill(edition.html, edition.nonce, values, "html"), "utf-8")
            text.write_text(fill(edition.text, edition.nonce, values, "text"), "utf-8")
            files += [html, text]
            pictures |= self.media.carried(edition.html)
            entry |= {
                "edition": edition.id,
                "bytes": edition.html_bytes,
                "html_file": html.name,
                "text_file": text.name,
            }
            # Editions have most of their lines in common, once the tokens are out of them: 500 of
            # them are a page of a few megabytes instead of thirty.
            marks = {name: f"\ue000{name}\ue001" for name in values}
            shown.append(
                {
                    **entry,
                    "html": _lines(fill(edition.html, edition.nonce, marks, "html"), pieces),
                    "text": _lines(fill(edition.text, edition.nonce, marks, "text"), pieces),
                    "slots": values,
                }
            )
        index = folder / "index.html"
        data = page_data(shown, pieces=list(pieces), pictures=pictures, look=look, live=False)
        index.write_text(page(data), "utf-8")
        (folder / SCRIPT).write_bytes(script)
        return Preview(
            index,
            tuple(sorted(files)),
            tuple({name: entry[name] for name in FIELDS} for entry in shown),
        )

    def contents(self, edition: Edition) -> dict[str, Any]:
        """What the page shows of one edition: `bytes` of its HTML, `html`, `text`, and in `pictures`
        names of pictures in the workspace's media, by their address in the mail."""
        values = self.values(edition.id, TO)
        return {
            "bytes": edition.html_bytes,
            "html": fill(edition.html, edition.nonce, values, "html"),
            "pictures": self.media.names(edition.html),
            "text": fill(edition.text, edition.nonce, values, "text"),
        }

    def values(self, edition: str, to: str = TO) -> dict[str, str]:
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
