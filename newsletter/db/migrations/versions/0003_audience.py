"""The audience's own rights: consent, choices, requests to confirm; whose each event is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("subscriber", sa.Column("lens", sa.Text(), nullable=False, server_default=""))
    op.add_column("subscriber", sa.Column("topics", JSON, nullable=True))
    op.add_column(
        "subscriber", sa.Column("frequency", sa.Text(), nullable=False, server_default="")
    )
    op.add_column("suppression", sa.Column("note", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "consent",
        sa.Column("id", ID, nullable=False, autoincrement=True),
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, server_default=""),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name="fk_consent_subscriber_id_subscriber",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_consent_subscriber_id", "consent", ["subscriber_id"])
    op.create_table(
        "consent_text",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("first_used_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_consent_text"),
    )
    op.create_table(
        "request",
        sa.Column("id", ID, nullable=False, autoincrement=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, server_default=""),
        sa.Column("language", sa.Text(), nullable=False, server_default=""),
        sa.Column("lens", sa.Text(), nullable=False, server_default=""),
        sa.Column("topics", JSON, nullable=True),
        sa.Column("method", sa.Text(), nullable=False, server_default=""),
        sa.Column("source", sa.Text(), nullable=False, server_default=""),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("subscriber_id", ID, nullable=True),
        sa.Column("mailing", ID, nullable=True),
        sa.Column("delivery", ID, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_request"),
    )
    op.create_index("ix_request_address_key", "request", ["address_key"])
    op.create_index("ix_request_subscriber_id", "request", ["subscriber_id"])
    op.create_index("ix_request_state_at", "request", ["state", "at"])
    op.create_index("ix_request_mailing_delivery", "request", ["mailing", "delivery"])
    op.create_table(
        "column_map",
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("map", JSON, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("columns", name="pk_column_map"),
    )
    op.create_table(
        "kept_report",
        sa.Column("issue", sa.Text(), nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("kept_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("issue", name="pk_kept_report"),
    )
    op.add_column("event", sa.Column("subscriber_id", ID, nullable=False, server_default="0"))
    op.execute(
        "UPDATE event SET subscriber_id = coalesce((SELECT subscriber_id FROM delivery "
        "WHERE delivery.mailing = event.mailing AND delivery.n = event.delivery), 0)"
    )
    op.create_index("ix_event_subscriber_id", "event", ["subscriber_id"])
