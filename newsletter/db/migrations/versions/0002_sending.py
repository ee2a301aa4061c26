"""Sending that can be killed: leases, options of a plan, retries, split tests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("mailing", ID, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_lease")),
    )
    op.create_index(op.f("ix_lease_mailing"), "lease", ["mailing"])
    op.add_column("mailing", sa.Column("send_at", TIME, nullable=True))
    op.add_column("mailing", sa.Column("options", JSON, server_default="{}", nullable=False))
    op.add_column("mailing", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("mailing", sa.Column("canary_until", TIME, nullable=True))
    op.add_column("delivery", sa.Column("expires_at", TIME, nullable=True))
    op.add_column("delivery", sa.Column("arm", sa.Text(), nullable=True))
    op.drop_column("delivery", "lease_until")
    op.create_index(
        "ix_delivery_again",
        "delivery",
        ["mailing", "next_at"],
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
