"""Segment rules: SQL-like expressions, parsed by sqlglot and checked against a whitelist of nodes,
declared fields and functions. What comes out is a tree of ours; `conditions` makes SQL of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, Never

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from newsletter.config import FieldSettings
from newsletter.errors import RuleError
from newsletter.text import clean, did_you_mean, tidy

LONGEST = 4_000  #: characters
DEEPEST = 20  #: levels of parentheses and of `not`; sqlglot's own recursion ends near 50
MOST_JOINED = 400  #: conditions
MOST_DAYS = 36_500  #: that a date may lie away from today
MOST_ISSUES = 500  #: that `last_n_issues` may go back
_DIALECT = "sqlite"

Node = Any  # one of sqlglot's; which class is the base of all differs between its versions
Kind = Literal["text", "number", "date", "boolean", "choice", "list", "address", "time", "days"]
Operator = Literal["=", "<>", "<", "<=", ">", ">="]
Verb = Literal["received", "opened", "clicked", "done"]

VERBS: tuple[Verb, ...] = ("received", "opened", "clicked", "done")
_OPERATORS: Mapping[type[Node], Operator] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_MIRRORED: Mapping[Operator, Operator] = {
    "=": "=",
    "<>": "<>",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}

# What a condition may consist of: anything else that sqlglot reads into a node would be lost.
_UNDERSTOOD = {
    "this", "expression", "expressions", "low", "high", "negate", "query", "is_string",
    "table", "db", "catalog", "field",
}  # fmt: skip

#: What every subscriber has, besides the declared fields.
BUILT_IN: Mapping[str, Kind] = {
    "email": "address",
    "domain": "text",
    "name": "text",
    "status": "text",
    "language": "text",
    "lens": "text",
    "frequency": "text",
    "topics": "list",
    "consent_at": "time",
    "consent_source": "text",
    "created_at": "time",
    "subscribed_days": "days",
}
#: What some of them can hold; a rule that asks for anything else is a slip.
KNOWN_VALUES: Mapping[str, tuple[str, ...]] = {
    "status": ("subscribed", "pending", "unsubscribed"),
    "frequency": ("", "fortnightly", "monthly"),
}
#: What may stand where a condition or a value does, with an example each.
FUNCTIONS: Mapping[str, str] = {
    "has": "has(topics, 'security')",
    "segment": "segment('execs')",
    "received": "received('2026-W47')",
    "opened": "opened(last_n_issues(4))",
    "clicked": "clicked('2026-W47')",
    "done": "done(last_n_issues(4)) >= 2",
    "last_n_issues": "opened(last_n_issues(4))",
    "days_ago": "created_at > days_ago(30)",
    "today": "since = today()",
    "now": "consent_at < now()",
}


# -- the tree ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """A declared field, or one that every subscriber has."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Moment:
    """A day counted from today (UTC), or just now. A time is compared with the day's first moment."""

    days: int = 0  #: before today; negative ones are to come
    now: bool = False

    def day(self, at: datetime) -> date:
        return at.astimezone(UTC).date() - timedelta(days=self.days)

    def time(self, at: datetime) -> datetime:
        return at if self.now else datetime.combine(self.day(at), time(), UTC)


Value = str | float | bool | date | Moment


@dataclass(frozen=True, slots=True)
class Activity:
    """What somebody did, as the number of issues in which they did it."""

    verb: Verb
    issues: tuple[str, ...] = ()  #: in one of these
    last: int | None = None  #: in one of so many that were sent last
    since: Moment | None = None  #: since that day
    actions: tuple[str, ...] = ()  #: `done`: one of these actions
    urls: tuple[str, ...] = ()  #: `clicked`: one of these links


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a rule that is true, false or unknown of a person. `text` is how it reads."""

    text: str = field(compare=False)

    @property
    def parts(self) -> tuple[Condition, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class And(Condition):
    items: tuple[Condition, ...]

    @property
    def parts(self) -> tuple[Condition, ...]:
        return self.items


@dataclass(frozen=True, slots=True)
class Or(Condition):
    items: tuple[Condition, ...]

    @property
    def parts(self) -> tuple[Condition, ...]:
        return self.items


@dataclass(frozen=True, slots=True)
class Not(Condition):
    item: Condition

    @property
    def parts(self) -> tuple[Condition, ...]:
        return (self.item,)


@dataclass(frozen=True, slots=True)
class Compare(Condition):
    field: Field
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf(Condition):
    field: Field
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Between(Condition):
    field: Field
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Like(Condition):
    """`%` is any text, `_` one character; upper and lower case are the same."""

    field: Field
    pattern: str


@dataclass(frozen=True, slots=True)
class Empty(Condition):
    field: Field


@dataclass(frozen=True, slots=True)
class Holds(Condition):
    """A list holds a value. An empty list holds none, so this is never unknown."""

    field: Field
    value: str


@dataclass(frozen=True, slots=True)
class Truth(Condition):
    """A boolean field is true; an empty one is not."""

    field: Field


@dataclass(frozen=True, slots=True)
class InSegment(Condition):
    key: str


@dataclass(frozen=True, slots=True)
class Did(Condition):
    """The number of issues in which somebody did something, compared."""

    activity: Activity
    operator: Operator
    number: int


class Rule:
    """A checked rule: its text, and the tree of its conditions."""

    __slots__ = ("condition", "text")

    def __init__(
        self,
        text: str,
        fields: Mapping[str, FieldSettings],
        segments: Collection[str] = (),
    ) -> None:
        """`segments` are the keys that `segment(…)` may name. Raises RuleError with what is wrong
        and what would be right."""
        self.text = tidy(text)
        self.condition = _Reader(fields, segments).condition(_parse(clean(text)))

    def __repr__(self) -> str:
        return f"Rule({self.text!r})"

    def __iter__(self) -> Iterator[Condition]:
        """Every condition, the outermost first."""
        waiting = [self.condition]
        while waiting:
            one = waiting.pop()
            yield one
            waiting.extend(reversed(one.parts))

    @property
    def segments(self) -> frozenset[str]:
        """Keys of the segments that it names."""
        return frozenset(one.key for one in self if isinstance(one, InSegment))

    @property
    def issues(self) -> frozenset[str]:
        """Ids of the issues that it names."""
        return frozenset(
            issue for one in self if isinstance(one, Did) for issue in one.activity.issues
        )


# -- reading -----------------------------------------------------------------------------------------


class _Reader:
    """From sqlglot's nodes to ours; what is not understood is refused."""

    def __init__(self, fields: Mapping[str, FieldSettings], segments: Collection[str] = ()) -> None:
        self.fields = fields
        self.segments = segments

    def condition(self, node: Node) -> Condition:
        _refuse_unknown_parts(node)
        positive = self._positive(node)
        if node.args.get("negate"):  # `not like`; sqlglot puts a Not around its other negations
            return Not(_text(node), positive)
        return positive

    def _positive(self, node: Node) -> Condition:
        text = _text(node)
        match node:
            case exp.Paren():
                return self.condition(node.this)
            case exp.And():
                return And(text, tuple(map(self.condition, _joined(node, exp.And))))
            case exp.Or():
                return Or(text, tuple(map(self.condition, _joined(node, exp.Or))))
            case exp.Not():
                return Not(text, self.condition(node.this))
            case exp.Is(expression=exp.Null()):
                return Empty(text, self._field(node.this))
            case exp.In():
                return self._in(node)
            case exp.Between():
                return self._between(node)
            case exp.Like() | exp.ILike():
                return self._like(node)
            case exp.Column() | exp.Boolean():
                of = self._field(node)
                if of.kind != "boolean":
                    raise RuleError(f'"{text}" alone is no question; compare it with a value')
                return Truth(text, of)
            case exp.Anonymous():
                return self._function(node)
            case _ if type(node) in _OPERATORS:
                return self._comparison(node)
        return _refuse(node)

    def _between(self, node: Node) -> Condition:
        of = self._field(node.this, compared=True)
        if of.kind == "boolean":
            raise RuleError(f'"{of.name}" is true or false; nothing is between')
        low, high = (self._value(node.args[end], of) for end in ("low", "high"))
        return Between(_text(node), of, low, high)

    def _in(self, node: Node) -> Condition:
        text = _text(node)
        if (within := node.args.get("field")) is not None and isinstance(node.this, exp.Literal):
            return self._holds(text, within, node.this)
        if node.args.get("query") is not None or not node.expressions or within is not None:
            _refuse(node)
        only = node.expressions[0]
        if isinstance(node.this, exp.Literal) and isinstance(only, exp.Column):
            return self._holds(text, only, node.this)  # 'x' in (topics)
        of = self._field(node.this, compared=True)
        values = tuple(self._value(item, of) for item in node.expressions)
        self._require_choice(of, *values)
        return OneOf(text, of, values)

    def _holds(self, text: str, within: Node, value: Node) -> Condition:
        of = self._field(within)
        if of.kind != "list":
            raise RuleError(f'"{of.name}" is no list; write {of.name} = {_text(value)}')
        if not isinstance(value, exp.Literal) or not value.is_string:
            raise RuleError(f"a list holds texts: write '{_text(value)}'")
        self._require_choice(of, str(value.this))
        return Holds(text, of, str(value.this))

    def _like(self, node: Node) -> Condition:
        of = self._field(node.this, compared=True)
        if of.kind not in ("text", "choice", "address"):
            raise RuleError(f"`like` compares texts; this field is a {of.kind}")
        pattern = self._value(node.expression, of)
        if not isinstance(pattern, str):
            _refuse(node.expression)
        return Like(_text(node), of, pattern)

    def _comparison(self, node: Node) -> Condition:
        left, right, operator = node.this, node.expression, _OPERATORS[type(node)]
        if not _asks(left) and _asks(right):
            left, right, operator = right, left, _MIRRORED[operator]
        _refuse_unknown_parts(left)
        if isinstance(left, exp.Anonymous) and left.name.lower() in VERBS:
            return self._did(node, left, operator, right)
        of = self._field(left, compared=True)
        if of.kind == "boolean" and operator not in ("=", "<>"):
            raise RuleError(f'"{of.name}" is true or false; neither is less than the other')
        value = self._value(right, of)
        self._require_choice(of, value)
        return Compare(_text(node), of, operator, value)

    # -- functions -------------------------------------------------------------------------------

    def _function(self, node: Node) -> Condition:
        text, name, given = _text(node), node.name.lower(), node.expressions
        if name in VERBS:
            return Did(text, self._activity(node), ">=", 1)
        if name == "has":
            if len(given) != 2:
                raise RuleError(f"has() takes a list and a value: {FUNCTIONS['has']}")
            return self._holds(text, *given)
        if name == "segment":
            if len(given) != 1 or not _is_text(given[0]):
                raise RuleError(f"segment() takes the key of a segment: {FUNCTIONS['segment']}")
            key = str(given[0].this)
            if key not in self.segments:
                hint = did_you_mean(key, self.segments)
                raise RuleError(f'there is no segment "{key}".{hint}')
            return InSegment(text, key)
        if name in FUNCTIONS:
            raise RuleError(f'"{text}" alone is no question; write e.g. {FUNCTIONS[name]}')
        raise _no_function(name)

    def _did(self, node: Node, verb: Node, operator: Operator, right: Node) -> Condition:
        number = _whole(right, 0, 10_000)
        if number is None:
            raise RuleError(
                f"{verb.name.lower()}() counts issues; compare it with a number, as in "
                f"{verb.name.lower()}(last_n_issues(4)) >= 2"
            )
        return Did(_text(node), self._activity(verb), operator, number)

    def _activity(self, node: Node) -> Activity:
        verb: Verb = node.name.lower()
        issues: list[str] = []
        actions: list[str] = []
        urls: list[str] = []
        last: int | None = None
        since: Moment | None = None
        for given in node.expressions:
            _refuse_unknown_parts(given)
            if _is_text(given):
                named = str(given.this)
                if verb == "clicked" and named.startswith(("http://", "https://", "mailto:")):
                    urls.append(named)
                elif verb == "done" and "/" in named:
                    actions.append(named)
                else:
                    issues.append(named)
            elif isinstance(given, exp.Anonymous) and given.name.lower() == "last_n_issues":
                number = _whole(given.expressions[0], 1, MOST_ISSUES) if given.expressions else None
                if number is None or len(given.expressions) != 1:
                    raise RuleError(f"last_n_issues() takes a number from 1 to {MOST_ISSUES}")
                last = number
            elif (moment := _moment(given)) is not None:
                since = moment
            else:
                raise RuleError(
                    f"{verb}() takes issues, last_n_issues(4) or days_ago(30), not {_text(given)}"
                )
        if (last is not None) + (since is not None) + bool(issues) > 1:
            raise RuleError(f"{verb}() takes issues, or last_n_issues(…), or a day; not several")
        return Activity(verb, tuple(issues), last, since, tuple(actions), tuple(urls))

    # -- fields and values -----------------------------------------------------------------------

    def _field(self, node: Node, *, compared: bool = False) -> Field:
        """`compared` fields are set beside values, which lists can't be."""
        if isinstance(node, exp.Anonymous) and node.name.lower() not in FUNCTIONS:
            raise _no_function(node.name)
        if not isinstance(node, exp.Column):
            _refuse(node)
        if len(node.parts) != 1:
            raise RuleError(f'"{_text(node)}": rules know fields, not tables')
        name = node.name.lower()
        if name in BUILT_IN:
            kind = BUILT_IN[name]
        elif name in self.fields:
            kind = self.fields[name].type
        else:
            names = [*self.fields, *BUILT_IN]
            hint = did_you_mean(name, names) or f" Fields: {', '.join(names)}."
            raise RuleError(
                f'there is no field "{name}".{hint} Declare it under [fields] if it is new.'
            )
        if compared and kind == "list":
            raise RuleError(f'"{name}" is a list; write has({name}, …)')
        return Field(name, kind)

    def _require_choice(self, of: Field, *values: Value) -> None:
        """A value that a choice can't have is a slip: the segment would be empty for ever."""
        settings = self.fields.get(of.name)
        choices: Collection[str] = settings.choices if settings else KNOWN_VALUES.get(of.name, ())
        if of.name == "lens":
            choices = ("", *self.segments)
        for value in values:
            if of.name in ("email", "domain") and value != str(value).lower():
                raise RuleError(f"addresses are compared in lower case: '{str(value).lower()}'")
            if value == "" and of.name in self.fields:
                raise RuleError(f"an empty field has no value: write {of.name} is null")
            if choices and value not in choices:
                named = [one for one in choices if one]
                hint = did_you_mean(str(value), named)
                raise RuleError(f"'{value}' is none of {', '.join(named)}.{hint}")

    def _value(self, node: Node, of: Field) -> Value:
        moment = _moment(node)
        if moment is not None:
            if of.kind not in ("date", "time"):
                raise RuleError(f"{_text(node)} is a date; {of.name} is a {of.kind}")
            return moment
        negative = isinstance(node, exp.Neg)
        literal = node.this if negative else node
        if isinstance(literal, exp.Boolean) and of.kind == "boolean":
            return bool(literal.this)
        if not isinstance(literal, exp.Literal):
            if isinstance(literal, exp.Column):
                raise RuleError(
                    f"compare with a value, not a field: put quotes around {_text(literal)}, "
                    f"as in '{literal.name}'"
                )
            if isinstance(literal, exp.Anonymous) and literal.name.lower() not in FUNCTIONS:
                raise _no_function(literal.name)
            _refuse(node)
        return self._literal(literal, of, negative=negative)

    @staticmethod
    def _literal(literal: Node, of: Field, *, negative: bool) -> Value:
        text = str(literal.this)
        match of.kind:
            case "number" | "days":
                if literal.is_string:
                    raise RuleError(
                        f"'{text}' is a text; this field is a number, write it without quotes"
                    )
                number = _number(text)
                return -number if negative else number
            case "boolean":
                raise RuleError(f'"{text}" is neither true nor false')
            case _ if negative or not literal.is_string:
                raise RuleError(f"{text} is a number; this field is a {of.kind}, write '{text}'")
            case "address":
                return text.lower()  # as addresses are compared everywhere
            case "date" | "time":
                return _as_date(text)
            case _:
                return text


def _asks(node: Node) -> bool:
    """Whether it is the side of a comparison that is asked about."""
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in VERBS
    return isinstance(node, exp.Column)


def _is_text(node: Node) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _whole(node: Node, least: int, most: int) -> int | None:
    if not isinstance(node, exp.Literal) or node.is_string or not str(node.this).isdecimal():
        return None
    number = int(str(node.this)[:9])
    return number if least <= number <= most else None


def _moment(node: Node) -> Moment | None:
    """`today()`, `now()`, `days_ago(30)`, `days_ago(-7)`."""
    if not isinstance(node, exp.Anonymous):
        return None
    name, given = node.name.lower(), node.expressions
    if name in ("today", "now"):
        if given:
            raise RuleError(f"{name}() takes nothing between its parentheses")
        return Moment(now=name == "now")
    if name != "days_ago":
        return None
    negative = len(given) == 1 and isinstance(given[0], exp.Neg)
    literal = given[0].this if negative else given[0] if len(given) == 1 else None
    days = _whole(literal, 0, MOST_DAYS)
    if days is None:
        raise RuleError(f"days_ago() takes a whole number of days, at most {MOST_DAYS:,}")
    return Moment(-days if negative else days)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise RuleError(f"{text[:40]} is no number that can be compared")
    return number


def _no_function(name: str) -> RuleError:
    known = [f"{one}()" for one in FUNCTIONS]
    hint = did_you_mean(f"{name.lower()}()", known) or f" Functions: {', '.join(known)}."
    return RuleError(f"{name.lower()}() is not allowed in a rule.{hint}")


def _joined(node: Node, kind: type[Node]) -> Sequence[Node]:
    """`a and b and c`, which sqlglot nests to the left, as one row."""
    items: list[Node] = []
    while isinstance(node, kind):
        _refuse_unknown_parts(node)
        items.append(node.expression)
        node = node.this
    return [node, *reversed(items)]


def _refuse_unknown_parts(node: Node) -> None:
    if unknown := {name for name, value in node.args.items() if value} - _UNDERSTOOD:
        raise RuleError(f"`{min(unknown)}` is not allowed in a rule")


def _parse(text: str) -> Node:
    if len(text) > LONGEST:
        raise RuleError(f"has {len(text)} characters; {LONGEST} is the most")
    if not text.strip():
        raise RuleError("is empty; write a condition such as role = 'cto'")
    try:
        tokens = sqlglot.tokenize(text, read=_DIALECT)
        _bound_depth(tokens)
        statements = sqlglot.parse(text, read=_DIALECT, error_level=sqlglot.ErrorLevel.RAISE)
    except RuleError:
        raise
    except (SqlglotError, RecursionError, ValueError) as error:
        raise RuleError(_terse(error)) from None
    found = [statement for statement in statements if statement is not None]
    if len(found) != 1:
        raise RuleError("must be one condition, without a semicolon")
    if found[0].comments or any(node.comments for node in found[0].walk()):
        raise RuleError("comments are not allowed in a rule")
    return found[0]


def _bound_depth(tokens: list[Any]) -> None:
    """On tokens, before the recursive parser sees them."""
    depth = 0
    negations = 0
    for token in tokens:
        if token.token_type == TokenType.L_PAREN:
            depth += 1
        elif token.token_type == TokenType.R_PAREN:
            depth -= 1
        negations = negations + 1 if token.token_type in (TokenType.NOT, TokenType.DASH) else 0
        if depth > DEEPEST or negations > DEEPEST:
            raise RuleError(f"is nested deeper than {DEEPEST} levels")
    if sum(token.token_type in (TokenType.AND, TokenType.OR) for token in tokens) > MOST_JOINED:
        raise RuleError(f"joins more than {MOST_JOINED} conditions")


def _terse(error: Exception) -> str:
    details = getattr(error, "errors", None)
    if details and details[0].get("description"):
        place = f" near character {details[0]['col']}" if details[0].get("col") else ""
        what = tidy(details[0]["description"]).rstrip(".")
        if what.startswith("Required keyword"):
            what = "something is missing"
        return f"can't be read: {what}{place}"
    return f"can't be read: {tidy(str(error).splitlines()[0] if str(error) else 'too deep')[:160]}"


def _text(node: Node) -> str:
    """How a node reads, on one line."""
    return tidy(node.sql(_DIALECT, normalize_functions=False))[:200]


def _refuse(node: Node) -> Never:
    raise RuleError(
        f'"{_text(node)[:80]}" is not allowed here; rules know = <> < <= > >=, in, like, '
        "between, is null, and, or, not over declared fields, and the functions of docs/audience.md"
    )


def _as_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RuleError(f"'{text}' is no date; write it as '2026-11-24', or days_ago(30)") from None
