"""The audience: subscribers, segments and their rules, imports, who may be mailed.

Knows no briefs and no mail.
"""

from newsletter.audience.addresses import Address, AddressError, masked, parse_address
from newsletter.audience.audience import Audience, Choices
from newsletter.audience.changes import agree, come_back, keep_text, leave
from newsletter.audience.columns import FREQUENCIES
from newsletter.audience.columns import Options as ImportOptions
from newsletter.audience.conditions import Asked, where
from newsletter.audience.departures import Departures
from newsletter.audience.erased import Erased
from newsletter.audience.explain import Belonging, Clause, belongings, explain_rule
from newsletter.audience.imports import Importer, ImportResult
from newsletter.audience.indexes import keep_indexes
from newsletter.audience.people import (
    REASONS,
    Group,
    ReaderKind,
    Subscriber,
    add_memberships,
    address_key,
    count,
    count_sendable,
    find,
    language_of,
    log,
    muted_bits,
    muted_by,
    reason_against,
    remove_members,
    segment_bits,
    segments_of,
    sendable_groups,
    set_status,
    spoken,
    why_not,
    why_not_service,
)
from newsletter.audience.requests import (
    Ask,
    Confirmed,
    Reply,
    ask,
    confirm,
    forget_unconfirmed,
    holds,
    mailed,
    may_be_taken_back,
    of_mail,
    refuse,
    replies,
    take_back_refusal,
)
from newsletter.audience.rules import Rule
from newsletter.audience.segments import Segment, Segments, load_segments
from newsletter.audience.staging import POLICIES
from newsletter.audience.suppressions import SUPPRESSED_FOR, suppressions
from newsletter.audience.tables import FORMATS, How, open_table, write_table

__all__ = [
    "FORMATS",
    "FREQUENCIES",
    "POLICIES",
    "REASONS",
    "SUPPRESSED_FOR",
    "Address",
    "AddressError",
    "Ask",
    "Asked",
    "Audience",
    "Belonging",
    "Choices",
    "Clause",
    "Confirmed",
    "Departures",
    "Erased",
    "Group",
    "How",
    "ImportOptions",
    "ImportResult",
    "Importer",
    "ReaderKind",
    "Reply",
    "Rule",
    "Segment",
    "Segments",
    "Subscriber",
    "add_memberships",
    "address_key",
    "agree",
    "ask",
    "belongings",
    "come_back",
    "confirm",
    "count",
    "count_sendable",
    "explain_rule",
    "find",
    "forget_unconfirmed",
    "holds",
    "keep_indexes",
    "keep_text",
    "language_of",
    "leave",
    "load_segments",
    "log",
    "mailed",
    "masked",
    "may_be_taken_back",
    "muted_bits",
    "muted_by",
    "of_mail",
    "open_table",
    "parse_address",
    "reason_against",
    "refuse",
    "remove_members",
    "replies",
    "segment_bits",
    "segments_of",
    "sendable_groups",
    "set_status",
    "spoken",
    "suppressions",
    "take_back_refusal",
    "where",
    "why_not",
    "why_not_service",
    "write_table",
]
