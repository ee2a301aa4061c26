"""newsletter audience: import, count, explain."""

from __future__ import annotations

from pathlib import Path

import click

from newsletter.cli.show import (
    err,
    json_option,
    out,
    print_json,
    progress_bar,
    table,
    with_workspace,
)
from newsletter.workspace import Workspace


@click.group()
def audience() -> None:
    """Subscribers, and who of them is who."""


@audience.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@with_workspace
def import_command(workspace: Workspace, file: Path, as_json: bool) -> None:
    """Import people from a CSV file whose first line names the columns.

    \b
    Columns: email (needed), name, segments (of manual ones, split at ;), status, consent_at,
    consent_source, language, and the fields declared in newsletter.toml. Bad rows are listed in
    a file with line and reason; the good ones go in. Nobody who left or is suppressed comes back.

    Example: newsletter audience import subscribers/people.csv
    """
    with progress_bar("importing") as advance:
        result = workspace.audience.import_file(
            file, progress=lambda done, total, _doing: advance(done, total)
        )
    if as_json:
        print_json(result.as_dict())
        return
    counts = {name: n for name, n in result.as_dict().items() if isinstance(n, int)}
    out.print(", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items()))
    for notice in result.notices:
        err.print(f"note: {notice}", markup=False)
    if result.rejects_file:
        shown = Path(result.rejects_file).relative_to(workspace.root)
        err.print(f"the {result.rejected} rejected rows, with reasons: {shown}", markup=False)


@audience.command()
@click.argument("rule")
@json_option
@with_workspace
def count(workspace: Workspace, rule: str, as_json: bool) -> None:
    """Count the subscribers whom a rule finds.

    Example: newsletter audience count "role in ('cto','ceo') and country = 'DE'"
    """
    found = workspace.count(rule)
    if as_json:
        print_json({"count": found})
    else:
        out.print(f"{found:,}")


@audience.command()
@click.argument("email")
@click.option("--issue", "issue_id", required=True, help="The issue to explain.")
@json_option
@with_workspace
def explain(workspace: Workspace, email: str, issue_id: str, as_json: bool) -> None:
    """Which action of each brief this reader gets, and why.

    Example: newsletter audience explain ada@example.com --issue 2026-W48
    """
    explained = workspace.explain(email, issue_id)
    if as_json:
        print_json(
            {
                "segments": list(explained.segments),
                "actions": list(explained.actions),
                "edition": explained.edition,
                "not_mailed": explained.not_mailed,
            }
        )
        return
    names = ", ".join(workspace.names[key] for key in explained.segments) or "no segment"
    out.print(f"{email} is in {names}; edition {explained.edition}", markup=False)
    if explained.not_mailed:
        out.print(f"and gets no mail: {explained.not_mailed.replace('_', ' ')}", markup=False)
    table(
        "",
        ["Brief", "Action", "Because", "Not"],
        [
            [
                one["brief"],
                one["text"] or "(none)",
                one["because"],
                "; ".join(
                    f"{no['action'].partition('/')[2]}: {no['why']}" for no in one["rejected"]
                ),
            ]
            for one in explained.actions
        ],
    )
