"""The figures, once on each database: they sum up, and machines and people stay apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from newsletter.tracking import RawEvent
from newsletter.workspace import Workspace

ISSUE = "2026-W48"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1)"
AT = datetime(2026, 11, 24, 7, 40, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
PEOPLE = """email,department,seniority
ada@example.com,ai,lead
bob@example.com,,c-level
eve@example.com,ai,c-level
joe@example.com,,
"""


@pytest.fixture
def workspace(
    workspace_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    monkeypatch.setenv("NEWSLETTER_DATABASE__URL", database_url)
    (workspace_dir / "people.csv").write_text(PEOPLE, "utf-8")
    with Workspace(workspace_dir, actor="tester") as opened:
        opened.import_people(workspace_dir / "people.csv")
        opened.approve(ISSUE, plan=opened.plan(ISSUE).hash)
        opened.start(ISSUE)
        yield opened


def put(
    workspace: Workspace,
    delivery: int,
    kind: str,
    ref: int | None = None,
    *,
    agent: str = BROWSER,
    hours: float = 0,
    method: str = "GET",
) -> None:
    mailing = workspace.status(ISSUE)["mailing"]
    event = RawEvent(
        n=workspace.spool.next_number(),
        mailing=mailing,
        delivery=delivery,
        kind=kind,
        ref=ref,
        at=AT + hours * 3600,
        method=method,
        agent=agent,
    )
    workspace.spool.put(event).result(timeout=10)


def test_people_and_machines_are_counted_apart(workspace: Workspace) -> None:
    put(workspace, 1, "open")
    put(workspace, 1, "open")
    put(workspace, 2, "open", agent=ROBOT)
    put(workspace, 1, "click", 1)
    put(workspace, 2, "click", 1, agent=ROBOT)
    put(workspace, 2, "click", 2)
    figures = workspace.report(ISSUE)
    assert figures["recipients"] == 4
    assert figures["opens"] == {"raw": 3, "human": 2, "readers": 1}
    assert figures["clicks"] == {"raw": 3, "human": 2, "readers": 2}
    assert sum(link["raw"] for link in figures["links"]) == 3
    assert sum(link["human"] for link in figures["links"]) == 2


def test_editions_sum_to_the_whole_and_segments_overlap(workspace: Workspace) -> None:
    for delivery in (1, 2, 3, 4):
        put(workspace, delivery, "open")
        put(workspace, delivery, "click", 1)
        put(workspace, delivery, "done", 1, method="POST")
    figures = workspace.report(ISSUE)
    editions = figures["editions"]
    for name in ("opens", "clicks"):
        for count in ("raw", "human", "readers"):
            assert sum(one[name][count] for one in editions) == figures[name][count] == 4
    assert sum(one["recipients"] for one in editions) == 4
    segments = {one["key"]: one for one in figures["segments"]}
    assert segments["ai-teams"]["recipients"] == 2 == segments["ai-teams"]["opens"]["readers"]
    assert segments["execs"]["recipients"] == 2 == segments["execs"]["done"]
    assert segments[None]["recipients"] == 1 == segments[None]["clicks"]["human"]
    assert sum(one["done"] for one in figures["actions"]) == 4


def test_the_last_word_on_an_action_counts(workspace: Workspace) -> None:
    put(workspace, 1, "done", 1, method="POST")
    put(workspace, 1, "not_for_me", 1, method="POST")
    put(workspace, 2, "done", 1, method="POST")
    put(workspace, 2, "undo", 1, method="POST")
    put(workspace, 3, "done", 1, method="POST")
    put(workspace, 3, "done", 1, method="POST")
    actions = workspace.report(ISSUE)["actions"]
    assert sum(one["done"] for one in actions) == 1
    assert sum(one["not_for_me"] for one in actions) == 1
    for one in actions:
        assert one["done"] + one["not_for_me"] <= one["readers"] <= 4


def test_hours_are_the_publications_and_have_no_gaps(workspace: Workspace) -> None:
    put(workspace, 1, "open")
    put(workspace, 1, "click", 1, hours=2.1)
    put(workspace, 2, "open", agent=ROBOT, hours=9)
    assert workspace.report(ISSUE)["hours"] == [
        {"start": "Tue 07:00", "opens": 1, "clicks": 0, "done": 0},
        {"start": "Tue 08:00", "opens": 0, "clicks": 0, "done": 0},
        {"start": "Tue 09:00", "opens": 0, "clicks": 1, "done": 0},
    ]


def test_events_that_are_loaded_twice_count_once(workspace: Workspace) -> None:
    put(workspace, 1, "open")
    (event,) = next(workspace.spool.batches())
    assert workspace.load_events() == 1
    workspace.spool.put(event).result(timeout=10)
    assert workspace.load_events() == 0
    assert workspace.report(ISSUE)["opens"]["raw"] == 1


def test_events_of_deliveries_that_are_gone_are_passed_over(workspace: Workspace) -> None:
    put(workspace, 999, "open")
    assert workspace.load_events() == 0
    assert not list(workspace.spool.batches())


def test_the_page_holds_the_figures_and_loads_nothing(workspace: Workspace) -> None:
    put(workspace, 1, "done", 1, method="POST")
    page = workspace.report_page(ISSUE)
    assert "<script" not in page
    assert "actions done" in page
    assert "AI teams" in page
