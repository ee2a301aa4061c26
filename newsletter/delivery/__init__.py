"""Delivery: plan, approval, ledger, engine; the ways out in `transports`.

Knows editions as bytes with slots; knows no HTML and no briefs.
"""

from newsletter.delivery.engine import Engine, Stamp, letter, to_header
from newsletter.delivery.fence import Fence
from newsletter.delivery.ledger import STATES, Recipient, mailing_row
from newsletter.delivery.mailings import (
    DATES_KNOWN,
    Audit,
    approve,
    audit_issue,
    audit_mailing,
    cancel,
    due_issues,
    hold,
    pause,
    refuse_tampered,
    regular_mailing,
    resolve_uncertain,
    resume,
    status_issue,
)
from newsletter.delivery.plan import (
    MOST_EDITIONS,
    ArchivePage,
    Arm,
    EditionLine,
    Options,
    Plan,
    PlannedEdition,
    Planner,
    load_plan,
    mailings_of,
    planned_groups,
    store_editions,
)
from newsletter.delivery.progress import Progress, Stop
from newsletter.delivery.service import open_service_mailings, plan_service
from newsletter.delivery.transports import (
    Envelope,
    Lane,
    Letter,
    OutboxTransport,
    Outcome,
    Transport,
    UnmakeableError,
    Unreachable,
)
from newsletter.delivery.transports.outbox import forget

__all__ = [
    "DATES_KNOWN",
    "MOST_EDITIONS",
    "STATES",
    "ArchivePage",
    "Arm",
    "Audit",
    "EditionLine",
    "Engine",
    "Envelope",
    "Fence",
    "Lane",
    "Letter",
    "Options",
    "OutboxTransport",
    "Outcome",
    "Plan",
    "PlannedEdition",
    "Planner",
    "Progress",
    "Recipient",
    "Stamp",
    "Stop",
    "Transport",
    "UnmakeableError",
    "Unreachable",
    "approve",
    "audit_issue",
    "audit_mailing",
    "cancel",
    "due_issues",
    "forget",
    "hold",
    "letter",
    "load_plan",
    "mailing_row",
    "mailings_of",
    "open_service_mailings",
    "pause",
    "plan_service",
    "planned_groups",
    "refuse_tampered",
    "regular_mailing",
    "resolve_uncertain",
    "resume",
    "status_issue",
    "store_editions",
    "to_header",
]
