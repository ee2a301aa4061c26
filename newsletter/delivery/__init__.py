"""Delivery: plan, approval, ledger, engine; the ways out in `transports`.

Knows editions as bytes with slots; knows no HTML and no briefs.
"""

from newsletter.delivery.engine import Engine, Progress, Stamp, fill_message, to_header
from newsletter.delivery.ledger import STATES, Recipient, mailing_row
from newsletter.delivery.mailings import (
    Audit,
    approve,
    audit_issue,
    audit_mailing,
    regular_mailing,
    status_issue,
)
from newsletter.delivery.plan import (
    MOST_EDITIONS,
    ArchivePage,
    EditionLine,
    Plan,
    PlannedEdition,
    Planner,
    load_plan,
    mailings_of,
    store_editions,
)
from newsletter.delivery.transports import Envelope, OutboxTransport, Outcome, Transport

__all__ = [
    "MOST_EDITIONS",
    "STATES",
    "ArchivePage",
    "Audit",
    "EditionLine",
    "Engine",
    "Envelope",
    "OutboxTransport",
    "Outcome",
    "Plan",
    "PlannedEdition",
    "Planner",
    "Progress",
    "Recipient",
    "Stamp",
    "Transport",
    "approve",
    "audit_issue",
    "audit_mailing",
    "fill_message",
    "load_plan",
    "mailing_row",
    "mailings_of",
    "regular_mailing",
    "status_issue",
    "store_editions",
    "to_header",
]
