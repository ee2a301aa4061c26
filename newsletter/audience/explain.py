"""Why somebody is in a segment, or not: each clause of its rule with its answer. The database answers,
so that nothing can be explained otherwise than it was decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from newsletter.audience import rules
from newsletter.audience.conditions import Asked, compiled, member_of
from newsletter.audience.rules import Condition, Rule
from newsletter.db.schema import membership, subscriber

Answer = bool | None


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a rule with its answer: None when nothing can be said, because a field is empty."""

    text: str
    answer: Answer
    parts: tuple[Clause, ...] = ()
    has: str = ""  #: what the person has there, e.g. `role is 'cto'`

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"clause": self.text, "answer": self.answer}
        if self.has:
            found["has"] = self.has
        if self.parts:
            found["parts"] = [part.as_dict() for part in self.parts]
        return found


@dataclass(frozen=True, slots=True)
class Belonging:
    """Whether somebody is in a segment, and why."""

    segment: str
    member: bool
    because: str
    clause: Clause | None  #: of its rule; None for members by hand

    def as_dict(self) -> dict[str, Any]:
        return {
            "segment": self.segment,
            "member": self.member,
            "because": self.because,
            "rule": self.clause.as_dict() if self.clause else None,
        }


def explain_rule(connection: sa.Connection, rule: Rule, asked: Asked) -> Clause:
    """The rule's clauses for `asked.person`."""
    leaves = [one for one in rule if not one.parts]
    asks = (
        sa.type_coerce(compiled(one, asked), sa.Boolean).label(f"c{n}")
        for n, one in enumerate(leaves)
    )
    row = connection.execute(
        sa.select(*asks, *_known()).where(subscriber.c.id == asked.person)
    ).one()
    answers = {id(one): row._mapping[f"c{n}"] for n, one in enumerate(leaves)}
    return _clause(rule.condition, answers, row._mapping)


def belongings(connection: sa.Connection, asked: Asked) -> list[Belonging]:
    """Every segment in order of priority: is `asked.person` in it, and why."""
    person = connection.execute(
        sa.select(
            subscriber.c.lens,
            *(
                sa.type_coerce(member_of(one, asked), sa.Boolean).label(f"s{n}")
                for n, one in enumerate(asked.segments)
            ),
        ).where(subscriber.c.id == asked.person)
    ).one()
    by_hand = set(
        connection.scalars(
            sa.select(membership.c.segment).where(membership.c.subscriber_id == asked.person)
        )
    )
    found = []
    for n, segment in enumerate(asked.segments):
        member = bool(person._mapping[f"s{n}"])
        clause = explain_rule(connection, segment.rule, asked) if segment.rule else None
        if segment.choosable and person.lens and segment.key not in by_hand:
            names = {one.key: one.name for one in asked.segments}
            because = f"chose the lens {names.get(person.lens, person.lens)}"
        elif clause is None:
            because = "was put in by hand" if member else "was not put in"
        elif clause.answer is None:
            because = "the rule can't be answered: a field is empty"
        else:
            because = "the rule finds them" if member else "the rule does not find them"
        found.append(Belonging(segment.key, member, because, clause))
    return found


def _known() -> Iterator[sa.ColumnElement[Any]]:
    yield from (subscriber.c[name] for name in ("fields", "topics", "consent_at", "created_at"))
    for name in ("name", "domain", "status", "language", "lens", "frequency", "consent_source"):
        yield subscriber.c[name]
    yield subscriber.c.address_key.label("email")


def _clause(
    condition: Condition, answers: Mapping[int, Answer], person: Mapping[Any, Any]
) -> Clause:
    parts = tuple(_clause(part, answers, person) for part in condition.parts)
    match condition:
        case rules.And():
            answer = _all(part.answer for part in parts)
        case rules.Or():
            answer = _opposite(_all(_opposite(part.answer) for part in parts))
        case rules.Not():
            answer = _opposite(parts[0].answer)
        case _:
            found = answers[id(condition)]
            return Clause(
                condition.text, None if found is None else bool(found), (), _has(condition, person)
            )
    return Clause(condition.text, answer, parts)


def _all(answers: Iterator[Answer]) -> Answer:
    """AND of SQL: false beats unknown, unknown beats true."""
    given = list(answers)
    if False in given:
        return False
    return None if None in given else True


def _opposite(answer: Answer) -> Answer:
    return None if answer is None else not answer


def _has(condition: Condition, person: Mapping[Any, Any]) -> str:
    of = getattr(condition, "field", None)
    if not isinstance(of, rules.Field):
        return ""
    if of.kind == "days":
        since = person["consent_at"] or person["created_at"]
        return f"subscribed since {since:%Y-%m-%d}"
    value = person[of.name] if of.name in rules.BUILT_IN else person["fields"].get(of.name)
    if value in (None, "", []):
        return f"{of.name} is empty"
    return (
        f"{of.name} is {value:%Y-%m-%d %H:%M}" if of.kind == "time" else f"{of.name} is {value!r}"
    )
