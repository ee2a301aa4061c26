"""When a delivery is tried again, and when that is over. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from newsletter.config import SendingSettings

MOST_RESENDS = 10  #: attempts after which a delivery in doubt is held for a decision


class _Attempt(Protocol):
    @property
    def attempts(self) -> int: ...
    @property
    def expires_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failed attempt makes of a delivery."""

    state: Literal["rejected", "deferred", "uncertain"]
    reason: str | None = None
    next_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retries:
    """Waits double from `first` up to `most` seconds, a fifth more or less at random so that those
    who failed together don't come back together; after `for_seconds` it is over."""

    first: float
    most: float
    for_seconds: float

    @classmethod
    def of(cls, settings: SendingSettings) -> Retries:
        return cls(settings.retry_first, settings.retry_most, settings.retry_for)

    def wait(self, attempts: int) -> float:
        """Seconds after this many attempts."""
        wait: float = min(self.most, self.first * 2.0 ** min(attempts - 1, 30))
        return wait * random.uniform(0.8, 1.2)  # noqa: S311  (spread, no secret)

    def after(
        self, state: str, attempt: _Attempt, now: datetime, *, in_doubt: Literal["resend", "hold"]
    ) -> Verdict:
        """The verdict after an attempt that ended `rejected`, `deferred` or `uncertain`."""
        expires_at = attempt.expires_at or now + timedelta(seconds=self.for_seconds)
        next_at = now + timedelta(seconds=self.wait(attempt.attempts))
        if state == "rejected":
            return Verdict("rejected", "refused")
        if state == "deferred":
            if next_at > expires_at:
                return Verdict("rejected", "expired")
            return Verdict("deferred", None, next_at, expires_at)
        if in_doubt == "resend" and attempt.attempts < MOST_RESENDS:
            return Verdict("uncertain", None, next_at, expires_at)
        return Verdict("uncertain")
