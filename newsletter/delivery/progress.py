"""How far a send is, and how it is asked to end. For whoever watches it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_LOOK = 0.05  # seconds between two looks at a flag
_MOST_DOMAINS = 1000  # counted apart; the rest together, so that memory stays bounded


@dataclass(slots=True)
class Progress:
    """How far a run is. One object, changed as the run goes on."""

    total: int  #: deliveries of the mailing
    settled: int = 0  #: of them, also by earlier runs
    rate: float = 0.0  #: messages a second, of the last seconds
    accepted: int = 0  #: of this run, as the next three
    rejected: int = 0
    deferred: int = 0
    uncertain: int = 0
    domains: dict[str, dict[str, int]] = field(default_factory=dict)  #: states by recipient domain
    waiting: str = ""  #: what the run waits for, as a clause; empty while it sends

    @property
    def eta(self) -> float | None:
        """Seconds, None while nothing moves."""
        return (self.total - self.settled) / self.rate if self.rate else None

    def count(self, domain: str, state: str) -> None:
        """One outcome."""
        if state not in ("accepted", "rejected", "deferred", "uncertain"):
            return
        setattr(self, state, getattr(self, state) + 1)
        if state in ("accepted", "rejected"):
            self.settled += 1
        states = self.domains.get(domain)
        if states is None:
            known = domain if len(self.domains) < _MOST_DOMAINS else "other domains"
            states = self.domains.setdefault(known, {})
        states[state] = states.get(state, 0) + 1


class Stop:
    """A request to end a run: at first gently, so that nothing is left in doubt. Plain flags, because
    signal handlers set them: a lock could be held by the very thread that they interrupt."""

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False

    def __call__(self) -> None:
        """Ask; asked a second time, connections are cut."""
        self.at_once = self.asked
        self.asked = True

    def wait(self, seconds: float) -> bool:
        """Wait, but no longer than until somebody asks; returns whether somebody did."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK))
        return self.asked
