"""The contract of a way out, as tests that every transport must pass: ours, and those of plug-ins.

Subclass `TransportContract` in a test module of pytest, as docs/adding-a-transport.md shows. It needs
nothing but the standard library, and a real other side to send to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from newsletter.delivery.transports.base import (
    Envelope,
    Letter,
    Outcome,
    Transport,
    UnmakeableError,
)
from newsletter.editions import Envelope as MailHeaders
from newsletter.editions import Skeleton, marker, skeleton

#: Gives the recipients of what the other side took, in any order, one entry for each message.
Received = Callable[[], Sequence[str]]
_NONCE = "contract22"
_STATES = {"accepted", "rejected", "deferred", "uncertain", "unsent"}
_PATIENCE = 60  # seconds; more is a hang


class TransportContract:
    """What must hold for every transport whose other side is well."""

    def opened(self) -> AbstractContextManager[tuple[Transport, Received]]:
        """A transport with its other side, and what that received. To be overridden."""
        raise NotImplementedError

    # -- what is asked for -----------------------------------------------------------------------

    def test_it_says_what_it_is(self) -> None:
        with self.opened() as (transport, _):
            assert transport.name.isidentifier()
            assert transport.lanes >= 1
            assert transport.batch >= 1
            assert transport.in_doubt in ("resend", "hold")
            assert isinstance(transport.one_edition, bool)
            assert isinstance(transport.utf8, bool)
            transport.check()
            transport.close()

    def test_every_message_has_one_outcome_and_arrives_once(self) -> None:
        with self.opened() as (transport, received):
            transport.check()
            envelopes = [envelope(n) for n in range(1, 2 * min(transport.batch, 20) + 2)]
            outcomes = send(transport, envelopes)
            assert sorted(outcome.n for outcome in outcomes) == [one.n for one in envelopes]
            assert {outcome.state for outcome in outcomes} == {"accepted"}
            assert sorted(received()) == sorted(one.recipient for one in envelopes)

    def test_lanes_work_side_by_side(self) -> None:
        with self.opened() as (transport, received):
            transport.check()
            outcomes: list[Outcome] = []

            def work(first: int) -> None:
                outcomes.extend(send(transport, [envelope(n) for n in range(first, first + 5)]))

            threads = [threading.Thread(target=work, args=(n * 5 + 1,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(_PATIENCE)
                assert not thread.is_alive()
            assert sorted(outcome.n for outcome in outcomes) == list(range(1, 21))
            assert len(set(received())) == 20 == len(received())

    def test_what_it_says_of_the_past_is_true(self) -> None:
        """`took` may not know; what it knows must be so, and then a repetition makes no copy."""
        with self.opened() as (transport, received):
            transport.check()
            send(transport, [envelope(1)])
            assert transport.took(1, 1) in (True, None)
            assert transport.took(1, 2) in (False, None)
            if transport.took(1, 1):
                send(transport, [envelope(1)])
                assert len(received()) == 1

    def test_one_message_that_can_not_be_made_costs_nobody_else_theirs(self) -> None:
        with self.opened() as (transport, received):
            transport.check()
            broken = Envelope(1, 2, "b@example.com", "two@example.org", letter(), {})
            got: dict[int, str] = {}
            for one in (envelope(1), broken, envelope(3)):
                try:
                    got |= {outcome.n: outcome.state for outcome in send(transport, [one])}
                except UnmakeableError as error:
                    got[error.n] = "rejected"
                except KeyError as error:
                    raise AssertionError("let UnmakeableError through") from error
            assert got == {1: "accepted", 2: "rejected", 3: "accepted"}
            assert len(received()) == 2

    def test_a_lane_can_be_closed_at_any_time(self) -> None:
        with self.opened() as (transport, _):
            transport.check()
            lane = transport.lane()
            lane.close()
            lane = transport.lane()
            outcomes: Iterator[Outcome] = iter(lane.send([envelope(1)]))
            assert next(outcomes).state in _STATES
            lane.close()
            transport.close()


def send(transport: Transport, envelopes: Sequence[Envelope]) -> list[Outcome]:
    """All of them on one lane, in batches of the transport's size."""
    lane = transport.lane()
    try:
        return [
            outcome
            for at in range(0, len(envelopes), transport.batch)
            for outcome in lane.send(envelopes[at : at + transport.batch])
        ]
    finally:
        lane.close()


def letter() -> Letter:
    """A small edition with a slot in each part."""
    page, text = (f"{marker(_NONCE, 'click', kind)}\n" for kind in ("html", "text"))
    headers = MailHeaders("Desk", "desk@example.com", None, "List", "https://news.example.com")
    message = skeleton(headers, nonce=_NONCE, subject="S", language="en", html=page, text=text)
    return Letter("c0ntract", _NONCE, "S", page, text, Skeleton.cut(message, _NONCE))


def envelope(n: int) -> Envelope:
    """Delivery `n` of mailing 1, to an address of its own."""
    address = f"reader{n}@example.org"
    names = ("click", "message", "manage")
    values = {name: f"{name}{n}" for name in names} | {"to": address, "date": "today"}
    return Envelope(1, n, f"bounce+{n}@example.com", address, letter(), values)
