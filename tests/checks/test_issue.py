"""Head-counts, the gate, waivers, and every check at the place where it would be mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.findings import Finding, blocking
from newsletter.issues import Issue, coverage
from tests.checks.publication import issue_findings
from tests.issues.workspace import GROUPS, SEGMENTS, an_issue, brief_text

PREHEADER = 'preheader = "What a preheader says, in thirty characters and more"\n'
SENT = f'subject = "S"\n{PREHEADER}send_at = 2026-11-24T07:30:00+01:00\n'


def checked(root: Path, manifest: str = SENT, **briefs: str) -> list[Finding]:
    return known(an_issue(root, manifest, **briefs))


def known(issue: Issue) -> list[Finding]:
    """The findings but for those about the words of these short briefs."""
    quiet = {"BR502", "IS112"}
    return [one for one in issue_findings(issue) if one.code not in quiet]


def found(findings: list[Finding]) -> list[tuple[str, str, str, int | None]]:
    return [(one.code, one.severity, Path(one.file or "").name, one.line) for one in findings]


# -- coverage --------------------------------------------------------------------------------


def test_the_matrix_tells_who_gets_what_and_counts_heads(tmp_path: Path) -> None:
    issue = an_issue(
        tmp_path,
        SENT + "order = ['one', 'two', 'three']\n",
        one=brief_text("One", "Execs: decide.", "Everyone: read."),
        two=brief_text("Two", "AI teams and Security: test."),
        three=brief_text("Three", "Everyone: look.", front={"segments": "[execs]"}),
    )
    matrix = coverage(issue, SEGMENTS, GROUPS)
    assert matrix.readers == 111
    assert matrix.people == (("execs", 3), ("ai-teams", 10), ("security", 0), (None, 100))
    assert {
        row.slug: {key: (cell.action, cell.how) for key, cell in row.cells.items()}
        for row in matrix.rows
    } == {
        "one": {
            "execs": ("one/execs", "own"), "ai-teams": ("one/all", "general"),
            "security": ("one/all", "general"), "-": ("one/all", "general"),
        },
        "two": {
            "execs": (None, "none"), "ai-teams": ("two/ai-teams+security", "own"),
            "security": ("two/ai-teams+security", "own"), "-": (None, "none"),
        },
        "three": {
            "execs": ("three/all", "general"), "ai-teams": (None, "waived"),
            "security": (None, "waived"), "-": (None, "waived"),
        },
    }  # fmt: skip
    assert matrix.actions_per_reader == {"execs": (2, 3), "ai-teams": (2, 3), "-": (1, 1)}


def test_the_matrix_prints_the_agreed_shape(tmp_path: Path) -> None:
    issue = an_issue(tmp_path, SENT, one=brief_text("One", "Execs: decide."))
    shape = coverage(issue, SEGMENTS, GROUPS).as_dict()
    assert shape == {
        "readers": 111,
        "segments": [
            {"key": "execs", "people": 3}, {"key": "ai-teams", "people": 10},
            {"key": "security", "people": 0}, {"key": None, "people": 100},
        ],
        "briefs": [
            {
                "slug": "one",
                "cells": {
                    "execs": {"action": "one/execs", "how": "own"},
                    "ai-teams": {"action": None, "how": "none"},
                    "security": {"action": None, "how": "none"},
                    "-": {"action": None, "how": "none"},
                },
            }
        ],
        "gate": {"ok": True, "readers_outside": 0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "outside"),
    [("", 0), ("min = 1", 100), ("min = 2", 108), ("min = 3", 111), ("max = 1", 3),
     ("min = 1\nmax = 1", 103), ("max = 2", 0)],
)  # fmt: skip
def test_the_gate_counts_the_readers_outside_its_bounds(
    tmp_path: Path, gate: str, outside: int
) -> None:
    # execs have two actions, AI teams one, who is in no segment none
    findings = checked(
        tmp_path,
        SENT + f"[gate]\n{gate}\n",
        one=brief_text("One", "Execs: decide.", "AI teams: test."),
        two=brief_text("Two", "Execs: decide."),
    )
    issue_wide = [one for one in findings if one.code == "IS202"]
    assert [one.line for one in issue_wide] == ([4] if outside else [])
    assert all(f"{outside} of 111 readers" in one.message for one in issue_wide)
    assert blocking(findings) == bool(outside)


def test_before_anybody_is_imported_every_count_is_zero(tmp_path: Path) -> None:
    matrix = coverage(an_issue(tmp_path, SENT, one=brief_text()), SEGMENTS, [])
    assert matrix.readers == 0
    assert {number for _, number in matrix.people} == {0}
    assert matrix.gate_ok


def test_policy_all_counts_every_action_of_a_reader(tmp_path: Path) -> None:
    issue = an_issue(
        tmp_path,
        SENT + "[policy]\nresolution = 'all'\n",
        one=brief_text("One", "Execs: decide.", "AI teams: test."),
    )
    assert coverage(issue, SEGMENTS, GROUPS).actions_per_reader["execs"] == (1, 2)


# -- checks ----------------------------------------------------------------------------------


def test_a_good_issue_has_no_findings(tmp_path: Path) -> None:
    assert checked(tmp_path, SENT + "order = ['one']\n", one=brief_text()) == []


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (PREHEADER, ("IS105", "error", "issue.toml", 1)),
        ('title = "T"\nsubject = ""\n' + PREHEADER, ("IS105", "error", "issue.toml", 2)),
        ('subject = "S"\n', ("IS106", "warning", "issue.toml", 1)),
        (SENT + "order = ['one', 'tow']\n", ("IS102", "error", "issue.toml", 4)),
        (SENT + "order = ['one', 'one']\n", ("IS103", "error", "issue.toml", 4)),
        (SENT + "[segments.exces]\nsubject = 'X'\n", ("IS107", "error", "issue.toml", 4)),
        (SENT + "[[waiver]]\ncode = 'X'\nreason = 'meant'\n[[waiver]]\ncode = 'X'\nbrief = 'oen'\n"
         "reason = 'meant'\n", ("IS108", "warning", "issue.toml", 7)),
        (SENT + "[[waiver]]\ncode = 'X'\nsegment = 'exces'\nreason = 'meant'\n[[waiver]]\n"
         "code = 'X'\nreason = 'meant'\n", ("IS108", "warning", "issue.toml", 4)),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_manifest_is_told_at_its_line(
    tmp_path: Path, manifest: str, expected: tuple[str, str, str, int]
) -> None:
    assert found(checked(tmp_path, manifest, one=brief_text())) == [expected]


def test_an_issue_without_briefs_is_an_error(tmp_path: Path) -> None:
    assert found(checked(tmp_path)) == [("IS101", "error", "issue.toml", 1)]


def test_a_brief_that_the_order_leaves_out_comes_last_with_a_warning(tmp_path: Path) -> None:
    manifest = SENT + "order = ['two']\n"
    issue = an_issue(tmp_path, manifest, one=brief_text(), two=brief_text())
    assert [brief.slug for brief in issue.briefs] == ["two", "one"]
    assert found(known(issue)) == [("IS109", "warning", "issue.toml", 4)]


def test_two_briefs_of_one_slug_are_an_error_at_the_second(tmp_path: Path) -> None:
    findings = checked(tmp_path, one=brief_text(), two=brief_text("Two", front={"slug": "one"}))
    assert found(findings) == [("IS104", "error", "two.md", 1)]
    assert str(Path("issues", "2026-W48", "briefs", "one.md")) in findings[0].message


@pytest.mark.parametrize(
    ("send_at", "day", "past"),
    [
        ("send_at = 2026-11-24T07:30:00+01:00", "23 November 2026", True),
        ("send_at = 2026-11-24T07:30:00+01:00", "24 November 2026", False),
        ("send_at = 2026-11-23T23:30:00Z", "23 November 2026", True),  # the 24th in Berlin
        ("send_at = 2026-11-24T00:10:00", "23 November 2026", True),
        ("", "22 November 2026", True),  # the week's Monday is the 23rd
        ("", "23 November 2026", False),
    ],
)
def test_an_action_whose_date_has_passed_when_the_mail_arrives_is_found_at_its_line(
    tmp_path: Path, send_at: str, day: str, past: bool
) -> None:
    findings = checked(
        tmp_path,
        f'subject = "S"\n{PREHEADER}{send_at}\n',
        one=brief_text("One", "Everyone: read.", f"Execs: decide by {day}."),
    )
    assert found(findings) == ([("BR301", "error", "one.md", 16)] if past else [])


def test_a_segment_without_an_action_is_a_warning_at_the_actions(tmp_path: Path) -> None:
    findings = checked(tmp_path, one=brief_text("One", "Execs and AI teams: decide."))
    assert found(findings) == [("IS201", "warning", "one.md", 13)] * 2
    assert "Security (0 people)" in findings[0].message
    assert "readers in no segment (100 people)" in findings[1].message


@pytest.mark.parametrize(
    ("waiver", "waived"),
    [
        ('code = "IS201"', {"Execs", "AI teams", "Security", "readers in no segment"}),
        (
            'code = "IS201"\nbrief = "one"',
            {"Execs", "AI teams", "Security", "readers in no segment"},
        ),
        ('code = "IS201"\nbrief = "one"\nsegment = "-"', {"readers in no segment"}),
        ('code = "IS201"\nsegment = "execs"', {"Execs"}),
        ('code = "IS201"\nbrief = "two"', set()),
        ('code = "IS202"', set()),
    ],
)
def test_a_waiver_holds_for_what_it_names_and_for_nothing_else(
    tmp_path: Path, waiver: str, waived: set[str]
) -> None:
    silent = brief_text("One").replace("- Everyone: read it.", "").replace("## Do this week", "")
    issue = an_issue(tmp_path, SENT + f"[[waiver]]\n{waiver}\nreason = 'it is meant'\n", one=silent)
    findings = known(issue)
    told = {
        one.message[14:].partition(" (")[0]
        for one in findings
        if one.code == "IS201" and one.waived is None
    }
    assert told == {"Execs", "AI teams", "Security", "readers in no segment"} - waived
    (row,) = coverage(issue, SEGMENTS, GROUPS).rows
    reasons = [cell.reason for cell in row.cells.values() if cell.how == "waived"]
    assert reasons == ["it is meant"] * len(waived)
    assert "BR104" in {one.code for one in findings}


def test_a_waived_error_does_not_block(tmp_path: Path) -> None:
    gate = "[gate]\nmin = 5\n"
    waiver = "[[waiver]]\ncode = 'IS202'\nreason = 'a quiet week'\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert blocking(checked(tmp_path / "a", SENT + gate, one=brief_text()))
    findings = checked(tmp_path / "b", SENT + gate + waiver, one=brief_text())
    assert not blocking(findings)
    assert [one.as_dict()["waived"] for one in findings] == ["a quiet week"]


def test_findings_of_briefs_come_along_with_file_line_and_column(tmp_path: Path) -> None:
    findings = checked(tmp_path, one=brief_text("One", "Everyone: read.", "Exces: decide."))
    (finding,) = findings
    assert finding.place == f"{Path('issues', '2026-W48', 'briefs', 'one.md')}:16:1"
    assert finding.code == "BR201"
    assert blocking(findings)


def test_a_brief_finding_can_be_waived_for_its_brief(tmp_path: Path) -> None:
    waiver = "[[waiver]]\ncode = 'BR205'\nbrief = 'two'\nreason = 'meant'\n"
    text = brief_text("One", "Execs: decide.", "Read it.")
    findings = checked(tmp_path, SENT + waiver, one=text, two=text)
    waived = {Path(one.file or "").name: one.waived for one in findings if one.code == "BR205"}
    assert waived == {"one.md": None, "two.md": "meant"}
