"""What fills an edition's slots for one recipient: tokens, and why they get the mail."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from newsletter.editions import MOST_CHARACTERS
from newsletter.tracking.tokens import Keyring


class Stamper:
    """Makes the plain values of all slots. The hot path: six HMACs and a date, about 25 µs."""

    def __init__(self, keyring: Keyring, zone: ZoneInfo, bounces: str) -> None:
        """`bounces` is the address that undeliverable mail comes back to, tokens put in by us."""
        self.keyring = keyring
        self.zone = zone
        self._bounces = bounces.rpartition("@")[::2]

    def sender(self, token: str) -> str:
        """The envelope sender of one delivery (VERP): whose mail came back is never a guess."""
        local, domain = self._bounces
        return f"{local}+{token}@{domain}"

    def values(
        self,
        mailing: int,
        n: int,
        *,
        to: str,
        consent_at: datetime | None,
        consent_source: str,
        created_at: datetime,
        tokens: dict[str, str] | None = None,
    ) -> dict[str, str]:
        """Values by slot name. `to` is the finished header value; `tokens` replaces the delivery's
        own, for test mails."""
        values = tokens or self.keyring.tokens(mailing, n)
        values["to"] = to
        values["date"] = format_datetime(datetime.now(UTC))
        values["reason"] = self.reason(consent_at, consent_source, created_at)
        return values

    def reason(self, consent_at: datetime | None, consent_source: str, created_at: datetime) -> str:
        """`you signed up on 3 May 2026 (website form)`, for the footer."""
        when = (consent_at or created_at).astimezone(self.zone)
        day = f"{when.day} {when:%B} {when.year}"
        imported = consent_source.startswith("import:")
        if consent_at is None:
            return f"you were added to the list on {day}"
        plain = f"you signed up on {day}"
        full = f"{plain} ({consent_source})"
        # a slot holds 64 characters; half a source is worse than none
        return full if consent_source and not imported and len(full) <= MOST_CHARACTERS else plain
