"""The leak proof: a rendered edition, parsed again, holds exactly the blocks that its signature allows.

It looks twice, and neither look asks the code that resolved or rendered the edition: at the marks that
blocks bear (`data-brief`, `data-action`, `data-block`), and at the words, in the whole HTML (attributes,
head and comments too) and in the text part. Six words in a row of what is for others are a leak, unless
the edition may say them elsewhere; a shorter text is one as a whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar
from urllib.parse import unquote

import lxml.etree

from newsletter.briefs import Brief, image_in
from newsletter.checks.rule import EditionRule
from newsletter.checks.subjects import EditionSubject
from newsletter.editions import plain
from newsletter.findings import Finding, Severity
from newsletter.issues import Issue

_ROW = 6  # words in a row that tell where they come from
_SHORTEST = (
    10  # letters and digits of a text that does; shorter ones ("Decide.") may stand anywhere
)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+")
_WORD = re.compile(r"\w+")
_SPOKEN = (
    "alt",
    "title",
    "content",
    "aria-label",
    "summary",
    "href",
)  # attributes with words in them


@dataclass(frozen=True)
class Text:
    """A text of the issue: the brief it stands in ("" for the manifest), and as it was written."""

    brief: str
    written: str


@dataclass(frozen=True)
class Allowed:
    """What a signature allows, and what else the issue holds."""

    briefs: frozenset[str]
    actions: frozenset[str]
    blocks: frozenset[str]
    must: tuple[Text, ...]  #: that must be there
    may: tuple[str, ...]  #: whatever else may be there, as it was written
    others: tuple[Text, ...]  #: that may not be there


def normal(text: str) -> str:
    """For comparing words: NFKC, one case, nothing that can't be seen."""
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()


@lru_cache(maxsize=8192)  # all editions of an issue are held against the same texts
def _pieces(written: str) -> tuple[tuple[str, ...], ...]:
    """The words of a text between its addresses, which the parts print in ways of their own."""
    image = image_in(written)
    said = plain(image.caption if image else re.sub(r"^(?:- |> )", "", written))
    found = (tuple(_WORD.findall(piece)) for piece in _ADDRESS.split(normal(said)))
    return tuple(piece for piece in found if piece)


@lru_cache(maxsize=8192)
def _rows(written: str) -> frozenset[tuple[str, ...]]:
    """Every six words in a row of a text."""
    return frozenset(row for piece in _pieces(written) for row in _in_rows(piece))


def _in_rows(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (words[n : n + _ROW] for n in range(len(words) - _ROW + 1))


def allowed(subject: EditionSubject) -> Allowed:
    """What this edition's signature allows, read off the issue's briefs."""
    issue, signature = subject.subject.issue, subject.edition.signature
    arm = dict(signature.sentences)
    shown = {slug: (actions, sections) for slug, actions, sections in signature.blocks}
    must: list[Text] = []
    may = [signature.intro, signature.preheader, signature.subject, signature.title]
    others: list[Text] = []
    ids: set[str] = set()
    for brief in issue.briefs:
        slug, chosen = brief.slug, shown.get(brief.slug)
        (must if chosen else others).append(Text(slug, brief.headline))
        for n, action in enumerate(brief.actions):
            mine = bool(chosen) and n in (chosen or ((), ()))[0]
            said = arm.get(action.id, action.text)
            if mine:
                ids.add(action.id)
                must.append(Text(slug, said))
            others += [
                Text(slug, text)
                for text in (action.text, *_sentences(issue, action.id))
                if not mine or text != said
            ]
        for n, section in enumerate(brief.body):
            texts = [section.heading or "", *section.paragraphs]
            if chosen and n in chosen[1]:
                may += texts
            else:
                others += [Text(slug, text) for text in texts]
        if chosen:
            may += [*_paragraphs(brief), *brief.tags, *(one.name for one in brief.sources)]
        else:
            others += [Text(slug, text) for text in _paragraphs(brief)]
    others += [Text("", text) for text in _texts_of_others(issue) if text not in may]
    for n, block in enumerate(issue.manifest.block):
        if n in signature.extra:
            must += [Text("", block.text)]
            may += [block.title, block.by, block.button, block.alt]
        else:
            others += [Text("", text) for text in (block.title, block.text, block.by, block.alt)]
    return Allowed(
        frozenset(shown),
        frozenset(ids),
        frozenset(map(str, signature.extra)),
        tuple(one for one in must if one.written),
        tuple(filter(None, may)),
        tuple(one for one in others if one.written),
    )


def _paragraphs(brief: Brief) -> Iterator[str]:
    yield from brief.take.split("\n\n")
    yield from brief.why.split("\n\n")


def _sentences(issue: Issue, action: str) -> Iterator[str]:
    """What the arms of a split test say for an action."""
    for arm in issue.manifest.split.arm:
        if said := arm.actions.get(action):
            yield said


def _texts_of_others(issue: Issue) -> Iterator[str]:
    """Subjects, preheaders and introductions of the issue, of segments and of arms."""
    manifest = issue.manifest
    yield from filter(None, (manifest.subject, manifest.preheader, manifest.intro))
    for one in manifest.segments.values():
        yield from filter(None, (one.subject, one.preheader, one.intro))
    yield from (arm.subject for arm in manifest.split.arm if arm.subject)


def leaks(subject: EditionSubject) -> Iterator[tuple[str, Text, str]]:
    """(kind "leaked" or "missing", of what, in words) for everything that is in the edition and may not
    be, or is not and must be."""
    know = allowed(subject)
    document = subject.document.getroot()
    for mark, allowed_marks in (
        ("data-brief", know.briefs),
        ("data-action", know.actions),
        ("data-block", know.blocks),
    ):
        found = {element.get(mark, "") for element in document.iter() if mark in element.attrib}
        for key in sorted(found - allowed_marks):
            yield "leaked", Text(_slug(mark, key), ""), f"{mark[5:]} {key}"
        for key in sorted(allowed_marks - found):
            yield "missing", Text(_slug(mark, key), ""), f"{mark[5:]} {key}"
    everything = _everything(document)
    contents = {
        "the HTML": (_body(document), everything),
        "the text part": ((subject.text,), (subject.text,)),
    }
    sayable = (*know.may, *(one.written for one in know.must))
    rows: frozenset[tuple[str, ...]] = frozenset().union(*map(_rows, sayable))
    short = " ".join(_squeezed(text) for text in sayable)
    for name, (visible, whole) in contents.items():
        seen = _Content(visible)
        told = _Content(whole)
        for other in know.others:
            if told.holds(other.written, rows, short):
                yield "leaked", other, f'"{_shortened(other.written)}" in {name}'
        for one in know.must:
            if not seen.says(one.written):
                yield "missing", one, f'"{_shortened(one.written)}" in {name}'


class _Content:
    """The words of a part, for asking what stands in it. Texts are several readings of one part."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._lines: list[str] = []
        self._rows: set[tuple[str, ...]] = set()
        self._squeezed: list[str] = []
        for text in texts:
            words = tuple(_WORD.findall(_ADDRESS.sub(" ", normal(text))))
            self._lines.append(f" {' '.join(words)} ")
            self._rows.update(_in_rows(words))
            self._squeezed.append("".join(words))

    def holds(self, written: str, rows: frozenset[tuple[str, ...]], short: str) -> bool:
        """Whether a text, or six words of it in a row, stands here, those that may be said aside."""
        if told := _rows(written):
            return not self._rows.isdisjoint(told - rows)
        squeezed = _squeezed(written)
        if len(squeezed) < _SHORTEST or squeezed in short:
            return False
        return any(squeezed in one for one in self._squeezed)

    def says(self, written: str) -> bool:
        """Whether all of a text stands here, its addresses aside."""
        return all(
            any(f" {' '.join(piece)} " in line for line in self._lines)
            for piece in _pieces(written)
        )


@lru_cache(maxsize=8192)
def _squeezed(written: str) -> str:
    """The letters and digits of a text in one: also what is written without spaces can be compared."""
    return "".join(word for piece in _pieces(written) for word in piece)


def _body(document: lxml.etree._Element) -> tuple[str, ...]:
    """What the HTML says: once as it stands, once with every element's end as the end of a word."""
    body = document.find("body")
    if body is None:
        return ("",)
    return (
        str(lxml.etree.tostring(body, method="text", encoding="unicode")),
        " ".join(str(text) for text in body.itertext()),
    )


def _everything(document: lxml.etree._Element) -> tuple[str, ...]:
    """Every word that is delivered: also in the head, in attributes and in comments."""
    pieces: list[str] = []
    for element in document.iter():
        if isinstance(element, lxml.etree._Comment):
            pieces.append(re.sub(r"<[^>]*>", " ", element.text or ""))
            continue
        pieces += [unquote(element.get(name, "")) for name in _SPOKEN if name in element.attrib]
    head = document.find("head")
    titles = [title.text or "" for title in head.iter("title")] if head is not None else []
    return (*_body(document), " \n ".join([*titles, *pieces]))


def _shortened(text: str) -> str:
    return text if len(text) <= 50 else f"{text[:49].rstrip()}…"


def _slug(mark: str, value: str) -> str:
    return "" if mark == "data-block" else value.partition("/")[0]


def _found(subject: EditionSubject) -> list[tuple[str, Text, str]]:
    return list(leaks(subject))


class _LeakRule(EditionRule):
    severity: ClassVar[Severity] = "error"
    waivable = False
    kind: ClassVar[str]

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        for kind, text, what in subject.once(_found):
            if kind != self.kind:
                continue
            slug, file, at = subject.find(text.written)
            if not text.written or (slug is None and text.brief):
                file, at = subject.place(text.brief or None)
            words = "holds" if kind == "leaked" else "lacks"
            because = "which is not for its readers" if kind == "leaked" else "which is for them"
            message = f"the edition for {subject.name} {words} {what}, {because}"
            yield self.finding(message, file=file, at=at, brief=text.brief or None)


class Leaked(_LeakRule):
    """An edition holds what its readers may not get: another segment's action, a limited section
    or brief, another segment's introduction, another arm's sentence. Nothing can waive this; it means that
    a template prints more than it was given, or that something is wrong in this program."""

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
