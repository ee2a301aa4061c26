"""The audience: subscribers, segments and their rules, imports, who may be mailed.

Knows no briefs and no mail.
"""

from newsletter.audience.addresses import Address, AddressError, masked, parse_address
from newsletter.audience.audience import Audience
from newsletter.audience.columns import Options as ImportOptions
from newsletter.audience.conditions import Asked, where
from newsletter.audience.explain import Belonging, Clause, belongings, explain_rule
from newsletter.audience.imports import POLICIES, Importer, ImportResult
from newsletter.audience.people import (
    REASONS,
    Group,
    Subscriber,
    add_memberships,
    address_key,
    count,
    find,
    log,
    reason_against,
    remove_members,
    segment_bits,
    segments_of,
    sendable_groups,
    set_status,
    why_not,
)
from newsletter.audience.rules import Rule
from newsletter.audience.segments import Segment, Segments, load_segments
from newsletter.audience.tables import FORMATS, How, open_table

__all__ = [
    "FORMATS",
    "POLICIES",
    "REASONS",
    "Address",
    "AddressError",
    "Asked",
    "Audience",
    "Belonging",
    "Clause",
    "Group",
    "How",
    "ImportOptions",
    "ImportResult",
    "Importer",
    "Rule",
    "Segment",
    "Segments",
    "Subscriber",
    "add_memberships",
    "address_key",
    "belongings",
    "count",
    "explain_rule",
    "find",
    "load_segments",
    "log",
    "masked",
    "open_table",
    "parse_address",
    "reason_against",
    "remove_members",
    "segment_bits",
    "segments_of",
    "sendable_groups",
    "set_status",
    "where",
    "why_not",
]
