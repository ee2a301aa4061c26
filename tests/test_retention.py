"""What is past its time goes, and the figures stay as they were."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter import retention as retention_module
from newsletter.audience import parse_address
from newsletter.audience.requests import Ask, ask
from newsletter.db.schema import delivery, event, request, subscriber, suppression
from newsletter.errors import RefusedError
from newsletter.retention import Deleted
from newsletter.tracking import RawEvent
from newsletter.workspace import Workspace

ISSUE = "2026-W48"
NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=401)
NOTHING = Deleted(events=0, requests=0, suppressions=0)


@pytest.fixture
def workspace(
    workspace_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    monkeypatch.setenv("NEWSLETTER_DATABASE__URL", database_url)
    (workspace_dir / "people.csv").write_text("email\nada@example.com\nbob@example.com\n")
    with Workspace(workspace_dir, actor="tester") as opened:
        opened.import_people(workspace_dir / "people.csv")
        yield opened


def sent(workspace: Workspace) -> int:
    workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
    workspace.start(ISSUE)
    for n, kind in [(1, "open"), (1, "click"), (2, "open")]:
        came_back(workspace, n, kind)
    with workspace.database.write() as connection:
        connection.execute(delivery.update().values(answer="250 ok for ada@example.com"))
    return int(workspace.status(ISSUE)["mailing"])


def came_back(workspace: Workspace, n: int, kind: str) -> None:
    raw = RawEvent(
        n=workspace.spool.next_number(), mailing=workspace.status(ISSUE)["mailing"], delivery=n,
        kind=kind, ref=1 if kind == "click" else None, at=datetime.now(UTC).timestamp(),
        method="GET", agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    )  # fmt: skip
    workspace.spool.put(raw).result()


def number_of(workspace: Workspace, table: sa.Table) -> int:
    with workspace.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_events_go_and_figures_stay(workspace: Workspace) -> None:
    sent(workspace)
    before = workspace.report(ISSUE)
    assert before["opens"]["raw"] == 2
    assert workspace.delete_old(now=NOW + timedelta(days=399)) == NOTHING
    assert workspace.delete_old(now=LATER) == Deleted(events=3, requests=0, suppressions=0)
    assert number_of(workspace, event) == 0
    assert workspace.report(ISSUE) == before
    with workspace.database.read() as connection:
        assert set(connection.scalars(sa.select(delivery.c.answer))) == {None}
    came_back(workspace, 1, "open")  # whoever opens it now is in no figure, and soon in no table
    assert workspace.delete_old(now=LATER).events == 1
    assert workspace.report(ISSUE) == before
    assert workspace.audit(ISSUE)["ok"]
    with pytest.raises(RefusedError, match="figures of 2026-W48 are closed"):
        workspace.plan(ISSUE, kind="missed")


def test_what_was_cut_off_is_gone_on_with(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(workspace)

    class CutOffError(Exception):
        pass

    def cut(*_: object) -> int:
        raise CutOffError

    with monkeypatch.context() as patched:
        patched.setattr(retention_module, "_without_events", cut)
        with pytest.raises(CutOffError):
            workspace.delete_old(now=LATER)
    assert workspace.delete_old(now=LATER).events == 3
    with workspace.database.read() as connection:
        assert set(connection.scalars(sa.select(delivery.c.answer))) == {None}


def test_a_mail_that_was_taken_back_keeps_nothing_that_is_under_way(workspace: Workspace) -> None:
    workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
    assert workspace.delete_old(now=LATER) == NOTHING  # approved, not over
    workspace.start(ISSUE)
    assert workspace.report(ISSUE)["recipients"] == 2


def test_a_publication_may_keep_events_for_ever(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_TRACKING__KEEP_DAYS", "0")
    (workspace_dir / "people.csv").write_text("email\nada@example.com\nbob@example.com\n")
    with Workspace(workspace_dir, actor="tester") as workspace:
        workspace.import_people(workspace_dir / "people.csv")
        sent(workspace)
        assert workspace.delete_old(now=LATER).events == 0
        assert number_of(workspace, event) == 3


def test_who_never_confirmed_is_forgotten_and_who_did_stays(workspace: Workspace) -> None:
    with workspace.database.write() as connection:
        for email in ("new@example.com", "ada@example.com"):
            ask(connection, Ask("sign-up", parse_address(email), "form"), NOW)
        connection.execute(
            subscriber.insert(),
            {
                "address": "new@example.com", "address_key": "new@example.com",
                "domain": "example.com", "status": "pending", "fields": {}, "created_at": NOW,
                "updated_at": NOW,
            },
        )  # fmt: skip
    assert workspace.delete_old(now=NOW + timedelta(days=29)) == NOTHING
    assert workspace.delete_old(now=NOW + timedelta(days=31)).requests == 2
    assert number_of(workspace, request) == 0
    with workspace.database.read() as connection:
        people = set(connection.scalars(sa.select(subscriber.c.address_key)))
    assert people == {"ada@example.com", "bob@example.com"}


def test_a_suppression_that_has_expired_goes_and_others_stay(workspace: Workspace) -> None:
    workspace.audience.suppress("a@example.com")
    day = (datetime.now(UTC) + timedelta(days=10)).date().isoformat()
    workspace.audience.suppress("b@example.com", until=day)
    assert workspace.delete_old(now=NOW + timedelta(days=12)).suppressions == 1
    with workspace.database.read() as connection:
        assert connection.scalars(sa.select(suppression.c.address_key)).all() == ["a@example.com"]


def test_it_is_done_once_a_day_whoever_asks(workspace: Workspace) -> None:
    assert workspace.delete_old_daily(NOW) == NOTHING
    assert workspace.delete_old_daily(NOW + timedelta(hours=23)) is None
    assert workspace.delete_old_daily(NOW + timedelta(hours=25)) == NOTHING
