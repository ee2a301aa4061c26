"""What fills an edition's slots for one recipient: tokens, and why they get the mail."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from newsletter.editions import MOST_CHARACTERS
from newsletter.languages import SOURCE, Language, language
from newsletter.tracking.tokens import Keyring


class Stamper:
    """Makes the plain values of all slots. The hot path: six HMACs, about 15 µs."""

    def __init__(
        self,
        keyring: Keyring,
        zone: ZoneInfo,
        bounces: str,
        speaks: Callable[[str], Language] = language,
    ) -> None:
        """`bounces` is the address that undeliverable mail comes back to, tokens put in by us; `speaks`
        gives the words of a language by its code."""
        self._speaks = speaks
        self.keyring = keyring
        self.zone = zone
        self._bounces = bounces.rpartition("@")[::2]
        self._reason = lru_cache(maxsize=4096)(self._said)  # people signed up on few days

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
        confirms: bool = False,
        speaks: str = SOURCE,
    ) -> dict[str, str]:
        """Values by slot name. `to` is the finished header value; `tokens` replaces the delivery's
        own, for test mails; `confirms` adds the token of a service mail; `speaks` is the
        language of the mail's own words."""
        values = tokens or self.keyring.tokens(mailing, n)
        if confirms:
            values["confirm"] = self.keyring.token(mailing, n, "confirm")
        values["message"] = message_id(values["bounce"])
        values["to"] = to
        values["date"] = _date(int(time.time()))
        values["reason"] = self.reason(consent_at, consent_source, created_at, speaks)
        return values

    def reason(
        self,
        consent_at: datetime | None,
        consent_source: str,
        created_at: datetime,
        speaks: str = SOURCE,
    ) -> str:
        """`you signed up on 3 May 2026 (website form)`, for the footer."""
        consented = consent_at is not None
        return self._reason(consented, consent_at or created_at, consent_source, speaks)

    def _said(self, consented: bool, at: datetime, consent_source: str, speaks: str) -> str:
        words = self._speaks(speaks)
        _ = words.gettext
        day = words.long_date(at.astimezone(self.zone).date())
        imported = consent_source.startswith("import:")
        if not consented:
            return _("you were added to the list on %(day)s") % {"day": day}
        plain = _("you signed up on %(day)s") % {"day": day}
        full = _("you signed up on %(day)s (%(source)s)") % {"day": day, "source": consent_source}
        # a slot holds 64 characters; half a source is worse than none
        return full if consent_source and not imported and len(full) <= MOST_CHARACTERS else plain


@lru_cache(maxsize=8)
def _date(seconds: int) -> str:
    """`Tue, 24 Nov 2026 08:00:00 +0000`; a second has thousands of messages."""
    return format_datetime(datetime.fromtimestamp(seconds, UTC))


def message_id(bounce: str) -> str:
    """The local part of a delivery's Message-ID: always the same, and no token. Every reply carries
    it in In-Reply-To, and whoever held a token for bounces could forge one."""
    return hashlib.sha256(bounce.encode()).hexdigest()[:24]
