"""What every way out must offer. The engine owns the sequence, a transport fills these gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message on its way. `message` is complete: CRLF line ends, every slot filled."""

    mailing: int
    n: int  #: delivery number; (mailing, n) names the delivery for ever
    recipient: str
    message: bytes

    @property
    def name(self) -> str:
        """A file name that belongs to this delivery alone."""
        return f"m{self.mailing:06d}-n{self.n:08d}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message, in the ledger's words."""

    n: int
    state: Literal["accepted", "rejected", "deferred", "uncertain"]
    code: str = ""  #: the other side's code, e.g. "550 5.1.1"
    answer: str = ""  #: the other side's text


class Transport(Protocol):
    """A way out. One object serves one run of the engine."""

    name: str

    def check(self) -> None:
        """Raise TransportError when nothing could be sent: before the first message leaves."""

    def send(self, batch: Sequence[Envelope]) -> Sequence[Outcome]:
        """Send messages; one outcome each, in any order. Sending a delivery again that it took
        already must not make a second copy where the transport can tell.

        Raises TransportError when the way out itself fails; messages without an outcome then are
        as uncertain as the transport's `took` leaves them.
        """

    def took(self, envelope: Envelope) -> bool | None:
        """Whether this delivery was taken, None when the transport can't tell."""

    def close(self) -> None:
        """Give back what is open."""
