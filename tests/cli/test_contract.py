"""The shapes, exit codes and streams that scripts rely on (design §6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from newsletter.cli.main import command_tree
from tests.cli.conftest import Ran

ISSUE = "2026-W48"
Run = Callable[..., Ran]
REAL = Path(__file__).parents[3] / "shared" / "inputs" / "bytedance.txt"
OURS = """Our Take
It is a bargain and a trap.
Why it matters
Budgets are made in December.
Do this week
AI teams: compare the prices in Q2 2027 before you sign.
Tollgate cuts its prices
Tollgate cuts its prices by half (per Bloomberg).
Nobody knows for how long.
A third paragraph of the lead.
What the contract says
It says little.
What to watch
It ends in spring.
"""


@pytest.mark.parametrize("name", sorted(command_tree()))
def test_every_command_has_help_with_an_example(name: str) -> None:
    command = command_tree()[name]
    context = click.Context(command, info_name=f"newsletter {name}")
    text = command.get_help(context)
    if not isinstance(command, click.Group):
        assert f"Example: newsletter {name}" in " ".join(text.split()), name
    assert command.help


def test_brief_show_gives_the_documented_shape(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tollgate.txt"
    path.write_text(OURS, "utf-8")
    shown = run("brief", "show", path, "--json").json
    assert shown["slug"] == "tollgate"
    assert shown["headline"] == "Tollgate cuts its prices"
    assert shown["take"] == "It is a bargain and a trap."
    assert shown["why"] == "Budgets are made in December."
    assert shown["actions"] == [
        {
            "id": "tollgate/ai-teams",
            "segments": ["ai-teams"],
            "text": "compare the prices in Q2 2027 before you sign.",
            "due": "2027-06-30",
        }
    ]
    assert [(one["heading"], len(one["paragraphs"])) for one in shown["body"]] == [
        (None, 3),
        ("What the contract says", 1),
        ("What to watch", 1),
    ]
    assert shown["sources"] == [{"name": "Bloomberg", "url": None}]
    assert shown["findings"] == []


def test_the_real_file_is_understood_where_it_is_there(run: Run) -> None:
    if not REAL.exists():
        return  # an extra case; the same shape is tested above on our own sample
    shown = run("brief", "show", REAL, "--json").json
    assert shown["headline"] == "ByteDance commits to 25% infrastructure boost"
    assert [len(one["paragraphs"]) for one in shown["body"]] == [3, 3, 3]
    assert shown["actions"][0]["text"].startswith("monitor")
    assert shown["actions"][0]["due"] == "2024-06-30"
    assert shown["sources"] == [{"name": "Bloomberg", "url": None}]


def test_the_weekly_round(run: Run, workspace_dir: Path) -> None:
    imported = run("audience", "import", "subscribers/people.csv", "--json").json
    six = ("added", "updated", "unchanged", "merged", "kept_out", "rejected")
    assert imported["rows"] == 500 == sum(imported[name] for name in six)
    assert run("audience", "count", "seniority = 'c-level'", "--json").json == {"count": 87}

    checked = run("issue", "check", ISSUE, "--json")
    assert checked.code == 0
    assert checked.json["ok"]

    matrix = run("issue", "coverage", ISSUE, "--json").json
    assert matrix["readers"] == 486
    assert matrix["segments"][-1] == {"key": None, "people": 50}
    assert len(matrix["briefs"]) == 6
    assert set(matrix["briefs"][0]["cells"]) == {
        "execs", "procurement", "security", "ai-teams", "data-engineering", "product", "-",
    }  # fmt: skip
    assert matrix["gate"] == {"ok": True, "readers_outside": 0}

    plan = run("send", "plan", ISSUE, "--json").json
    assert plan["candidates"] == 500
    assert plan["deliveries"] == 486 == sum(one["recipients"] for one in plan["editions"])
    assert plan["excluded"] == {"unsubscribed": 14}
    for one in plan["editions"]:
        assert {"edition", "segments", "recipients", "bytes", "message_bytes"} <= set(one)
        assert one["bytes"] < one["message_bytes"]

    assert run("send", "approve", ISSUE, "--yes").code == 0
    started = run("send", "start", ISSUE, "--yes", "--wait", "--json").json
    assert started["state"] == "done"
    status = run("send", "status", ISSUE, "--json").json
    assert set(status["states"]) == {
        "planned", "claimed", "handed", "accepted", "rejected", "deferred", "uncertain",
        "skipped", "cancelled",
    }  # fmt: skip
    assert status["states"]["accepted"] == 486
    assert status["eta"] is None
    audit = run("send", "audit", ISSUE, "--json")
    assert audit.code == 0
    assert audit.json["ok"]
    assert audit.json["unresolved"] == 0
    assert audit.json["candidates"] == audit.json["deliveries"] + sum(
        audit.json["excluded"].values()
    )

    explained = run(
        "audience",
        "explain",
        "aasa.bergqvist@saltmarsh-studios.example",
        "--issue",
        ISSUE,
        "--json",
    ).json
    assert explained["segments"] == ["security", "ai-teams"]
    assert {"brief", "action", "because", "rejected"} <= set(explained["actions"][0])
    assert explained["edition"] in {one["edition"] for one in plan["editions"]}

    report = run("report", ISSUE, "--json").json
    assert report["recipients"] == 486
    assert {"raw", "human"} <= set(report["opens"]) & set(report["clicks"])
    for action in report["actions"]:
        assert {"id", "segments", "done", "not_for_me", "readers"} <= set(action)
    page = workspace_dir / "report.html"
    assert run("report", ISSUE, "--html", page).code == 0
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="https?://(?!127)', text)


def test_every_table_prints(run: Run) -> None:
    run("audience", "import", "subscribers/people.csv")
    run("send", "plan", ISSUE)
    for words in (
        ["send", "approve", ISSUE, "--yes"],
        ["send", "start", ISSUE, "--yes"],
        ["send", "status", ISSUE],
        ["send", "audit", ISSUE],
        ["report", ISSUE],
        ["issue", "show", ISSUE],
        ["issue", "show", ISSUE, "--json"],
        ["issue", "check", ISSUE],
        ["issue", "coverage", ISSUE],
        ["issue", "preview", ISSUE, "--segment", "execs"],
        ["audience", "explain", "aasa.bergqvist@saltmarsh-studios.example", "--issue", ISSUE],
        ["segment", "list"],
        ["segment", "show", "ai-teams"],
        ["brief", "show", f"issues/{ISSUE}/briefs/quillon-price-cut.md"],
        ["brief", "check"],
        ["brief", "format"],
        ["db", "upgrade"],
    ):
        ran = run(*words)
        assert ran.code == 0, (words, ran.err)
        assert ran.out.strip() or words[1] == "check", words


def test_briefs_go_from_a_file_to_the_inbox_to_an_issue(
    run: Run, workspace_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tollgate.txt"
    path.write_text(OURS, "utf-8")
    assert run("brief", "add", path).code == 0
    assert (workspace_dir / "issues/inbox/tollgate.txt").read_text("utf-8") == OURS
    assert run("brief", "add", path).code == 1  # the same slug again
    assert run("brief", "format", "--write", "issues/inbox/tollgate.txt").code == 0
    assert not (workspace_dir / "issues/inbox/tollgate.txt").exists()
    made = run("brief", "new", "A new thing")
    assert made.out.strip() == "issues/inbox/a-new-thing.md"
    assert run("brief", "check", made.out.strip()).code == 0
    assert run("issue", "assemble", "2026-W49", "tollgate", "--order", "ferrow-storage").code == 0
    shown = run("issue", "show", "2026-W49", "--json").json
    assert [one["slug"] for one in shown["briefs"]] == ["tollgate", "ferrow-storage"]
    assert shown["send_at"] == "2026-12-01T07:30:00+01:00"
    assert run("issue", "assemble", "2026-W49").code == 1
    assert run("issue", "assemble", "2026-W49", "--add").code == 0


def test_manual_segments_are_kept_in_the_database(run: Run) -> None:
    run("audience", "import", "subscribers/people.csv")
    who = "aasa.oeberg@weidenau-klinik.test"
    before = run("segment", "show", "procurement", "--json").json["people"]
    assert run("segment", "add", "procurement", who).code == 0
    assert run("segment", "show", "procurement", "--json").json["people"] == before + 1
    assert run("segment", "remove", "procurement", who).code == 0
    assert run("segment", "show", "procurement", "--json").json["people"] == before
    assert run("segment", "add", "execs", who).code == 1


def test_a_new_workspace_works_at_once(run: Run, tmp_path: Path) -> None:
    assert run("init", tmp_path / "letter", cwd=tmp_path).code == 0
    assert run("issue", "check", ISSUE, cwd=tmp_path / "letter").code in (0, 1)
    assert run("--workspace", tmp_path / "letter", "segment", "list", cwd=tmp_path).code == 0
    assert run("init", tmp_path / "letter", cwd=tmp_path).code == 1


def test_usage_errors_exit_with_2(run: Run) -> None:
    assert run("send", "plan").code == 2
    assert run("nonsense").code == 2
    assert run("send", "start", ISSUE).code == 2  # needs --yes without a terminal
