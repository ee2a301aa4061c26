"""Every table, once, for SQLite and PostgreSQL alike. Migrations are tested to give just this.

`delivery` and `event` are keyed (mailing, n) and nothing has a foreign key into them, so that
PostgreSQL can partition both by mailing and drop an old mailing in a second.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UTCTime(sa.TypeDecorator[datetime]):
    """An aware UTC datetime in Python; `timestamptz` on PostgreSQL, UTC text on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times are stored in UTC: give an aware datetime")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
# SQLite counts row ids only in a column declared INTEGER; PostgreSQL wants the wide type.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _column(name: str, kind: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, **{"nullable": False, **options})


installation = sa.Table(  # identity of this database, and what must be the same on all machines
    "installation",
    metadata,
    _column("key", sa.Text, primary_key=True),
    _column("value", sa.Text),
)

subscriber = sa.Table(
    "subscriber",
    metadata,
    _column("id", Id, primary_key=True, autoincrement=True),
    _column("address", sa.Text),  # as the person wrote it; mail goes here
    _column("address_key", sa.Text, unique=True),  # folded: who is the same person
    _column("domain", sa.Text),  # of address_key
    _column("name", sa.Text, server_default=""),
    _column("status", sa.Text),  # subscribed | pending | unsubscribed
    _column("language", sa.Text, server_default=""),
    _column("fields", Json),  # declared fields by name; absent ones are null
    _column("consent_at", UTCTime, nullable=True),
    _column("consent_source", sa.Text, server_default=""),
    _column("paused_until", UTCTime, nullable=True),
    _column("created_at", UTCTime),
    _column("updated_at", UTCTime),
    _column("lens", sa.Text, server_default=""),  # a segment that they chose; else our rules decide
    _column("topics", Json, nullable=True),  # keys that they chose; none means all
    _column("frequency", sa.Text, server_default=""),  # every issue | fortnightly | monthly
    sqlite_autoincrement=True,  # an erased person's number, which old tokens name, is nobody else's
)

membership = sa.Table(  # manual members of segments; rules need no rows
    "membership",
    metadata,
    _column("segment", sa.Text, primary_key=True),
    sa.Column(
        "subscriber_id",
        Id,
        sa.ForeignKey("subscriber.id", ondelete="CASCADE"),
        primary_key=True,
        nullable=False,
        index=True,
    ),
    _column("added_at", UTCTime),
)

suppression = sa.Table(  # addresses that get nothing, whatever their status says
    "suppression",
    metadata,
    _column("address_key", sa.Text, primary_key=True),  # of erased people a keyed hash
    _column("reason", sa.Text),  # bounce | complaint | manual | erased
    _column("created_at", UTCTime),
    _column("expires_at", UTCTime, nullable=True),
    _column("note", sa.Text, server_default=""),  # who said so, and why
)

consent = sa.Table(  # what was agreed to and withdrawn, when and how: only ever added to
    "consent",
    metadata,
    _column("id", Id, primary_key=True, autoincrement=True),
    sa.Column(
        "subscriber_id",
        Id,
        sa.ForeignKey("subscriber.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    _column("at", UTCTime),
    _column("given", sa.Boolean),  # false: withdrawn
    _column("method", sa.Text),  # double-opt-in | import | command | page | mail
    _column("source", sa.Text, server_default=""),  # which form, file or proof
    _column("text", sa.Text, nullable=True),  # consent_text.hash: the words that were agreed to
    _column("reason", sa.Text, server_default=""),  # why somebody left, in their words
)

consent_text = sa.Table(  # the words under a form, kept as long as somebody agreed to them
    "consent_text",
    metadata,
    _column("hash", sa.Text, primary_key=True),
    _column("language", sa.Text),
    _column("text", sa.Text),
    _column("first_used_at", UTCTime),
)

request = sa.Table(  # what somebody asked for and has to confirm by mail
    "request",
    metadata,
    _column("id", Id, primary_key=True, autoincrement=True),
    _column("kind", sa.Text),  # sign-up | address
    _column("state", sa.Text),  # new | mailed | done | dropped | refused
    _column("at", UTCTime),
    _column("address", sa.Text),
    _column("address_key", sa.Text, index=True),
    _column("name", sa.Text, server_default=""),
    _column("language", sa.Text, server_default=""),
    _column("lens", sa.Text, server_default=""),
    _column("topics", Json, nullable=True),
    _column("method", sa.Text, server_default=""),  # form | json | page | moved
    _column("source", sa.Text, server_default=""),  # which page
    _column("text", sa.Text, nullable=True),  # consent_text.hash
    _column("subscriber_id", Id, nullable=True, index=True),  # whose address is to change
    _column("mailing", Id, nullable=True),  # of the mail that asks for confirmation
    _column("delivery", Id, nullable=True),
    sa.Index(None, "state", "at"),
    sa.Index(None, "mailing", "delivery"),
)

column_map = sa.Table(  # what an operator said that the columns of a file mean, by its columns
    "column_map",
    metadata,
    _column("columns", sa.Text, primary_key=True),  # hash of the header
    _column("map", Json),
    _column("updated_at", UTCTime),
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    _column("id", Id, primary_key=True, autoincrement=True),
    _column("at", UTCTime),
    _column("actor", sa.Text),
    _column("action", sa.Text),
    _column("subject", sa.Text),
    _column("detail", Json),
)

mailing = sa.Table(
    "mailing",
    metadata,
    _column("id", Id, primary_key=True, autoincrement=True),
    _column("kind", sa.Text),  # issue | missed | correction | service
    _column("issue", sa.Text, nullable=True, index=True),
    _column("state", sa.Text),  # planned | approved | running | paused | held | done | cancelled
    _column("transport", sa.Text),
    _column("plan", sa.Text),  # hash over everything that was planned
    _column("fingerprint", sa.Text),  # of the files and settings that the plan was made from
    _column("segments", Json),  # keys in the order of the bits of delivery.segments
    _column("candidates", sa.Integer),
    _column("created_at", UTCTime),
    _column("approved_at", UTCTime, nullable=True),
    _column("approved_by", sa.Text, nullable=True),
    _column("started_at", UTCTime, nullable=True),
    _column("finished_at", UTCTime, nullable=True),
    _column("send_at", UTCTime, nullable=True),  # not before; none means by hand
    _column("options", Json, server_default="{}"),  # what the plan was asked for, in its hash
    _column("note", sa.Text, nullable=True),  # why it is paused, held or cancelled, as a sentence
    _column("canary_until", UTCTime, nullable=True),  # the canary is out; the rest waits till then
    sqlite_autoincrement=True,  # a number is never given twice, even after a plan was replaced
)

edition = sa.Table(  # content-addressed, immutable
    "edition",
    metadata,
    _column("id", sa.Text, primary_key=True),
    _column("nonce", sa.Text),
    _column("language", sa.Text),
    _column("lens", sa.Text),
    _column("subject", sa.Text),
    _column("signature", Json),
    _column("html", sa.Text),  # inlined, links rewritten, slots open
    _column("text", sa.Text),
    _column("message", sa.LargeBinary),  # the MIME skeleton
    _column("html_bytes", sa.Integer),
    _column("message_bytes", sa.Integer),
    _column("created_at", UTCTime),
)

mailing_edition = sa.Table(
    "mailing_edition",
    metadata,
    _column("mailing", Id, primary_key=True, autoincrement=False),
    _column("n", sa.Integer, primary_key=True, autoincrement=False),
    _column("edition", sa.Text),
    _column("segments", Json),  # keys of the segments whose members get it
    _column("recipients", sa.Integer),
)

link = sa.Table(
    "link",
    metadata,
    _column("edition", sa.Text, primary_key=True),
    _column("n", sa.Integer, primary_key=True, autoincrement=False),
    _column("url", sa.Text),  # exactly as the editor wrote it
    _column("brief", sa.Text, nullable=True),
    _column("action", sa.Text, nullable=True),
)

edition_action = sa.Table(
    "edition_action",
    metadata,
    _column("edition", sa.Text, primary_key=True),
    _column("n", sa.Integer, primary_key=True, autoincrement=False),
    _column("action", sa.Text),
    _column("segments", Json),
    _column("label", sa.Text),
    _column("text", sa.Text),
    _column("due", sa.Date, nullable=True),
    _column("brief", sa.Text),
    _column("headline", sa.Text),
)

exclusion = sa.Table(  # who was left out in planning, and why; these have no delivery
    "exclusion",
    metadata,
    _column("mailing", Id, primary_key=True, autoincrement=False),
    _column("subscriber_id", Id, primary_key=True, autoincrement=False),
    _column("reason", sa.Text),
)

delivery = sa.Table(
    "delivery",
    metadata,
    _column("mailing", Id, primary_key=True, autoincrement=False),
    _column("n", Id, primary_key=True, autoincrement=False),
    _column("subscriber_id", Id),
    _column("edition", sa.Integer),  # mailing_edition.n
    _column("segments", sa.BigInteger),  # bit i: member of mailing.segments[i] when planned
    _column("state", sa.Text),
    _column("owner", sa.Text, nullable=True),
    _column("attempts", sa.Integer, server_default="0"),
    _column("next_at", UTCTime, nullable=True),  # when to try again; of deferred and uncertain ones
    _column("reason", sa.Text, nullable=True),  # of skipped and rejected ones
    _column("code", sa.Text, nullable=True),  # what the other side answered
    _column("answer", sa.Text, nullable=True),
    _column("handed_at", UTCTime, nullable=True),
    _column("settled_at", UTCTime, nullable=True),
    _column("expires_at", UTCTime, nullable=True),  # after the first failure: tried until then
    _column("arm", sa.Text, nullable=True),  # of a split test
    sa.UniqueConstraint("mailing", "subscriber_id"),
    sa.Index(  # few rows at any time: those that wait for another attempt
        "ix_delivery_again",
        "mailing",
        "next_at",
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,  # rows lie in the order in which they are claimed
)

lease = sa.Table(  # who has rows of a mailing in hand, and until when nobody else may take them
    "lease",
    metadata,
    _column("owner", sa.Text, primary_key=True),
    _column("mailing", Id, index=True),
    _column("until", UTCTime),
)

event = sa.Table(
    "event",
    metadata,
    _column("mailing", Id, primary_key=True, autoincrement=False),
    _column("n", sa.BigInteger, primary_key=True, autoincrement=False),  # given by the intake
    _column("delivery", Id),
    _column("kind", sa.Text),  # open | click | done | not_for_me | undo | unsubscribe | resubscribe
    _column("ref", sa.Integer, nullable=True),  # link.n of a click, edition_action.n of an action
    _column("at", UTCTime),
    _column("verdict", sa.Text),  # human | machine | unknown
    _column("rule", sa.Text),  # which rule said so
    _column("agent", sa.Text, server_default=""),  # the user agent, cut at 200 characters
    _column(
        "subscriber_id", Id, server_default="0"
    ),  # of the delivery: rules ask it by the million
    sa.Index(None, "mailing", "delivery"),
    sa.Index(None, "subscriber_id"),
    sqlite_with_rowid=False,
)

kept_report = sa.Table(  # the figures of issues whose events were deleted
    "kept_report",
    metadata,
    _column("issue", sa.Text, primary_key=True),
    _column("figures", Json),
    _column("kept_at", UTCTime),
)

archive = sa.Table(  # public pages of issues, as they were when planned
    "archive",
    metadata,
    _column("issue", sa.Text, primary_key=True),
    _column("title", sa.Text),
    _column("subject", sa.Text),
    _column("date", sa.Date),
    _column("html", sa.Text),
    _column("published_at", UTCTime, nullable=True),  # when its first mailing started
)
