"""The ways out, one file each."""

from newsletter.delivery.transports.base import Envelope, Outcome, Transport
from newsletter.delivery.transports.outbox import OutboxTransport

__all__ = ["Envelope", "OutboxTransport", "Outcome", "Transport"]
