"""Rules about one brief: its parts, its words, its actions, its sources."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import ClassVar

from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein

from newsletter.briefs import Vocabulary, image_in
from newsletter.checks.prose import (
    SPACELESS,
    Lists,
    grade,
    lists,
    minutes,
    phrases,
    sentences,
    words_of,
)
from newsletter.checks.rule import BriefRule
from newsletter.checks.subjects import BriefSubject, Passage
from newsletter.editions import plain
from newsletter.findings import Finding, Position, Severity
from newsletter.text import fold

HEADLINE_LENGTH = 90  # characters: two lines of a phone at the headline's size
ACTION_WORDS = 40
_REPEATS = 88  # percent of tokens in common; another wording of one thought has 50 to 70
# A further clause: behind a semicolon or full stop, a comma with "and", or "and then".
_FURTHER = re.compile(
    r"(?P<mark>;|[.!?](?=\s)|,(?=\s+(?:and|then|also|plus)\b)|(?<=\S)\s++(?=and then\b))\s*+"
    r"(?:(?:and then|and|then|also|plus)\s++)?(?P<verb>[a-z][a-z-]*+)(?=(?P<rest>[^.;!?]{0,80}))",
    re.IGNORECASE,
)
_TIME = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|week|month|quarter|year|noon|morning|today|tomorrow"
# Opens a request without being its verb: "Please check", "By Friday, ask", "If you run it, stop".
_OPENING = re.compile(
    r"(?:please|first|second|third|now|next|today|tomorrow|then|also|again|instead|meanwhile|otherwise|soon|"
    r"don['’]t|do not|never|always|just|only|finally|lastly|ideally|and|or),?\s+|"
    r"(?:if|when|whenever|where|while|before|after|as|by|until|unless|once|on|in|for|from|with|without|at|to|"
    r"within|during|over|under|via|through|throughout|across|around|between|since|because|given|per|despite|"
    r"besides|instead|ahead|rather|together|along|alongside|upon|whether|should|although|though|even|"
    r"provided|assuming|depending|this|next|every|each|later|early|first thing|starting|beginning)\b"
    r"[^,]{0,300},\s*|"
    r"(?:by|on|before|until|this|next|every|each)\s+(?:next\s+|the end of (?:the |this )?)?"
    rf"(?:{_TIME})\s+",
    re.IGNORECASE,
)
_ADVERB = re.compile(r"(\w{1,30}ly),?\s+", re.IGNORECASE)
_FIRST_WORD = re.compile(r"[\"'“‘„(]*([^\W\d_][\w'’-]*)")
_LONGEST_ACTION = 2000  # characters in which an action's first word and steps are looked for
_COMPARED = 2000  # characters of two texts that are compared
_MOST = 200  # findings of one rule in one brief; nobody reads more
_ADDRESS = re.compile(r"https?://[^\s<>]+")
# every run of digits is looked at once, from its beginning: a page of digits costs what any other does
_FIGURE = re.compile(
    r"(?:[$€£¥]\s?\d[\d.,]*+|(?<![\d.,])[.,]*+\d[\d.,]*+\s?(?:%|percent|per cent|Prozent|pour cent|million|"
    r"billion|trillion|Millionen|Milliarden|millions|milliards|euros?|dollars?|pounds?)|"
    r"(?<![\d.,])\d{1,3}(?:[,.\u00a0\u202f ]\d{3})+(?!\d))",
    re.IGNORECASE,
)


def _unmarked(subject: BriefSubject, role: str) -> tuple[str, int] | None:
    """The label and the line of a part that stands in a Markdown brief as in plain text, "Our Take: …",
    and so was read as text; None without one."""
    briefs = subject.settings.briefs
    vocabulary = Vocabulary(
        briefs.labels, more_labels=briefs.more_labels, language=subject.language
    )
    headline = subject.brief.at("headline").line
    for number, line in enumerate(subject.parsed.text.split("\n")[headline:], headline + 1):
        text = line[:200].lstrip("-*+•> \t")
        hit = vocabulary.match(text) if ":" in text or "：" in text else None
        if hit and hit.role == role and text[: hit.offset].rstrip().endswith((":", "：")):
            return hit.label, number
    return None


class _Lacking(BriefRule):
    """Base of the rules that miss a part."""

    def lacks(self, subject: BriefSubject, role: str, message: str) -> Finding:
        """A finding at the headline, or at the line where the part stands and was read as text."""
        unmarked = _unmarked(subject, role)
        if not unmarked:
            return self.of(subject, message, subject.brief.at("headline"))
        label, number = unmarked
        hint = (
            f'{message.partition(":")[0]}: "{label}:" in this line was read as text, since the brief is '
            f"Markdown; make it bold (**{label}:**) or a heading (## {label}), or write the headline "
            "without #"
        )
        return self.of(subject, hint, Position(number, 1))


class NoTake(_Lacking):
    """The take is what readers come for: the publication's judgement, before the news itself."""

    code = "BR102"
    title = "no take"
    remedy = "Say in a sentence or two what we make of it."
    example = "Why it matters: Budgets close.\nTollgate cuts its prices\nIt does.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        brief = subject.brief
        if not brief.take and "take" not in brief.positions:
            message = "no take: what do we make of it, in a sentence or two?"
            yield self.lacks(subject, "take", message)


class NoReason(_Lacking):
    """Why it matters is the sentence that makes a busy reader stay."""

    code = "BR103"
    title = "no reason why it matters"
    remedy = "Say why it matters to the reader."
    example = "Our Take: A fair price.\nTollgate cuts its prices\nIt does.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        brief = subject.brief
        if not brief.why and "why" not in brief.positions:
            yield self.lacks(subject, "why", "no reason why it matters to the reader")


class NoAction(_Lacking):
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
            yield self.lacks(subject, "action", message)


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
            at = passage.words.find("<!--")
            if at >= 0 or "<!--" in passage.text:
                message = "a comment (<!-- … -->) would be mailed as text; take it out"
                yield self.of(
                    subject, message, subject.place(passage, "<!--", at if at >= 0 else None)
                )


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
            same = fuzz.token_set_ratio(brief.why[:_COMPARED], other[:_COMPARED], processor=fold)
            long_enough = len(words_of(brief.why)) <= 2 * len(words_of(other))
            if same >= _REPEATS and long_enough:
                yield self.of(subject, f"the reason repeats the {name}", brief.at("why"))
                return


class _Phrases(BriefRule):
    """Base of the rules that find phrases."""

    def found(
        self, subject: BriefSubject, pattern: re.Pattern[str]
    ) -> Iterator[tuple[str, Position]]:
        """Each occurrence in what readers see, and where it stands; addresses are not read."""
        matches = (
            (match, passage)
            for passage in subject.passages
            for match in pattern.finditer(_read(passage))
        )
        for match, passage in islice(matches, _MOST):
            yield match[0], subject.place(passage, match[0], match.start())


def _read(passage: Passage) -> str:
    """The passage's words with blanks in place of addresses."""
    words = passage.words
    return _ADDRESS.sub(lambda found: " " * len(found[0]), words) if "://" in words else words


class Placeholder(_Phrases):
    """What was meant to be filled in later: TK, TODO, TBD, ???, lorem ipsum, [insert link]."""

    code = "BR112"
    severity: ClassVar[Severity] = "error"
    title = "placeholder text"
    remedy = "Write what is missing, or take it out."
    example = "# Tollgate cuts its prices\n\nThe discount ends on TK.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        pattern = lists(subject.language).placeholders
        for phrase, at in self.found(subject, pattern):
            yield self.of(subject, f'"{phrase}" is a placeholder', at)
        for passage in subject.passages:  # the words that stand for a picture are read aloud
            image = image_in(passage.text)
            if image and (match := pattern.search(image.alt)):
                at = subject.place(passage, match[0])
                yield self.of(subject, f'"{match[0]}" is a placeholder', at)


class Hedge(_Phrases):
    """Words that take back what the sentence says. A take is worth reading when it says something."""

    code = "BR113"
    severity: ClassVar[Severity] = "info"
    title = "a hedge"
    remedy = "Say it, say what you do not know, or leave it out."
    example = "# Tollgate cuts its prices\n\nOur Take: It is arguably a fair price.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for phrase, at in self.found(subject, lists(subject.language).hedges):
            message = f'"{phrase}" takes back what the sentence says'
            yield self.of(subject, message, at)


class Cliche(_Phrases):
    """A phrase that has been read too often to be read."""

    code = "BR114"
    severity: ClassVar[Severity] = "info"
    title = "a cliché"
    remedy = "Say what it means here."
    example = "# Tollgate cuts its prices\n\nFor buyers this is a game changer.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for phrase, at in self.found(subject, lists(subject.language).cliches):
            message = f'"{phrase}" is a cliché; what does it mean here?'
            yield self.of(subject, message, at)


class LongSentence(BriefRule):
    """A sentence that has to be read twice. The limit is `[checks] sentence_words`. Silent in languages
    that set no spaces between words, such as Japanese and Chinese."""

    code = "BR115"
    severity: ClassVar[Severity] = "info"
    title = "a sentence that is hard to read"
    remedy = "Make two of it."
    example = "# Tollgate cuts its prices\n\nIt " + "does and does " * 15 + "so.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        most = subject.settings.checks.sentence_words
        if _spaceless(subject):
            return
        for passage in subject.prose:
            if passage.part == "action":  # BR204 counts those
                continue
            end = 0
            for sentence in sentences(passage.words, subject.language):
                begin = passage.words.index(sentence, end)
                end = begin + len(sentence)
                if (count := len(sentence.split())) > most:
                    message = f"a sentence of {count} words; after {most} it has to be read twice"
                    start = " ".join(sentence.split()[:6])
                    yield self.of(subject, message, subject.place(passage, start, begin))


def _spaceless(subject: BriefSubject) -> bool:
    """Whether words can't be counted: the language sets no spaces between them."""
    return subject.language.partition("-")[0].lower() in SPACELESS


class HardToRead(BriefRule):
    """The whole brief asks for too many years of school, or for too many minutes. Grades go by RIX
    (long words a sentence), which holds for other languages than English. The limits are `grade` and
    `brief_minutes` under `[checks]`. Silent in languages that set no spaces between words, such as
    Japanese and Chinese."""

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
        if _spaceless(subject):
            return
        year = grade((passage.words for passage in subject.prose), subject.language)
        if year > limits.grade:
            reads = "a college degree" if year > 12 else f"{year} years of school"
            message = f"it takes {reads} to read this with ease; the limit is grade {limits.grade}"
            yield self.of(subject, message, brief.at("headline"))
        if (took := minutes(brief.words)) > limits.brief_minutes:
            message = f"it takes {took} minutes to read; the limit is {limits.brief_minutes}"
            yield self.of(subject, message, brief.at("headline"))


class Misspelt(BriefRule):
    """A name that is nearly one of `[checks] names`: other capitals, in two words, or a letter more, less or
    wrong. Nothing costs trust like the wrong name of a reader's employer. A wrong letter is only told of
    names of six letters and more, or with capitals inside, and never of ordinary words: "Apply it" is no
    slip of "Apple"."""

    code = "BR117"
    title = "a name that is misspelt"
    remedy = "Correct it; if it is another name, add that one to `[checks] names`."
    example = "# Githib halves its prices\n\nIt does.\n"  # with names = ["GitHub"]

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        known = subject.settings.checks.names
        if not known:
            return
        names = _Names(known, subject)
        slips = ((slip, one) for one in subject.passages for slip in names.slips(one))
        for (wrong, right, at), passage in islice(slips, _MOST):
            message = f'"{wrong}" is most likely "{right}"'
            yield self.of(subject, message, subject.place(passage, wrong, at))


class _Names:
    """The names of a publication, and what in one brief is nearly one of them."""

    def __init__(self, names: Iterable[str], subject: BriefSubject) -> None:
        self.names = frozenset(names)
        self.language = subject.language.partition("-")[0].lower()
        self.known = lists("en").verbs | lists("en").common
        self.lower = {
            word
            for passage in subject.passages
            for word in words_of(passage.words)
            if word == word.lower()
        }
        text = "\n".join(passage.words for passage in subject.passages)
        self.right = {name for name in self.names if name in text}
        # slips of the first letter are rare, and words that differ in it are other words: Black, Slack
        self.by_initial: dict[str, list[str]] = {}
        for name in filter(None, names):
            self.by_initial.setdefault(name[0].casefold(), []).append(name)

    def slips(self, passage: Passage) -> Iterator[tuple[str, str, int]]:
        """(as written, the name, offset in the passage's words) of every slip."""
        words = _read(passage)
        tokens = [(found[0], found.start()) for found in _NAME_TOKEN.finditer(words)]
        for n, (first, start) in enumerate(tokens):
            for name in self.by_initial.get(first[0].casefold(), ()):
                size = len(name.split())
                for width in (size, size + 1, size - 1):  # "Git Hub", "HarborLedger"
                    written = " ".join(token for token, _ in tokens[n : n + width])
                    bare = written.removesuffix("'s").removesuffix("’s")
                    if not width or n + width > len(tokens) or {bare, written} & self.names:
                        continue
                    opens = _opens(passage, words[max(0, start - 40) : start], tokens)
                    if self._is_slip(bare, name, wider=width - size, opens=opens):
                        yield written, name, start
                        break

    def _is_slip(self, bare: str, name: str, *, wider: int, opens: bool) -> bool:
        """Whether it is this name with other capitals, a space more or less, or one letter wrong.
        `opens` where any word would have a capital."""
        plain = name[1:] == name[1:].lower()
        capitals = [part[:1].isupper() for part in bare.split()]
        if bare.replace(" ", "").casefold() == name.replace(" ", "").casefold():
            if wider > 0:  # "an open table" is none of OpenTable, and "Open tables" neither
                return any(capitals[1:]) or (capitals[0] and not opens)
            # "apple" and "Apple": only a name that is no plain capitalised word tells by its capitals
            return any(capitals) or (not plain and not wider)
        if wider or not capitals or not capitals[0] or len(name) < (6 if plain else 5):
            return False
        # where any word has a capital, as German nouns have, only a name that the brief knows is meant
        anything = opens or (self.language == "de" and len(name) < 8)
        if plain and anything and name not in self.right:
            return False
        folded, right = bare.casefold(), name.casefold()
        if DamerauLevenshtein.distance(folded, right, score_cutoff=1) != 1:
            return False
        return folded.rstrip("s") != right.rstrip("s") and not self._is_word(folded)

    def _is_word(self, folded: str) -> bool:
        forms = {folded, *(folded.removesuffix(end) for end in ("s", "es", "ed", "d", "ing", "er"))}
        return bool(forms & self.known) or folded in self.lower


_NAME_TOKEN = re.compile(r"\w[\w.&+-]*\w|\w")


def _opens(passage: Passage, before: str, tokens: Sequence[tuple[str, int]]) -> bool:
    """Whether a word stands where any would have a capital: at the start of a sentence, and everywhere in a
    headline Set Like This."""
    before = before.rstrip(" \u00a0\"'“”‘’«»„([-–—*")
    if not before or before[-1] in ".!?:;…。！？":
        return True
    if passage.part not in ("headline", "heading"):
        return False
    long = [token for token, _ in tokens if len(token) > 3]
    return sum(token[0].isupper() for token in long) > len(long) / 2 and len(long) > 2


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
        for phrase, at in self.found(subject, _avoided(tuple(table))):
            instead = better.get(fold(phrase), "")
            message = f'"{phrase}": write "{instead}"' if instead else f'"{phrase}" is not ours'
            yield self.of(subject, message, at)


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
            first = first_word(passage.words, own)
            if first and not is_verb(first, known.verbs, own):
                message = f'the action begins with "{first}"; begin with what to do'
                yield self.of(subject, message, passage.at)


def first_word(action: str, own: Collection[str] = frozenset()) -> str:
    """The word with which a request (in English) begins, what only opens it taken off. `own` are folded
    verbs besides those that we know."""
    verbs = lists("en").verbs
    rest = action[:_LONGEST_ACTION].strip()
    while True:
        opening = _OPENING.match(rest)
        if not opening and (adverb := _ADVERB.match(rest)):
            # "Quickly check" opens with an adverb, "Apply" and "Reply to" with what to do
            opening = None if is_verb(adverb[1], verbs, own) else adverb
        if not opening or opening.end() >= len(rest):
            break
        rest = rest[opening.end() :]
    found = _FIRST_WORD.match(rest)
    return found[1] if found else ""


def is_verb(word: str, verbs: frozenset[str], own: Collection[str]) -> bool:
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
        known = lists(subject.language)
        for action in subject.brief.actions if known.verbs else ():
            further = [
                found["verb"]
                for found in _FURTHER.finditer(plain(action.text[:_LONGEST_ACTION]))
                if found["verb"].lower() in known.verbs and _is_request(found, known)
            ]
            if len(further) >= 2:
                message = (
                    f"these are {len(further) + 1} steps in one "
                    f"({', '.join(further)} after the first); keep to one"
                )
                yield self.of(subject, message, action.at)


def _is_request(found: re.Match[str], known: Lists) -> bool:
    """Whether a word that can be a verb is one here: "Work stops on Friday" has another."""
    words = words_of(found["rest"])[:5]
    if not words or not re.match(r"\s", found["rest"]):  # "…, and then update, and tell"
        return found["mark"] not in ".!?"
    if words[0].lower() in known.objects:
        return True
    return not any(_finite(word.lower(), known) for word in words)


def _finite(word: str, known: Lists) -> bool:
    stems = {word.removesuffix(end) for end in ("s", "es", "ed", "d") if word.endswith(end)}
    return word in known.finite or bool(stems & known.verbs)


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
            if found := _FIGURE.search(passage.words):
                figure = found[0].rstrip(" ,.")
                message = f'"{figure}" has no source, and the brief names none'
                yield self.of(subject, message, subject.place(passage, figure, found.start()))
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
        figures = any(_FIGURE.search(one.words) for one in subject.passages if one.part != "action")
        if brief.body and not brief.sources and not figures:  # BR501 tells it where there are some
            yield self.of(subject, "no source is named", brief.at("headline"))
