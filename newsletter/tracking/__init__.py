"""Tracking: tokens, the durable intake, verdicts, and what a token leads to.

Knows nothing of rendering.
"""

from newsletter.tracking.intake import load_spool
from newsletter.tracking.lookup import ActionPage, ArchiveEntry, Lookup, Mail, Reader
from newsletter.tracking.spool import RawEvent, Spool, SpoolFullError
from newsletter.tracking.stamp import Stamper
from newsletter.tracking.tokens import TEST, Keyring, Ref
from newsletter.tracking.verdicts import judge

__all__ = [
    "TEST",
    "ActionPage",
    "ArchiveEntry",
    "Keyring",
    "Lookup",
    "Mail",
    "RawEvent",
    "Reader",
    "Ref",
    "Spool",
    "SpoolFullError",
    "Stamper",
    "judge",
    "load_spool",
]
