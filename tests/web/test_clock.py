"""Scheduled mailings are sent while `serve` runs, each by a process of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.db.schema import lease, mailing
from newsletter.web.clock import Clock
from newsletter.workspace import Workspace

ISSUE = "2026-W48"
_LONGEST = 60.0  # seconds


@pytest.fixture
def workspace(workspace_dir: Path) -> Iterator[Workspace]:
    with Workspace(workspace_dir, actor="tester") as one:
        one.import_people(workspace_dir / "subscribers" / "people.csv")
        yield one


def scheduled(one: Workspace, at: datetime | None, **options: Any) -> None:
    one.approve(ISSUE, plan=one.plan(ISSUE, send_at=at, **options).hash)


def until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + _LONGEST
    while not (found := true()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
    return found


def state(one: Workspace) -> str:
    return str(one.status(ISSUE)["state"])


def test_a_scheduled_mailing_is_sent_when_its_time_has_come(workspace: Workspace) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1)
    scheduled(workspace, due)
    with Clock(workspace, every=0.05):
        until(lambda: state(workspace) == "done")
    with workspace.database.read() as connection:
        assert connection.scalar(sa.select(mailing.c.started_at)) >= due
    assert workspace.audit(ISSUE)["ok"]


def test_a_mailing_without_a_time_waits_for_somebody_to_start_it(workspace: Workspace) -> None:
    scheduled(workspace, None)
    assert workspace.due(datetime.now(UTC)) == []


def test_what_is_not_due_or_not_approved_is_left_alone(workspace: Workspace) -> None:
    now = datetime.now(UTC)
    workspace.plan(ISSUE, send_at=now)
    assert workspace.due(now) == []
    scheduled(workspace, now + timedelta(hours=1))
    assert workspace.due(now) == []
    assert workspace.due(now + timedelta(hours=1)) == [ISSUE]


def test_a_send_whose_process_was_killed_goes_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_SENDING__LIMITS", '["100/second"]')
    monkeypatch.setattr("newsletter.web.clock._FIRST_AGAIN", 0.1)
    scheduled(workspace, datetime.now(UTC))
    with Clock(workspace, every=0.05):
        until(lambda: workspace.status(ISSUE)["states"]["accepted"])
        with workspace.database.read() as connection:
            owner = connection.scalar(sa.select(lease.c.owner))
        assert owner
        assert workspace.due(datetime.now(UTC)) == []
        os.kill(int(owner.split(":")[1]), signal.SIGKILL)
        monkeypatch.delenv("NEWSLETTER_SENDING__LIMITS")
        until(lambda: state(workspace) == "done")
    assert workspace.audit(ISSUE)["ok"]


def test_a_send_that_is_refused_is_tried_again_later_and_said(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    scheduled(workspace, datetime.now(UTC))
    (workspace.root / "templates" / "theme.toml").write_text("accent = 1\n")
    with Clock(workspace, every=0.05):
        until(lambda: "is tried again in 60 s" in caplog.text)
    assert state(workspace) == "approved"


def test_the_end_of_the_clock_ends_a_send_gently(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_SENDING__LIMITS", '["100/second"]')
    scheduled(workspace, datetime.now(UTC))
    with Clock(workspace, every=0.05):
        until(lambda: workspace.status(ISSUE)["states"]["accepted"])
    states = workspace.status(ISSUE)["states"]
    assert states["planned"]
    assert [states[one] for one in ("handed", "claimed", "uncertain")] == [0, 0, 0]


def test_a_stop_that_reaches_server_and_send_alike_leaves_nobody_in_doubt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a terminal, or the end of a systemd unit, signals both of them."""
    monkeypatch.setenv("NEWSLETTER_SENDING__LIMITS", '["100/second"]')
    scheduled(workspace, datetime.now(UTC))
    with Clock(workspace, every=0.05) as clock:
        until(lambda: workspace.status(ISSUE)["states"]["accepted"])
        sending = clock._sending[ISSUE]
        output = os.dup(sending.output.fileno())
        sending.process.send_signal(signal.SIGTERM)
    said = os.pread(output, 10_000, 0)
    os.close(output)
    assert b"Stopping" in said
    assert b"Cutting" not in said
    assert sending.process.returncode == 1
    states = workspace.status(ISSUE)["states"]
    assert states["planned"]
    assert [states[one] for one in ("handed", "claimed", "uncertain")] == [0, 0, 0]
