"""Rules about a rendered edition, as it would be delivered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from newsletter.checks import colour, markup
from newsletter.checks.clients import client_names, unsupported
from newsletter.checks.rule import EditionRule
from newsletter.checks.subjects import EditionSubject
from newsletter.editions import one_click_allowed
from newsletter.findings import Finding, Position, Severity

CLIPPED = 102_000  # bytes of HTML after which Gmail cuts a mail
_QUOTED = re.compile(r"[“\"]([^”\"]+)[”\"]")
_TRACKED = re.compile(r"/c/(\d+)/")
_THEME = "templates/theme.toml"


class Clipped(EditionRule):
    """Gmail cuts the HTML of a mail at about 102 kB and puts a link in the place of the rest, where the
    way to unsubscribe and the picture that counts opens stand. Counted is what is delivered, all slots
    filled."""

    code = "ED101"
    severity: ClassVar[Severity] = "error"
    title = "Gmail will cut the mail"
    remedy = 'Fewer or shorter briefs, `text = "lead"`, or a simpler template.'

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        size = len(subject.html.encode())
        if size > CLIPPED:
            message = (
                f"the edition for {subject.name} has {size / 1000:.0f} kB of HTML; "
                "Gmail cuts it at 102 kB"
            )
            yield self.finding(message, file=subject.manifest, at=Position(1, 1))


class _Flawed(EditionRule):
    """Base of the rules that tell flaws of the markup: what each kind of flaw means."""

    says: ClassVar[Mapping[str, str]]

    def told(self, subject: EditionSubject, flaws: Iterable[markup.Flaw]) -> Iterator[Finding]:
        for flaw in flaws:
            if flaw.kind in self.says:
                words = _QUOTED.search(flaw.where)
                detail = _as_written(subject, flaw.detail)
                slug, file, at = subject.find(detail, words[1] if words else "")
                message = self.says[flaw.kind].format(detail=detail, where=flaw.where or "the mail")
                yield self.finding(message, file=file, at=at, brief=slug)


def _as_written(subject: EditionSubject, address: str) -> str:
    """The address that an editor wrote, for a tracked one; anything else as it is."""
    tracked = _TRACKED.search(address)
    if tracked and 0 < int(tracked[1]) <= len(subject.edition.links):
        return subject.edition.links[int(tracked[1]) - 1].url
    return address


def _loopback(subject: EditionSubject) -> bool:
    """Whether the publication itself is only tried out on this machine."""
    base = subject.settings.publication.base_url
    return one_click_allowed(base) and not base.startswith("https:")


def _links(subject: EditionSubject) -> list[markup.Flaw]:
    return markup.links(subject.document, loopback=_loopback(subject))


def _images(subject: EditionSubject) -> list[markup.Flaw]:
    return markup.images(subject.document, loopback=_loopback(subject))


class BadAddress(_Flawed):
    """A link leads nowhere: its address is malformed, or its scheme is none that a mail may have
    (http, https, mailto, tel). Looked at are the addresses that editors wrote, not the tracked ones."""

    code = "ED201"
    severity: ClassVar[Severity] = "error"
    title = "a link that leads nowhere"
    remedy = "Correct the address."
    example = "[the terms](https://tollgate..example.com/terms)"
    says: ClassVar = {
        "link-malformed": '"{detail}" is no address',
        "link-scheme": '"{detail}" has a scheme that mail programs do not follow',
        "link-dangerous": '"{detail}" would run as a program',
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        loopback = _loopback(subject)
        yield from self.told(subject, subject.once(_links))
        for link in subject.edition.links:
            kind = markup.address_flaw(link.url, loopback=loopback)
            if kind:
                flaw = markup.Flaw(kind, "", link.url, 1)
                yield from self.told(subject, [flaw])


class DeadLink(EditionRule):
    """Nobody answers at the address, or the page is gone. Asked gently: HEAD before GET, few at
    a time, where robots.txt allows it, and remembered for a day. What might be the asking
    machine's own doing (a time-out, a refusal of robots) is not called dead."""

    code = "ED202"
    title = "a dead link"
    remedy = "Correct the address, or take the link out."
    online = True

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        for link in subject.edition.links:
            if why := subject.dead.get(link.url):
                slug, file, at = subject.find(link.url)
                yield self.finding(f"{link.url}: {why}", file=file, at=at, brief=slug or link.brief)


class InsecureLink(_Flawed):
    """A link goes by http: whoever carries the reader's traffic can read and change the page."""

    code = "ED203"
    severity: ClassVar[Severity] = "info"
    title = "a link by http"
    remedy = "Write https, which nearly every page answers to."
    example = "[the terms](http://tollgate.example.com/terms)"
    says: ClassVar = {"link-insecure": "{detail} goes by http"}

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        loopback = _loopback(subject)
        for link in subject.edition.links:
            if markup.address_flaw(link.url, loopback=loopback) == "link-insecure":
                yield from self.told(subject, [markup.Flaw("link-insecure", "", link.url, 1)])


class VagueLink(_Flawed):
    """The words of a link say nothing about where it leads ("click here", "more"), or the same words lead to
    two places. Screen readers read links out of their sentences, and skimming eyes do the same."""

    code = "ED204"
    title = "words of a link that say nothing"
    remedy = "Let the link bear the name of what it leads to."
    example = "The terms are [here](https://tollgate.example.com/terms)."
    says: ClassVar = {
        "link-vague": 'the link says only "{detail}"',
        "link-same-text": 'two links say "{detail}" and lead to different places',
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        flaws = subject.once(_links)
        yield from self.told(subject, flaws)


class EmptyLink(_Flawed):
    """A link without words can't be seen or heard; scanners follow it all the same, and count."""

    code = "ED205"
    severity: ClassVar[Severity] = "error"
    title = "a link without words"
    remedy = "Give it words, or take it out."
    example = "[](https://tollgate.example.com/terms)"
    says: ClassVar = {"link-empty": "a link to {detail} has no words"}

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        yield from self.told(subject, subject.once(_links))


class NoAlt(_Flawed):
    """A picture without `alt`: who can't see it, or whose mail program does not load pictures, misses what it
    says. A picture that says nothing has an empty one."""

    code = "ED301"
    severity: ClassVar[Severity] = "error"
    title = "a picture without words"
    remedy = "Say in `alt` what the picture says."
    example = "![](images/prices.png)"
    says: ClassVar = {
        "image-no-alt": "a picture has no alt: {where}",
        "image-alt-file": 'a picture\'s alt is a file name ("{detail}"); say what is on it',
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        flaws = subject.once(_images)
        yield from self.told(subject, flaws)
        for image in subject.document.iter("img"):
            within = next(
                (
                    one
                    for one in image.iterancestors()
                    if one.get("data-brief") or one.get("data-block")
                ),
                None,
            )
            # an empty alt is for what the template draws; what an editor shows has something to say
            if within is not None and image.get("alt") == "":
                brief = within.get("data-brief")
                file, at = subject.place(brief)
                message = f"a picture in {brief or 'a block'} has an empty alt; say what is on it"
                yield self.finding(message, file=file, at=at, brief=brief)


class PictureSize(_Flawed):
    """A picture without a width makes the mail jump while it loads, and Outlook shows it at its full
    size; one that is wider than the mail makes phones scroll sideways."""

    code = "ED302"
    title = "a picture of the wrong size"
    remedy = "Put it into `images/` and let the template size it, or give its tag a width."
    example = '<img src="https://cdn.example.com/a.png" alt="A chart"/>'
    says: ClassVar = {
        "image-no-width": "a picture has no width: {where}",
        "image-wide": "a picture is {detail} px wide, wider than the mail",
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        yield from self.told(subject, subject.once(_images))


class InsecurePicture(_Flawed):
    """A picture that comes by http or has no source: mail programs warn of it, or don't show it."""

    code = "ED303"
    title = "a picture that mail programs do not load"
    remedy = "Serve it by https: pictures in `images/` are, as soon as `base_url` is."
    example = '<img src="http://cdn.example.com/a.png" alt="A chart" width="300"/>'
    says: ClassVar = {
        "image-insecure": "a picture comes from {detail}, not by https",
        "image-no-source": "a picture has no source: {where}",
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        flaws = subject.once(_images)
        yield from self.told(subject, flaws)


class _Contrast(EditionRule):
    scheme: ClassVar[colour.Scheme]

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        for one in colour.contrasts(subject.document, self.scheme):
            message = (
                f"{one.foreground} on {one.background} has {one.ratio:.1f}:1, {one.needed:g}:1 is "
                f'needed: "{one.text}"'
            )
            yield self.finding(message, file=_THEME, at=Position(1, 1))


class Contrast(_Contrast):
    """Text too pale to be read by many: WCAG 2.2 AA asks for 4.5:1, or 3:1 from 24 px (18.66 px bold) on."""

    code = "ED401"
    title = "too little contrast"
    remedy = "Change one of the two colours in `templates/theme.toml`."
    example = 'muted = "#aaaaaa"  # on paper = "#ffffff"'
    scheme = "light"


class DarkContrast(_Contrast):
    """The same in the dark colours, as a mail program in dark mode shows the mail."""

    code = "ED402"
    title = "too little contrast in dark mode"
    remedy = "Change one of the two colours under `[dark]` in `templates/theme.toml`."
    example = '[dark]\nmuted = "#555555"  # on paper = "#131716"'
    scheme = "dark"


class Headings(_Flawed):
    """Screen readers move by headings: the first is an h1, none skips a level on the way down, none is
    empty."""

    code = "ED403"
    title = "headings out of order"
    remedy = "Let the template use h1 for the mail's name, h2 for briefs, h3 inside them."
    says: ClassVar = {
        "heading-none": "the mail has no heading",
        "heading-first": "the first heading is an {detail}, not an h1: {where}",
        "heading-skip": "a level of headings is skipped, from {detail}: {where}",
        "heading-empty": "an {detail} is empty",
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        yield from self.told(subject, markup.headings(subject.document))


class TableRoles(_Flawed):
    """Mails are laid out with tables; without `role="presentation"` a screen reader reads each out as data,
    row by row."""

    code = "ED404"
    title = "a table without its role"
    remedy = 'Give layout tables role="presentation", and tables of data their th.'
    says: ClassVar = {
        "table-role": "a table has no role: {where}",
        "table-presented-data": "a table of data says that it is for layout: {where}",
        "table-no-header": "a table of data has no th: {where}",
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        yield from self.told(subject, markup.tables(subject.document))


class Language(_Flawed):
    """The mail says in which language and direction it is, so that it is pronounced, hyphenated and set
    right; and it has a title."""

    code = "ED405"
    title = "language, direction or title not said"
    remedy = "Set `lang` and `dir` on `<mjml>`, and `<mj-title>`, as the sample's template does."
    says: ClassVar = {
        "lang-missing": "the mail does not say its language",
        "lang-invalid": '"{detail}" is no language',
        "dir-missing": "the mail does not say its direction",
        "dir-wrong": "language and direction do not fit: {detail}",
        "title-missing": "the mail has no title",
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        yield from self.told(subject, markup.language(subject.document))


class NotShown(EditionRule):
    """HTML or CSS that Outlook, Gmail or Apple Mail drop, where the loss does harm. What is only an
    embellishment (rounded corners, dark colours) is not told. The facts are those of caniemail.com."""

    code = "ED501"
    title = "something that mail programs do not show"
    remedy = "Do without it in the template, or give those programs something else."
    example = '<td style="display: flex">…</td>'

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        for one in unsupported(subject.document):
            lose = one.clients or one.partial
            verb = "do not show" if one.clients else "show only a part of"
            names = ", ".join(client_names(lose))
            message = f"{names} {verb} {one.title}: {one.where}"
            _, file, at = subject.find()
            yield self.finding(message, file=file, at=at)


class Forbidden(_Flawed):
    """HTML that no mail may hold: scripts, frames, forms, handlers, redirects, style sheets from elsewhere,
    comments other than Outlook's. Mail programs drop it, and filters count it."""

    code = "ED502"
    severity: ClassVar[Severity] = "error"
    title = "HTML that no mail may hold"
    remedy = "Take it out of the template."
    example = '<form action="https://tollgate.example.com/">'
    says: ClassVar = {
        "element": "a mail may hold no {where}",
        "meta-refresh": "a mail may not lead elsewhere by itself: {where}",
        "handler": "a mail may not react by itself: {where}",
        "style-sheet": "a style sheet from elsewhere: {where}",
        "comment": "a comment would be delivered: {where}",
        "css": "CSS that would run: {detail}",
        "address": "an address that would run: {where}",
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        yield from self.told(subject, markup.forbidden(subject.document))


class Unfilled(_Flawed):
    """Something of the template is left in what would be delivered: a slot that nothing fills, a `{{ … }}`, a
    value that is None."""

    code = "ED503"
    severity: ClassVar[Severity] = "error"
    title = "something that was never filled in"
    remedy = "Look at the template at that place."
    example = "Hello {{ reader.name }}"
    says: ClassVar = {
        "template": "a piece of a template is left: {where}",
        "marker": "a slot is never filled: {detail}",
        "nothing": "a value is missing: {where}",
        "placeholder": "placeholder text: {where}",
    }

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        nonce = subject.edition.nonce
        yield from self.told(subject, markup.unfilled(subject.document, nonce, ()))
        yield from self.told(subject, markup.unfilled_text(subject.text, nonce, ()))


class TextIncomplete(EditionRule):
    """The text part does not say what the HTML says. Some read only that one, and filters count two
    parts that differ."""

    code = "ED504"
    title = "the text part says less"
    remedy = "Say it in `templates/issue.txt.j2`, too."

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        for words in markup.missing_from_text(subject.document, subject.text):
            slug, file, at = subject.find(words)
            message = f'the text part does not say "{words[:60]}"'
            yield self.finding(message, file=file, at=at, brief=slug)


class WideText(EditionRule):
    """A word of the text part is longer than a line of 78 columns: readers on narrow screens scroll."""

    code = "ED505"
    severity: ClassVar[Severity] = "info"
    title = "a word too long for the text part"
    remedy = "Shorten it, or put a soft hyphen into it."

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        for _, word in markup.wide_words(subject.text):
            slug, file, at = subject.find(word)
            message = f'"{word[:40]}…" is longer than a line of the text part'
            yield self.finding(message, file=file, at=at, brief=slug)


class BrokenTemplate(EditionRule):
    """A template can't be rendered, or makes MJML that can't be compiled. The place is the template's own
    line, also where a macro or an include printed it."""

    code = "ED506"
    severity: ClassVar[Severity] = "error"
    title = "a template that can't be used"
    remedy = "Mend the template at that line."
    example = "{{ e.headline }}  {# an edition has no such field #}"
    waivable = False

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        for one in subject.problems:
            if one.broken:
                at = Position(one.line or 1, 1)
                yield self.finding(one.message, file=one.file, at=at)


class IgnoredMjml(EditionRule):
    """A tag, an attribute or a value that MJML does not know. The compiler takes it in silence and drops it:
    what was meant is not in the mail."""

    code = "ED507"
    title = "MJML that is dropped in silence"
    remedy = "Correct it at that line of the template."
    example = '<mj-section backgroud-color="#edf5f1">'

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        for one in subject.problems:
            if not one.broken:
                at = Position(one.line or 1, 1)
                yield self.finding(one.message, file=one.file, at=at)


class Identifying(EditionRule):
    """So few people get this edition that its figures are theirs: who opened, clicked or did something
    could be told by name. `[checks] smallest_edition` is how many there should be."""

    code = "ED603"
    title = "an edition for very few readers"
    remedy = "Give them a wider segment's action or texts, or waive it."

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        least = subject.settings.checks.smallest_edition
        if 0 < subject.readers < least:
            people = "one person" if subject.readers == 1 else f"{subject.readers} people"
            message = (
                f"the edition for {subject.name} goes to {people}; "
                f"fewer than {least} can be told apart by what they do"
            )
            yield self.finding(
                message,
                file=subject.manifest,
                at=Position(1, 1),
                segment=subject.segments[0] if subject.segments else "-",
            )
