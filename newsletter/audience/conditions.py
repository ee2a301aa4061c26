"""From a rule's tree to SQL: bound SQLAlchemy expressions over `subscriber`, for SQLite and PostgreSQL
alike. Text is never spliced into SQL.
"""

from __future__ import annotations

import json
import operator as op
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from newsletter.audience import rules
from newsletter.audience.rules import Activity, Condition, Field, Moment, Rule, Value
from newsletter.audience.segments import Segment, Segments
from newsletter.db.schema import (
    delivery,
    edition_action,
    event,
    link,
    mailing,
    mailing_edition,
    membership,
    subscriber,
)

_COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": op.eq, "<>": op.ne, "<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge,
}  # fmt: skip
_DAY = 86_400.0  # seconds
_COLUMNS: Mapping[str, sa.ColumnElement[Any]] = {
    "email": subscriber.c.address_key,
    "domain": subscriber.c.domain,
    "name": subscriber.c.name,
    "status": subscriber.c.status,
    "language": subscriber.c.language,
    "lens": subscriber.c.lens,
    "frequency": subscriber.c.frequency,
    "consent_at": subscriber.c.consent_at,
    "consent_source": subscriber.c.consent_source,
    "created_at": subscriber.c.created_at,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule is asked against. `person` narrows what is looked up to one subscriber's id, so that
    a question about one person costs nothing however many there are."""

    segments: Segments
    now: datetime
    person: int | None = None


def where(rule: Rule, asked: Asked) -> sa.ColumnElement[bool]:
    """The condition over `subscriber`: true, false or NULL of each. Raises RuleError."""
    return compiled(rule.condition, asked)


def member_of(segment: Segment, asked: Asked) -> sa.ColumnElement[bool]:
    """Whether somebody is in a segment. Who chose a lens is, of the segments that can be chosen, in
    that one alone by rule: their word about themselves beats our data."""
    if segment.rule is None:
        by_hand: sa.ColumnElement[bool] = (
            sa.exists()
            .where(membership.c.segment == segment.key)
            .where(membership.c.subscriber_id == subscriber.c.id)
        )
        return sa.or_(subscriber.c.lens == segment.key, by_hand) if segment.choosable else by_hand
    by_rule = where(segment.rule, asked)
    if not segment.choosable:
        return by_rule
    # what can't be chosen any more is no choice; nearly nobody has one, and asking that first is quick
    choosable = [one.key for one in asked.segments if one.choosable]
    none = sa.or_(subscriber.c.lens == "", subscriber.c.lens.not_in(choosable))
    return sa.case((none, by_rule), else_=subscriber.c.lens == segment.key)


def holds_topic(topic: str) -> sa.ColumnElement[bool]:
    """Whether somebody chose a topic."""
    return _Holds("topics", topic)


def compiled(condition: Condition, asked: Asked) -> sa.ColumnElement[bool]:
    """SQL of one condition of a rule."""
    match condition:
        case rules.And(items=items):
            return sa.and_(*(compiled(item, asked) for item in items))
        case rules.Or(items=items):
            return sa.or_(*(compiled(item, asked) for item in items))
        case rules.Not(item=item):
            return sa.not_(compiled(item, asked))
        case rules.InSegment(key=key):
            return sa.func.coalesce(member_of(asked.segments.get(key), asked), sa.false())
        case rules.Did(activity=activity, operator=operator, number=number):
            return _did(activity, operator, number, asked)
    return _of_field(condition, asked)


def _of_field(condition: Condition, asked: Asked) -> sa.ColumnElement[bool]:
    match condition:
        case rules.Compare(field=of, operator=operator, value=value):
            return _compare(of, operator, value, asked.now)
        case rules.OneOf(field=of, values=values):
            if any(isinstance(value, Moment) for value in values) or of.kind == "days":
                return sa.or_(*(_compare(of, "=", value, asked.now) for value in values))
            return _column(of).in_([_bound(value, of, asked.now) for value in values])
        case rules.Between(field=of, low=low, high=high):
            return sa.and_(_compare(of, ">=", low, asked.now), _compare(of, "<=", high, asked.now))
        case rules.Like(field=of, pattern=pattern):
            return _Like(_column(of), pattern)
        case rules.Empty(field=of):
            return _empty(of)
        case rules.Holds(field=of, value=value):
            return _Holds(of.name, value)
        case rules.Truth(field=of):
            return _column(of).is_(True)
    raise AssertionError(f"no SQL for {condition}")


# -- fields ------------------------------------------------------------------------------------------


class FieldValue(sa.ColumnElement[Any]):
    """A declared field as a value. Its SQL is the very text that its index has, so that there can be
    one; the name stands in it literally and was checked when it was declared."""

    inherit_cache = False  # two of them differ by more than their parameters
    __visit_name__ = "field_value"

    def __init__(self, name: str, kind: str) -> None:
        assert name.isidentifier(), name
        self.name = name
        self.kind = kind
        types: dict[str, Any] = {"number": sa.Float(), "boolean": sa.Boolean()}
        self.type = types.get(kind, sa.Text())

    @property
    def _from_objects(self) -> list[Any]:
        return [subscriber]


@compiles(FieldValue, "sqlite")
def _sqlite_field(element: FieldValue, compiler: Any, **options: Any) -> str:
    fields = compiler.process(subscriber.c.fields, **options)
    value = f"json_extract({fields}, '$.{element.name}')"
    if element.kind == "number":  # a text that was kept before the field became a number is none
        kind = f"json_type({fields}, '$.{element.name}')"
        return f"CASE WHEN {kind} IN ('integer', 'real') THEN {value} END"
    return value


@compiles(FieldValue)
def _postgresql_field(element: FieldValue, compiler: Any, **options: Any) -> str:
    fields = compiler.process(subscriber.c.fields, **options)
    value = f"({fields} ->> '{element.name}')"
    if element.kind in ("number", "boolean"):
        cast = "double precision" if element.kind == "number" else "boolean"
        kind = f"jsonb_typeof({fields} -> '{element.name}')"
        return f"CASE WHEN {kind} = '{element.kind}' THEN {value}::{cast} END"
    return value


def _column(of: Field) -> sa.ColumnElement[Any]:
    return _COLUMNS[of.name] if of.name in _COLUMNS else FieldValue(of.name, of.kind)


def _empty(of: Field) -> sa.ColumnElement[bool]:
    if of.name == "topics":
        return _JsonEmpty(None)
    if of.kind == "list":
        return _JsonEmpty(of.name)
    if of.kind == "days":
        return sa.false()
    if of.name in _COLUMNS and of.kind != "time":  # what a person always has is a text, perhaps ""
        return _column(of) == ""
    return _column(of).is_(None)


def _compare(of: Field, operator: str, value: Value, now: datetime) -> sa.ColumnElement[bool]:
    if of.kind == "days":
        return _days(operator, float(value), now)  # type: ignore[arg-type]
    column, bound = _column(of), _bound(value, of, now)
    if of.kind in ("text", "choice", "address", "date") and operator not in ("=", "<>"):
        column = _Bytewise(column)  # or servers would sort by their own language
    result: sa.ColumnElement[bool] = _COMPARED[operator](column, bound)
    return result


def _bound(value: Value, of: Field, now: datetime) -> Any:
    if isinstance(value, Moment):
        return value.time(now) if of.kind == "time" else value.day(now).isoformat()
    if isinstance(value, date):  # dates are kept as ISO text, which sorts rightly
        return datetime.combine(value, time(), UTC) if of.kind == "time" else value.isoformat()
    return value


def _days(operator: str, days: float, now: datetime) -> sa.ColumnElement[bool]:
    """Whole days since they agreed, or came in: n of them have passed when the moment is n days ago or
    earlier, and less than n + 1."""
    came = subscriber.c.created_at
    since = sa.func.coalesce(subscriber.c.consent_at, came, type_=came.type)

    def at_least(number: float) -> sa.ColumnElement[bool]:
        try:
            return since <= now - timedelta(seconds=number * _DAY)
        except OverflowError:
            return sa.false() if number > 0 else sa.true()

    whole = days == int(days)
    up, down = (days, days + 1) if whole else (float(int(days // 1)) + 1, float(int(days // 1)) + 1)
    match operator:
        case ">=":
            return at_least(up)
        case ">":
            return at_least(down)
        case "<":
            return sa.not_(at_least(up))
        case "<=":
            return sa.not_(at_least(down))
        case "=":
            return sa.and_(at_least(up), sa.not_(at_least(down))) if whole else sa.false()
    return sa.or_(sa.not_(at_least(up)), at_least(down)) if whole else sa.true()


class _Bytewise(GenericFunction[str]):
    """A text compared by its characters' numbers, whatever the server's language."""

    name = "bytewise"
    type = sa.Text()
    inherit_cache = True


@compiles(_Bytewise, "sqlite")
def _sqlite_bytewise(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(_Bytewise)
def _postgresql_bytewise(element: Any, compiler: Any, **options: Any) -> str:
    return f'({compiler.process(element.clauses, **options)}) COLLATE "C"'


class _Like(sa.ColumnElement[bool]):
    """Case never matters, and a backslash is one: SQLite and PostgreSQL differ in both."""

    inherit_cache = False
    type = sa.Boolean()

    def __init__(self, column: sa.ColumnElement[Any], pattern: str) -> None:
        self.column = column
        self.pattern = sa.literal(pattern.lower().replace("\\", "\\\\"))
        self.plain = pattern.isascii()

    @property
    def _from_objects(self) -> list[Any]:
        return [subscriber]


@compiles(_Like, "sqlite")
def _sqlite_like(element: _Like, compiler: Any, **options: Any) -> str:
    column, pattern = (
        compiler.process(one, **options) for one in (element.column, element.pattern)
    )
    # SQLite's own LIKE folds A to Z, in a tenth of the time of calling Python's lower
    column = column if element.plain else f"lower({column})"
    return f"({column} LIKE {pattern} ESCAPE '\\')"


@compiles(_Like)
def _postgresql_like(element: _Like, compiler: Any, **options: Any) -> str:
    column, pattern = (
        compiler.process(one, **options) for one in (element.column, element.pattern)
    )
    return f"(lower({column}) LIKE {pattern} ESCAPE '\\')"


class _Holds(sa.ColumnElement[bool]):
    """A list holds a text: the list as JSON text has it between two commas."""

    inherit_cache = False
    type = sa.Boolean()

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = sa.literal(value)
        self.needle = sa.literal("," + json.dumps(value, ensure_ascii=False) + ",")
        self.array = sa.literal(json.dumps([value], ensure_ascii=False))

    @property
    def _from_objects(self) -> list[Any]:
        return [subscriber]


@compiles(_Holds, "sqlite")
def _sqlite_holds(element: _Holds, compiler: Any, **options: Any) -> str:
    if element.name == "topics":
        array = f"json({compiler.process(subscriber.c.topics, **options)})"
    else:
        fields = compiler.process(subscriber.c.fields, **options)
        array = f"json_extract({fields}, '$.{element.name}')"
    needle = compiler.process(element.needle, **options)
    return f"coalesce(instr(',' || trim({array}, '[]') || ',', {needle}) > 0, 0)"


@compiles(_Holds)
def _postgresql_holds(element: _Holds, compiler: Any, **options: Any) -> str:
    name = "topics" if element.name == "topics" else "fields"
    array = compiler.process(subscriber.c[name], **options)
    if name == "fields":
        array = f"({array} -> '{element.name}')"
    return (
        f"coalesce({array} @> CAST({compiler.process(element.array, **options)} AS JSONB), false)"
    )


class _JsonEmpty(sa.ColumnElement[bool]):
    """A list has no value, or is not there."""

    inherit_cache = False
    type = sa.Boolean()

    def __init__(self, name: str | None) -> None:
        """`name` of a declared field; None for the topics."""
        self.name = name

    @property
    def _from_objects(self) -> list[Any]:
        return [subscriber]


@compiles(_JsonEmpty)
def _json_empty(element: _JsonEmpty, compiler: Any, **options: Any) -> str:
    column = subscriber.c.topics if element.name is None else subscriber.c.fields
    text = compiler.process(column, **options)
    postgresql = compiler.dialect.name == "postgresql"
    if element.name is None:
        value = f"({text} #>> '{{}}')" if postgresql else f"json({text})"
    elif postgresql:
        value = f"({text} ->> '{element.name}')"
    else:
        value = f"json_extract({text}, '$.{element.name}')"
    return f"(coalesce({value}, '[]') IN ('[]', 'null'))"


# -- what somebody did ------------------------------------------------------------------------------


def _did(activity: Activity, operator: str, number: int, asked: Asked) -> sa.ColumnElement[bool]:
    """People whose number of issues compares. Who did nothing is in no row, so a comparison that holds
    of none is asked the other way round."""
    compare = _COMPARED[operator]
    holds_of_none = bool(compare(0, number))
    rows = _rows(activity, asked).subquery("did")
    people = sa.select(rows.c.subscriber_id)
    if (operator, number) not in ((">=", 1), (">", 0), ("=", 0), ("<", 1), ("<>", 0), ("<=", 0)):
        issues = sa.func.count(sa.distinct(rows.c.issue))
        found = compare(issues, number)
        people = people.group_by(rows.c.subscriber_id).having(
            sa.not_(found) if holds_of_none else found
        )
    among = subscriber.c.id.in_(people)
    return sa.not_(among) if holds_of_none else among


def _rows(activity: Activity, asked: Asked) -> sa.Select[Any]:
    """(subscriber_id, issue) of everything that counts."""
    mailings = sa.select(mailing.c.id, mailing.c.issue).where(
        mailing.c.issue.is_not(None), mailing.c.kind != "service"
    )
    if activity.issues:
        mailings = mailings.where(mailing.c.issue.in_(activity.issues))
    if activity.last is not None:
        latest = (
            sa.select(mailing.c.issue)
            .where(mailing.c.started_at.is_not(None), mailing.c.kind == "issue")
            .group_by(mailing.c.issue)
            .order_by(sa.func.min(mailing.c.started_at).desc(), mailing.c.issue.desc())
            .limit(activity.last)
        )
        mailings = mailings.where(mailing.c.issue.in_(latest))
    sent = mailings.subquery("sent")
    if activity.verb == "received":
        rows = (
            sa.select(delivery.c.subscriber_id, sent.c.issue)
            .join(sent, delivery.c.mailing == sent.c.id)
            .where(delivery.c.state == "accepted")
        )
        at, person = delivery.c.settled_at, delivery.c.subscriber_id
    else:
        rows = sa.select(event.c.subscriber_id, sent.c.issue).join(
            sent, event.c.mailing == sent.c.id
        )
        rows = rows.where(*_counted(activity))
        at, person = event.c.at, event.c.subscriber_id
    if activity.since is not None:
        rows = rows.where(at >= activity.since.time(asked.now))
    if asked.person is not None:
        rows = rows.where(person == asked.person)
    return rows


def _counted(activity: Activity) -> list[sa.ColumnElement[bool]]:
    """Which events count: none that a machine made, as far as that can be told."""
    if activity.verb == "opened":
        return [event.c.kind == "open", event.c.verdict != "machine"]
    if activity.verb == "clicked":
        counted = [event.c.kind == "click", event.c.verdict != "machine"]
        if activity.urls:
            counted.append(
                sa.exists()
                .where(delivery.c.mailing == event.c.mailing, delivery.c.n == event.c.delivery)
                .where(mailing_edition.c.mailing == delivery.c.mailing)
                .where(mailing_edition.c.n == delivery.c.edition)
                .where(link.c.edition == mailing_edition.c.edition, link.c.n == event.c.ref)
                .where(link.c.url.in_(activity.urls))
            )
        return counted
    later = event.alias("later")
    # found by the person, who has few events: `+ 0` keeps SQLite from going through all of the mailing's
    # for each, by the primary key
    taken_back = (
        sa.exists()
        .where(later.c.subscriber_id == event.c.subscriber_id)
        .where(later.c.mailing + 0 == event.c.mailing, later.c.delivery == event.c.delivery)
        .where(later.c.ref == event.c.ref, later.c.n + 0 > event.c.n)
        .where(later.c.kind.in_(("undo", "not_for_me")))
    )
    counted = [event.c.kind == "done", sa.not_(taken_back)]
    if activity.actions:
        counted.append(
            sa.exists()
            .where(delivery.c.mailing == event.c.mailing, delivery.c.n == event.c.delivery)
            .where(mailing_edition.c.mailing == delivery.c.mailing)
            .where(mailing_edition.c.n == delivery.c.edition)
            .where(edition_action.c.edition == mailing_edition.c.edition)
            .where(edition_action.c.n == event.c.ref)
            .where(edition_action.c.action.in_(activity.actions))
        )
    return counted
