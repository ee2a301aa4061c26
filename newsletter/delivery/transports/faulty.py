"""An outbox that fails on purpose, at rates of one's choosing: to see what happens then.

Shipped, because "what if the server…" is asked by whoever runs this; every test of the contract that
holds for the real ones holds for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from newsletter.config import FaultySettings
from newsletter.delivery.transports.base import Envelope, InDoubt, Outcome, Unreachable
from newsletter.delivery.transports.outbox import OutboxLane, OutboxTransport


class FaultyTransport:
    """Draws from one seeded generator, so that a run with one lane can be repeated."""

    name = "faulty"
    batch = 4
    one_edition = False
    utf8 = True
    in_doubt: InDoubt = "resend"

    def __init__(self, settings: FaultySettings, root: Path) -> None:
        self.settings = settings
        self.lanes = settings.lanes
        self.outbox = OutboxTransport(root / settings.path)
        self._random = random.Random(settings.seed)  # noqa: S311  (faults, no secrets)
        self._lock = threading.Lock()

    def draw(self) -> float:
        with self._lock:
            return self._random.random()

    def check(self) -> None:
        self.outbox.check()

    def lane(self) -> FaultyLane:
        return FaultyLane(self)

    def took(self, mailing: int, n: int) -> bool | None:  # noqa: ARG002
        return None  # like a mail server, it can't be asked

    def close(self) -> None:
        self.outbox.close()


class FaultyLane:
    """One writer with bad luck."""

    def __init__(self, transport: FaultyTransport) -> None:
        self.transport = transport
        self._lane = OutboxLane(transport.outbox.path)

    def send(self, batch: Sequence[Envelope]) -> Iterator[Outcome]:
        settings, draw = self.transport.settings, self.transport.draw
        if settings.delay:
            time.sleep(settings.delay)
        for envelope in batch:
            if draw() < settings.unreachable:
                raise Unreachable("the faulty transport can't be reached, as it was told")
            yield self._one(envelope, draw(), draw())

    def _one(self, envelope: Envelope, luck: float, coin: float) -> Outcome:
        settings = self.transport.settings
        if luck < settings.rejected:
            return Outcome(envelope.n, "rejected", "550 5.1.1", "no such user, as it was told")
        luck -= settings.rejected
        if luck < settings.deferred:
            return Outcome(envelope.n, "deferred", "451 4.3.0", "try later, as it was told")
        luck -= settings.deferred
        if luck < settings.uncertain:
            if coin < 0.5:
                list(self._lane.send([envelope]))
            return Outcome(envelope.n, "uncertain", "", "the answer is lost, as it was told")
        return next(iter(self._lane.send([envelope])))

    def close(self) -> None:
        self._lane.close()
