"""Rules about one brief: its parts, its words, its actions, its sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein

from newsletter.briefs import image_in
from newsletter.checks.prose import grade, lists, minutes, phrases, sentences, words_of
from newsletter.checks.rule import BriefRule
from newsletter.checks.subjects import BriefSubject, Passage
from newsletter.findings import Finding, Severity
from newsletter.text import fold

HEADLINE_LENGTH = 90  # characters: two lines of a phone at the headline's size
ACTION_WORDS = 40
_REPEATS = 88  # percent of tokens in common; another wording of one thought has 50 to 70
# A further clause: behind a semicolon or full stop, a comma with "and", or "and then".
_AND_VERB = re.compile(
    r"(?:;|[.!]|,(?=\s+(?:and|then|also|plus)\b)|\s(?=\s*and then\b))\s*"
    r"(?:(?:and then|and|then|also|plus)\s+)?([a-z][a-z-]*)\b",
    re.IGNORECASE,
)
# Opens a request without being its verb: "Please check", "By Friday, ask", "If you run it, stop".
_OPENING = re.compile(
    r"^(?:please|first|now|today|then|also|again|quickly|\w+ly|don['’]t|do not|never|always|just|only)\s+|"
    r"^(?:if|when|where|while|before|after|by|until|unless|once|on|in|for|from|with|at|within|during|this|next)\b[^,]*,\s*",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"(?:[$€£¥]\s?\d|\d[\d.,]*\s?(?:%|percent|per cent|Prozent|pour cent|million|billion|trillion|"
    r"Millionen|Milliarden|millions|milliards|euros?|dollars?|pounds?)|"
    r"\b\d{1,3}(?:[,.\u00a0\u202f ]\d{3})+\b)",
    re.IGNORECASE,
)


class NoTake(BriefRule):
    """The take is what readers come for: the publication's judgement, before the news itself."""

    code = "BR102"
    title = "no take"
    remedy = "Say in a sentence or two what we make of it."
    example = "Why it matters: Budgets close.\nTollgate cuts its prices\nIt does.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        brief = subject.brief
        if not brief.take and "take" not in brief.positions:
            message = "no take: what do we make of it, in a sentence or two?"
            yield self.of(subject, message, brief.at("headline"))


class NoReason(BriefRule):
    """Why it matters is the sentence that makes a busy reader stay."""

    code = "BR103"
    title = "no reason why it matters"
    remedy = "Say why it matters to the reader."
    example = "Our Take: A fair price.\nTollgate cuts its prices\nIt does.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        brief = subject.brief
        if not brief.why and "why" not in brief.positions:
            yield self.of(subject, "no reason why it matters to the reader", brief.at("headline"))


class NoAction(BriefRule):
    """A brief without an action is news; what makes it worth a place in somebody's week is what they
    can do."""

    code = "BR104"
    title = "no action"
    remedy = "Say what which audience should do this week."
    example = "Our Take: A fair price.\nTollgate cuts its prices\nIt does.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        told = {finding.code for finding in subject.parsed.findings}
        if not subject.brief.actions and not told & {"BR201", "BR203"}:
            message = "no action: what should which audience do this week?"
            yield self.of(subject, message, subject.brief.at("headline"))


class LongHeadline(BriefRule):
    """Phones show about two lines of a headline; the rest pushes the text off the screen."""

    code = "BR107"
    title = "a long headline"
    remedy = f"Shorten it to {HEADLINE_LENGTH} characters or fewer."
    example = "# " + "Tollgate cuts the price of all its models " * 3 + "\n\nIt does.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        brief = subject.brief
        if len(brief.headline) > HEADLINE_LENGTH:
            message = (
                f"the headline has {len(brief.headline)} characters; "
                f"phones show about {HEADLINE_LENGTH}"
            )
            yield self.of(subject, message, brief.at("headline"))


class Comment(BriefRule):
    """HTML is text in a brief, so a comment that an editor meant for colleagues would be mailed."""

    code = "BR108"
    severity: ClassVar[Severity] = "error"
    title = "an HTML comment"
    remedy = "Take it out."
    example = "# Tollgate cuts its prices\n\nIt does. <!-- ask legal first -->\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for passage in subject.passages:
            if "<!--" in passage.text:
                message = "a comment (<!-- … -->) would be mailed as text; take it out"
                yield self.of(subject, message, subject.place(passage, "<!--"))


class LongPart(BriefRule):
    """A brief is read in a minute or two. A take or reason of a page, or a paragraph without a break,
    is skipped as a whole. The limits stand under `[checks]`: `take_words` and `paragraph_words`."""

    code = "BR110"
    title = "a part that is too long"
    remedy = "Shorten it, or break it into paragraphs."
    example = "# Tollgate cuts its prices\n\n" + "It does so again this week. " * 30 + "\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        limits = subject.settings.checks
        brief = subject.brief
        for part, text in (("take", brief.take), ("why", brief.why)):
            if (count := len(text.split())) > limits.take_words:
                name = "take" if part == "take" else "reason"
                message = f"the {name} has {count} words; {limits.take_words} are read at a glance"
                yield self.of(subject, message, brief.at(part))
        for passage in subject.prose:
            count = len(passage.text.split())
            if passage.part == "body" and count > limits.paragraph_words:
                message = (
                    f"this paragraph has {count} words; break it where a second thought begins, "
                    f"{limits.paragraph_words} is a phone's screen"
                )
                yield self.of(subject, message, subject.place(passage))


class Repeated(BriefRule):
    """The reason says again what headline or take say. It should say what follows for the reader."""

    code = "BR111"
    title = "the reason repeats headline or take"
    remedy = "Say what it means for the reader instead."
    example = (
        "# Tollgate cuts its prices by half\n\nIt does.\n\n"
        "**Why it matters:** Tollgate cuts its prices by half.\n"
    )

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        brief = subject.brief
        if len(brief.why.split()) < 4:
            return
        for name, other in (("headline", brief.headline), ("take", brief.take)):
            if len(other.split()) < 4:
                continue
            # also when one is part of the other: "Tollgate cuts prices, which …"
            same = fuzz.token_set_ratio(brief.why, other, processor=fold)
            long_enough = len(words_of(brief.why)) <= 2 * len(words_of(other))
            if same >= _REPEATS and long_enough:
                yield self.of(subject, f"the reason repeats the {name}", brief.at("why"))
                return


class Placeholder(BriefRule):
    """What was meant to be filled in later: TK, TODO, TBD, ???, lorem ipsum, [insert link]."""

    code = "BR112"
    severity: ClassVar[Severity] = "error"
    title = "placeholder text"
    remedy = "Write what is missing, or take it out."
    example = "# Tollgate cuts its prices\n\nThe discount ends on TK.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        pattern = lists(subject.language).placeholders
        for passage in subject.passages:
            for match in pattern.finditer(passage.text):
                message = f'"{match[0]}" is a placeholder'
                yield self.of(subject, message, subject.place(passage, match[0]))


class _Phrases(BriefRule):
    """Base of the rules that find phrases."""

    def found(
        self, subject: BriefSubject, pattern: re.Pattern[str]
    ) -> Iterator[tuple[str, Passage]]:
        for passage in subject.passages:
            for match in pattern.finditer(passage.text):
                yield match[0], passage


class Hedge(_Phrases):
    """Words that take back what the sentence says. A take is worth reading when it says something."""

    code = "BR113"
    severity: ClassVar[Severity] = "info"
    title = "a hedge"
    remedy = "Say it, say what you do not know, or leave it out."
    example = "# Tollgate cuts its prices\n\nOur Take: It is arguably a fair price.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for phrase, passage in self.found(subject, lists(subject.language).hedges):
            message = f'"{phrase}" takes back what the sentence says'
            yield self.of(subject, message, subject.place(passage, phrase))


class Cliche(_Phrases):
    """A phrase that has been read too often to be read."""

    code = "BR114"
    severity: ClassVar[Severity] = "info"
    title = "a cliché"
    remedy = "Say what it means here."
    example = "# Tollgate cuts its prices\n\nFor buyers this is a game changer.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for phrase, passage in self.found(subject, lists(subject.language).cliches):
            message = f'"{phrase}" is a cliché; what does it mean here?'
            yield self.of(subject, message, subject.place(passage, phrase))


class LongSentence(BriefRule):
    """A sentence that has to be read twice. The limit is `[checks] sentence_words`."""

    code = "BR115"
    severity: ClassVar[Severity] = "info"
    title = "a sentence that is hard to read"
    remedy = "Make two of it."
    example = "# Tollgate cuts its prices\n\nIt " + "does and does " * 15 + "so.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        most = subject.settings.checks.sentence_words
        for passage in subject.prose:
            if passage.part == "action":  # BR204 counts those
                continue
            for sentence in sentences(passage.words):
                if (count := len(sentence.split())) > most:
                    message = f"a sentence of {count} words; after {most} it has to be read twice"
                    start = " ".join(sentence.split()[:6])
                    yield self.of(subject, message, subject.place(passage, start))


class HardToRead(BriefRule):
    """The whole brief asks for too many years of school, or for too many minutes. Grades go by RIX
    (long words a sentence), which holds for other languages than English. The limits are `grade` and
    `brief_minutes` under `[checks]`."""

    code = "BR116"
    severity: ClassVar[Severity] = "info"
    title = "a brief that is hard or long to read"
    remedy = "Shorter sentences, shorter words, fewer of both."
    example = (
        "# Tollgate cuts its prices\n\nOrganisational representatives unanimously characterised "
        "infrastructural modernisation programmes as fundamentally indispensable considerations.\n"
    )

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        limits, brief = subject.settings.checks, subject.brief
        year = grade(passage.words for passage in subject.prose)
        if year > limits.grade:
            reads = "a college degree" if year > 12 else f"{year} years of school"
            message = f"it takes {reads} to read this with ease; the limit is grade {limits.grade}"
            yield self.of(subject, message, brief.at("headline"))
        if (took := minutes(brief.words)) > limits.brief_minutes:
            message = f"it takes {took} minutes to read; the limit is {limits.brief_minutes}"
            yield self.of(subject, message, brief.at("headline"))


class Misspelt(BriefRule):
    """A name that is nearly one of `[checks] names`: other capitals, a letter more or less, or in two
    words. Nothing costs trust like the wrong name of a reader's employer."""

    code = "BR117"
    title = "a name that is misspelt"
    remedy = "Correct it; if it is another name, add that one to `[checks] names`."
    example = "# Githib halves its prices\n\nIt does.\n"  # with names = ["GitHub"]

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        known = tuple(subject.settings.checks.names)
        for passage in subject.passages if known else ():
            for wrong, right in _misspelt(passage.words, known):
                message = f'"{wrong}" is most likely "{right}"'
                yield self.of(subject, message, subject.place(passage, wrong))


@lru_cache(maxsize=4096)
def _misspelt(text: str, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    tokens = [match[0] for match in re.finditer(r"\w[\w.&+-]*\w|\w", text)]
    for name in names:
        size = len(name.split())
        for width in {size, size + 1}:  # "Git Hub"
            for n in range(len(tokens) - width + 1):
                written = " ".join(tokens[n : n + width])
                if written not in names and _slip(written, name, wider=width > size):
                    found.append((written, name))
    return tuple(dict.fromkeys(found))


def _slip(written: str, name: str, *, wider: bool) -> bool:
    """Whether what is written is this name with other capitals, a space more, or one letter wrong."""
    bare = written.removesuffix("'s").removesuffix("’s")
    if bare == name:
        return False
    if bare.replace(" ", "").casefold() == name.replace(" ", "").casefold():
        # "Open" and "open": only a name that is no plain capitalised word tells by its capitals
        return wider or name[1:] != name[1:].lower() or bare[:1].isupper()
    if wider or not bare[:1].isupper() or len(name) < 5:
        return False
    return DamerauLevenshtein.distance(bare.casefold(), name.casefold(), score_cutoff=1) == 1 and (
        bare.casefold().rstrip("s") != name.casefold().rstrip("s")
    )


class Avoided(_Phrases):
    """A phrase that this publication's house style replaces: the table `[checks.avoid]`."""

    code = "BR118"
    title = "a phrase against the house style"
    remedy = "Write what `[checks.avoid]` in newsletter.toml says."
    example = "# Tollgate cuts its prices\n\nUtilise the discount.\n"  # avoid = {utilise = "use"}

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        table = subject.settings.checks.avoid
        if not table:
            return
        better = {fold(phrase): instead for phrase, instead in table.items()}
        for phrase, passage in self.found(subject, _avoided(tuple(table))):
            instead = better.get(fold(phrase), "")
            message = f'"{phrase}": write "{instead}"' if instead else f'"{phrase}" is not ours'
            yield self.of(subject, message, subject.place(passage, phrase))


@lru_cache(maxsize=16)
def _avoided(wanted: tuple[str, ...]) -> re.Pattern[str]:
    return phrases(wanted)


class PictureWithoutWords(BriefRule):
    """A picture without `alt`: who can't see it, or whose mail program does not load pictures, misses what it
    says."""

    code = "BR119"
    severity: ClassVar[Severity] = "error"
    title = "a picture without words"
    remedy = "Say between the brackets what the picture says."
    example = "# Tollgate cuts its prices\n\nIt does.\n\n![](images/prices.png)\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for passage in subject.passages:
            image = image_in(passage.text)
            if image and not image.alt.strip():
                message = f"{image.path} has no words: say between the brackets what it shows"
                yield self.of(subject, message, subject.place(passage, image.path))


class LongAction(BriefRule):
    """An action is one step. Longer ones are plans, and are put off."""

    code = "BR204"
    title = "a long action"
    remedy = f"Keep to one step, {ACTION_WORDS} words or fewer."
    example = "Do this week\nExecs: sign " + "the contract and " * 14 + "it.\nA headline\nText.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for action in subject.brief.actions:
            if (words := len(action.text.split())) > ACTION_WORDS:
                message = (
                    f"the action has {words} words; more than {ACTION_WORDS} is more than one step"
                )
                yield self.of(subject, message, action.at)


class NoVerb(BriefRule):
    """An action begins with what to do: "compare both prices", not "the prices should be compared".
    Read in English only; further verbs can be named in `[checks] verbs`."""

    code = "BR206"
    title = "an action that does not begin with a verb"
    remedy = "Begin with the verb; if it is one that we do not know, add it to `[checks] verbs`."
    example = "Do this week\nExecs: the prices should be compared.\nA headline\nText.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        known = lists(subject.language)
        if not known.verbs:
            return
        own = {fold(verb) for verb in subject.settings.checks.verbs}
        for passage in subject.prose:
            if passage.part != "action":
                continue
            first = first_word(passage.words)
            if first and not is_verb(first, known.verbs, own):
                message = f'the action begins with "{first}"; begin with what to do'
                yield self.of(subject, message, passage.at)


def first_word(action: str) -> str:
    """The word with which a request begins, what only opens it taken off."""
    rest = action
    while (opening := _OPENING.match(rest)) and opening.end() < len(rest):
        rest = rest[opening.end() :]
    found = re.match(r"[\"'“‘(]*([^\W\d_][\w'’-]*)", rest)
    return found[1] if found else ""


def is_verb(word: str, verbs: frozenset[str], own: set[str]) -> bool:
    """Whether a request can begin with it: a known verb, or one made of it ("re-test", "pre-order")."""
    folded = word.lower()
    if folded in verbs or fold(word) in own:
        return True
    for prefix in (
        "re-",
        "re",
        "pre-",
        "pre",
        "un",
        "de",
        "dis",
        "over",
        "out",
        "co-",
        "self-",
        "cross-",
    ):
        if folded.startswith(prefix) and folded.removeprefix(prefix) in verbs:
            return True
    return len(folded) > 5 and folded.endswith(("ise", "ize", "ify"))


class SeveralSteps(BriefRule):
    """Several actions in one: a second sentence or clause that begins with a verb of its own. "Done" can
    only be said of one step."""

    code = "BR207"
    severity: ClassVar[Severity] = "info"
    title = "several actions in one"
    remedy = "Keep the step that matters most; the others can stand in the body."
    example = (
        "Do this week\nExecs: compare both prices; ask finance for a forecast; then sign the "
        "contract.\nA headline\nText.\n"
    )

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        verbs = lists(subject.language).verbs
        for action in subject.brief.actions:
            further = [word for word in _AND_VERB.findall(action.text) if word.lower() in verbs]
            if len(further) >= 2:
                message = (
                    f"these are {len(further) + 1} steps in one "
                    f"({', '.join(further)} after the first); keep to one"
                )
                yield self.of(subject, message, action.at)


class UnsourcedFigure(BriefRule):
    """A figure without any source in the whole brief: readers who want to use it can't check it."""

    code = "BR501"
    title = "figures without a source"
    remedy = "Name where they come from: (per Name), a link, or `sources` in the front matter."
    example = "# Tollgate cuts its prices\n\nIt saves 40% for most customers.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        if subject.brief.sources:
            return
        for passage in subject.passages:
            if passage.part == "action":
                continue
            if found := _FIGURE.search(passage.text):
                message = f'"{found[0].strip()}" has no source, and the brief names none'
                yield self.of(subject, message, subject.place(passage, found[0].strip()))
                return


class NoSource(BriefRule):
    """A brief that says where nothing comes from."""

    code = "BR502"
    severity: ClassVar[Severity] = "info"
    title = "no source"
    remedy = "Name one: (per Name), a link, or `sources` in the front matter."
    example = "# Tollgate cuts its prices\n\nIt does so until spring.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        brief = subject.brief
        figures = any(_FIGURE.search(one.text) for one in subject.passages if one.part != "action")
        if brief.body and not brief.sources and not figures:  # BR501 tells it where there are some
            yield self.of(subject, "no source is named", brief.at("headline"))
