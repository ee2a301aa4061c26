"""newsletter send: plan, approve, start, test, status, audit."""

from __future__ import annotations

from typing import Any

import click

from newsletter.cli.show import (
    confirm,
    err,
    excluded,
    json_option,
    out,
    print_json,
    progress_bar,
    require_answer,
    size,
    table,
    with_workspace,
)
from newsletter.delivery import Plan
from newsletter.workspace import TRANSPORTS, Workspace

_id = click.argument("issue_id", metavar="ID")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.group()
def send() -> None:
    """Plan a mailing, approve it, send it, audit it."""


@send.command()
@_id
@click.option("--transport", metavar="NAME", help=f"The way out: {', '.join(TRANSPORTS)}.")
@json_option
@with_workspace
def plan(workspace: Workspace, issue_id: str, transport: str | None, as_json: bool) -> None:
    """Render the editions and freeze who gets which; nothing is sent.

    Example: newsletter send plan 2026-W48
    """
    made = workspace.plan(issue_id, transport=transport)
    if as_json:
        print_json(made.as_dict())
        return
    print_plan(workspace, made)
    if made.deliveries:
        err.print(f"Next: newsletter send approve {issue_id} --plan {made.hash}")
    elif made.candidates:
        err.print("Nobody is left to mail.")
    else:
        err.print("There is nobody to mail yet; import people: newsletter audience import FILE")


def print_plan(workspace: Workspace, made: Plan, *, most: int | None = None) -> None:
    """The plan as a table with its sums. `most` bounds the lines."""
    table(
        f"Plan {made.hash} of {made.issue}, by {made.transport}",
        [
            "Edition",
            "For",
            "Readers are in",
            ("People", "right"),
            ("HTML", "right"),
            ("Mail", "right"),
        ],
        [
            [
                line.edition,
                line.lens or "everybody",
                ", ".join(workspace.names.get(key, key) for key in line.segments) or "no segment",
                line.recipients,
                size(line.bytes),
                size(line.message_bytes),
            ]
            for line in made.editions[:most]
        ],
    )
    if most and len(made.editions) > most:
        out.print(f"… and {len(made.editions) - most} smaller editions")
    out.print(
        f"{made.candidates:,} people: {made.deliveries:,} get a mail, {excluded(made.excluded)}; "
        f"{len(made.editions)} editions"
    )


@send.command()
@_id
@click.option("--plan", "plan_hash", metavar="HASH", help="Approve just this plan.")
@_yes
@with_workspace
def approve(workspace: Workspace, issue_id: str, plan_hash: str | None, yes: bool) -> None:
    """Approve the plan of an issue.

    Example: newsletter send approve 2026-W48 --plan 9f31c2a0b4d5e6f7
    """
    confirm(f"Approve the plan of {issue_id}?", yes=yes or plan_hash is not None)
    approved = workspace.approve(issue_id, plan=plan_hash)
    out.print(f"plan {approved} is approved by {workspace.actor}", markup=False)
    err.print(f"Next: newsletter send start {issue_id}")


@send.command()
@_id
@_yes
@click.option("--wait", is_flag=True, help="Return when all is sent (the default with SQLite).")
@json_option
@with_workspace
def start(workspace: Workspace, issue_id: str, yes: bool, wait: bool, as_json: bool) -> None:  # noqa: ARG001
    """Send the approved plan. Started again, it sends only what has not been sent.

    Example: newsletter send start 2026-W48
    """
    require_answer(yes=yes)
    before = workspace.status(issue_id)
    if before["state"] == "done":
        err.print("Nothing is left to send.")
    elif note := workspace.sends_early(issue_id):
        err.print(f"note: {note}", markup=False)
    confirm(f"Send {issue_id} now?", yes=yes)
    with progress_bar(f"sending {issue_id}") as advance:
        status = workspace.start(issue_id, progress=lambda now: advance(now.settled, now.total))
    if as_json:
        print_json(status)
    else:
        _print_status(issue_id, status)


@send.command("test")
@_id
@click.option("--to", required=True, metavar="EMAIL", help="Where the test mail goes.")
@click.option(
    "--segment", "segments", multiple=True, help="The edition of these segments' readers."
)
@click.option("--for", "email", metavar="EMAIL", help="The edition of this person.")
@with_workspace
def test_command(
    workspace: Workspace, issue_id: str, to: str, segments: tuple[str, ...], email: str | None
) -> None:
    """Send one edition to yourself. Its links work, nothing is counted.

    Example: newsletter send test 2026-W48 --to me@example.com --segment ai-teams
    """
    sent = workspace.send_test(issue_id, to, segments=segments, email=email)
    out.print(f"{sent.name} to {sent.recipient}", markup=False)


@send.command()
@_id
@json_option
@with_workspace
def status(workspace: Workspace, issue_id: str, as_json: bool) -> None:
    """How far a mailing is.

    Example: newsletter send status 2026-W48
    """
    now = workspace.status(issue_id)
    if as_json:
        print_json(now)
    else:
        _print_status(issue_id, now)


@send.command()
@_id
@json_option
@with_workspace
def audit(workspace: Workspace, issue_id: str, as_json: bool) -> None:
    """Recompute the books: every candidate is mailed, left out with a reason, or still open.

    Example: newsletter send audit 2026-W48
    """
    books = workspace.audit(issue_id)
    if as_json:
        print_json(books)
    else:
        for one in books["mailings"]:
            _print_books(one)
    if not books["ok"]:
        raise click.exceptions.Exit(1)


def _print_books(books: dict[str, Any]) -> None:
    """One mailing's sums, by state and by edition."""
    out.print(
        f"Mailing {books['mailing']} is {books['state']}: {books['candidates']:,} candidates = "
        f"{books['deliveries']:,} deliveries + {sum(books['excluded'].values()):,} left out"
    )
    used = [state for state, people in books["states"].items() if people]
    rows = [
        [edition, *(states.get(state, 0) for state in used)]
        for edition, states in books["editions"].items()
    ]
    rows.append(["all", *(books["states"][state] for state in used)])
    table("", ["Edition", *((state, "right") for state in used)], rows)
    under_way = "" if books["state"] == "done" else " so far"
    out.print(f"The books balance{under_way}." if books["ok"] else "THE BOOKS DO NOT BALANCE.")


def _print_status(issue_id: str, now: dict[str, Any]) -> None:
    counts = ", ".join(f"{n:,} {state}" for state, n in now["states"].items() if n) or "nobody"
    tail = f"; {now['rate']:,.0f}/s" if now["rate"] else ""
    eta = f", done in {now['eta']:.0f} s" if now["eta"] else ""
    out.print(f"{issue_id} is {now['state']}: {counts}{tail}{eta}", markup=False)
