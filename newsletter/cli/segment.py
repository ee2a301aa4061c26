"""newsletter segment: list, show, add, remove."""

from __future__ import annotations

import click

from newsletter.cli.show import err, json_option, out, print_json, table, with_workspace
from newsletter.workspace import Workspace


@click.group()
def segment() -> None:
    """Segments: named parts of the audience."""


@segment.command("list")
@json_option
@with_workspace
def list_command(workspace: Workspace, as_json: bool) -> None:
    """List the segments with the people in them who may be mailed.

    Example: newsletter segment list
    """
    people = workspace.segment_counts()
    if as_json:
        print_json(
            {
                "segments": [
                    {
                        "key": one.key,
                        "name": one.name,
                        "priority": one.priority,
                        "rule": one.rule.text if one.rule else None,
                        "manual": one.manual,
                        "people": people[one.key],
                    }
                    for one in workspace.segments
                ],
                "no_segment": people[None],
            }
        )
        return
    rows = [
        [one.name, one.key, one.priority, people[one.key], one.rule.text if one.rule else "by hand"]
        for one in workspace.segments
    ]
    rows.append(["No segment", "-", "", people[None], ""])
    table("", ["Segment", "Key", ("Priority", "right"), ("People", "right"), "Members"], rows)


@segment.command()
@click.argument("key")
@json_option
@with_workspace
def show(workspace: Workspace, key: str, as_json: bool) -> None:
    """Show one segment.

    Example: newsletter segment show ai-teams
    """
    one = workspace.segments.get(key)
    shape = {
        "key": one.key,
        "name": one.name,
        "aliases": list(one.aliases),
        "priority": one.priority,
        "rule": one.rule.text if one.rule else None,
        "manual": one.manual,
        "people": workspace.segment_counts()[key],
    }
    if as_json:
        print_json(shape)
        return
    for name, value in shape.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        out.print(f"{name}: {shown}", markup=False)


@segment.command()
@click.argument("key")
@click.argument("emails", nargs=-1, required=True)
@with_workspace
def add(workspace: Workspace, key: str, emails: tuple[str, ...]) -> None:
    """Put people into a manual segment.

    Example: newsletter segment add procurement ada@example.com
    """
    changed = workspace.change_members(key, emails, join=True)
    err.print(f"{changed} added to {key}")


@segment.command()
@click.argument("key")
@click.argument("emails", nargs=-1, required=True)
@with_workspace
def remove(workspace: Workspace, key: str, emails: tuple[str, ...]) -> None:
    """Take people out of a manual segment.

    Example: newsletter segment remove procurement ada@example.com
    """
    changed = workspace.change_members(key, emails, join=False)
    err.print(f"{changed} removed from {key}")
