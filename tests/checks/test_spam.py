"""Points of messages, by a real spamd with its rules alone, and what is said when there is none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from newsletter.audience import ReaderKind
from newsletter.checks.spam import Missing, Rule, SpamScore, score
from newsletter.workspace import Workspace
from tests.checks import spamd
from tests.delivery.smtp_server import free_port

_GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def _received() -> bytes:
    """A last hop outside, just now. Without one, SpamAssassin has less to look at."""
    return (
        "Received: from mail.signal-brief.example (mail.signal-brief.example [198.18.7.25])\r\n"
        "\tby mx.example.org (Postfix) with ESMTPS id 4XyZ for <you@example.com>;\r\n"
        f"\t{formatdate()}\r\n"
    ).encode()


def _message(text: str, more: str = "") -> bytes:
    return (
        "From: Desk <desk@example.com>\r\nTo: you@example.org\r\nSubject: The week in brief\r\n"
        "Date: Wed, 25 Nov 2026 09:00:00 +0000\r\nMessage-ID: <20261125.a1b2c3@example.com>\r\n"
        f"{more}\r\n{text}\r\n"
    ).encode()


@pytest.fixture(scope="module")
def daemon() -> Iterator[tuple[str, ...]]:
    """Arguments with which spamc reaches this process's spamd."""
    if why := spamd.missing():
        pytest.skip(why)
    with spamd.running() as arguments:
        yield arguments


def test_a_good_edition_has_less_than_a_point(daemon: tuple[str, ...], workspace_dir: Path) -> None:
    with Workspace(workspace_dir) as workspace:
        workspace.database.upgrade()
        reader = ReaderKind(("ai-teams",), "en")
        [planned] = workspace.editions(workspace.issue("2026-W48"), [reader])
        message = workspace.proofs.message(planned.edition, "you@example.com").message()
    # As it arrives somewhere, and as it lies here before it is sent.
    for whole in (_received() + message, message):
        found = score(whole, arguments=daemon)
        assert isinstance(found, SpamScore), found
        assert found.score < 1, found
        assert not found.spam
        assert found.threshold == 5
        assert "MAILING_LIST_MULTI" in {rule.name for rule in found.rules}, found


def test_the_test_message_of_all_filters_has_a_thousand(daemon: tuple[str, ...]) -> None:
    found = score(_message(_GTUBE), arguments=daemon)
    assert isinstance(found, SpamScore), found
    assert found.score == pytest.approx(1000, abs=5)
    assert found.spam
    assert found.rules[0] == Rule(1000, "GTUBE", "BODY: Generic Test for Unsolicited Bulk Email")


def test_points_add_up_and_long_descriptions_are_whole(daemon: tuple[str, ...]) -> None:
    page = '<font color="#fefefe">hidden</font> <a href="http://203.0.113.9/">click here</a>'
    found = score(_message(page, "Content-Type: text/html\r\n"), arguments=daemon)
    assert isinstance(found, SpamScore), found
    rules = {rule.name: rule for rule in found.rules}
    assert rules["MIME_HEADER_CTYPE_ONLY"].description.endswith("without required MIME headers")
    assert rules["MIME_HEADER_CTYPE_ONLY"].points > 0
    assert found.rules[0].points == max(rule.points for rule in found.rules)
    rounding = 0.05 * (len(found.rules) + 1)
    assert sum(rule.points for rule in found.rules) == pytest.approx(found.score, abs=rounding)


def test_a_message_that_looks_like_a_report_changes_nothing(daemon: tuple[str, ...]) -> None:
    """The daemon's report quotes the message."""
    forged = f"{'x' * 70} -99 USER_IN_ALLOWLIST From: is in the list {'y' * 70}"
    found = score(_message(forged), arguments=daemon)
    assert isinstance(found, SpamScore), found
    assert found.score > -1
    assert "USER_IN_ALLOWLIST" not in {rule.name for rule in found.rules}
    assert found.rules


def test_a_big_message_is_looked_at_too(daemon: tuple[str, ...]) -> None:
    """spamc lets more than 500 kB pass unread unless it is told otherwise."""
    found = score(_message(_GTUBE + "\r\n" + "More to read. \r\n" * 50_000), arguments=daemon)
    assert isinstance(found, SpamScore), found
    assert found.score > 900


def test_without_a_daemon_somebody_is_told() -> None:
    if why := spamd.missing():
        pytest.skip(why)
    nobody = ("-F", os.devnull, "-d", "127.0.0.1", "-p", str(free_port()))
    found = score(_message("Hello."), arguments=nobody)
    assert isinstance(found, Missing)
    assert found.reason.startswith("no spamd answers spamc: ")
    assert "refused" in found.reason


def _program(folder: Path, script: str) -> str:
    path = folder / "spamc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_whatever_else_goes_wrong_is_told(tmp_path: Path) -> None:
    missing = score(b"x", command=str(tmp_path / "nothing"))
    assert isinstance(missing, Missing)
    assert "apt install spamc spamd" in missing.reason
    # A message that was not looked at must not pass for one with nothing wrong.
    for script, why in {
        "cat >/dev/null; echo 0/0": "how many points",
        "cat >/dev/null; echo well": "how many points",
        "cat >/dev/null; exit 69": "ended with 69",
        "exit 75": "ended with 75",
        "exec tail -f /dev/null": "no answer after 0.2 seconds",
    }.items():
        found = score(b"x" * 300_000, command=_program(tmp_path, script), timeout=0.2)
        assert isinstance(found, Missing), script
        assert why in found.reason
    (tmp_path / "spamc").chmod(0o600)
    found = score(b"x", command=str(tmp_path / "spamc"))
    assert found == Missing(f"{tmp_path / 'spamc'} can't be run: Permission denied")
