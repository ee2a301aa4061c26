"""The manifest: few keys, every mistake at its line; ids that can be folders and weeks."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from newsletter.errors import InputError, NotFoundError, RefusedError
from newsletter.issues import issue_ids, require_id
from newsletter.issues.manifest import monday_of, title_of
from tests.issues.workspace import BERLIN, an_issue, brief_text, loaded, put_issue


@pytest.mark.parametrize(
    ("manifest", "line", "says"),
    [
        ("subject = 'S'\nsubjekt = 'S'\n", 2, 'Did you mean "subject"?'),
        ("subject = 5\n", 1, "string"),
        ("subject = 'S\n", 1, "not valid TOML"),
        ("subject = 'S'\norder =", 2, "not valid TOML"),
        ("order = 'one'\n", 1, "tuple"),
        ("order = [\n 'one',\n 5,\n]\n", 1, "order.1"),
        ("send_at = 2026-11-24\n", 1, "needs a time too"),
        ("send_at = 'soon'\n", 1, "datetime"),
        ("text = 'half'\n", 1, "'lead' or 'full'"),
        ("[policy]\nresolution = 'last'\n", 2, "'first' or 'all'"),
        ("[policy]\ndigest = 21\n", 2, "20"),
        ("[gate]\nmin = 1\nmax = -1\n", 3, "0"),
        ("[segments.execs]\nsubjekt = 'S'\n", 2, 'Did you mean "subject"?'),
        ("[[waiver]]\ncode = 'X'\nreason = 'meant'\n[[waiver]]\ncode = 'Y'\n", 4, "reason"),
        ("[[waiver]]\ncode = 'X'\nreason = 'meant'\n[[waiver]]\ncode = 'Y'\nreason = '-'\n", 6,
         "at least 3"),
        ("[[waiver]]\ncode = 'X'\nreason = 'meant'\nbreif = 'a'\n", 4, 'Did you mean "brief"?'),
        (b"subject = 'Gr\xf6\xdfe'\n", None, "UTF-8"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_line(
    tmp_path: Path, manifest: str | bytes, line: int | None, says: str
) -> None:
    folder = put_issue(tmp_path, "2026-W48", "")
    raw = manifest if isinstance(manifest, bytes) else manifest.encode("utf-8")
    (folder / "issue.toml").write_bytes(raw)
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, "2026-W48")
    assert says in caught.value.message
    assert caught.value.line == line
    assert caught.value.file == str(Path("issues", "2026-W48", "issue.toml"))


def test_an_empty_manifest_is_a_valid_start(tmp_path: Path) -> None:
    issue = an_issue(tmp_path, "\ufeff", one=brief_text())
    assert issue.title == "Week 48"
    assert issue.sends_at is None
    assert issue.day == date(2026, 11, 23)
    assert [brief.slug for brief in issue.briefs] == ["one"]


@pytest.mark.parametrize(
    ("written", "offset"),
    [("2026-11-24T07:30:00", 1), ("2026-07-24T07:30:00", 2), ("2026-11-24T07:30:00+05:00", 5),
     ("2026-11-24T07:30:00Z", 0)],
)  # fmt: skip
def test_a_time_without_zone_is_the_publications(tmp_path: Path, written: str, offset: int) -> None:
    issue = an_issue(tmp_path, f"send_at = {written}\n")
    assert issue.sends_at is not None
    assert issue.sends_at.utcoffset() == timedelta(hours=offset)


@pytest.mark.parametrize("issue", ["2026-W48", "2026-W53", "2027-W01", "winter-special", "A1"])
def test_weeks_and_short_words_are_ids(issue: str) -> None:
    assert require_id(issue) == issue


@pytest.mark.parametrize(
    ("issue", "says"),
    [("", "letters"), ("..", "letters"), ("a/b", "letters"), ("a b", "letters"), ("inbox", "letters"),
     ("Inbox", "letters"), ("-a", "letters"), ("a\n", "letters"), ("é", "letters"),
     ("x" * 65, "letters"), ("2026-W54", "no week 54"), ("2025-W53", "no week 53"),
     ("2026-W00", "no week 0")],
)  # fmt: skip
def test_what_can_be_no_folder_or_no_week_is_refused(issue: str, says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        require_id(issue)


def test_the_monday_and_the_title_follow_from_the_week() -> None:
    assert monday_of("2026-W53") == date(2026, 12, 28)
    assert monday_of("special") is None
    assert (title_of("2027-W01"), title_of("special")) == ("Week 1", "special")


def test_an_unknown_issue_is_told_the_closest_and_how_to_begin_it(tmp_path: Path) -> None:
    put_issue(tmp_path, "2026-W48", "")
    put_issue(tmp_path, "winter", "")
    with pytest.raises(NotFoundError, match='Did you mean "2026-W48"') as caught:
        loaded(tmp_path, "2026-W49")
    assert "newsletter issue assemble 2026-W49" in str(caught.value)
    with pytest.raises(NotFoundError, match="assemble zzz"):
        loaded(tmp_path / "elsewhere", "zzz")


def test_issues_are_folders_with_a_manifest(tmp_path: Path) -> None:
    for issue in ("2026-W48", "2026-W09", "inbox"):
        put_issue(tmp_path, issue, "")
    (tmp_path / "issues" / "notes").mkdir()
    assert issue_ids(tmp_path) == ["2026-W09", "2026-W48"]
    assert issue_ids(tmp_path / "nowhere") == []


def test_files_that_are_no_briefs_are_left_alone(tmp_path: Path) -> None:
    folder = put_issue(tmp_path, "2026-W48", "", one=brief_text())
    (folder / "briefs" / ".one.md.new").write_text("half", "utf-8")
    (folder / "briefs" / "picture.png").write_bytes(b"\x89PNG\0")
    (folder / "briefs" / "two.TXT").write_text(brief_text("Two"), "utf-8")
    (folder / "briefs" / "notes.md").mkdir()
    assert [brief.slug for brief in loaded(tmp_path, "2026-W48").briefs] == ["one", "two"]


def test_the_day_of_an_issue_is_the_publications(tmp_path: Path) -> None:
    issue = an_issue(tmp_path, "send_at = 2026-11-23T23:30:00Z\n")
    assert issue.day == date(2026, 11, 24)
    assert issue.sends_at == datetime(2026, 11, 24, 0, 30, tzinfo=BERLIN)
    assert issue.source.zone == ZoneInfo("Europe/Berlin")
