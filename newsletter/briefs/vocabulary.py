"""Which words mean what in a brief: labels of its parts, and names of audiences.

Both are configuration (`[briefs]` in newsletter.toml, `subscribers/segments.toml`); the defaults
cover the house styles that editors most often paste from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from newsletter.text import fold

ROLES = ("headline", "take", "why", "action", "body", "fact", "note")

DEFAULT_LABELS: Mapping[str, tuple[str, ...]] = {
    "headline": ("Headline", "Title"),
    "take": (
        "Our Take", "Our view", "The take", "Bottom line", "The bottom line", "Our thought bubble",
        "TL;DR",
    ),
    # what a story means in practice is that house's reason why it matters
    "why": (
        "Why it matters", "Why this matters", "Why you should care", "So what", "Practical impact",
    ),
    "action": (
        "Do this week", "What to do this week", "What to do", "Suggested action", "Suggested actions",
        "Action", "Actions", "Next step", "Next steps",
    ),
    "body": (
        "What happened", "What's new", "What's happening", "Driving the news", "State of play",
        "Catch up quick", "Context", "Background", "Flashback", "The big picture", "Zoom in", "Zoom out",
        "Details", "The details", "How it works", "Between the lines", "The intrigue", "Reality check",
        "What they're saying", "What we're hearing", "The other side", "Yes, but", "What's next",
        "What to watch", "What we're watching", "Go deeper",
    ),
    "fact": ("By the numbers", "The number", "Fact", "Facts", "Key figure"),
    "note": ("Note", "Editor's note", "Disclosure", "Correction", "Update"),
}  # fmt: skip
DEFAULT_EVERYONE = (
    "Everyone", "Everybody", "All", "All readers", "All teams", "Everyone else", "Everybody else",
)  # fmt: skip
DEFAULT_NOT_AUDIENCES = ("Deadline", "Note", "Tip", "Update")

_WRAPPING = "\"'«»„“”‘’*_ \t"
_PICTURE = re.compile(r"^[\u200b\ufeff\s]*[\u2190-\u2bff\U0001f000-\U0001faff][\ufe0f\u200d\s]*")
_END = re.compile(r"\s*[:：]\s*|\s+[-–—]+\s*|\s*[–—]\s*")
_LABEL_WORDS = 6  # the longest label anybody uses; bounds the search for one at a line's start
_AND = re.compile(r"\s*[,;&+/]\s*(?:and\s+)?|\s+and\s+|\s+und\s+|\s+et\s+", re.IGNORECASE)


def bare(label: str) -> str:
    """A label as written, without quotes, emphasis, heading marks, an emoji and the final colon."""
    label = _PICTURE.sub("", label.strip().lstrip("#").strip(_WRAPPING))
    return label.strip(_WRAPPING).rstrip(":：").rstrip(_WRAPPING)


@dataclass(frozen=True, slots=True)
class LabelHit:
    """A label found at the start of a line."""

    role: str
    label: str  #: as the editor wrote it
    rest: str  #: text on the same line, may be empty
    offset: int  #: characters from the line's start to `rest`


class Vocabulary:
    """The labels of a publication. `labels[role][0]` is the one that the writer uses.

    `labels` take the place of a role's defaults, `more_labels` stand behind what it has. A word that is
    given for one role and is another's by default has the role that it was given.
    """

    def __init__(
        self,
        labels: Mapping[str, Sequence[str]] | None = None,
        *,
        more_labels: Mapping[str, Sequence[str]] | None = None,
        not_audiences: Iterable[str] = DEFAULT_NOT_AUDIENCES,
        everyone: Sequence[str] = DEFAULT_EVERYONE,
        language: str = "en",
    ) -> None:
        self.language = language  #: in which dates are written
        own, more = labels or {}, more_labels or {}
        self.labels: Mapping[str, tuple[str, ...]] = {
            role: (*(own.get(role) or DEFAULT_LABELS[role]), *more.get(role, ())) for role in ROLES
        }
        self.everyone = tuple(everyone) or DEFAULT_EVERYONE
        self.not_audiences = frozenset(fold(word) for word in not_audiences)
        self._roles: dict[str, str] = {}
        for given in (more, own, self.labels):
            for role in ROLES:
                for name in given.get(role, ()):
                    self._roles.setdefault(fold(bare(name)).rstrip("?! "), role)

    def role_of(self, text: str) -> str | None:
        """The role when the whole text is a label, else None. "So what?" is "So what"."""
        return self._roles.get(fold(bare(text)).rstrip("?! "))

    def is_remark(self, label: str) -> bool:
        """Whether words before a colon may only say more of an action: "Deadline", "Note"."""
        return fold(label) in self.not_audiences

    def match(self, line: str) -> LabelHit | None:
        """A label that fills the line, or opens it with a colon, a dash or a full sentence behind.

        `Our Take`, `"Our Take":`, `Our Take: text`, `Why it matters — text`. Without a mark between
        them, label and text are only told apart when the label has two words or more and what
        follows is a sentence of its own: "Why it matters The discount ends in March."
        """
        if role := self.role_of(line):
            return LabelHit(role, bare(line), "", len(line))
        for mark in _END.finditer(line, 0, 80):
            head = line[: mark.start()]
            # "Context – what came before" is more often a headline than a label and its text.
            clear = ":" in mark[0] or "：" in mark[0] or " " in head.strip()
            if clear and (role := self.role_of(head)):
                return LabelHit(role, bare(head), line[mark.end() :], mark.end())
        words = list(re.finditer(r"\S+", line))[: _LABEL_WORDS + 1]
        for count in range(min(_LABEL_WORDS, len(words) - 1), 1, -1):
            start = words[count].start()
            head, rest = line[:start], line[start:]
            if (role := self._roles.get(fold(head))) and _is_sentence(rest):
                return LabelHit(role, bare(head), rest, start)
        return None


def _is_sentence(text: str) -> bool:
    return text[:1].isupper() and text.rstrip("\"'”’)").endswith((".", "!", "?")) and " " in text


class Audiences:
    """Names of the segments, as editors write them, to segment keys. Knows no members."""

    def __init__(self, names: Iterable[tuple[str, Iterable[str]]] = ()) -> None:
        self._keys: dict[str, str] = {}
        self._singular: dict[str, str | None] = {}
        self.display: dict[str, str] = {}
        for key, (first, *others) in ((key, (*labels, key)) for key, labels in names):
            self.display[key] = first
            for label in (key, first, *others):
                folded = fold(label)
                self._keys.setdefault(folded, key)
                known = self._singular.setdefault(_singular(folded), key)
                if known != key:
                    self._singular[_singular(folded)] = None

    def __bool__(self) -> bool:
        return bool(self.display)

    def key(self, label: str) -> str | None:
        """The segment's key for its key, name, alias, or their singular, in any case."""
        folded = fold(bare(label))
        return self._keys.get(folded) or self._singular.get(_singular(folded))

    def keys(self, label: str) -> tuple[str, ...] | None:
        """Sorted keys for `AI teams` or `AI teams and execs`; None when any part is unknown."""
        label = without_for(label)
        if key := self.key(label):
            return (key,)
        parts = [part for part in _AND.split(label) if part.strip()]
        keys = [self.key(part) for part in parts]
        if not keys or None in keys:
            return None
        return tuple(sorted({key for key in keys if key}))

    def name(self, key: str) -> str:
        """The segment's name; the key itself for one that is no longer defined."""
        return self.display.get(key, key)

    def options(self) -> list[str]:
        """Every name that could have been meant, for a did-you-mean."""
        return list(dict.fromkeys([*self.display.values(), *self._keys]))


def without_for(label: str) -> str:
    """`AI teams` for "For AI teams"."""
    return re.sub(r"^for\s+", "", bare(label), flags=re.IGNORECASE)


def _singular(folded: str) -> str:
    return folded[:-1] if len(folded) > 3 and folded.endswith("s") else folded
