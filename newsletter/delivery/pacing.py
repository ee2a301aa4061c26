"""How fast messages may leave: limits a second to a day, for all and by domain, and warm-up.

Knows counts and clocks, no rows and no connections. Time is the monotonic clock, in seconds: a wall
clock that is set back must not let a day's worth leave at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from newsletter.config import SendingSettings, parse_limit
from newsletter.delivery.ledger import Claim

_SLOTS = 60  # of a limit's period; messages are forgotten slot by slot
RECOVERY = 1.1  #: by how much a lowered rate rises each second without another complaint


class Limit:
    """At most so many in a sliding period. Memory is constant."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._slot = seconds / _SLOTS
        self._taken: deque[tuple[int, int]] = deque()  # (slot number, how many)
        self._sum = 0

    def _forget(self, now: float) -> None:
        oldest = int(now / self._slot) - _SLOTS - 1  # all of its slot is over a period ago
        while self._taken and self._taken[0][0] <= oldest:
            self._sum -= self._taken.popleft()[1]

    def room(self, now: float) -> int:
        """How many may leave now."""
        self._forget(now)
        return max(0, self.most - self._sum)

    def take(self, now: float, count: int = 1) -> None:
        slot = int(now / self._slot)
        if self._taken and self._taken[-1][0] == slot:
            self._taken[-1] = (slot, self._taken[-1][1] + count)
        else:
            self._taken.append((slot, count))
        self._sum += count

    def wait(self, now: float) -> float:
        """Seconds until there is room; 0 when there is."""
        if self.room(now):
            return 0
        return max(0.0, (self._taken[0][0] + _SLOTS + 1) * self._slot - now)


class _Even:
    """At most so many a second, spread evenly, so that a tenth of a second's burst is a tenth."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._credit = 1.0
        self._at = now

    def room(self, now: float) -> int:
        self._credit = min(max(1.0, self.rate / 10), self._credit + (now - self._at) * self.rate)
        self._at = now
        return int(self._credit)

    def take(self, count: int) -> None:
        self._credit -= count

    def wait(self, now: float) -> float:
        self.room(now)
        return max(0.0, (1 - self._credit) / self.rate)


@dataclass(slots=True)
class _Domain:
    limits: list[Limit]
    most: int | None
    flying: int = 0


class Pacing:
    """Picks from claimed rows those that may leave now."""

    def __init__(
        self,
        settings: SendingSettings,
        *,
        today: Callable[[], date] = date.today,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self._today = today
        self._limits = [Limit(*parse_limit(text)) for text in settings.limits]
        self._even = [
            _Even(limit.most / limit.seconds, clock())
            for limit in self._limits
            if limit.seconds <= 1
        ]
        self._domains = {
            name.lower(): _Domain([Limit(*parse_limit(t)) for t in one.limits], one.connections)
            for name, one in settings.domains.items()
        }
        self._warm_up = settings.warm_up
        self._warm_up_from = settings.warm_up_from
        self._day: date | None = None
        self._warm: Limit | None = None
        self._lowered: _Even | None = None
        self._lowered_at = 0.0
        self._ceiling = 0.0
        self._rest_until = 0.0

    @property
    def longest(self) -> float:
        """Seconds of the longest period that a limit looks back on, 0 without one."""
        day = 86_400.0 if self._warm_limit() else 0.0
        return max((limit.seconds for limit in self._limits), default=0.0) or day

    @property
    def by_domain(self) -> bool:
        return bool(self._domains)

    def remember(self, sent: Iterable[tuple[float, int]]) -> None:
        """What left before this run: (seconds ago, how many), oldest first."""
        now = self.clock()
        for ago, count in sent:
            for limit in self._limits:
                if limit.seconds > 1:
                    limit.take(now - ago, count)
            if (warm := self._warm_limit()) is not None:
                warm.take(now - ago, count)

    def _warm_limit(self) -> Limit | None:
        if not self._warm_up or self._warm_up_from is None:
            return None
        today = self._today()
        if today != self._day:
            taken = self._warm
            self._day = today
            n = (today - self._warm_up_from).days
            self._warm = Limit(self._warm_up[max(n, 0)], 86_400) if n < len(self._warm_up) else None
            if self._warm and taken:  # yesterday's evening counts until it is a day ago
                self._warm._taken, self._warm._sum = taken._taken, taken._sum
        return self._warm

    def _all(self) -> list[Limit]:
        warm = self._warm_limit()
        return [*self._limits, warm] if warm else self._limits

    # -- asking ----------------------------------------------------------------------------------

    def room(self, most: int) -> int:
        """How many messages of any domain may leave now, at most `most`."""
        if not self._limits and not self._warm_up and not self._lowered and not self._rest_until:
            return most
        now = self.clock()
        if now < self._rest_until:
            return 0
        self._rest_until = 0.0
        self._recover(now)
        rooms = [limit.room(now) for limit in self._all()]
        rooms += [
            even.room(now) for even in (*self._even, *([self._lowered] if self._lowered else []))
        ]
        return max(0, min([most, *rooms]))

    def leaves(self, count: int) -> None:
        """So many messages leave now."""
        if not count or not (self._limits or self._warm_up or self._lowered):
            return
        now = self.clock()
        for limit in self._all():
            limit.take(now, count)
        for even in self._even:
            even.take(count)
        if self._lowered:
            self._lowered.take(count)

    def admits(self, domain: str) -> bool:
        """Whether a message to this domain may leave, and if so count it as leaving."""
        known = self._domains.get(domain)
        if known is None:
            return True
        now = self.clock()
        if known.most is not None and known.flying >= known.most:
            return False
        if not all(limit.room(now) for limit in known.limits):
            return False
        known.flying += 1
        for limit in known.limits:
            limit.take(now)
        return True

    def landed(self, domain: str) -> None:
        """A message that left is settled."""
        if self._domains and (known := self._domains.get(domain)):
            known.flying = max(0, known.flying - 1)

    def wait(self) -> float:
        """Seconds until something may leave again; 0 when something may now."""
        if not (self._limits or self._warm_up or self._lowered or self._rest_until):
            return 0.0
        now = self.clock()
        waits = [self._rest_until - now, *(limit.wait(now) for limit in self._all())]
        waits += [even.wait(now) for even in self._even]
        if self._lowered:
            waits.append(self._lowered.wait(now))
        return max(0.0, *waits)

    # -- being told ------------------------------------------------------------------------------

    def rest(self, seconds: float) -> None:
        """The other side asked for a pause."""
        self._rest_until = max(self._rest_until, self.clock() + seconds)

    def slow_down(self, rate: float) -> None:
        """The other side complained: go on at half of `rate` messages a second, and rise slowly."""
        now = self.clock()
        if self._lowered and now - self._lowered_at < 1:
            return  # one complaint a second is enough
        rate = min(rate, self._lowered.rate) if self._lowered else rate
        self._lowered = _Even(max(1.0, rate / 2), now)
        self._lowered_at = now
        self._ceiling = max(rate, 2.0)

    def _recover(self, now: float) -> None:
        if not self._lowered:
            return
        seconds = int(now - self._lowered_at)
        if seconds >= 1:
            self._lowered.rate *= RECOVERY**seconds
            self._lowered_at += seconds
            if self._lowered.rate > 2 * self._ceiling:
                self._lowered = None


class Pool:
    """Claimed rows that wait to be handed out, and which of them go next, in batches."""

    def __init__(self, pacing: Pacing, *, batch: int, one_edition: bool) -> None:
        self.pacing = pacing
        self.batch = batch
        self.one_edition = one_edition
        self.step = batch if one_edition else 1  #: what is handed out at least, while there is more
        self.more = True  #: whether there are rows that could still be claimed
        self.blocked = False  #: whether the last pick found only domains at their limit
        self._rows: dict[int, deque[Claim]] = {}
        self._size = 0
        # Editions are many: enough must wait for a full batch of one of them to come together.
        self._low = 20 * batch if one_edition else max(200, 4 * batch)

    def __len__(self) -> int:
        return self._size

    @property
    def hungry(self) -> bool:
        """Whether more should be claimed; also when all that wait go to domains at their limit."""
        return self._size < self._low or (self.blocked and self._size < 50 * self._low)

    def add(self, rows: Iterable[Claim]) -> None:
        for row in rows:
            key = row.edition if self.one_edition else 0
            self._rows.setdefault(key, deque()).append(row)
            self._size += 1

    def put_back(self, batches: Sequence[Sequence[Claim]]) -> None:
        """Rows that were picked and did not leave: they go first next time."""
        for batch in batches:
            for row in reversed(batch):
                key = row.edition if self.one_edition else 0
                self._rows.setdefault(key, deque()).appendleft(row)
                self._size += 1
                self.pacing.landed(row.domain)

    def pick(self, room: int) -> list[list[Claim]]:
        """Batches that may leave now, of at most `room` messages in all."""
        room = self.pacing.room(room)
        batches: list[list[Claim]] = []
        self.blocked = False
        while (room >= self.step and self._size) or (room > 0 and self._size and not self.more):
            rows = max(self._rows.values(), key=len)
            if self.one_edition and self.more and len(rows) < self.batch:
                break  # a full batch will come together
            batch = self._from(rows, min(self.batch, room))
            if not batch:
                self.blocked = True
                break
            batches.append(batch)
            room -= len(batch)
        self.pacing.leaves(sum(map(len, batches)))
        return batches

    def _from(self, rows: deque[Claim], most: int) -> list[Claim]:
        if not self.pacing.by_domain:
            picked = [rows.popleft() for _ in range(min(most, len(rows)))]
        else:
            passed: list[Claim] = []
            picked = []
            while rows and len(picked) < most:
                row = rows.popleft()
                (picked if self.pacing.admits(row.domain) else passed).append(row)
            rows.extendleft(reversed(passed))
        self._size -= len(picked)
        return picked
