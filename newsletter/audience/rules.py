"""Segment rules: SQL-like expressions, parsed by sqlglot, checked against a whitelist of nodes and
declared fields, compiled to bound SQLAlchemy expressions. Never text spliced into SQL.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Never

import sqlalchemy as sa
import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from newsletter.config import FieldSettings
from newsletter.db.schema import membership, subscriber
from newsletter.errors import RuleError
from newsletter.text import clean, did_you_mean, tidy

LONGEST = 4_000  #: characters
DEEPEST = 20  #: levels of parentheses and of `not`; sqlglot's own recursion ends near 50
_DIALECT = "sqlite"

Node = Any  # one of sqlglot's; which class is the base of all differs between its versions

_COMPARISONS: Mapping[type[Node], Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
_MIRRORED: Mapping[type[Node], type[Node]] = {
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
}

# What a condition may consist of: anything else that sqlglot reads into a node would be lost.
_UNDERSTOOD = {
    "this", "expression", "expressions", "low", "high", "negate", "query", "is_string",
    "table", "db", "catalog",
}  # fmt: skip

_BUILT_IN: Mapping[str, tuple[str, sa.ColumnElement[Any]]] = {
    "email": ("address", subscriber.c.address_key),
    "domain": ("text", subscriber.c.domain),
    "name": ("text", subscriber.c.name),
    "status": ("text", subscriber.c.status),
    "language": ("text", subscriber.c.language),
    "consent_at": ("time", subscriber.c.consent_at),
    "consent_source": ("text", subscriber.c.consent_source),
    "created_at": ("time", subscriber.c.created_at),
}


class Rule:
    """A checked rule. `where` is the SQLAlchemy condition over `subscriber`."""

    __slots__ = ("_fields", "text", "where")

    def __init__(self, text: str, fields: Mapping[str, FieldSettings]) -> None:
        """Raises RuleError with what is wrong and what would be right."""
        self.text = tidy(text)
        self._fields = fields
        self.where: sa.ColumnElement[bool] = self._condition(_parse(clean(text)))

    def __repr__(self) -> str:
        return f"Rule({self.text!r})"

    def _condition(self, node: Node) -> sa.ColumnElement[bool]:
        if unknown := {name for name, value in node.args.items() if value} - _UNDERSTOOD:
            raise RuleError(f"`{min(unknown)}` is not allowed in a rule")
        if node.args.get("negate"):  # `not like`; sqlglot puts a Not around its other negations
            return sa.not_(self._positive(node))
        return self._positive(node)

    def _positive(self, node: Node) -> sa.ColumnElement[bool]:
        match node:
            case exp.Paren():
                return self._condition(node.this)
            case exp.And():
                return sa.and_(self._condition(node.left), self._condition(node.right))
            case exp.Or():
                return sa.or_(self._condition(node.left), self._condition(node.right))
            case exp.Not():
                return sa.not_(self._condition(node.this))
            case exp.Is(expression=exp.Null()):
                return self._column(node.this)[1].is_(None)
            case exp.In(this=exp.Column()) if node.args.get("query") is None and node.expressions:
                kind, column = self._column(node.this)
                values = [self._value(item, kind) for item in node.expressions]
                self._require_choice(node.this, *values)
                return column.in_(values)
            case exp.Between():
                kind, column = self._column(node.this)
                low, high = (self._value(node.args[end], kind) for end in ("low", "high"))
                return column.between(low, high)
            case exp.Like() | exp.ILike():
                return self._like(node)
            case exp.Column() | exp.Boolean():
                kind, column = self._column(node)
                if kind == "boolean":
                    return column.is_(True)
                raise RuleError(
                    f'"{node.sql(_DIALECT)}" alone is no question; compare it with a value'
                )
            case _ if type(node) in _COMPARISONS:
                return self._comparison(node)
        return _refuse(node)

    def _like(self, node: Node) -> sa.ColumnElement[bool]:
        """SQLite and PostgreSQL differ in what LIKE does to case and to a backslash; here case never
        matters, and a backslash is one."""
        kind, column = self._column(node.this)
        if kind not in ("text", "choice", "address"):
            raise RuleError(f"`like` compares texts; this field is a {kind}")
        pattern = self._value(node.expression, kind).lower().replace("\\", "\\\\")
        return sa.func.lower(column).like(pattern, escape="\\")

    def _comparison(self, node: Node) -> sa.ColumnElement[bool]:
        left, right, kind_of_node = node.this, node.expression, type(node)
        if not isinstance(left, exp.Column) and isinstance(right, exp.Column):
            left, right, kind_of_node = right, left, _MIRRORED.get(kind_of_node, kind_of_node)
        kind, column = self._column(left)
        value = self._value(right, kind)
        self._require_choice(left, value)
        result: sa.ColumnElement[bool] = _COMPARISONS[kind_of_node](column, value)
        return result

    def _require_choice(self, column: Node, *values: Any) -> None:
        """A value that a choice can't have is a slip: the segment would be empty for ever."""
        settings = self._fields.get(column.name.lower())
        for value in values:
            if settings and settings.choices and value not in settings.choices:
                hint = did_you_mean(value, settings.choices)
                raise RuleError(f"'{value}' is none of {', '.join(settings.choices)}.{hint}")

    def _column(self, node: Node) -> tuple[str, sa.ColumnElement[Any]]:
        if not isinstance(node, exp.Column):
            _refuse(node)
        if len(node.parts) != 1:
            raise RuleError(f'"{node.sql(_DIALECT)}": rules know fields, not tables')
        name = node.name.lower()
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        if name not in self._fields:
            names = [*self._fields, *_BUILT_IN]
            hint = did_you_mean(name, names) or f" Fields: {', '.join(names)}."
            raise RuleError(
                f'there is no field "{name}".{hint} Declare it under [fields] if it is new.'
            )
        kind = self._fields[name].type
        item = subscriber.c.fields[name]
        match kind:
            case "number":
                return kind, item.as_float()
            case "boolean":
                return kind, item.as_boolean()
            case _:
                return kind, item.as_string()  # dates are kept as ISO text, which sorts rightly

    def _value(self, node: Node, kind: str) -> Any:
        negative = isinstance(node, exp.Neg)
        literal = node.this if negative else node
        if isinstance(literal, exp.Boolean) and kind == "boolean":
            return bool(literal.this)
        if not isinstance(literal, exp.Literal):
            if isinstance(literal, exp.Column):
                raise RuleError(
                    f"compare with a value, not a field: put quotes around {literal.sql(_DIALECT)}, "
                    f"as in '{literal.name}'"
                )
            _refuse(node)
        text = str(literal.this)
        match kind:
            case "number":
                if literal.is_string:
                    raise RuleError(
                        f"'{text}' is a text; this field is a number, write it without quotes"
                    )
                return -float(text) if negative else float(text)
            case "boolean":
                raise RuleError(f'"{text}" is neither true nor false')
            case _ if negative or not literal.is_string:
                raise RuleError(f"{text} is a number; this field is a {kind}, write '{text}'")
            case "address":
                return text.lower()  # as addresses are compared everywhere
            case "date" | "time":
                day = _as_date(text)
                return day.isoformat() if kind == "date" else datetime.combine(day, time(), UTC)
            case _:
                return text


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
    if sum(token.token_type in (TokenType.AND, TokenType.OR) for token in tokens) > 400:
        raise RuleError("joins more than 400 conditions")


def _terse(error: Exception) -> str:
    details = getattr(error, "errors", None)
    if details and details[0].get("description"):
        place = f" near character {details[0]['col']}" if details[0].get("col") else ""
        what = tidy(details[0]["description"]).rstrip(".")
        if what.startswith("Required keyword"):
            what = "something is missing"
        return f"can't be read: {what}{place}"
    return f"can't be read: {tidy(str(error).splitlines()[0] if str(error) else 'too deep')[:160]}"


def _refuse(node: Node) -> Never:
    raise RuleError(
        f'"{tidy(node.sql(_DIALECT))[:80]}" is not allowed here; rules know = <> < <= > >=, in, like, '
        "between, is null, and, or, not over declared fields"
    )


def _as_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RuleError(f"'{text}' is no date; write it as '2026-11-24'") from None


def member_of(segment: str) -> sa.ColumnElement[bool]:
    """The condition for manual members of a segment."""
    return (
        sa.exists()
        .where(membership.c.segment == segment)
        .where(membership.c.subscriber_id == subscriber.c.id)
    )
