"""The stage of an import: a temporary table that the file is read into, and the way from it into the
tables, all of it set-based. What differs between SQLite and PostgreSQL is at the end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from newsletter.audience.columns import AT, KEPT_OUT, STAGED, as_kept
from newsletter.audience.erased import ErasedPeople
from newsletter.audience.people import suppression_holds
from newsletter.db import Writer
from newsletter.db.schema import Json, UTCTime, consent, membership, subscriber, suppression

CHUNK = 20_000  #: rows a transaction; keeps other writers waiting about half a second
_PIECE = 5_000  # rows or keys named in one statement
_CACHE = 64_000  # kB of pages, while an import lasts: the keys come in no order
Policy = Literal["add", "update", "replace-fields"]
POLICIES: tuple[Policy, ...] = ("add", "update", "replace-fields")
Progress = Callable[[int, int, str], None]
#: Reason for suppression by what a file says of somebody.
_REASONS = {
    "left": "manual",
    "suppressed": "manual",
    "bounced": "bounce",
    "complained": "complaint",
}


#: Rows on their way: a temporary table, so that nobody sees them and nothing of them stays.
_stage = sa.Table(
    "import_stage",
    sa.MetaData(),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text),
    sa.Column("address", sa.Text),
    sa.Column("domain", sa.Text),
    sa.Column("name", sa.Text, server_default=""),
    sa.Column("language", sa.Text, server_default=""),
    sa.Column("status", sa.Text, server_default=""),
    sa.Column("fields", Json, server_default="{}"),
    sa.Column("segments", sa.Text, server_default=""),
    sa.Column("topics", Json),
    sa.Column("frequency", sa.Text, server_default=""),
    sa.Column("lens", sa.Text, server_default=""),
    sa.Column("paused_until", UTCTime),
    sa.Column("consent_at", UTCTime),
    sa.Column("consent_source", sa.Text, server_default=""),
    sa.Column("created_at", UTCTime),
    sa.Column("outcome", sa.Text),
    prefixes=["TEMPORARY"],
)
_doubled = sa.Table("import_doubled", sa.MetaData(), sa.Column("key", sa.Text))
_COLUMNS = [column.name for column in _stage.c]
assert ["n", *STAGED, "outcome"] == _COLUMNS
_Put = Callable[[Sequence[Sequence[Any]]], None]


@contextmanager
def open_stage(writer: Writer, erased: ErasedPeople | None) -> Iterator[Storage]:
    """A connection with room for the keys, and the stage on it."""
    with writer.read() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            before = connection.exec_driver_sql("PRAGMA cache_size").scalar()
            connection.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE}")
            # its file has no name and goes with the connection: overwriting it took a tenth of the time
            connection.exec_driver_sql("PRAGMA temp.secure_delete = FAST")
        _stage.create(connection)
        if not sqlite:  # its rows come in order and are read in large pieces: an index costs more
            connection.exec_driver_sql("ALTER TABLE import_stage DROP CONSTRAINT import_stage_pkey")
    try:
        yield (_SqliteStorage if sqlite else _PostgresqlStorage)(writer, erased)
    finally:
        with writer.read() as connection:
            _stage.drop(connection)
            _doubled.drop(connection, checkfirst=True)
            if sqlite:
                connection.exec_driver_sql(f"PRAGMA cache_size = {before}")


class Storage:
    """The stage, and the way from it into the tables. All of it is set-based."""

    pieces = 1  #: how many chunks go into one transaction

    def __init__(self, writer: Writer, erased: ErasedPeople | None) -> None:
        self.writer = writer
        self.erased = erased
        self.returned: list[str] = []  # keys of people who were erased and agreed anew since
        self.staged = 0
        self.joins = False  # somebody is to be put into a segment

    @contextmanager
    def staging(self, given: Sequence[str]) -> Iterator[Callable[[list[Sequence[Any]]], None]]:
        """Put people on the stage, by the columns of `STAGED`, of which only those that are `given` can
        hold anything; those who were erased are kept out, unless they agreed anew."""
        at = [AT[name] for name in given]
        with (
            self.writer.read() as connection,
            self._way_in(connection, [*given, "outcome"]) as put_columns,
        ):

            def put(columns: list[Sequence[Any]]) -> None:
                number = len(columns[0])
                self.staged += number
                self.joins = self.joins or any(columns[AT["segments"]])
                outcomes: Sequence[str | None] = [None] * number
                if self.erased and (gone := self.erased.among(columns[AT["key"]])):
                    outcomes = [self._of_erased(one, gone) for one in zip(*columns, strict=True)]
                put_columns([*(columns[n] for n in at), outcomes])

            yield put

    def _of_erased(self, one: Sequence[Any], erased: Mapping[str, datetime]) -> str | None:
        at = erased.get(one[0])
        proven = (
            at
            and (one[AT["consent_at"]] or "") > as_kept(at)
            and one[AT["consent_source"]]
            and one[AT["status"]] in ("", "subscribed")
        )
        if proven:
            self.returned.append(one[0])
        return "kept_out" if at and not proven else None

    def _keep_out_erased(
        self, connection: sa.Connection, undecided: sa.ColumnElement[bool]
    ) -> None:
        """Who was erased while the file was read is not brought in by it."""
        if self.erased is None or not self.erased.look_again(connection):
            return
        keys = connection.scalars(sa.select(_stage.c.key).where(undecided)).all()
        for some in _pieces(list(self.erased.among_new(keys))):
            connection.execute(
                _stage.update().where(undecided, _stage.c.key.in_(some)).values(outcome="kept_out")
            )

    def merge(self) -> int:
        """Several rows of one address become the first of them: a later one adds its segments and
        fills what was empty; a wish to leave holds, whichever row has it. Returns how many went into
        others."""
        merged = 0
        with self.writer.read() as connection:
            self._settle(connection)
            last = ""
            while keys := connection.scalars(
                sa.select(_doubled.c.key)
                .where(_doubled.c.key > last)
                .order_by(_doubled.c.key)
                .limit(_PIECE)
            ).all():
                last = keys[-1]
                merged += _merge(connection, keys)
        return merged

    def _settle(self, connection: sa.Connection) -> None:
        """Everybody is on the stage: find the addresses that are there more than once."""
        connection.exec_driver_sql(
            "CREATE TEMPORARY TABLE import_doubled AS "
            "SELECT key FROM import_stage GROUP BY key HAVING count(*) > 1"
        )
        if connection.scalar(sa.select(sa.exists(sa.select(_doubled.c.key)))):
            for column in ("key", "n"):
                connection.exec_driver_sql(
                    f"CREATE INDEX ix_stage_{column} ON import_stage ({column})"
                )

    def store(self, *, policy: Policy, source: str, dry: bool, progress: Progress) -> Counter[str]:
        """Bring everybody in, some thousand a transaction; a dry run takes each of them back. Returns
        how many people had each outcome: added, updated, unchanged, kept_out."""
        counts: Counter[str] = Counter()
        with self.writer.read() as connection:
            self.before = connection.scalar(sa.select(sa.func.max(subscriber.c.id))) or 0
        size = CHUNK * self.pieces
        for low in range(0, self.staged, size):
            with self.writer.write() as connection:
                here = _stage.c.n.between(low + 1, low + size)
                counts.update(self._piece(connection, here, policy, source))
                if dry:
                    connection.get_transaction().rollback()  # type: ignore[union-attr]
            progress(min(low + size, self.staged), self.staged, "storing")
        if self.returned and self.erased and not dry:  # they are known again, and may leave again
            with self.writer.write() as connection:
                for some in _pieces(self.returned):
                    back = connection.scalars(
                        sa.select(subscriber.c.address_key).where(
                            subscriber.c.address_key.in_(some)
                        )
                    ).all()
                    digests = self.erased.digests(back)
                    connection.execute(
                        suppression.delete().where(suppression.c.address_key.in_(digests))
                    )
        return counts

    def _piece(
        self,
        connection: sa.Connection,
        here: sa.ColumnElement[bool],
        policy: Policy,
        source: str,
    ) -> dict[str, int]:
        undecided = sa.and_(here, _stage.c.outcome.is_(None))
        now = datetime.now(UTC)
        self._keep_out_erased(connection, undecided)
        self._keep_out_leaving(connection, here, source, now)
        self._keep_out_suppressed(connection, undecided, policy, now)
        if self.before:
            self._compare(connection, undecided, policy)
            self._update(connection, here, policy, source, now)
        added = self._add(connection, undecided, policy, source, now)
        if self.joins:
            self._join(connection, here, policy, now)
        counts: dict[str | None, int] = dict(
            tuple(row)
            for row in connection.execute(
                sa.select(_stage.c.outcome, sa.func.count()).where(here).group_by(_stage.c.outcome)
            )
        )
        # who came in by another way in this very moment is there, and unchanged by us
        meanwhile = counts.pop(None, 0) - added
        counts["added"] = added
        counts["unchanged"] = counts.get("unchanged", 0) + meanwhile
        return {str(outcome): number for outcome, number in counts.items()}

    def _keep_out_suppressed(
        self,
        connection: sa.Connection,
        undecided: sa.ColumnElement[bool],
        policy: Policy,
        now: datetime,
    ) -> None:
        """Suppressed people stay out, unless they agreed anew since."""
        if connection.scalar(sa.select(sa.exists().where(suppression_holds(now)))):
            holding = sa.and_(suppression.c.address_key == _stage.c.key, suppression_holds(now))
            proven = sa.and_(
                _stage.c.consent_at > suppression.c.created_at,
                _stage.c.consent_source != "",
                _stage.c.status.in_(("", "subscribed")),
                suppression.c.reason.not_in(("bounce", "complaint")),
            )
            if policy == "add":  # who is here stays as they are
                here = sa.exists().where(subscriber.c.address_key == _stage.c.key)
                proven = sa.and_(proven, sa.not_(here))
            connection.execute(
                _stage.update()
                .where(
                    undecided,
                    sa.exists().where(holding, sa.not_(sa.func.coalesce(proven, sa.false()))),
                )
                .values(outcome="kept_out")
            )
            connection.execute(
                suppression.delete().where(sa.exists().where(undecided, holding, proven))
            )

    def _keep_out_leaving(
        self,
        connection: sa.Connection,
        here: sa.ColumnElement[bool],
        source: str,
        now: datetime,
    ) -> None:
        """Who left or bounced elsewhere is not to be mailed from here either."""
        leaving = sa.and_(here, _stage.c.outcome.is_(None), _stage.c.status.in_(KEPT_OUT))
        if not connection.scalar(sa.select(sa.exists().where(leaving))):
            return
        known = subscriber.c.address_key == _stage.c.key
        reason = sa.case(_REASONS, value=_stage.c.status)
        weaker = sa.or_(
            suppression.c.expires_at.is_not(None),
            sa.and_(suppression.c.reason == "manual", reason != "manual"),
            sa.and_(suppression.c.reason == "bounce", reason == "complaint"),
        )
        same = suppression.c.address_key == _stage.c.key
        connection.execute(suppression.delete().where(sa.exists().where(leaving, same, weaker)))
        insert = self._on_conflict_do_nothing(suppression)
        connection.execute(
            insert.from_select(
                ["address_key", "reason", "note", "created_at"],
                sa.select(
                    _stage.c.key,
                    reason,
                    sa.literal(source),
                    sa.literal(now, UTCTime),
                ).where(leaving),
            )
        )
        was_in = sa.exists().where(known, subscriber.c.status != "unsubscribed")
        connection.execute(
            _stage.update().where(leaving, was_in).values(outcome="updated", segments="")
        )
        gone = sa.and_(here, known, _stage.c.outcome == "updated", _stage.c.status.in_(KEPT_OUT))
        self._record(connection, gone, at=sa.literal(now, UTCTime), given=sa.false(), source=source)
        connection.execute(
            subscriber.update()
            .where(sa.exists().where(gone))
            .values(status="unsubscribed", updated_at=now)
        )
        connection.execute(_stage.update().where(leaving).values(outcome="kept_out"))

    def _compare(
        self, connection: sa.Connection, undecided: sa.ColumnElement[bool], policy: Policy
    ) -> None:
        """Of those who were here before: what becomes of them."""
        staged, person = _stage.c, subscriber.c
        left_at = (
            sa.select(sa.func.max(consent.c.at))
            .where(consent.c.subscriber_id == person.id, consent.c.given.is_(sa.false()))
            .scalar_subquery()
        )
        proven = sa.and_(
            staged.consent_at > sa.func.coalesce(left_at, person.updated_at, type_=UTCTime),
            staged.consent_source != "",
            staged.status.in_(("", "subscribed")),
        )
        stays_out = sa.and_(
            person.status == "unsubscribed",
            staged.status != "unsubscribed",
            sa.not_(sa.func.coalesce(proven, sa.false())),
        )
        differs = sa.or_(
            *(
                getattr(person, name).is_distinct_from(value)
                for name, value in self._merged(policy).items()
                if name != "fields"
            ),
            self._fields_differ(policy),
        )
        outcome = sa.case(
            (stays_out, "kept_out"),
            (sa.false() if policy == "add" else differs, "updated"),
            else_="unchanged",
        )
        connection.execute(
            _stage.update()
            .where(undecided, person.address_key == staged.key, person.id <= self.before)
            .values(outcome=outcome)
        )

    def _merged(self, policy: Policy) -> dict[str, sa.ColumnElement[Any]]:
        """The values of somebody who is here, with those of the row over them; an empty cell takes
        nothing away, but of fields that are to be replaced."""
        staged, person = _stage.c, subscriber.c

        def given(name: str) -> sa.ColumnElement[Any]:
            return sa.func.coalesce(sa.func.nullif(staged[name], ""), person[name])

        returns = sa.and_(person.status == "unsubscribed", staged.status != "unsubscribed")
        return {
            "name": given("name"),
            "language": given("language"),
            "frequency": given("frequency"),
            "lens": given("lens"),
            "consent_source": given("consent_source"),
            "consent_at": sa.func.coalesce(staged.consent_at, person.consent_at, type_=UTCTime),
            "status": sa.case(
                (returns, "subscribed"),
                (staged.status == "pending", person.status),  # who confirmed need not do so again
                # nor does a file confirm for anybody, unless it holds the proof
                (sa.and_(_unconfirmed(), _proof()), "subscribed"),
                (_unconfirmed(), person.status),
                else_=given("status"),
            ),
            "topics": sa.func.coalesce(staged.topics, person.topics),
            "paused_until": sa.func.coalesce(
                staged.paused_until, person.paused_until, type_=UTCTime
            ),
            "fields": self._fields(policy),
        }

    def _update(
        self,
        connection: sa.Connection,
        here: sa.ColumnElement[bool],
        policy: Policy,
        source: str,
        now: datetime,
    ) -> None:
        changed = sa.and_(
            here,
            _stage.c.outcome == "updated",
            subscriber.c.address_key == _stage.c.key,
            _stage.c.status.not_in(KEPT_OUT),
        )
        values = self._merged(policy)
        given, moment = values["status"] == "subscribed", sa.literal(now, UTCTime)
        agreed = sa.func.coalesce(_stage.c.consent_at, moment, type_=UTCTime)
        told = sa.or_(sa.not_(given), _stage.c.consent_at.is_not(None))  # no day is made up
        self._record(
            connection,
            sa.and_(changed, subscriber.c.status != values["status"], told),
            at=sa.case((given, agreed), else_=moment),
            given=given,
            source=source,
        )
        connection.execute(subscriber.update().where(changed).values(**values, updated_at=moment))

    def _record(
        self,
        connection: sa.Connection,
        which: sa.ColumnElement[bool],
        *,
        at: sa.ColumnElement[Any],
        given: sa.ColumnElement[bool],
        source: str,
    ) -> None:
        """Write down that people agreed or withdrew, before their status says so."""
        names = ["subscriber_id", "at", "given", "method", "source"]
        named = sa.func.coalesce(
            sa.func.nullif(_stage.c.consent_source, ""), sa.literal(source), type_=sa.Text
        )
        rows = sa.select(subscriber.c.id, at, given, sa.literal("import"), named).where(which)
        connection.execute(consent.insert().from_select(names, rows))

    def _add(
        self,
        connection: sa.Connection,
        undecided: sa.ColumnElement[bool],
        policy: Policy,
        source: str,
        now: datetime,
    ) -> int:
        """Put in who is new; returns how many. Who came in by another way meanwhile stays as they are."""
        names, rows = self._new(undecided, policy, source, now)
        insert = self._on_conflict_do_nothing(subscriber).from_select(names, rows)
        options = {"preserve_rowcount": True}
        return int(connection.execute(insert, execution_options=options).rowcount)

    def _new(
        self, undecided: sa.ColumnElement[bool], policy: Policy, source: str, now: datetime
    ) -> tuple[list[str], sa.Select[Any]]:
        """Columns of `subscriber`, and what stands in them for who is new."""
        staged = _stage.c
        moment = sa.literal(now, UTCTime)
        values: dict[str, sa.ColumnElement[Any]] = {
            "address": staged.address,
            "address_key": staged.key,
            "domain": staged.domain,
            "name": staged.name,
            "status": sa.func.coalesce(sa.func.nullif(staged.status, ""), "subscribed"),
            "language": staged.language,
            "fields": self._new_fields() if policy == "replace-fields" else staged.fields,
            "topics": staged.topics,
            "frequency": staged.frequency,
            "lens": staged.lens,
            "paused_until": staged.paused_until,
            "consent_at": staged.consent_at,
            "consent_source": sa.func.coalesce(
                sa.func.nullif(staged.consent_source, ""), sa.literal(source)
            ),
            "created_at": sa.func.coalesce(staged.created_at, moment, type_=UTCTime),
            "updated_at": moment,
        }
        return list(values), sa.select(*values.values()).where(undecided).order_by(staged.n)

    def _join(
        self,
        connection: sa.Connection,
        here: sa.ColumnElement[bool],
        policy: Policy,
        now: datetime,
    ) -> None:
        """Put people into manual segments; who changes by nothing else is updated by that."""
        each = self._each_segment()
        joins = sa.and_(here, _stage.c.segments != "")
        if policy == "add":
            joins = sa.and_(joins, _stage.c.outcome.is_(None))  # those who are new
        is_in = (
            sa.exists()
            .where(membership.c.subscriber_id == subscriber.c.id)
            .where(membership.c.segment == each.c.value)
        )
        known = subscriber.c.address_key == _stage.c.key
        both = subscriber.join(each, sa.true())
        news = sa.exists(sa.select(1).select_from(both).where(known, sa.not_(is_in)))
        connection.execute(
            _stage.update()
            .where(joins, _stage.c.outcome == "unchanged", news.correlate(_stage))
            .values(outcome="updated")
        )
        pairs = (
            sa.select(each.c.value, subscriber.c.id, sa.literal(now, UTCTime))
            .select_from(_stage.join(subscriber, known).join(each, sa.true()))
            .where(joins, sa.func.coalesce(_stage.c.outcome, "") != "kept_out")
        )
        insert = self._on_conflict_do_nothing(membership)
        connection.execute(insert.from_select(["segment", "subscriber_id", "added_at"], pairs))

    # -- what differs between the two ------------------------------------------------------------

    def _way_in(
        self, connection: sa.Connection, names: Sequence[str]
    ) -> AbstractContextManager[_Put]:
        """What takes these columns of the stage; the others are empty, and `n` counts by itself."""
        raise NotImplementedError

    def _on_conflict_do_nothing(self, table: sa.Table) -> Any:
        raise NotImplementedError

    def _fields(self, policy: Policy) -> sa.ColumnElement[Any]:
        raise NotImplementedError

    def _fields_differ(self, policy: Policy) -> sa.ColumnElement[bool]:
        raise NotImplementedError

    def _new_fields(self) -> sa.ColumnElement[Any]:
        raise NotImplementedError

    def _each_segment(self) -> Any:
        """Rows `value` of the segments of a staged row."""
        raise NotImplementedError


class _SqliteStorage(Storage):
    @contextmanager
    def _way_in(self, connection: sa.Connection, names: Sequence[str]) -> Iterator[_Put]:
        statement = (
            f"INSERT INTO import_stage ({', '.join(names)}) "  # noqa: S608  (names only)
            f"VALUES ({','.join('?' * len(names))})"
        )
        raw: Any = connection.connection.driver_connection
        yield lambda columns: raw.executemany(statement, zip(*columns, strict=True))

    def _on_conflict_do_nothing(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects.sqlite import insert

        return insert(table).on_conflict_do_nothing()

    def _fields(self, policy: Policy) -> sa.ColumnElement[Any]:  # noqa: ARG002  (nulls take away)
        return sa.type_coerce(sa.func.json_patch(subscriber.c.fields, _stage.c.fields), Json)

    def _fields_differ(self, policy: Policy) -> sa.ColumnElement[bool]:
        patched = sa.type_coerce(self._fields(policy), sa.Text)
        return patched != sa.func.json(subscriber.c.fields)

    def _new_fields(self) -> sa.ColumnElement[Any]:
        return sa.func.json_patch("{}", _stage.c.fields)

    def _each_segment(self) -> Any:
        keys = sa.func.replace(_stage.c.segments, ",", '","')
        return sa.func.json_each(sa.literal('["').concat(keys).concat('"]')).table_valued("value")


class _PostgresqlStorage(Storage):
    pieces = 50  # nobody waits for what is being written here

    def _settle(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL work_mem = '128MB'")
        super()._settle(connection)
        connection.exec_driver_sql("ANALYZE import_stage")  # nobody else does, of such a table

    @contextmanager
    def _way_in(self, connection: sa.Connection, names: Sequence[str]) -> Iterator[_Put]:
        """One COPY from the first row to the last."""
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")  # in which times are staged
        cursor: Any = connection.connection.cursor()
        statement = f"COPY import_stage ({', '.join(names)}) FROM STDIN"
        with cursor, cursor.copy(statement) as copy:

            def put(columns: Sequence[Sequence[Any]]) -> None:
                lines = list(map("\t".join, zip(*map(_for_copy, columns), strict=True)))
                copy.write("\n".join([*lines, ""]))

            yield put

    def _on_conflict_do_nothing(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects.postgresql import insert

        return insert(table).on_conflict_do_nothing()

    def _add(
        self,
        connection: sa.Connection,
        undecided: sa.ColumnElement[bool],
        policy: Policy,
        source: str,
        now: datetime,
    ) -> int:
        """Looking out for conflicts costs the server a third of the time, and there hardly ever are any."""
        insert = subscriber.insert().from_select(*self._new(undecided, policy, source, now))
        try:
            with connection.begin_nested():
                options = {"preserve_rowcount": True}
                return int(connection.execute(insert, execution_options=options).rowcount)
        except sa.exc.IntegrityError:
            return super()._add(connection, undecided, policy, source, now)

    def _fields(self, policy: Policy) -> sa.ColumnElement[Any]:
        joined = subscriber.c.fields.op("||")(_stage.c.fields)
        return sa.func.jsonb_strip_nulls(joined) if policy == "replace-fields" else joined

    def _fields_differ(self, policy: Policy) -> sa.ColumnElement[bool]:
        return sa.cast(self._fields(policy), Json) != subscriber.c.fields

    def _new_fields(self) -> sa.ColumnElement[Any]:
        return sa.func.jsonb_strip_nulls(_stage.c.fields)

    def _each_segment(self) -> Any:
        keys = sa.func.unnest(sa.func.string_to_array(_stage.c.segments, ","))
        return keys.table_valued("value").render_derived()


_PROOF = ("consent_at", "consent_source")
#: Of several rows of one address the wish to leave and the graver reason count.
_STANDING = (
    "", "pending", "subscribed", "unsubscribed", "left", "suppressed", "bounced", "complained",
)  # fmt: skip
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _unconfirmed() -> sa.ColumnElement[bool]:
    """Somebody was asked by mail to confirm and has not."""
    return sa.and_(
        subscriber.c.status == "pending",
        subscriber.c.consent_source == "",
        _stage.c.status.in_(("", "subscribed")),
    )


def _proof() -> sa.ColumnElement[bool]:
    """When and where the person of a row agreed."""
    return sa.and_(_stage.c.consent_at.is_not(None), _stage.c.consent_source != "")


def _for_copy(column: Sequence[str | None]) -> Sequence[str]:
    """A column as the text format of COPY has it. A hot path: nearly no cell holds what is special, so
    it is looked for in all of them at once."""
    if None not in column and not _SPECIAL.search("".join(column)):  # type: ignore[arg-type]
        return column  # type: ignore[return-value]
    return [r"\N" if one is None else one.translate(_ESCAPED) for one in column]


def _join(first: dict[str, Any], later: Mapping[str, Any]) -> None:
    """A later row of the same address into the first."""
    for name in _COLUMNS:
        if name == "fields":
            first[name] = {**later[name], **{k: v for k, v in first[name].items() if v is not None}}
        elif name == "segments":
            keys = [*first[name].split(","), *later[name].split(",")]
            first[name] = ",".join(dict.fromkeys(filter(None, keys)))
        elif name == "outcome":  # of people who were erased: one row with a proof is enough
            first[name] = first[name] and later[name]
        elif name == "status":
            first[name] = max(first[name], later[name], key=_STANDING.index)
        elif name not in _PROOF and first[name] in ("", None):
            first[name] = later[name]
    if not all(first[name] for name in _PROOF):  # a time and a source of two rows prove nothing
        given = [one for one in (later, first) if all(one[name] for name in _PROOF)]
        given += [one for one in (first, later) if any(one[name] for name in _PROOF)]
        for name in _PROOF:
            first[name] = given[0][name] if given else first[name]


def _merge(connection: sa.Connection, keys: Sequence[str]) -> int:
    """Join the rows of each of these addresses into its first; returns how many went into others."""
    first: dict[str, dict[str, Any]] = {}
    rest: list[int] = []
    for row in connection.execute(
        sa.select(_stage).where(_stage.c.key.in_(keys)).order_by(_stage.c.n)
    ):
        values = dict(row._mapping)
        if values["key"] in first:
            _join(first[values["key"]], values)
            rest.append(values["n"])
        else:
            first[values["key"]] = values
    for some in _pieces(rest):
        connection.execute(_stage.delete().where(_stage.c.n.in_(some)))
    names = [name for name in _COLUMNS if name not in ("n", "key")]
    connection.execute(
        _stage.update()
        .where(_stage.c.n == sa.bindparam("row_n"))
        .values({name: sa.bindparam(name) for name in names}),
        [{"row_n": one["n"], **{name: one[name] for name in names}} for one in first.values()],
    )
    return len(rest)


def _pieces(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(rows), _PIECE):
        yield rows[at : at + _PIECE]
