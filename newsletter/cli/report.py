"""newsletter report: what an issue brought."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from newsletter.cli.show import err, json_option, out, print_json, table, with_workspace
from newsletter.errors import RefusedError
from newsletter.files import replace_file
from newsletter.workspace import Workspace

_PEOPLE = [("People", "right"), ("Opens", "right"), ("Clicks", "right"), ("Done", "right")]


@click.command()
@click.argument("issue_id", metavar="ID")
@json_option
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write one HTML page."
)
@with_workspace
def report(workspace: Workspace, issue_id: str, as_json: bool, html: Path | None) -> None:
    """What came back: actions done, clicks and opens by people and by machines.

    Example: newsletter report 2026-W48 --html report.html
    """
    if html:
        if not html.parent.is_dir():
            raise RefusedError(f"there is no folder {html.parent} to write {html.name} into")
        replace_file(html, workspace.report_page(issue_id))
        err.print(f"wrote {html}", markup=False)
        if not as_json:
            return
    figures = workspace.report(issue_id)
    if as_json:
        print_json(figures)
        return
    print_report(figures)


def print_report(figures: dict[str, Any], *, most: int | None = None) -> None:
    """The figures as tables: actions first. `most` bounds the lines of each."""
    sent = f"sent {figures['sent_at']}" if figures["sent_at"] else "not sent yet"
    out.print(f"[bold]{figures['issue_id']}[/bold]  {escape(figures['subject'])}  · {sent}")
    opens, clicks = figures["opens"], figures["clicks"]
    out.print(
        f"{figures['recipients']:,} mails. Opened by {opens['readers']:,} people who load pictures "
        f"({opens['human']:,} of {opens['raw']:,} opens were human), links followed by "
        f"{clicks['readers']:,} ({clicks['human']:,} of {clicks['raw']:,} clicks). "
        f"{figures['unsubscribed']:,} unsubscribed, {figures['bounced']:,} bounced."
    )
    table(
        "Actions",
        ["Action", "For", ("Readers", "right"), ("Done", "right"), ("Not for me", "right")],
        [
            [
                one["text"],
                one["label"] or "everybody",
                one["readers"],
                one["done"],
                one["not_for_me"],
            ]
            for one in figures["actions"][:most]
        ],
    )
    for title, key, name in (("Segments", "segments", "name"), ("Editions", "editions", "lens")):
        table(
            title,
            [title[:-1], *_PEOPLE],
            [
                [
                    one[name],
                    one["recipients"],
                    one["opens"]["readers"],
                    one["clicks"]["readers"],
                    one["done"],
                ]
                for one in figures[key][: None if key == "segments" else most]
            ],
        )
    table(
        "Links",
        ["Link", ("Human", "right"), ("Raw", "right")],
        [[one["url"], one["human"], one["raw"]] for one in figures["links"][:most]],
    )
    longest = max(len(figures[key]) for key in ("actions", "editions", "links"))
    if most and longest > most:
        out.print(
            f"(the first {most} of each; all of them: newsletter report {figures['issue_id']})"
        )
