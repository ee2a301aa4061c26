"""What is done to a send, by name."""

from __future__ import annotations

import signal

from tests.reliability.harness import Scenario

_CUTS = {
    "cut-before-data": "connections cut at RCPT",
    "cut-in-data": "connections cut in the middle of a message",
    "cut-after-dot": "connections cut after the message was taken, unanswered",
    "drop-after-dot": "connections cut after the final dot, the message not taken",
    "busy": "421 at MAIL, connection closed",
    "later-at-rcpt": "450 at RCPT",
    "later-after-dot": "451 after the final dot",
    "refuse": "550 at RCPT for some people",
}

SCENARIOS = [
    Scenario("kill", "killed with SIGKILL", kills=1, runs=200),
    Scenario("kill-often", "killed with SIGKILL four times", kills=4),
    Scenario("term", "ended with SIGTERM", kills=2, signal=signal.SIGTERM),
    Scenario("restart", "the server killed and started again, twice", harm="restart"),
    *(Scenario(name, what, faults={name: 0.02}, runs=5) for name, what in _CUTS.items()),
    Scenario(
        "cuts-and-kills",
        "all of these at 0.5 % each, and SIGKILL",
        faults=dict.fromkeys(_CUTS, 0.005),
        kills=2,
    ),
    Scenario("lock", "the database locked by another process, again and again", harm="lock"),
    Scenario("full", "the disk full, then room again", harm="full"),
    Scenario("unsubscribe", "a quarter of the people leave while it runs", harm="unsubscribe"),
    Scenario("outbox", "the outbox, SIGKILL", transport="outbox", kills=2),
    Scenario(
        "faulty",
        "the faulty transport, SIGKILL",
        transport="faulty",
        kills=2,
        settings={
            "TRANSPORTS__FAULTY__DEFERRED": "0.02",
            "TRANSPORTS__FAULTY__UNCERTAIN": "0.01",
            "TRANSPORTS__FAULTY__UNREACHABLE": "0.005",
            "TRANSPORTS__FAULTY__REJECTED": "0.01",
        },
    ),
]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
