"""Rules made together with their meaning in plain Python: the judge of both databases.

Nothing here knows how rules are read or compiled. A question is the text of a rule and a function
that answers it for one person: True, False, or None when nothing can be said (as SQL has it).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.audience.people import NOW

Answer = bool | None
ISSUES = ("2026-W44", "2026-W45", "2026-W46")
#: When each went out; the last one has two mailings.
SENT = {issue: NOW - timedelta(days=21 - 7 * i) for i, issue in enumerate(ISSUES)}
URLS = ("https://example.com/a?x=1&y=2", "https://example.com/b")
ACTIONS = ("first/all", "second/execs")
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

# Letters that fold the same way everywhere; what an İ becomes depends on the server.
TEXTS = st.text(alphabet="abcABÄäß %_\\'\",;é日", min_size=1, max_size=6)
WORDS = st.sampled_from(
    ["cto", "CTO", "ml engineer", "Ärztin", "50%", "a_b", "a\\b", "it's", "x,y"]
)
NUMBERS = st.sampled_from([-2.5, -1.0, 0.0, 0.5, 1.0, 3.0, 1e6])
DAYS = st.dates(date(2025, 12, 20), date(2027, 1, 10))


@dataclass(frozen=True)
class Event:
    mailing: int  #: from 1
    kind: str
    verdict: str = "human"
    ref: int = 1
    days_ago: float = 1.0


@dataclass(frozen=True)
class Person:
    name: str
    fields: Mapping[str, Any]
    status: str
    consented: datetime | None
    created: datetime
    topics: tuple[str, ...] | None
    lens: str
    by_hand: bool  #: a member of the manual segment
    received: frozenset[int]  #: mailings
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Question:
    text: str
    answer: Callable[[Person], Answer] = field(compare=False)

    def __repr__(self) -> str:
        return self.text


# -- people ------------------------------------------------------------------------------------------


@st.composite
def people(draw: st.DrawFn) -> Person:
    fields = {
        name: draw(values)
        for name, values in {
            "role": WORDS | TEXTS,
            "seats": NUMBERS,
            "since": DAYS.map(date.isoformat),
            "vip": st.booleans(),
            "level": st.sampled_from(["junior", "senior"]),
            "likes": st.lists(WORDS, max_size=3, unique=True),
        }.items()
        if draw(st.integers(0, 3))
    }
    moments = st.floats(0, 400).map(lambda days: NOW - timedelta(days=round(days, 3)))
    received = draw(st.frozensets(st.integers(1, 4)))
    events = st.builds(
        Event,
        mailing=st.sampled_from(sorted(received) or [1]),
        kind=st.sampled_from(["open", "click", "done", "done", "undo", "not_for_me"]),
        verdict=st.sampled_from(["human", "machine", "unknown"]),
        ref=st.integers(1, 2),
        days_ago=st.sampled_from([0.1, 3.0, 8.0]),
    )
    return Person(
        draw(st.sampled_from(["", "Ann", "ann", "Bo"])),
        fields,
        draw(st.sampled_from(["subscribed", "pending"])),
        draw(st.none() | moments),
        draw(moments),
        draw(st.none() | st.lists(st.sampled_from(["ai", "law"]), unique=True).map(tuple)),
        draw(st.sampled_from(["", "", "lensed", "hand"])),
        draw(st.booleans()),
        received,
        tuple(draw(st.lists(events, max_size=6))) if received else (),
    )


# -- questions ---------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unless_empty(value: Any, test: Callable[[Any], Answer]) -> Answer:
    return None if value is None else test(value)


@st.composite
def _text_comparisons(draw: st.DrawFn) -> Question:
    name = draw(st.sampled_from(["role", "name"]))
    sign, value = draw(st.sampled_from(list(_COMPARED))), draw(WORDS | TEXTS)
    test = _COMPARED[sign]

    def answer(person: Person) -> Answer:
        # by code points, which is the order of UTF-8
        return _unless_empty(_get(person, name), lambda had: test(had.encode(), value.encode()))

    if draw(st.booleans()):
        return Question(f"{name} {sign} {quoted(value)}", answer)
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
    return Question(f"{quoted(value)} {mirrored} {name}", answer)


@st.composite
def _numbers(draw: st.DrawFn) -> Question:
    sign, value = draw(st.sampled_from(list(_COMPARED))), draw(NUMBERS)
    test = _COMPARED[sign]
    return Question(
        f"seats {sign} {value}",
        lambda person: _unless_empty(person.fields.get("seats"), lambda had: test(had, value)),
    )


@st.composite
def _between(draw: st.DrawFn) -> Question:
    low, high = draw(NUMBERS), draw(NUMBERS)
    return Question(
        f"seats between {low} and {high}",
        lambda person: _unless_empty(person.fields.get("seats"), lambda had: low <= had <= high),
    )


@st.composite
def _one_of(draw: st.DrawFn) -> Question:
    values = draw(st.lists(WORDS, min_size=1, max_size=4))
    negated = draw(st.booleans())
    return Question(
        f"role {'not ' if negated else ''}in ({', '.join(map(quoted, values))})",
        lambda person: _unless_empty(
            person.fields.get("role"), lambda had: (had in values) != negated
        ),
    )


def _matches(pattern: str, text: str) -> bool:
    """SQL's LIKE by dynamic programming; no regular expression that could share a mistake."""
    pattern, text = pattern.lower(), text.lower()
    row = [True] + [False] * len(text)
    for char in pattern:
        after = [row[0] and char == "%"]
        for i, letter in enumerate(text, 1):
            if char == "%":
                after.append(row[i] or after[i - 1])
            else:
                after.append(row[i - 1] and char in ("_", letter))
        row = after
    return row[-1]


@st.composite
def _likes(draw: st.DrawFn) -> Question:
    pattern = draw(TEXTS | st.sampled_from(["%", "_%", "c%", "%ENG%", "är%", "___", "50\\%"]))
    negated = draw(st.booleans())
    return Question(
        f"role {'not ' if negated else ''}like {quoted(pattern)}",
        lambda person: _unless_empty(
            person.fields.get("role"), lambda had: _matches(pattern, had) != negated
        ),
    )


@st.composite
def _empties(draw: st.DrawFn) -> Question:
    name = draw(st.sampled_from(["role", "seats", "vip", "likes", "topics", "consent_at", "name"]))
    negated = draw(st.booleans())

    def answer(person: Person) -> Answer:
        return (_get(person, name) in (None, "", [], ())) != negated

    return Question(f"{name} is {'not ' if negated else ''}null", answer)


@st.composite
def _dates(draw: st.DrawFn) -> Question:
    sign = draw(st.sampled_from(list(_COMPARED)))
    test = _COMPARED[sign]
    if draw(st.booleans()):
        days = draw(st.integers(-40, 400))
        text, day = f"days_ago({days})", NOW.date() - timedelta(days=days)
        if days == 0 and draw(st.booleans()):
            text = "today()"
    else:
        day = draw(DAYS)
        text = quoted(day.isoformat())
    if draw(st.booleans()):
        return Question(
            f"since {sign} {text}",
            lambda person: _unless_empty(
                person.fields.get("since"), lambda had: test(date.fromisoformat(had), day)
            ),
        )
    name = draw(st.sampled_from(["consent_at", "created_at"]))
    moment = datetime.combine(day, time(), UTC)
    return Question(
        f"{name} {sign} {text}",
        lambda person: _unless_empty(_get(person, name), lambda had: test(had, moment)),
    )


@st.composite
def _subscribed(draw: st.DrawFn) -> Question:
    sign = draw(st.sampled_from(list(_COMPARED)))
    number = draw(st.sampled_from([-1, 0, 1, 7, 30, 365, 6.5]))
    test = _COMPARED[sign]
    return Question(
        f"subscribed_days {sign} {number}",
        lambda person: test((NOW - (person.consented or person.created)).days, number),
    )


@st.composite
def _holds(draw: st.DrawFn) -> Question:
    name = draw(st.sampled_from(["likes", "topics"]))
    value = draw(WORDS | st.sampled_from(["ai", "law", ",", '"', '","', "[", "]", "x"]))
    form = draw(st.sampled_from(["has({0}, {1})", "{1} in {0}", "{1} in ({0})"]))
    return Question(
        form.format(name, quoted(value)),
        lambda person: value in (_get(person, name) or ()),
    )


@st.composite
def _activities(draw: st.DrawFn) -> Question:
    verb = draw(st.sampled_from(["received", "opened", "clicked", "done"]))
    given: list[str] = []
    issues, since, urls, actions = set(ISSUES), None, (), ()
    match draw(st.sampled_from(["", "issues", "last", "since"])):
        case "issues":
            chosen = draw(st.lists(st.sampled_from([*ISSUES, "2020-W01"]), min_size=1, max_size=2))
            issues, given = set(chosen), [quoted(one) for one in chosen]
        case "last":
            number = draw(st.integers(1, 4))
            issues, given = set(ISSUES[-number:]), [f"last_n_issues({number})"]
        case "since":
            days = draw(st.integers(0, 10))
            since = datetime.combine(NOW.date() - timedelta(days=days), time(), UTC)
            given = [f"days_ago({days})"]
    if verb == "clicked" and draw(st.booleans()):
        urls = (draw(st.sampled_from([*URLS, "https://example.com/other"])),)
        given += map(quoted, urls)
    if verb == "done" and draw(st.booleans()):
        actions = (draw(st.sampled_from([*ACTIONS, "other/all"])),)
        given += map(quoted, actions)

    def number_of(person: Person) -> int:
        return len(
            {
                issue
                for issue, at, ref in _did(person, verb)
                if issue in issues
                and (since is None or at >= since)
                and (not urls or (ref is not None and URLS[ref - 1] in urls))
                and (not actions or (ref is not None and ACTIONS[ref - 1] in actions))
            }
        )

    text = f"{verb}({', '.join(given)})"
    if draw(st.booleans()):
        return Question(text, lambda person: number_of(person) >= 1)
    sign, most = draw(st.sampled_from(list(_COMPARED))), draw(st.integers(0, 3))
    test = _COMPARED[sign]
    return Question(f"{text} {sign} {most}", lambda person: test(number_of(person), most))


def issue_of(mailing: int) -> str:
    return ISSUES[min(mailing, len(ISSUES)) - 1]


def _did(person: Person, verb: str) -> list[tuple[str, datetime, int | None]]:
    """(issue, when, which link or action)"""
    if verb == "received":
        return [(issue_of(mailing), SENT[issue_of(mailing)], None) for mailing in person.received]
    if verb in ("opened", "clicked"):
        kind = {"opened": "open", "clicked": "click"}[verb]
        return [
            (issue_of(one.mailing), NOW - timedelta(days=one.days_ago), one.ref)
            for one in person.events
            if one.kind == kind and one.verdict != "machine"
        ]
    found = []
    for i, one in enumerate(person.events):
        later = [
            other.kind
            for other in person.events[i + 1 :]
            if (other.mailing, other.ref) == (one.mailing, one.ref)
        ]
        if one.kind == "done" and not {"undo", "not_for_me"} & set(later):
            found.append((issue_of(one.mailing), NOW - timedelta(days=one.days_ago), one.ref))
    return found


@st.composite
def _others(draw: st.DrawFn) -> Question:
    return draw(
        st.sampled_from(
            [
                Question("vip", lambda person: person.fields.get("vip") is True),
                Question("vip = true", lambda person: person.fields.get("vip")),
                Question(
                    "vip = false",
                    lambda person: _unless_empty(person.fields.get("vip"), operator.not_),
                ),
                Question("status = 'pending'", lambda person: person.status == "pending"),
                Question("segment('hand')", in_hand),
                Question("segment('ruled')", in_ruled),
                Question("segment('lensed')", in_lensed),
            ]
        )
    )


def in_hand(person: Person) -> bool:
    """Manual, and can be chosen."""
    return person.by_hand or person.lens == "hand"


def in_ruled(person: Person) -> bool:
    """`seats > 0`, not to be chosen."""
    return (person.fields.get("seats") or 0) > 0


def in_lensed(person: Person) -> bool:
    """`segment('ruled') and vip`, can be chosen."""
    if person.lens:
        return person.lens == "lensed"
    return in_ruled(person) and person.fields.get("vip") is True


def _get(person: Person, name: str) -> Any:
    known = {
        "name": person.name, "topics": person.topics,
        "consent_at": person.consented, "created_at": person.created,
    }  # fmt: skip
    return known[name] if name in known else person.fields.get(name)


def _and(left: Answer, right: Answer) -> Answer:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _or(left: Answer, right: Answer) -> Answer:
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def _not(answer: Answer) -> Answer:
    return None if answer is None else not answer


def _joined(questions: st.SearchStrategy[Question]) -> st.SearchStrategy[Question]:
    def both(left: Question, word: str, right: Question) -> Question:
        join = _and if word == "and" else _or
        return Question(
            f"({left.text}) {word} ({right.text})",
            lambda person: join(left.answer(person), right.answer(person)),
        )

    def negated(one: Question) -> Question:
        return Question(f"not ({one.text})", lambda person: _not(one.answer(person)))

    return st.builds(both, questions, st.sampled_from(["and", "or"]), questions) | st.builds(
        negated, questions
    )


QUESTIONS: st.SearchStrategy[Question] = st.recursive(
    _text_comparisons() | _numbers() | _between() | _one_of() | _likes() | _empties() | _dates()
    | _subscribed() | _holds() | _activities() | _activities() | _activities() | _others(),
    _joined,
    max_leaves=5,
)  # fmt: skip
