"""The leak proof: a rendered edition, parsed again, holds exactly the blocks that its signature allows.

It looks twice, and neither look asks the code that resolved or rendered the edition: at the marks that
blocks bear (`data-brief`, `data-action`, `data-block`), and at the words, in the HTML and in the text part.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import lxml.etree

from newsletter.briefs import Brief, image_in
from newsletter.checks.rule import EditionRule
from newsletter.checks.subjects import EditionSubject
from newsletter.editions import plain
from newsletter.findings import Finding, Severity
from newsletter.issues import Issue

_TELLING = 4  # words; shorter texts ("Decide.") may stand anywhere
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+")
_SPACES = re.compile(r"[\s\u00a0\u202f]+")


@dataclass(frozen=True)
class Allowed:
    """What a signature allows, and what else the issue holds. Texts are normalised."""

    briefs: frozenset[str]
    actions: frozenset[str]
    blocks: frozenset[str]
    said: tuple[tuple[str, str], ...]  #: (slug or "", text) that must be there
    unsaid: tuple[tuple[str, str], ...]  #: (slug or "", text) that may not be there


def normal(text: str) -> str:
    """For comparing words: NFKC, one case, single spaces, nothing that can't be seen."""
    text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return _SPACES.sub(" ", text).strip()


@lru_cache(maxsize=8192)  # all editions of an issue are held against the same texts
def _words(text: str) -> str:
    image = image_in(text)
    return normal(plain(image.caption if image else re.sub(r"^(?:- |> )", "", text)))


def allowed(subject: EditionSubject) -> Allowed:
    """What this edition's signature allows, read off the issue's briefs."""
    issue, signature = subject.subject.issue, subject.edition.signature
    arm = dict(signature.sentences)
    shown = {slug: (actions, sections) for slug, actions, sections in signature.blocks}
    said: list[tuple[str, str]] = []
    unsaid: list[tuple[str, str]] = []
    ids: set[str] = set()
    for brief in issue.briefs:
        chosen = shown.get(brief.slug)
        (said if chosen else unsaid).append((brief.slug, _words(brief.headline)))
        for n, action in enumerate(brief.actions):
            if chosen and n in chosen[0]:
                ids.add(action.id)
                said.append((brief.slug, _words(arm.get(action.id, action.text))))
            else:
                unsaid.append((brief.slug, _words(action.text)))
        for n, section in enumerate(brief.body):
            if not chosen or n not in chosen[1]:
                texts = (section.heading or "", *section.paragraphs)
                unsaid += [(brief.slug, _words(text)) for text in texts]
        if not chosen:
            unsaid += [(brief.slug, _words(text)) for text in _paragraphs(brief)]
    unsaid += [("", text) for text in _texts_of_others(issue, subject)]
    blocks = frozenset(str(n) for n in signature.extra)
    for n, block in enumerate(issue.manifest.block):
        if block.text:
            (said if str(n) in blocks else unsaid).append(("", _words(block.text)))
    return Allowed(frozenset(shown), frozenset(ids), blocks, tuple(said), tuple(unsaid))


def _paragraphs(brief: Brief) -> Iterator[str]:
    yield from brief.take.split("\n\n")
    yield from brief.why.split("\n\n")


def _texts_of_others(issue: Issue, subject: EditionSubject) -> Iterator[str]:
    """Introductions and preheaders that other segments get."""
    signature = subject.edition.signature
    own = {normal(signature.intro), normal(signature.preheader), normal(signature.subject)}
    for override in issue.manifest.segments.values():
        for text in (override.intro, override.preheader):
            if text and (words := _words(text)) not in own:
                yield words


def leaks(subject: EditionSubject) -> Iterator[tuple[str, str, str]]:
    """(kind "leaked" or "missing", slug of the brief or "", what) for everything that is in the edition
    and may not be, or is not and must be."""
    may = allowed(subject)
    document = subject.document.getroot()
    for mark, allowed_marks in (
        ("data-brief", may.briefs),
        ("data-action", may.actions),
        ("data-block", may.blocks),
    ):
        found = {element.get(mark, "") for element in document.iter() if mark in element.attrib}
        for one in sorted(found - allowed_marks):
            yield "leaked", _slug(mark, one), f"{mark[5:]} {one}"
        for one in sorted(allowed_marks - found):
            yield "missing", _slug(mark, one), f"{mark[5:]} {one}"
    parts = {
        "the HTML": _visible(subject),
        "the text part": normal(_ADDRESS.sub(" ", subject.text)),
    }
    sayable = " \n ".join(text for _, text in may.said)
    for name, content in parts.items():
        for slug, text in may.unsaid:
            known = not _telling(text) or text in sayable
            if not known and all(piece in content for piece in _pieces(text)):
                yield "leaked", slug, f'"{_short(text)}" in {name}'
        for slug, text in may.said:
            if not all(piece in content for piece in _pieces(text)):
                yield "missing", slug, f'"{_short(text)}" in {name}'


def _visible(subject: EditionSubject) -> str:
    """The words of the HTML part, those of comments too: what stands there has been delivered."""
    body = subject.document.getroot().find("body")
    if body is None:
        return ""
    texts = [lxml.etree.tostring(body, method="text", encoding="unicode")]
    texts += [comment.text or "" for comment in body.iter(lxml.etree.Comment)]
    return normal(_ADDRESS.sub(" ", " ".join(texts)))


def _pieces(text: str) -> list[str]:
    """A text without its addresses, which the parts print in ways of their own."""
    return [piece for part in _ADDRESS.split(text) if (piece := part.strip())]


def _telling(text: str) -> bool:
    return len(text.split()) >= _TELLING


def _short(text: str) -> str:
    return text if len(text) <= 50 else f"{text[:49].rstrip()}…"


def _slug(mark: str, value: str) -> str:
    return "" if mark == "data-block" else value.partition("/")[0]


def _found(subject: EditionSubject) -> list[tuple[str, str, str]]:
    return list(leaks(subject))


class _LeakRule(EditionRule):
    severity: ClassVar[Severity] = "error"
    waivable = False
    kind: ClassVar[str]

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        yield from self.told(subject, subject.once(_found))

    def told(
        self, subject: EditionSubject, found: Iterable[tuple[str, str, str]]
    ) -> Iterator[Finding]:
        for kind, slug, what in found:
            if kind == self.kind:
                file, at = subject.place(slug or None)
                words = "holds" if kind == "leaked" else "lacks"
                because = "which is not for its readers" if kind == "leaked" else "which is"
                message = f"the edition for {subject.name} {words} {what}, {because}"
                yield self.finding(message, file=file, at=at, brief=slug or None)


class Leaked(_LeakRule):
    """An edition holds a block that its readers may not get: another segment's action, a limited section
    or brief, another segment's introduction. Nothing can waive this; it means that a template prints
    more than it was given, or that something is wrong in this program."""

    code = "ED601"
    title = "a block has leaked"
    remedy = "If a template was changed, look at what it prints besides its edition; otherwise report it."
    kind = "leaked"


class Missing(_LeakRule):
    """An edition lacks a block that its readers should get, in the HTML or in the text part. Every brief,
    action and block of the issue must be printed by both templates, with its mark (`data-brief`,
    `data-action`, `data-block`)."""

    code = "ED602"
    title = "a block is missing"
    remedy = "Print it in the template that leaves it out; docs/templates.md says how."
    kind = "missing"
