"""A backup is whole, and putting it back brings back nobody who was erased since."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter.audience import Audience
from newsletter.db import HEAD
from newsletter.errors import InputError, NotFoundError, RefusedError
from newsletter.tracking import RawEvent
from newsletter.workspace import Workspace

backup_module = importlib.import_module("newsletter.db.backup")  # the package names its function

ISSUE = "2026-W48"
PEOPLE = ("ada@example.com", "bo@example.com")


@pytest.fixture
def workspace(
    workspace_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    monkeypatch.setenv("NEWSLETTER_DATABASE__URL", database_url)
    with Workspace(workspace_dir, actor="desk") as one:
        for email in PEOPLE:
            one.audience.add(email, {"name": "X"}, source="test", consent_at=datetime.now(UTC))
        yield one


def test_a_backup_brings_back_what_was_there_but_not_who_was_erased(workspace: Workspace) -> None:
    path, size = workspace.backup()
    assert path.stat().st_size == size
    assert path.stat().st_mode & 0o077 == 0
    workspace.audience.set(PEOPLE[1], {"name": "Y"})
    done = workspace.erase(PEOPLE[0])
    assert done.backups == (path.relative_to(workspace.root).as_posix(),)
    restored = workspace.restore(path)
    assert restored.erased == 1
    assert restored.before.exists()
    assert workspace.audience.show(PEOPLE[1])["person"]["name"] == "X"
    with pytest.raises(NotFoundError):
        workspace.audience.show(PEOPLE[0])
    with pytest.raises(RefusedError, match="erased"):
        workspace.audience.add(PEOPLE[0], {}, source="test", consent_at=None)
    assert workspace.check_database() == []


def test_who_came_back_after_being_erased_stays(workspace: Workspace) -> None:
    workspace.erase(PEOPLE[0])
    workspace.audience.unsuppress(PEOPLE[0], reason="signed up again")
    workspace.audience.add(PEOPLE[0], {}, source="test", consent_at=datetime.now(UTC))
    path, _ = workspace.backup()
    assert workspace.restore(path).erased == 0
    assert workspace.audience.show(PEOPLE[0])


def test_who_was_erased_under_another_address_is_not_brought_back(workspace: Workspace) -> None:
    path, _ = workspace.backup()
    workspace.audience.set(PEOPLE[0], {"email": "new@example.com"})
    workspace.erase("new@example.com")
    assert workspace.restore(path).erased == 1
    with pytest.raises(NotFoundError):
        workspace.audience.show(PEOPLE[0])


def test_a_backup_subscribes_nobody_who_left_since(workspace: Workspace) -> None:
    path, _ = workspace.backup()
    workspace.audience.unsubscribe(PEOPLE[0])
    workspace.audience.suppress("kept@example.com", reason="complaint")
    later, _ = workspace.backup(workspace.root / "var" / "later")
    assert workspace.restore(path).left == 2
    assert workspace.audience.show(PEOPLE[0])["person"]["status"] == "unsubscribed"
    assert [one["email"] for one in workspace.audience.suppressions()] == ["kept@example.com"]
    workspace.audience.resubscribe(PEOPLE[0], proof="by mail")
    newest, _ = workspace.backup(workspace.root / "var" / "newest")
    workspace.restore(later)
    workspace.restore(newest)  # what it says is later than what is here
    assert workspace.audience.show(PEOPLE[0])["person"]["status"] == "subscribed"


def test_a_restore_that_is_cut_off_lets_nothing_happen_until_it_is_done(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = workspace.backup()
    workspace.erase(PEOPLE[0])
    workspace.audience.unsubscribe(PEOPLE[1])

    class CutOffError(Exception):
        pass

    def cut(_: Audience) -> int:
        raise CutOffError

    with monkeypatch.context() as patched:
        patched.setattr(Audience, "erase_again", cut)
        with pytest.raises(CutOffError):
            workspace.restore(path)
    with Workspace(workspace.root, actor="desk") as again:
        with pytest.raises(RefusedError, match="cut off half-way"):
            again.audience.show(PEOPLE[0])
        done = again.restore(path)
        assert (done.erased, done.left) == (1, 1)
        with pytest.raises(NotFoundError):
            again.audience.show(PEOPLE[0])
        assert again.audience.show(PEOPLE[1])["person"]["status"] == "unsubscribed"


def test_a_backup_of_a_newer_program_changes_nothing(
    workspace: Workspace, database_url: str
) -> None:
    with workspace.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    path = workspace.root / "var" / "b#1?.db"  # a name that an address can't have as it is
    backup_module._write(workspace.database, path)
    with workspace.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{HEAD}'")
    with pytest.raises(InputError, match="schema 9999"):
        workspace.restore(path)
    assert workspace.audience.show(PEOPLE[0])


def test_a_damaged_database_can_be_replaced(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workspace(workspace_dir, actor="desk") as one:
        one.audience.add(PEOPLE[0], {}, source="test", consent_at=None)
        path, _ = one.backup()
    file = workspace_dir / "var" / "newsletter.db"
    file.write_bytes(b"no database at all" * 1000)
    with Workspace(workspace_dir, actor="desk") as one:
        before = one.restore(path).before
        assert before.read_bytes().startswith(b"no database")
        assert one.audience.show(PEOPLE[0])


def test_a_backup_is_not_overwritten(workspace: Workspace) -> None:
    path, _ = workspace.backup()
    with pytest.raises(RefusedError, match="not overwritten"):
        workspace.backup(path)


def test_what_is_no_backup_changes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"something else " * 1000)
    with pytest.raises((InputError, RefusedError)):
        workspace.restore(path)
    assert workspace.audience.show(PEOPLE[0])


def test_no_number_is_given_again_after_a_restore(workspace: Workspace) -> None:
    path, _ = workspace.backup()
    person = workspace.audience.add("new@example.com", {}, source="test", consent_at=None)
    workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
    workspace.start(ISSUE)
    mailing = workspace.status(ISSUE)["mailing"]
    workspace.restore(path)
    assert workspace.audience.add("x@example.com", {}, source="t", consent_at=None) > person
    workspace.plan(ISSUE)
    assert workspace.status(ISSUE)["mailing"] > mailing


def test_who_moved_and_left_has_left_in_the_backup_too(workspace: Workspace) -> None:
    path, _ = workspace.backup()
    workspace.audience.set(PEOPLE[0], {"email": "moved@example.com"})
    workspace.audience.unsubscribe("moved@example.com")
    assert workspace.restore(path).left == 1
    assert workspace.audience.show(PEOPLE[0])["person"]["status"] == "unsubscribed"


def test_what_was_said_and_not_yet_taken_in_survives_a_restore(workspace: Workspace) -> None:
    path, _ = workspace.backup()
    workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
    workspace.start(ISSUE)
    raw = RawEvent(
        n=workspace.spool.next_number(), mailing=workspace.status(ISSUE)["mailing"], delivery=1,
        kind="unsubscribe", ref=None, at=datetime.now(UTC).timestamp(), method="POST", agent="",
    )  # fmt: skip
    workspace.spool.put(raw).result()
    assert workspace.restore(path).left == 1


def test_the_graver_reason_survives_a_restore(workspace: Workspace) -> None:
    workspace.audience.suppress("x@example.com")
    path, _ = workspace.backup()
    workspace.audience.suppress("x@example.com", reason="complaint")
    workspace.restore(path)
    (listed,) = workspace.audience.suppressions()
    assert listed["reason"] == "complaint"


def test_nobody_writes_while_a_restore_is_under_way(workspace: Workspace) -> None:
    with Workspace(workspace.root, actor="serve") as other:
        other.audience.show(PEOPLE[0])
        (workspace.root / "var" / "restoring.json").write_text("{}")
        with pytest.raises(RefusedError, match="a restore is under way"):
            other.audience.unsubscribe(PEOPLE[0])


def test_what_hangs_on_our_tables_hinders_no_restore(workspace: Workspace) -> None:
    path, _ = workspace.backup()
    with workspace.database.write() as connection:
        connection.exec_driver_sql("CREATE VIEW names AS SELECT name FROM subscriber")
    workspace.audience.set(PEOPLE[0], {"name": "Y"})
    workspace.restore(path)
    assert workspace.audience.show(PEOPLE[0])["person"]["name"] == "X"
