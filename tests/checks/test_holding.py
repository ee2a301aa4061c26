"""Dates are looked at once more when the send starts, and hold it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.db.schema import delivery, mailing
from newsletter.delivery.plan import plan_hash
from newsletter.errors import RefusedError
from newsletter.workspace import Workspace

ISSUE = "2026-W48"


def prepared(root: Path, *, waived: bool = False) -> Workspace:
    """An issue for tomorrow with an action that is due today: fine when it was planned for yesterday."""
    today = datetime.now(UTC).date()
    folder = root / "issues" / ISSUE
    manifest = folder / "issue.toml"
    lines = manifest.read_text("utf-8").split("# BR301:")[0]
    planned = f"send_at = {today - timedelta(days=10)}T07:30:00+01:00"
    lines = "\n".join(
        planned if line.startswith("send_at") else line for line in lines.splitlines()
    )
    if waived:
        lines += '\n[[waiver]]\ncode = "BR301"\nreason = "it is about a missed date"\n'
    manifest.write_text(lines + "\n", "utf-8")
    for path in (folder / "briefs").iterdir():
        text = path.read_text("utf-8")
        for day in range(1, 32):
            for month in ("November", "December"):
                text = text.replace(f"by {day} {month} 2026", f"by {today - timedelta(days=2)}")
        path.write_text(text, "utf-8")
    workspace = Workspace(root)
    workspace.import_people(root / "subscribers" / "people.csv")
    return workspace


def states(workspace: Workspace) -> list[tuple[str, str | None]]:
    with workspace.database.read() as connection:
        return [
            tuple(row) for row in connection.execute(sa.select(mailing.c.state, mailing.c.note))
        ]  # type: ignore[misc]


def sent(workspace: Workspace) -> int:
    with workspace.database.read() as connection:
        return (
            connection.scalar(sa.select(sa.func.count()).where(delivery.c.state == "accepted")) or 0
        )


def test_a_mailing_whose_dates_have_passed_is_held_until_somebody_knows(
    workspace_dir: Path,
) -> None:
    with prepared(workspace_dir) as workspace:
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
        with pytest.raises(RefusedError, match=r"has passed .* held") as refused:
            workspace.start(ISSUE)
        assert refused.value.line
        ((state, note),) = states(workspace)
        assert state == "held"
        assert note
        assert "has passed" in note
        assert sent(workspace) == 0
        with pytest.raises(RefusedError, match="--i-know"):
            workspace.resume(ISSUE)
        with pytest.raises(RefusedError, match="held"):
            workspace.start(ISSUE)
        assert workspace.resume(ISSUE, i_know=True)[0] == "approved"
        workspace.start(ISSUE)
        assert sent(workspace) > 0
        assert workspace.audit(ISSUE)["ok"]


def test_a_held_mailing_can_be_planned_again(workspace_dir: Path) -> None:
    with prepared(workspace_dir) as workspace:
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
        with pytest.raises(RefusedError):
            workspace.start(ISSUE)
    folder = workspace_dir / "issues" / ISSUE / "briefs"
    soon = (datetime.now(UTC).date() + timedelta(days=9)).isoformat()
    old = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
    for path in folder.iterdir():
        path.write_text(path.read_text("utf-8").replace(old, soon), "utf-8")
    with Workspace(workspace_dir) as workspace:
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
        workspace.start(ISSUE)
        assert sent(workspace) > 0


def test_a_send_that_was_begun_and_cut_off_is_held_too(workspace_dir: Path) -> None:
    with prepared(workspace_dir) as workspace:
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
        with workspace.database.write() as connection:
            connection.execute(
                mailing.update().values(state="running", started_at=datetime.now(UTC))
            )
        with pytest.raises(RefusedError, match="held"):
            workspace.start(ISSUE)
        assert sent(workspace) == 0


def test_who_knew_of_one_date_does_not_know_of_the_next(workspace_dir: Path) -> None:
    with prepared(workspace_dir) as workspace:
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
        with pytest.raises(RefusedError):
            workspace.start(ISSUE)
        workspace.resume(ISSUE, i_know=True)
        with workspace.database.write() as connection:
            options = connection.scalar(sa.select(mailing.c.options))
            options["dates_known"] = options["dates_known"][1:]
            connection.execute(mailing.update().values(options=options))
            row = connection.execute(sa.select(mailing)).one()
            connection.execute(mailing.update().values(plan=plan_hash(connection, row.id)))
        with pytest.raises(RefusedError, match="held"):
            workspace.start(ISSUE)


def test_a_plan_for_later_looks_at_that_day(workspace_dir: Path) -> None:
    with prepared(workspace_dir) as workspace:
        later = datetime.now(UTC) + timedelta(days=400)
        with pytest.raises(RefusedError, match=f"arrives on {later:%Y-%m-%d}"):
            workspace.plan(ISSUE, send_at=later)


def test_a_waiver_holds_on_the_day_too(workspace_dir: Path) -> None:
    with prepared(workspace_dir, waived=True) as workspace:
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
        workspace.start(ISSUE)
        assert sent(workspace) > 0


def test_what_is_past_at_its_own_day_can_not_be_planned(workspace_dir: Path) -> None:
    with prepared(workspace_dir) as workspace:
        manifest = workspace_dir / "issues" / ISSUE / "issue.toml"
        today = datetime.now(UTC).date()
        text = manifest.read_text("utf-8").replace(
            str(today - timedelta(days=10)), str(today + timedelta(days=1))
        )
        manifest.write_text(text, "utf-8")
        with pytest.raises(RefusedError, match="has passed when the mail arrives"):
            workspace.plan(ISSUE)
