"""The ways out, one file each, and others that are installed as plug-ins."""

from newsletter.delivery.transports.base import (
    Envelope,
    InDoubt,
    Lane,
    Letter,
    Outcome,
    State,
    Transport,
    UnmakeableError,
    Unreachable,
)
from newsletter.delivery.transports.outbox import OutboxTransport

__all__ = [
    "Envelope",
    "InDoubt",
    "Lane",
    "Letter",
    "OutboxTransport",
    "Outcome",
    "State",
    "Transport",
    "UnmakeableError",
    "Unreachable",
]
