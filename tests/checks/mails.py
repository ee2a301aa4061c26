"""The mails that checks must be silent about: every edition of the sample publication, and its
service mails, made once a test process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import chain, combinations
from pathlib import Path

import lxml.etree
import lxml.html
import pytest

from newsletter.audience import ReaderKind
from newsletter.editions import SERVICE_KINDS, Edition, service_edition
from newsletter.workspace import Workspace
from tests.conftest import copy_sample

ISSUES = ("2026-W47", "2026-W48")
LANGUAGES = ("en", "de", "fr")


@cache
def sample_mails() -> dict[str, Edition]:
    """Editions by what they are: in short and in full, for every set of segments that makes a
    difference, in three languages; and the service mails."""
    made: dict[str, Edition] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = copy_sample(Path(folder) / "publication")
        for text in ("lead", "full"):
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("NEWSLETTER_ISSUES__TEXT", text)
                environment.setenv("NEWSLETTER_PUBLICATION__LANGUAGES", '["de", "fr"]')
                with Workspace(root) as workspace:
                    made |= {f"{text} {name}": edition for name, edition in _of(workspace)}
    return made


def _of(workspace: Workspace) -> Iterator[tuple[str, Edition]]:
    keys = workspace.segments.keys
    sets = [*chain.from_iterable(combinations(keys, size) for size in (0, 1, 2)), tuple(keys)]
    for issue in ISSUES:
        loaded = workspace.issue(issue)
        for language in LANGUAGES:
            readers = [
                ReaderKind(one, language) for one in (sets if language == "en" else sets[:3])
            ]
            for planned in workspace.editions(loaded, readers):
                name = "+".join(planned.readers[0].segments)
                yield f"{issue} {language} {name}", planned.edition
    for kind in SERVICE_KINDS:
        for language in LANGUAGES:
            yield (
                f"{kind} {language}",
                service_edition(workspace.renderer, workspace.settings, kind, language, days=7),
            )


def parsed(html: str) -> lxml.etree._ElementTree:
    return lxml.html.document_fromstring(html).getroottree()


def mail(
    body: str, *, head: str = "", start: str = '<html lang="en" dir="ltr">'
) -> lxml.etree._ElementTree:
    """A small mail around what a test is about."""
    return parsed(
        f"<!doctype html>{start}<head><title>A mail</title>{head}</head><body>{body}</body></html>"
    )
