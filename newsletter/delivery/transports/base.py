"""What every way out must offer. The engine owns the sequence, a transport fills these gaps.

Whether a message may be tried again hangs on what a transport says here, so each word has one
meaning; docs/adding-a-transport.md explains them to whoever writes another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from newsletter.editions import Skeleton, encode
from newsletter.errors import NewsletterError

State = Literal["accepted", "rejected", "deferred", "uncertain", "unsent"]
InDoubt = Literal["resend", "hold"]


@dataclass(frozen=True, slots=True)
class Letter:
    """An edition as delivery knows it: bytes and texts with open slots, shared by its recipients."""

    edition: str  #: its content-addressed id
    nonce: str  #: marks its slots: `@@<nonce>.<name>.<context>@@`
    subject: str
    html: str  #: slots of the context `html` open
    text: str  #: slots of the context `text` open
    skeleton: Skeleton  #: the whole MIME message, cut at its slots

    def fill(self, values: Mapping[str, str]) -> bytes:
        """The complete message for one recipient, from plain values by slot name."""
        skeleton = self.skeleton
        return skeleton.splice(
            {(name, context): encode(values[name], context) for name, context in skeleton.keys}  # type: ignore[arg-type]
        )


class Envelope(NamedTuple):  # like Outcome made for every message: a tuple is made soonest
    """One message on its way; (mailing, n) names the delivery for ever."""

    mailing: int
    n: int
    sender: str  #: envelope sender (return path) of this delivery alone
    recipient: str  #: local part as written, domain as IDNA; one mailbox without line breaks
    letter: Letter
    values: Mapping[str, str]  #: plain values by slot name, not yet escaped

    @property
    def name(self) -> str:
        """A file name that belongs to this delivery alone."""
        return f"m{self.mailing:06d}-n{self.n:08d}"

    def message(self) -> bytes:
        """The complete message: CRLF line ends, every slot filled, not dot-stuffed, the same bytes
        each time. Costs some 10 µs; made where it is needed, on the thread of a lane.

        Raises UnmakeableError, which a lane may let through: the engine then rejects this message.
        """
        try:
            return self.letter.fill(self.values)
        except Exception as error:  # one person whose name is beyond us must never stop the rest
            raise UnmakeableError(self.n, error) from error


class Outcome(NamedTuple):
    """What became of one message.

    `accepted` the other side took it; `rejected` it never will; `deferred` it asked to try later, or
    the connection was lost before it could have taken the message; `uncertain` nobody can tell;
    `unsent` nothing of it was begun.
    """

    n: int
    state: State
    code: str = ""  #: the other side's code, e.g. "550 5.1.1"
    answer: str = ""  #: the other side's text, one line, at most 500 characters


class Unreachable(NewsletterError):  # noqa: N818  (a state of the world, not a mistake)
    """The other side can't be reached or asks for a rest; what has no outcome yet was not begun.

    The engine gives those messages back, waits and opens the lane again.
    """

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        """`wait` is how many seconds the other side asked for, None when it said nothing."""
        super().__init__(message)
        self.wait = wait


class UnmakeableError(Exception):
    """A message can't be made for one person: a mistake of ours or of a template, not of the way."""

    def __init__(self, n: int, error: Exception) -> None:
        super().__init__(f"the message can't be made: {type(error).__name__}: {error}")
        self.n = n


class Lane(Protocol):
    """One connection, used by one thread."""

    def send(self, batch: Sequence[Envelope]) -> Iterator[Outcome]:
        """Send messages, at most `Transport.batch`, and yield one outcome each as soon as it is known,
        in any order. Connects when needed.

        Raises Unreachable when the other side can't be reached now, TransportError when nobody's
        messages could go this way (wrong credentials, sender refused). After either, every message
        without an outcome counts as `unsent`; after any other exception as `uncertain`.
        Must come to an end by itself: every wait has a time-out.
        """

    def close(self) -> None:
        """Give back what is open, without waiting for the other side longer than a second."""


class Transport(Protocol):
    """A way out. One object serves one run of the engine."""

    name: str
    lanes: int  #: how many `lane`s may work at a time
    batch: int  #: most messages of one `Lane.send`
    one_edition: bool  #: whether a batch must be of one edition
    utf8: bool  #: whether addresses with a non-ASCII local part can be tried
    in_doubt: InDoubt  #: whether an uncertain delivery is sent again, or held for a decision

    def check(self) -> None:
        """Raise TransportError when nothing could be sent: before the first message leaves."""

    def lane(self) -> Lane:
        """A new connection; opens nothing yet."""

    def took(self, mailing: int, n: int) -> bool | None:
        """Whether this delivery was taken, None when the transport can't tell."""

    def close(self) -> None:
        """Give back what is shared."""
