"""From the inbox to an issue: complete or not at all, and never a brief lost."""

from __future__ import annotations

import shutil
import sys
import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from newsletter.audience import load_segments
from newsletter.briefs import Audiences
from newsletter.config import load
from newsletter.errors import InputError, RefusedError
from newsletter.files import replace_file
from newsletter.issues import Choice, assemble
from tests.issues.workspace import (
    BERLIN,
    brief_text,
    candidates,
    loaded,
    put_inbox,
    put_issue,
)


def fill(root: Path) -> None:
    """Three briefs of three days, the first two tagged."""
    put_inbox(root, "beta.md", brief_text("Beta", front={"date": "2026-11-20", "tags": "[ai, x]"}))
    put_inbox(
        root, "alpha.md", brief_text("Alpha", front={"tags": "ai"}), changed=date(2026, 11, 21)
    )
    put_inbox(root, "gamma.txt", "Gamma line\nLead.\nOur Take\nT.\n", changed=date(2026, 11, 22))


def make(root: Path, issue: str = "2026-W48", *, add: bool = False, **choice: Any) -> list[str]:
    """Assemble and return the slugs that went in."""
    chosen = assemble(root, issue, candidates(root), Choice(**choice), add=add, zone=BERLIN)
    return [one.slug for one in chosen]


def manifest(root: Path, issue: str = "2026-W48") -> dict[str, Any]:
    return tomllib.loads((root / "issues" / issue / "issue.toml").read_text("utf-8"))


def files(root: Path) -> list[str]:
    """Every file of the workspace's issues."""
    folder = root / "issues"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_all_briefs_go_in_by_date_and_leave_the_inbox(tmp_path: Path) -> None:
    fill(tmp_path)
    assert make(tmp_path) == ["beta", "alpha", "gamma"]
    assert files(tmp_path) == [
        "2026-W48/briefs/alpha.md", "2026-W48/briefs/beta.md", "2026-W48/briefs/gamma.txt",
        "2026-W48/issue.toml",
    ]  # fmt: skip
    made = manifest(tmp_path)
    assert made["order"] == ["beta", "alpha", "gamma"]
    assert (made["title"], made["subject"]) == ("Week 48", "Beta")
    assert made["preheader"] == "Also: Alpha; Gamma line."
    assert [brief.slug for brief in loaded(tmp_path, "2026-W48").briefs] == made["order"]


@pytest.mark.parametrize(
    ("choice", "slugs"),
    [
        ({"slugs": ("gamma", "alpha")}, ["gamma", "alpha"]),
        ({"tag": "ai"}, ["beta", "alpha"]),
        ({"since": date(2026, 11, 21)}, ["alpha", "gamma"]),
        ({"until": date(2026, 11, 21)}, ["beta", "alpha"]),
        ({"since": date(2026, 11, 21), "until": date(2026, 11, 21)}, ["alpha"]),
        ({"most": 2}, ["beta", "alpha"]),
        ({"tag": "ai", "most": 1}, ["beta"]),
    ],
)
def test_a_choice_takes_what_it_names_and_leaves_the_rest(
    tmp_path: Path, choice: dict[str, Any], slugs: list[str]
) -> None:
    fill(tmp_path)
    assert make(tmp_path, **choice) == slugs
    assert manifest(tmp_path)["order"] == slugs
    assert {one.slug for one in candidates(tmp_path)} == {"alpha", "beta", "gamma"} - set(slugs)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"tag": "none"}, "no brief that fits"),
        ({"since": date(2027, 1, 1)}, "no brief that fits"),
        ({"slugs": ("alpah",)}, 'Did you mean "alpha"?'),
        ({"slugs": ("alpha", "alpha")}, "named twice"),
    ],
)
def test_a_choice_that_finds_nothing_is_refused_and_changes_nothing(
    tmp_path: Path, choice: dict[str, Any], says: str
) -> None:
    fill(tmp_path)
    before = files(tmp_path)
    with pytest.raises(RefusedError) as caught:
        make(tmp_path, **choice)
    assert says in str(caught.value)
    assert files(tmp_path) == before


def test_an_empty_inbox_is_told_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="newsletter brief add FILE"):
        make(tmp_path)
    assert not (tmp_path / "issues").exists()


def test_an_issue_is_not_made_twice(tmp_path: Path) -> None:
    fill(tmp_path)
    make(tmp_path, slugs=("alpha",))
    before = files(tmp_path)
    with pytest.raises(RefusedError, match="--add"):
        make(tmp_path)
    assert files(tmp_path) == before


def test_more_briefs_can_be_added_and_the_manifest_keeps_its_words(tmp_path: Path) -> None:
    put_issue(
        tmp_path, "2026-W48", '# mine\nsubject = "S" # kept\norder = ["one"]\n', one=brief_text()
    )
    fill(tmp_path)
    assert make(tmp_path, add=True, slugs=("gamma",)) == ["gamma"]
    text = (tmp_path / "issues" / "2026-W48" / "issue.toml").read_text("utf-8")
    assert text.startswith('# mine\nsubject = "S" # kept\n')
    assert manifest(tmp_path)["order"] == ["one", "gamma"]
    assert "2026-W48/briefs/gamma.txt" in files(tmp_path)
    assert "inbox/gamma.txt" not in files(tmp_path)


def test_adding_to_an_issue_that_is_not_there_makes_it(tmp_path: Path) -> None:
    fill(tmp_path)
    make(tmp_path, add=True)
    assert manifest(tmp_path)["order"] == ["beta", "alpha", "gamma"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("one.md", brief_text("Another")),
        ("one.txt", brief_text("Another")),
        ("another.md", brief_text("Another", front={"slug": "one"})),
        ("other.md", brief_text("Another", front={"slug": "pinned"})),
    ],
)
def test_a_slug_is_used_once_in_all_issues(tmp_path: Path, name: str, text: str) -> None:
    put_issue(
        tmp_path, "2026-W47", "", one=brief_text(),
        two=brief_text("Two", front={"slug": "pinned"}),
    )  # fmt: skip
    put_inbox(tmp_path, name, text)
    before = files(tmp_path)
    with pytest.raises(RefusedError, match="issue 2026-W47 already"):
        make(tmp_path)
    assert files(tmp_path) == before


def test_two_briefs_of_one_slug_in_the_inbox_are_refused_with_both_names(tmp_path: Path) -> None:
    put_inbox(tmp_path, "one.md", brief_text())
    put_inbox(tmp_path, "one.txt", brief_text())
    with pytest.raises(RefusedError, match=r"one\.md, .*one\.txt"):
        make(tmp_path)


def test_a_brief_with_errors_is_refused_at_its_place(tmp_path: Path) -> None:
    put_inbox(tmp_path, "good.md", brief_text())
    put_inbox(tmp_path, "bad.md", brief_text("Bad", "Exces: decide."))
    before = files(tmp_path)
    with pytest.raises(RefusedError, match=r"bad\.md:15:1: .*Did you mean"):
        make(tmp_path)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("issue", "says"),
    [("../x", "letters"), ("inbox", "letters"), ("2026-W60", "no week 60"),
     ("2026-w48", "as 2026-W48"), ("2026-W8", "as 2026-W08"), ("2026W48", "as 2026-W48")],
)  # fmt: skip
def test_no_issue_is_made_under_an_impossible_name(tmp_path: Path, issue: str, says: str) -> None:
    fill(tmp_path)
    with pytest.raises(RefusedError, match=says):
        make(tmp_path, issue)
    assert len(candidates(tmp_path)) == 3


LAST = """\
subject = "Old"
preheader = "Old"
send_at = {send_at}
order = ["one"]
text = "full"

[policy]
resolution = "all" # as agreed
digest = 5

[gate]
min = 1

[segments.execs]
subject = "Old"

[[waiver]]
code = "IS201"
reason = "only then"
"""


def test_a_new_issue_takes_over_the_last_ones_settings_and_not_its_words(tmp_path: Path) -> None:
    put_issue(tmp_path, "2026-W40", "text = 'lead'\n")
    put_issue(
        tmp_path, "2026-W46", LAST.format(send_at="2026-11-10T07:30:00+01:00"), one=brief_text()
    )
    put_issue(tmp_path, "2026-W50", "text = 'lead'\n")
    fill(tmp_path)
    make(tmp_path)
    made = manifest(tmp_path)
    assert made["send_at"].isoformat() == "2026-11-24T07:30:00+01:00"
    assert made["text"] == "full"
    assert made["policy"] == {"resolution": "all", "digest": 5}
    assert made["gate"] == {"min": 1}
    assert made["subject"] == "Beta"
    assert "segments" not in made
    assert "waiver" not in made


def test_the_hour_stays_when_summer_time_begins(tmp_path: Path) -> None:
    put_issue(tmp_path, "2026-W13", LAST.format(send_at="2026-03-24T07:30:00+01:00"))
    fill(tmp_path)
    make(tmp_path, "2026-W14")
    sent: datetime = manifest(tmp_path, "2026-W14")["send_at"]
    assert sent == datetime(2026, 3, 31, 7, 30, tzinfo=BERLIN)
    assert sent.utcoffset() == timedelta(hours=2)


def test_a_time_without_zone_stays_without(tmp_path: Path) -> None:
    put_issue(tmp_path, "2026-W47", LAST.format(send_at="2026-11-17T07:30:00"))
    fill(tmp_path)
    make(tmp_path)
    assert manifest(tmp_path)["send_at"] == datetime(2026, 11, 24, 7, 30)


def test_headlines_may_hold_anything(tmp_path: Path) -> None:
    put_inbox(tmp_path, "one.md", brief_text('Say "no" to C:\\new — 100 % 😀'))
    make(tmp_path)
    assert manifest(tmp_path)["subject"] == 'Say "no" to C:\\new — 100 % 😀'
    assert manifest(tmp_path)["preheader"] == ""


def test_a_last_manifest_that_can_not_be_read_is_named_and_nothing_changes(tmp_path: Path) -> None:
    put_issue(tmp_path, "2026-W47", "a = 1\nb =\n")
    fill(tmp_path)
    before = files(tmp_path)
    with pytest.raises(InputError) as caught:
        make(tmp_path)
    assert (Path(caught.value.file or "").parent.name, caught.value.line) == ("2026-W47", 2)
    assert files(tmp_path) == before


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_stopped_at_any_moment_every_brief_is_still_there_and_a_second_run_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, add: bool, fails_at: int
) -> None:
    fill(tmp_path)
    if add:
        put_issue(tmp_path, "2026-W48", "order = []\n")
    texts = {one.path.name: one.path.read_bytes() for one in candidates(tmp_path)}
    steps = iter(range(1, 100))

    def stops(real: Any) -> Any:
        def step(*args: Any, **options: Any) -> Any:
            if next(steps) == fails_at:
                raise OSError(28, "No space left on device")
            return real(*args, **options)

        return step

    module = sys.modules["newsletter.issues.assemble"]  # its name in the package is the function's
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", stops(shutil.copy2))
        patch.setattr(module, "replace_file", stops(replace_file))
        patch.setattr(Path, "rename", stops(Path.rename))
        with pytest.raises(OSError, match="No space"):
            make(tmp_path, add=add)
    there = {path.name: path.read_bytes() for path in (tmp_path / "issues").rglob("*.*")
             if path.is_file() and path.name in texts}  # fmt: skip
    assert there == texts
    assert {one.path.name for one in candidates(tmp_path)} == set(texts)
    make(tmp_path, add=add)
    assert sorted(manifest(tmp_path)["order"]) == ["alpha", "beta", "gamma"]
    assert not candidates(tmp_path)
    assert {path.name for path in (tmp_path / "issues" / "2026-W48" / "briefs").iterdir()} == set(
        texts
    )
    assert not [name for name in files(tmp_path) if "new" in name]


def test_killed_before_the_inbox_was_emptied_add_finishes_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path)
    assert len(candidates(tmp_path)) == 3
    assert make(tmp_path, add=True) == ["beta", "alpha", "gamma"]
    assert manifest(tmp_path)["order"] == ["beta", "alpha", "gamma"]
    assert not candidates(tmp_path)


def test_a_folder_without_manifest_is_not_overwritten(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "issues" / "2026-W48").mkdir()
    (tmp_path / "issues" / "2026-W48" / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(RefusedError, match="move it away"):
        make(tmp_path)
    assert len(candidates(tmp_path)) == 3
    assert "2026-W48/notes.txt" in files(tmp_path)


def test_an_empty_folder_is_no_obstacle(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "issues" / "2026-W48").mkdir()
    assert len(make(tmp_path)) == 3


def test_a_file_is_replaced_whole_with_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old", "utf-8")
    replace_file(path, "a\r\nb\nü")
    assert path.read_bytes() == "a\r\nb\nü".encode()
    assert [one.name for one in tmp_path.iterdir()] == ["x.txt"]


def test_the_sample_inbox_makes_an_issue(workspace_dir: Path) -> None:
    settings = load(workspace_dir)
    known = Audiences(load_segments(workspace_dir, settings.fields).names())
    found = candidates(workspace_dir, known)
    assert found
    made = assemble(workspace_dir, "2026-W49", found, Choice(), zone=BERLIN)
    # a brief without a date counts by its file's: in what order depends on when it was checked out
    assert {one.slug for one in made} == {one.slug for one in found}
    assert manifest(workspace_dir, "2026-W49")["policy"]["resolution"] == "first"
