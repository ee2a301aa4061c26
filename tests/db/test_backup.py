"""A backup is whole, and putting it back brings back nobody who was erased since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter.errors import InputError, NotFoundError, RefusedError
from newsletter.workspace import Workspace

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
    before, erased = workspace.restore(path)
    assert erased == 1
    assert before.exists()
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
    assert workspace.restore(path)[1] == 0
    assert workspace.audience.show(PEOPLE[0])


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
