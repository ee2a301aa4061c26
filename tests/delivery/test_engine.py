"""The engine under way: stopped, paused, cancelled, slowed down, held, and never in doubt for long."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.db.schema import delivery, edition, mailing, subscriber
from newsletter.delivery import Stop
from newsletter.errors import NewsletterError, RefusedError, TransportError
from newsletter.workspace import Workspace
from tests.delivery.sendgrid_server import Faults, Server

ISSUE = "2026-W48"
Setting = Callable[..., None]


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Set settings by their environment variables: `setting(SENDING__RETRY_FIRST=1)`."""

    def change(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"NEWSLETTER_{name}", str(value))

    return change


@pytest.fixture
def workspace(
    workspace_dir: Path, database_url: str, setting: Setting
) -> Iterator[Callable[[], Workspace]]:
    """Opens the sample with its 500 people, once on each database, after settings are made."""
    opened: list[Workspace] = []

    def open_one() -> Workspace:
        setting(DATABASE__URL=database_url)
        one = Workspace(workspace_dir, actor="tester")
        if not opened:
            one.import_people(workspace_dir / "subscribers" / "people.csv")
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def local(workspace_dir: Path, setting: Setting) -> Iterator[Callable[[], Workspace]]:
    """The same on SQLite only."""
    opened: list[Workspace] = []

    def open_one(folder: Path = workspace_dir) -> Workspace:
        one = Workspace(folder, actor="tester")
        if not opened:
            one.import_people(workspace_dir / "subscribers" / "people.csv")
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        one.close()


def approved(one: Workspace, transport: str = "faulty", **options: Any) -> Any:
    plan = one.plan(ISSUE, transport=transport, **options)
    one.approve(ISSUE, plan=plan.hash)
    return plan


class Sending:
    """A send in a thread of its own, with a workspace of its own as another process would have."""

    def __init__(self, one: Workspace) -> None:
        self.one = one
        self.stop = Stop()
        self.status: dict[str, Any] = {}
        self.error: Exception | None = None
        self.accepted = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.status = self.one.start(ISSUE, progress=self._progress, stop=self.stop)
        except Exception as error:  # noqa: BLE001
            self.error = error

    def _progress(self, now: Any) -> None:
        self.now = now
        if now.accepted > 20:
            self.accepted.set()

    def join(self) -> dict[str, Any]:
        self.thread.join(60)
        assert not self.thread.is_alive()
        if self.error:
            raise self.error
        return self.status


def settled(one: Workspace, seconds: float = 10) -> dict[str, int]:
    """The states, once nothing is on its way."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        states: dict[str, int] = one.status(ISSUE)["states"]
        if not states["handed"]:
            return states
        time.sleep(0.02)
    raise AssertionError(states)


def test_paused_and_resumed_by_somebody_else(
    workspace: Callable[[], Workspace], setting: Setting
) -> None:
    setting(TRANSPORTS__FAULTY__DELAY=0.05)
    mine, other = workspace(), workspace()
    approved(mine)
    sending = Sending(mine)
    assert sending.accepted.wait(20)
    begun = time.monotonic()
    other.pause(ISSUE)
    first = settled(other)
    assert time.monotonic() - begun < 2
    later = settled(other)
    assert later["accepted"] == first["accepted"] < 486
    assert other.status(ISSUE)["state"] == "paused"
    state, at_work = other.resume(ISSUE)
    assert (state, at_work) == ("running", True)
    assert sending.join()["states"]["accepted"] == 486
    assert other.audit(ISSUE)["ok"]


def test_cancelled_by_somebody_else(workspace: Callable[[], Workspace], setting: Setting) -> None:
    setting(TRANSPORTS__FAULTY__DELAY=0.05)
    mine, other = workspace(), workspace()
    approved(mine)
    sending = Sending(mine)
    assert sending.accepted.wait(20)
    other.cancel(ISSUE)
    begun = time.monotonic()
    states = sending.join()["states"]
    assert time.monotonic() - begun < 2
    assert states["accepted"] + states["cancelled"] == 486
    assert states["cancelled"] > 0
    assert other.audit(ISSUE)["ok"]
    with pytest.raises(RefusedError, match="nothing to resume"):
        other.resume(ISSUE)
    assert other.plan(ISSUE).excluded["already_received"] == states["accepted"]


def test_asked_to_stop_nothing_is_left_in_doubt(
    workspace: Callable[[], Workspace], setting: Setting
) -> None:
    setting(TRANSPORTS__FAULTY__DELAY=0.05)
    one = workspace()
    approved(one)
    sending = Sending(one)
    assert sending.accepted.wait(20)
    sending.stop()
    states = sending.join()["states"]
    assert states["accepted"] + states["planned"] == 486
    assert states["planned"] > 0
    assert one.start(ISSUE)["states"]["accepted"] == 486


def test_temporary_failures_are_tried_again_and_lost_answers_resent(
    workspace: Callable[[], Workspace], setting: Setting
) -> None:
    setting(
        TRANSPORTS__FAULTY__DEFERRED=0.1,
        TRANSPORTS__FAULTY__UNCERTAIN=0.05,
        TRANSPORTS__FAULTY__UNREACHABLE=0.02,
        SENDING__RETRY_FIRST=0.05,
    )
    one = workspace()
    approved(one)
    assert one.start(ISSUE)["states"]["accepted"] == 486
    assert one.audit(ISSUE)["ok"]
    assert len(list((one.root / "var" / "faulty" / "new").glob("*.eml"))) == 486


def test_a_failure_that_stays_temporary_expires(
    workspace: Callable[[], Workspace], setting: Setting
) -> None:
    setting(
        TRANSPORTS__FAULTY__DEFERRED=1,
        SENDING__RETRY_FIRST=0.05,
        SENDING__RETRY_FOR=0.3,
    )
    one = workspace()
    approved(one)
    states = one.start(ISSUE)["states"]
    assert states["rejected"] == 486
    with one.database.read() as connection:
        assert set(connection.scalars(sa.select(delivery.c.reason))) == {"expired"}
        assert (connection.scalar(sa.select(sa.func.max(delivery.c.attempts))) or 0) > 1
    assert one.audit(ISSUE)["ok"]


def test_many_refusals_pause_the_send(workspace: Callable[[], Workspace], setting: Setting) -> None:
    setting(TRANSPORTS__FAULTY__REJECTED=0.5, TRANSPORTS__FAULTY__DELAY=0.02)
    one = workspace()
    approved(one)
    with pytest.raises(RefusedError, match=r"is paused: \d+ of the last \d+ messages were refused"):
        one.start(ISSUE)
    status = one.status(ISSUE)
    assert status["state"] == "paused"
    assert 100 <= status["states"]["rejected"] + status["states"]["accepted"] < 486
    assert not status["states"]["handed"] + status["states"]["claimed"]
    with pytest.raises(RefusedError, match="send resume"):
        one.start(ISSUE)
    setting(SENDING__PAUSE_AT=1)
    again = workspace()
    assert again.resume(ISSUE) == ("running", False)
    assert sum(again.start(ISSUE)["states"][key] for key in ("accepted", "rejected")) == 486


def test_a_way_out_that_stays_away_ends_the_send_and_loses_nobody(
    local: Callable[[], Workspace], setting: Setting
) -> None:
    setting(TRANSPORTS__FAULTY__UNREACHABLE=1, SENDING__UNREACHABLE_FOR=0.5)
    one = local()
    approved(one)
    with pytest.raises(TransportError, match="What was not sent stays planned"):
        one.start(ISSUE)
    assert one.status(ISSUE)["states"]["planned"] == 486


def test_a_rate_is_kept(local: Callable[[], Workspace], setting: Setting) -> None:
    setting(SENDING__LIMITS='["100/second"]')
    one = local()
    approved(one, transport="outbox", to="role = 'cto' or department = 'data'")
    people = sum(one.status(ISSUE)["states"].values())
    begun = time.monotonic()
    assert one.start(ISSUE)["states"]["accepted"] == people > 60
    assert time.monotonic() - begun > (people - 20) / 100


def test_who_was_never_answered_for_is_decided_by_somebody(
    local: Callable[[], Workspace], setting: Setting
) -> None:
    with Server(Faults(vanish=2, keeps=True)) as server:
        setting(TRANSPORTS__SENDGRID__HOST=server.host, TRANSPORTS__SENDGRID__API_KEY=server.key)
        one = local()
        approved(one, transport="sendgrid")
        states = one.start(ISSUE)["states"]
        doubt = states["uncertain"]
        assert doubt > 0
        assert states["accepted"] + doubt == 486
        books = one.audit(ISSUE)
        assert (books["ok"], books["unresolved"]) == (False, doubt)
        assert one.resolve(ISSUE, resend=True) == doubt
        assert one.start(ISSUE)["states"]["accepted"] == 486
        assert one.audit(ISSUE)["ok"]
        assert one.resolve(ISSUE, resend=False) == 0


# -- what a plan may ask for ----------------------------------------------------------------------


def test_a_plan_for_some_names_why_the_others_are_left_out(
    workspace: Callable[[], Workspace],
) -> None:
    one = workspace()
    plan = one.plan(ISSUE, to="role = 'cto'", exclude="country = 'DE'")
    assert plan.candidates == 500 == plan.deliveries + sum(plan.excluded.values())
    assert plan.excluded["not_in_target"] == 486 - one.count(
        "role = 'cto' and status = 'subscribed'"
    )
    assert plan.excluded.get("excluded", 0) > 0
    assert plan.options == {"to": "role = 'cto'", "exclude": "country = 'DE'"}
    with pytest.raises(NewsletterError, match="Did you mean"):
        one.plan(ISSUE, to="rolle = 'cto'")


def test_missed_is_for_those_who_did_not_get_it(
    workspace: Callable[[], Workspace], setting: Setting
) -> None:
    one = workspace()
    with pytest.raises(NewsletterError, match="no plan yet"):
        one.plan(ISSUE, kind="missed")
    approved(one, transport="outbox", to="role = 'cto'")
    with pytest.raises(RefusedError, match="was not sent yet"):
        one.plan(ISSUE, kind="missed")
    first = one.start(ISSUE)["states"]["accepted"]
    plan = one.plan(ISSUE, kind="missed")
    assert plan.excluded["already_received"] == first
    assert plan.deliveries == 486 - first
    one.approve(ISSUE, plan=plan.hash)
    status = one.start(ISSUE)
    assert status["states"]["accepted"] == 486
    assert [entry["kind"] for entry in status["mailings"]] == ["issue", "missed"]
    assert one.audit(ISSUE)["ok"]


def test_a_canary_goes_first_and_the_rest_follows(
    workspace: Callable[[], Workspace], setting: Setting
) -> None:
    setting(SENDING__CANARY_WAIT=0.2)
    one = workspace()
    approved(one, transport="outbox", canary=0.1)
    assert one.start(ISSUE)["states"]["accepted"] == 486
    with one.database.read() as connection:
        handed = sorted(connection.scalars(sa.select(delivery.c.handed_at)))
    gaps = [(later - first).total_seconds() for first, later in itertools.pairwise(handed)]
    first = gaps.index(max(gaps)) + 1
    assert max(gaps) >= 0.2
    assert 0.04 < first / 486 < 0.2


def test_a_canary_that_fails_holds_the_rest(
    workspace: Callable[[], Workspace], setting: Setting
) -> None:
    setting(SENDING__CANARY_WAIT=0, TRANSPORTS__FAULTY__REJECTED=0.5, SENDING__PAUSE_AT=1)
    one = workspace()
    approved(one, canary=0.1)
    with pytest.raises(RefusedError, match=r"of the canary's .* were refused or bounced"):
        one.start(ISSUE)
    status = one.status(ISSUE)
    assert status["state"] == "held"
    assert status["states"]["planned"] > 380
    assert one.resume(ISSUE)[0] == "running"
    states = one.start(ISSUE)["states"]
    assert states["accepted"] + states["rejected"] == 486


def test_nothing_is_handed_out_too_late(local: Callable[[], Workspace]) -> None:
    one = local()
    plan = approved(one, transport="outbox", not_after=datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(RefusedError, match="is held: it is later than"):
        one.start(ISSUE)
    assert one.status(ISSUE)["states"]["planned"] == 486 == plan.deliveries
    with pytest.raises(RefusedError, match="--i-know"):
        one.resume(ISSUE)
    one.resume(ISSUE, i_know=True)
    assert one.start(ISSUE)["states"]["accepted"] == 486


def test_a_scheduled_send_waits_for_its_time(local: Callable[[], Workspace]) -> None:
    one = local()
    due = datetime.now(UTC) + timedelta(seconds=1.5)
    approved(one, transport="outbox", send_at=due)
    assert one.status(ISSUE)["state"] == "scheduled"
    assert one.start(ISSUE)["states"]["accepted"] == 486
    with one.database.read() as connection:
        first = connection.scalar(sa.select(sa.func.min(delivery.c.handed_at)))
    assert first is not None
    assert first >= due


SPLIT = """
[split]
seed = 7
[[split.arm]]
name = "short"
share = 0.3
subject = "Shorter"
"""


def test_a_split_test_is_drawn_recorded_and_repeatable(
    workspace: Callable[[], Workspace],
) -> None:
    one = workspace()
    path = one.root / "issues" / ISSUE / "issue.toml"
    path.write_text(path.read_text("utf-8") + SPLIT, "utf-8")
    plan = approved(one, transport="outbox")
    assert {line.arm for line in plan.editions} == {"a", "short"}
    assert {line.subject for line in plan.editions if line.arm == "short"} == {"Shorter"}

    def arms() -> dict[int, str]:
        with one.database.read() as connection:
            newest = sa.select(sa.func.max(mailing.c.id)).scalar_subquery()
            rows = connection.execute(
                sa.select(delivery.c.subscriber_id, delivery.c.arm).where(
                    delivery.c.mailing == newest
                )
            )
            return dict(tuple(row) for row in rows)

    first = arms()
    drawn = sum(arm == "short" for arm in first.values()) / len(first)
    assert 0.22 < drawn < 0.38
    approved(one, transport="outbox")
    assert arms() == first
    assert one.start(ISSUE)["states"]["accepted"] == 486


# -- what must never send -------------------------------------------------------------------------


def test_rows_that_were_changed_after_the_approval_do_not_start(
    workspace: Callable[[], Workspace],
) -> None:
    one = workspace()
    approved(one, transport="outbox")
    with one.database.write() as connection:
        connection.execute(delivery.update().where(delivery.c.n == 7).values(subscriber_id=999_999))
    with pytest.raises(RefusedError, match="is not the plan that was approved"):
        one.start(ISSUE)


def test_a_copied_folder_does_not_send_until_somebody_says_so(
    local: Callable[..., Workspace], tmp_path: Path
) -> None:
    one = local()
    approved(one, transport="outbox", to="role = 'cto'")
    one.start(ISSUE)
    approved(one, transport="outbox")
    one.close()
    copy = tmp_path / "copy"
    shutil.copytree(one.root, copy)
    other = local(copy)
    with pytest.raises(RefusedError, match="is a copy of one that has sent"):
        other.start(ISSUE)
    assert other.status(ISSUE)["state"] == "held"
    with pytest.raises(RefusedError, match="--i-know"):
        other.resume(ISSUE)
    assert one.start(ISSUE)["state"] == "done"  # the original is not touched by it
    other.resume(ISSUE, i_know=True)
    assert other.start(ISSUE)["states"]["accepted"] == 486


def test_a_restored_backup_does_not_send_until_somebody_says_so(
    local: Callable[..., Workspace], tmp_path: Path
) -> None:
    one = local()
    approved(one, transport="outbox", to="role = 'cto'")
    one.start(ISSUE)
    approved(one, transport="outbox")
    one.close()
    database = one.root / "var" / "newsletter.db"
    backup = tmp_path / "backup.db"
    shutil.copyfile(database, backup)
    assert one.start(ISSUE)["states"]["accepted"] == 486
    one.close()
    for leftover in database.parent.glob("newsletter.db-*"):
        leftover.unlink()
    shutil.copyfile(backup, database)
    with pytest.raises(RefusedError, match="as a restored backup is"):
        one.start(ISSUE)
    assert one.status(ISSUE)["state"] == "held"
    one.resume(ISSUE, i_know=True)
    assert one.start(ISSUE)["states"]["accepted"] == 486


def test_another_database_behind_the_same_folder_does_not_send(
    local: Callable[..., Workspace], workspace_dir: Path, setting: Setting
) -> None:
    one = local()
    approved(one, transport="outbox")
    one.start(ISSUE)
    setting(DATABASE__URL="sqlite:///var/other.db")
    with Workspace(workspace_dir) as other:
        (workspace_dir / "var" / "secrets" / "tokens").stat()
        other.import_people(workspace_dir / "subscribers" / "people.csv")
        approved(other, transport="outbox")
        with pytest.raises(RefusedError, match="belongs to another database"):
            other.start(ISSUE)


def test_a_message_that_can_not_be_made_stops_nobody_else(
    workspace: Callable[[], Workspace], setting: Setting
) -> None:
    setting(SENDING__PAUSE_AT=1)
    one = workspace()
    approved(one, transport="outbox")
    with one.database.write() as connection:
        row = connection.execute(sa.select(edition.c.id, edition.c.message).limit(1)).one()
        broken = row.message.replace(b".reason.text@@", b".nonsense.text@@")
        assert broken != row.message
        connection.execute(edition.update().where(edition.c.id == row.id).values(message=broken))
    states = one.start(ISSUE)["states"]
    assert states["rejected"] > 0
    assert states["accepted"] + states["rejected"] == 486
    assert one.audit(ISSUE)["ok"]


def test_addresses_are_masked_in_the_log(
    local: Callable[[], Workspace], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="newsletter")
    one = local()
    approved(one, transport="outbox", to="role = 'cto'")
    one.start(ISSUE)
    assert "handed -> accepted" in caplog.text
    with one.database.read() as connection:
        addresses = list(connection.scalars(sa.select(subscriber.c.address)))
    assert not [address for address in addresses if address in caplog.text]
