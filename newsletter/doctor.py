"""What a look at a publication finds. The workspace asks, the command line prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from newsletter.errors import NewsletterError


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Literal["ok", "note", "bad"]
    message: str

    @property
    def ok(self) -> bool:
        return self.verdict != "bad"

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "verdict": self.verdict, "message": self.message}


def looked_at(name: str, look: Callable[[], str]) -> Check:
    """`look` says what is well, or raises what is not."""
    try:
        return Check(name, "ok", look())
    except NewsletterError as error:
        return Check(name, "bad", str(error))
