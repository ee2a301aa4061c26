"""newsletter doctor: what would keep mail from going out, or from arriving."""

from __future__ import annotations

import click

from newsletter.cli.show import json_option, out, print_json, with_workspace
from newsletter.workspace import Workspace

_MARKS = {
    "ok": "[green]ok[/green]     ",
    "note": "[yellow]note[/yellow]   ",
    "bad": "[bold red]bad[/]    ",
}


@click.command()
@click.option("--transport", metavar="NAME", help="The way out; the publication's by default.")
@json_option
@with_workspace
def doctor(workspace: Workspace, transport: str | None, as_json: bool) -> None:
    """Look at settings, database, secrets and the way out. Sends nothing.

    Example: newsletter doctor --transport smtp
    """
    found = workspace.examine(transport)
    if as_json:
        print_json({"checks": [one.as_dict() for one in found], "ok": all(one.ok for one in found)})
    else:
        for one in found:
            out.print(_MARKS[one.verdict], end="")
            out.print(f"{one.name}: {one.message}", markup=False)
    if not all(one.ok for one in found):
        raise click.exceptions.Exit(1)
