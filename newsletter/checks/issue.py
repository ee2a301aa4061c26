"""Rules about an issue as a whole: manifest, order, waivers, coverage, earlier issues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import ClassVar
from urllib.parse import urlsplit

from rapidfuzz import fuzz

from newsletter.briefs import Brief, ParsedBrief, inline_tokens, is_deadline, named_dates
from newsletter.checks.dates import holiday
from newsletter.checks.prose import lists, minutes
from newsletter.checks.rule import IssueRule
from newsletter.checks.subjects import IssueSubject
from newsletter.editions import pictures_of
from newsletter.findings import Finding, Position, Severity
from newsletter.issues import NOBODY, Issue, coverage
from newsletter.text import did_you_mean, fold


class ManifestUnreadable(IssueRule):
    """The manifest, or a brief's file, can't be read: no valid TOML, an unknown key, a value of the
    wrong kind, a file that is no text. Nothing else of the issue can be looked at before."""

    code = "IS100"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "an issue that can't be read"
    remedy = "Mend the file at that line."
    example = 'subjet = "Half-price inference"'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:  # noqa: ARG002
        yield from ()  # told instead of a subject


class NoBriefs(IssueRule):
    """An issue without briefs has nothing to say."""

    code = "IS101"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "no briefs"
    remedy = "Put some into the issue's folder `briefs/`, or assemble it from the inbox."

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        if not subject.issue.parsed:
            yield self.of(subject, "no briefs: put some into this issue's folder briefs/")


class OrderUnknown(IssueRule):
    """`order` names a slug that is not in this issue, most often a misspelt one."""

    code = "IS102"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "order names a brief that is not here"
    remedy = "Correct or remove the slug."
    example = 'order = ["brackwater-licenze"]'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        slugs = {brief.slug for brief in subject.issue.briefs}
        for slug in subject.issue.manifest.order:
            if slug not in slugs:
                hint = did_you_mean(slug, slugs)
                yield self.of(subject, f'order names "{slug}", which is not here.{hint}', "order")


class OrderTwice(IssueRule):
    """`order` names a slug twice; a brief stands once in a mail."""

    code = "IS103"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "order names a brief twice"
    remedy = "Remove one of the two."
    example = 'order = ["quillon-price-cut", "quillon-price-cut"]'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        for slug, times in Counter(subject.issue.manifest.order).items():
            if times > 1:
                yield self.of(subject, f'order names "{slug}" {times} times', "order")


class SlugTwice(IssueRule):
    """Two briefs have one slug: links, results and the order could mean either."""

    code = "IS104"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "two briefs with one slug"
    remedy = "Give one of them another file name or `slug`."
    example = "briefs/one.md, and briefs/two.md with `slug: one`"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        files: dict[str, str] = {}
        for parsed in subject.issue.parsed:
            slug = parsed.brief.slug
            if first := files.get(slug):
                message = f'a second brief "{slug}" (the first is {first})'
                yield self.finding(message, file=parsed.file, at=Position(1, 1), brief=slug)
            files.setdefault(slug, parsed.file or "")


class NoSubject(IssueRule):
    """The subject decides whether a mail is opened; an empty one looks like spam."""

    code = "IS105"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "no subject"
    remedy = "Write `subject`."
    example = 'subject = ""'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        manifest = subject.issue.manifest
        if not manifest.subject:
            yield self.of(subject, "no subject", "subject")
        for key, override in manifest.segments.items():
            if override.subject == "":
                yield self.of(
                    subject, f'no subject for "{key}"', "segments", key, "subject", segment=key
                )


class NoPreheader(IssueRule):
    """The line that an inbox shows behind the subject. Without one it shows the mail's first words."""

    code = "IS106"
    title = "no preheader"
    remedy = "Write `preheader`."
    example = 'subject = "Half-price inference"'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        if not subject.issue.manifest.preheader:
            message = "no preheader: phones show the mail's first words instead"
            yield self.of(subject, message, "preheader")


class UnknownSegment(IssueRule):
    """`[segments.<key>]`, or the `segments` of a block, names a segment that is not defined: those texts
    would reach nobody."""

    code = "IS107"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "a segment that is not defined"
    remedy = "Correct the key; `newsletter segment list` shows them."
    example = '[segments.exec]\nsubject = "A winter price"'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        keys = subject.segments.keys
        for key in subject.issue.manifest.segments:
            if key not in keys:
                hint = did_you_mean(key, keys)
                message = f'there is no segment "{key}".{hint}'
                yield self.of(subject, message, "segments", key, segment=key)
        for n, block in enumerate(subject.issue.manifest.block):
            for key in block.segments:
                if key not in keys:
                    hint = did_you_mean(key, keys)
                    message = f'there is no segment "{key}".{hint}'
                    yield self.of(subject, message, "block", str(n), "segments", segment=key)


class WaiverForNothing(IssueRule):
    """A waiver names a brief or a segment that is not here, so it waives nothing."""

    code = "IS108"
    title = "a waiver for what is not here"
    remedy = "Correct or remove it."
    example = '[[waiver]]\ncode = "IS201"\nbrief = "quilon"\nreason = "Nothing to do for them."'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        slugs = [brief.slug for brief in subject.issue.briefs]
        for n, waiver in enumerate(subject.issue.manifest.waiver):
            place = ("waiver", str(n))
            if waiver.brief is not None and waiver.brief not in slugs:
                hint = did_you_mean(waiver.brief, slugs)
                message = f'the waiver names the brief "{waiver.brief}", which is not here.{hint}'
                yield self.of(subject, message, *place)
            if waiver.segment not in (None, NOBODY, *subject.segments.keys):
                message = f'the waiver names the segment "{waiver.segment}", which is not defined'
                yield self.of(subject, message, *place)


class LeftOutOfOrder(IssueRule):
    """`order` is there and does not name a brief. It comes last, which is rarely meant."""

    code = "IS109"
    title = "a brief that order leaves out"
    remedy = "Add it to `order`."
    example = 'order = ["quillon-price-cut"]  # and a second file in briefs/'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        order = subject.issue.manifest.order
        slugs = dict.fromkeys(brief.slug for brief in subject.issue.briefs)
        missing = [slug for slug in slugs if slug not in order]
        if missing and order:
            message = f"order does not name {', '.join(missing)}; they come last"
            yield self.of(subject, message, "order")


class ActionIdTwice(IssueRule):
    """Two briefs have an action with the same pinned id: who did one would count for both."""

    code = "IS110"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "two briefs have an action with one id"
    remedy = "Give one of them another `id` in its front matter."
    example = "actions:\n  execs: {id: lumen-prices/compare}"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        owners: dict[str, str] = {}
        for parsed in subject.issue.parsed:
            slug = parsed.brief.slug
            for action in parsed.brief.actions:
                owner = owners.setdefault(action.id, slug)
                if owner != slug:
                    message = f'the action id "{action.id}" is taken by the brief "{owner}"'
                    yield self.finding(message, file=parsed.file, at=action.at, brief=slug)


class ArmActionUnknown(IssueRule):
    """An arm of the split test says something else for an action that is not in this issue."""

    code = "IS111"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "an arm names an action that is not here"
    remedy = "Write the action's id, as `newsletter brief show` prints it."
    example = '[[split.arm]]\nname = "b"\nshare = 0.5\nactions = {"lumen/exec" = "Decide."}'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        issue = subject.issue
        known = {action.id for brief in issue.briefs for action in brief.actions}
        for n, arm in enumerate(issue.manifest.split.arm):
            for action in arm.actions:
                if action not in known:
                    hint = did_you_mean(action, known)
                    message = (
                        f'arm "{arm.name}" names the action "{action}", which is not here.{hint}'
                    )
                    yield self.of(subject, message, "split", "arm", str(n))


class LongSubject(IssueRule):
    """A phone shows about 40 characters of a subject and cuts the rest; `[checks] subject_length` is where
    it is told. The overrides of segments and the arms of a split test count, too."""

    code = "IS113"
    title = "a subject that phones cut"
    remedy = "Say what matters in its first 40 characters, and leave out the rest."
    example = f'subject = "{"What changed this week and what to do about it " * 2}"'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        most = subject.settings.checks.subject_length
        for text, keys, segment in _texts_of(subject.issue, "subject"):
            if len(text) > most:
                message = (
                    f"the subject has {len(text)} characters; phones cut it, {most} is the most"
                )
                yield self.of(subject, message, *keys, segment=segment)


class PreheaderLength(IssueRule):
    """A preheader that is too short lets the mail's first words run into it; what goes beyond
    `[checks] preheader_length` is not shown by any inbox."""

    code = "IS114"
    severity: ClassVar[Severity] = "info"
    title = "a preheader of the wrong length"
    remedy = "Write 40 to 100 characters that go on where the subject ends."
    example = 'preheader = "News."'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        most, least = subject.settings.checks.preheader_length, 30
        for text, keys, segment in _texts_of(subject.issue, "preheader"):
            if text and not least <= len(text) <= most:
                message = (
                    f"the preheader has {len(text)} characters; inboxes show {least} to {most}"
                )
                yield self.of(subject, message, *keys, segment=segment)


class ManifestPlaceholder(IssueRule):
    """What was meant to be filled in later (TK, TODO, lorem ipsum) in subject, preheader, introduction or
    a block of the issue."""

    code = "IS115"
    severity: ClassVar[Severity] = "error"
    title = "placeholder text in the manifest"
    remedy = "Write what is missing, or take it out."
    example = 'subject = "TODO"'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        pattern = lists(subject.settings.publication.language).placeholders
        for key in ("subject", "preheader", "intro", "title"):
            for text, keys, segment in _texts_of(subject.issue, key):
                if found := pattern.search(text):
                    message = f'"{found[0]}" is a placeholder'
                    yield self.of(subject, message, *keys, segment=segment)
        for n, arm in enumerate(subject.issue.manifest.split.arm):
            for text in arm.actions.values():
                if found := pattern.search(text):
                    message = f'"{found[0]}" is a placeholder'
                    yield self.of(subject, message, "split", "arm", str(n), "actions")
        for n, block in enumerate(subject.issue.manifest.block):
            for key in ("title", "text", "by", "button"):
                if found := pattern.search(getattr(block, key)):
                    message = f'"{found[0]}" is a placeholder'
                    yield self.of(subject, message, "block", str(n), key)


class LongIssue(IssueRule):
    """The whole issue asks for more minutes than its readers have: `[checks] issue_minutes`. Counted is what
    the mail carries, leads or whole briefs."""

    code = "IS116"
    severity: ClassVar[Severity] = "info"
    title = "a long issue"
    remedy = 'Keep a brief for the next issue, or set `text = "lead"`.'
    example = 'text = "full"  # and eight briefs'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        issue = subject.issue
        full = (issue.manifest.text or subject.settings.issues.text) == "full"
        took = minutes(sum(_words_in_mail(brief, full=full) for brief in issue.briefs))
        if took > (most := subject.settings.checks.issue_minutes):
            message = f"the issue takes {took} minutes to read; {most} is the most"
            yield self.of(subject, message, "order")


class LinkTwice(IssueRule):
    """Two briefs link to the same page: clicks on it say nothing about either, and readers who follow both
    feel cheated."""

    code = "IS117"
    severity: ClassVar[Severity] = "info"
    title = "one link in two briefs"
    remedy = "Link it once, or name the source without its address in the second."
    example = "https://harbor-ledger.example.com/tollgate in briefs/one.md and briefs/two.md"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        first: dict[str, str] = {}
        for one in subject.briefs:
            slug = one.brief.slug
            for url in dict.fromkeys(links_of(one.parsed)):
                owner = first.setdefault(_same_page(url), slug)
                if owner != slug:
                    message = f'{url} is linked in "{owner}" already'
                    at = _place_of(one.parsed, url)
                    yield self.finding(message, file=one.file, at=at, brief=slug)


class UrgentOutOfDigest(IssueRule):
    """The digest at the top shows a few actions in the order of the briefs. An action that is due before
    all of those stands further down, where who reads only the digest never sees it."""

    code = "IS118"
    severity: ClassVar[Severity] = "info"
    title = "the most urgent action is not in the digest"
    remedy = "Move its brief up in `order`, or let the digest hold more (`[policy] digest`)."
    example = "order = [… a brief due on 25 November stands sixth, the digest holds three]"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        issue = subject.issue
        size = issue.manifest.policy.digest
        late: dict[str, list[str]] = {}
        for key in subject.segments.keys if size else ():
            actions = [
                (action, one.brief.slug) for one in issue.resolve((key,)) for action in one.actions
            ]
            inside = [action.due for action, _ in actions[:size] if action.due]
            for action, slug in actions[size:]:
                if action.due and inside and action.due < min(inside):
                    late.setdefault(slug, []).append(key)
        for slug, keys in late.items():
            names = ", ".join(subject.segments.get(key).name for key in keys)
            message = f'for {names} the action of "{slug}" is due before all in the digest'
            yield self.of(subject, message, "order", brief=slug)


class BlockPlace(IssueRule):
    """A block of the issue has no place to stand (`after` names a brief that is not here), shows a picture
    without saying what is on it, or has nothing to show."""

    code = "IS119"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "a block that can't be shown as it is"
    remedy = (
        'Correct `after` (a slug, "digest" or "end"), give `alt` to its image, or write its text.'
    )
    example = '[[block]]\nkind = "sponsor"\ntext = "Tollgate keeps the gate."\nafter = "tolgate"'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        issue = subject.issue
        slugs = [brief.slug for brief in issue.briefs]
        for n, block in enumerate(issue.manifest.block):
            place = ("block", str(n))
            if block.after not in ("digest", "end", *slugs):
                hint = did_you_mean(block.after, [*slugs, "digest", "end"])
                message = f'the block comes after "{block.after}", which is not here.{hint}'
                yield self.of(subject, message, *place, "after")
            if block.image and not block.alt:
                message = "the picture has no alt: say what is on it, for those who can't see it"
                yield self.of(subject, message, *place, "image")
            if not block.text and not block.image:
                yield self.of(subject, "the block has neither text nor picture", *place)


class SentOnHoliday(IssueRule):
    """The issue goes out on a public holiday of `[checks] holidays`: most readers find it days later, under
    everything else, and its deadlines are days nearer."""

    code = "IS120"
    severity: ClassVar[Severity] = "info"
    title = "the issue goes out on a holiday"
    remedy = "Move `send_at` to a working day."
    example = "send_at = 2026-12-25T07:30:00+01:00"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        day = subject.issue.sends_at and subject.issue.day
        name = day and holiday(subject.settings.checks.holidays, day)
        if name:
            message = f"the issue goes out on a public holiday ({name})"
            yield self.of(subject, message, "send_at")


class PictureUnusable(IssueRule):
    """A picture that a brief or a block names can't be mailed: it is not there, is none, is too large,
    or lies outside `images/`. The issue can't be rendered before that is mended."""

    code = "IS121"
    severity: ClassVar[Severity] = "error"
    title = "a picture that can't be used"
    remedy = "Put the file into `images/` of the workspace (JPEG, PNG, GIF or WebP), or correct its name."
    example = "![Prices since May](images/prises.png)"
    waivable = False

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        for path in pictures_of(subject.issue):
            if not (problem := subject.picture_problem(path)):
                continue
            for one in subject.briefs:
                if path in one.parsed.text:
                    at = _place_of(one.parsed, path)
                    yield self.finding(problem, file=one.file, at=at, brief=one.brief.slug)
            for n, block in enumerate(subject.issue.manifest.block):
                if block.image == path:
                    yield self.of(subject, problem, "block", str(n), "image")


class LookUnknown(IssueRule):
    """`look` names a look that is not in `templates/looks/`."""

    code = "IS122"
    severity: ClassVar[Severity] = "error"
    title = "a look that is not there"
    remedy = "Correct the name, or make that look."
    example = 'look = "blod"'
    waivable = False

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        look = subject.issue.manifest.look
        if look and subject.looks and look not in subject.looks:
            hint = did_you_mean(look, subject.looks)
            yield self.of(subject, f'there is no look "{look}".{hint}', "look")


class ManifestDatePassed(IssueRule):
    """Subject, preheader, introduction, a block or an arm's sentence names a deadline that has passed
    when the mail arrives."""

    code = "IS123"
    title = "a deadline in the manifest has passed"
    remedy = "Correct the date, or tell it as past."
    example = 'intro = "The offer is open until 3 May 2024."'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        day, language = subject.day, subject.settings.publication.language
        for text, keys in _said_in_manifest(subject.issue) if day else ():
            for named in named_dates(text, day, language):
                passed = day is not None and named.end < day and not named.backward
                if passed and is_deadline(text, named, language):
                    message = f'"{named.text}" has passed when the mail arrives on {day}'
                    yield self.of(subject, message, *keys)


class NotCovered(IssueRule):
    """Readers of a segment get no action from a brief: there is none for them and none for everybody.
    A gap that is meant is waived with its reason, and the coverage matrix then shows that."""

    code = "IS201"
    title = "a segment without an action"
    remedy = "Write one for it, or one for everybody, or waive it with a reason."
    example = "Do this week\nExecs: ask finance for both prices.\nA headline\nText.\n"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        matrix = coverage(subject.issue, subject.segments, subject.groups)
        people = dict(matrix.people)
        for parsed, row in zip(subject.issue.parsed, matrix.rows, strict=True):
            for key, cell in row.cells.items():
                if cell.how != "none" and not cell.by_waiver:
                    continue
                name = "readers in no segment" if key == NOBODY else subject.segments.get(key).name
                number = people[None if key == NOBODY else key]
                message = (
                    f"no action for {name} ({number:,} people): write one, one for everybody, "
                    "or waive it in issue.toml with a reason"
                )
                yield self.finding(
                    message,
                    file=parsed.file,
                    at=parsed.brief.at("action" if parsed.brief.actions else "headline"),
                    brief=parsed.brief.slug,
                    segment=key,
                )


class OutsideTheGate(IssueRule):
    """Some readers end up with fewer or more actions than `[gate]` wants, all their segments taken
    together."""

    code = "IS202"
    severity: ClassVar[Severity] = "error"
    title = "readers outside the gate"
    remedy = "Write or take away actions, or change `[gate]`."
    example = "[gate]\nmin = 1\nmax = 5"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        matrix = coverage(subject.issue, subject.segments, subject.groups)
        if not matrix.gate_ok:
            gate = subject.issue.manifest.gate
            bounds = f"at least {gate.min}" if gate.max is None else f"{gate.min} to {gate.max}"
            message = (
                f"{matrix.readers_outside:,} of {matrix.readers:,} readers do not get "
                f"{bounds} actions, as [gate] wants"
            )
            yield self.of(subject, message, "gate")


class LinkRepeated(IssueRule):
    """An earlier issue linked to the same page: it is news once."""

    code = "IS301"
    severity: ClassVar[Severity] = "info"
    title = "a link that an earlier issue had"
    remedy = "Say what is new about it, or leave it out."
    example = "https://harbor-ledger.example.com/tollgate, which 2026-W47 linked to"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        known: dict[str, str] = {}
        for issue in reversed(subject.past):
            for parsed in issue.parsed:
                known.update((_same_page(url), issue.id) for url in links_of(parsed))
        for one in subject.briefs:
            for url in dict.fromkeys(links_of(one.parsed)):
                if earlier := known.get(_same_page(url)):
                    message = f"{earlier} linked to {url} already"
                    at = _place_of(one.parsed, url)
                    yield self.finding(message, file=one.file, at=at, brief=one.brief.slug)


class HeadlineRepeated(IssueRule):
    """A headline says nearly what one of the last issues said (`[checks] past_issues` of them are
    compared)."""

    code = "IS302"
    title = "a headline that an earlier issue had"
    remedy = "Say what is new, or leave the brief out."
    example = "# Quillon halves its inference prices  (2026-W47: Quillon halves inference prices)"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        for one in subject.briefs:
            for earlier, brief in _past(subject):
                if _alike(one.brief.headline, brief.headline):
                    message = f'{earlier} had "{brief.headline}"'
                    at = one.brief.at("headline")
                    yield self.finding(message, file=one.file, at=at, brief=one.brief.slug)
                    break


class ActionRepeated(IssueRule):
    """An action asks for what one of the last issues asked for: who did it is annoyed, who did not has it
    as a left-over anyway."""

    code = "IS303"
    title = "an action that an earlier issue had"
    remedy = "Ask for the next step instead."
    example = "Execs: ask finance for both prices.  (2026-W47: ask finance for both prices)"

    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        for one in subject.briefs:
            for action in one.brief.actions:
                for earlier, brief in _past(subject):
                    same = next(
                        (old for old in brief.actions if _alike(action.text, old.text)), None
                    )
                    if same:
                        message = f'{earlier} asked the same in "{brief.slug}"'
                        yield self.finding(
                            message, file=one.file, at=action.at, brief=one.brief.slug
                        )
                        break


_ALIKE = 90  # percent of tokens in common, in any order


def _alike(one: str, other: str) -> bool:
    return fuzz.token_sort_ratio(fold(one), fold(other), score_cutoff=_ALIKE) > 0


def _past(subject: IssueSubject) -> Iterator[tuple[str, Brief]]:
    for issue in subject.past:
        for brief in issue.briefs:
            yield issue.id, brief


def links_of(parsed: ParsedBrief) -> Iterator[str]:
    """Every address that a brief links to, in its text and in its sources."""
    brief = parsed.brief
    texts = [brief.take, brief.why, *(action.text for action in brief.actions)]
    texts += [text for section in brief.body for text in section.paragraphs]
    for text in texts:
        if "://" in text or "](" in text:
            for token in inline_tokens(text):
                if token.type == "link_open":
                    yield str(token.attrGet("href"))
    for source in brief.sources:
        if source.url:
            yield source.url


def _same_page(url: str) -> str:
    """The address as far as it decides which page is meant."""
    try:
        parts = urlsplit(url)
    except ValueError:  # ED201 tells it
        return url
    query = "&".join(part for part in parts.query.split("&") if not part.startswith("utm_"))
    host = (parts.hostname or "").removeprefix("www.")
    return f"{host}{parts.path.rstrip('/')}?{query}"


def _place_of(parsed: ParsedBrief, words: str) -> Position:
    offset = parsed.text.find(words)
    if offset < 0:
        return parsed.brief.at("headline")
    line = parsed.text.count("\n", 0, offset) + 1
    return Position(line, offset - parsed.text.rfind("\n", 0, offset))


def _texts_of(issue: Issue, key: str) -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    """(text, its place in issue.toml, the segment that it is for) of a text and its overrides."""
    manifest = issue.manifest
    if text := getattr(manifest, key):
        yield text, (key,), None
    for segment, override in manifest.segments.items():
        if text := getattr(override, key, None):
            yield text, ("segments", segment, key), segment
    if key == "subject":
        for n, arm in enumerate(manifest.split.arm):
            if arm.subject:
                yield arm.subject, ("split", "arm", str(n), key), None


def _said_in_manifest(issue: Issue) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(text, its place in issue.toml) of everything that the manifest says to readers."""
    for key in ("subject", "preheader", "intro"):
        for text, keys, _ in _texts_of(issue, key):
            yield text, keys
    for n, arm in enumerate(issue.manifest.split.arm):
        for text in arm.actions.values():
            yield text, ("split", "arm", str(n), "actions")
    for n, block in enumerate(issue.manifest.block):
        for key in ("title", "text"):
            if text := getattr(block, key):
                yield text, ("block", str(n), key)


def _words_in_mail(brief: Brief, *, full: bool) -> int:
    if full:
        return brief.words
    lead = next((one.paragraphs[0] for one in brief.body if one.paragraphs), "")
    texts: Iterable[str] = (brief.headline, brief.take, brief.why, lead)
    # a reader gets one action of each brief
    longest = max((len(action.text.split()) for action in brief.actions), default=0)
    return longest + sum(len(text.split()) for text in texts)
