"""newsletter segment: list, show, new, edit, delete, report, add, remove."""

from __future__ import annotations

from typing import Any

import click

from newsletter.cli.show import (
    confirm,
    err,
    json_option,
    number,
    out,
    print_json,
    table,
    with_workspace,
)
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
                        "choosable": one.choosable,
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
        "choosable": one.choosable,
        "people": workspace.segment_counts()[key],
    }
    if as_json:
        print_json(shape)
        return
    for name, value in shape.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        out.print(f"{name}: {shown}", markup=False)


_definition = [
    click.option("--name", help="What readers and editors see."),
    click.option("--alias", "aliases", multiple=True, help="Another name that editors may write."),
    click.option("--priority", type=int, help="The lowest number wins; 100 when left out."),
    click.option("--rule", help="Who belongs to it; try one with: audience count RULE"),
    click.option("--manual", is_flag=True, help="Members by hand instead of by rule."),
    click.option(
        "--choosable/--not-choosable",
        default=None,
        help="Whether readers can choose it themselves.",
    ),
]


def _with_definition(command: Any) -> Any:
    for option in reversed(_definition):
        command = option(command)
    return command


@segment.command()
@click.argument("key")
@_with_definition
@with_workspace
def new(workspace: Workspace, key: str, **values: Any) -> None:
    """Define a segment in subscribers/segments.toml, by a rule or by hand.

    Example: newsletter segment new chiefs --name Chiefs --rule "role like 'chief%'"
    """
    if (values["rule"] is None) != values["manual"]:
        raise click.UsageError("give a --rule, or --manual")
    people = workspace.audience.define(key, _given(values), new=True)
    err.print(
        f"{key} is defined; {number(people)} people who may be mailed are in it", markup=False
    )


@segment.command()
@click.argument("key")
@_with_definition
@with_workspace
def edit(workspace: Workspace, key: str, **values: Any) -> None:
    """Change what is given of a segment; its key stays, since action ids hold it.

    Example: newsletter segment edit chiefs --rule "role like 'chief%' or role = 'ceo'"
    """
    given = _given(values)
    if all(value is None for value in given.values()):
        raise click.UsageError("say what is to change, e.g. --rule or --name")
    was = workspace.segments.get(key)
    people = workspace.audience.define(key, given, new=False)
    if was.rule and given["manual"]:
        err.print(f"its rule was: {was.rule.text}", markup=False)
    err.print(
        f"{key} is changed; {number(people)} people who may be mailed are in it", markup=False
    )


@segment.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Don't ask.")
@with_workspace
def delete(workspace: Workspace, key: str, yes: bool) -> None:
    """Take a segment out of subscribers/segments.toml, and its members by hand with it.

    Actions of old issues keep its key. To see who was in it, export them first.

    Example: newsletter segment delete chiefs --yes
    """
    workspace.segments.get(key)
    confirm(f"Delete the segment {key}?", yes=yes)
    members = workspace.audience.drop_segment(key)
    err.print(f"{key} is deleted; {number(members)} were in it by hand", markup=False)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    given = {**values, "aliases": list(values["aliases"]) or None}
    return {**given, "manual": values["manual"] or None}


@segment.command()
@click.option("--since", "issue_id", help="Beside the plan of this issue instead of the last one.")
@json_option
@with_workspace
def report(workspace: Workspace, issue_id: str | None, as_json: bool) -> None:
    """Overlaps of segments, people in none, and what changed since the last issue.

    Example: newsletter segment report --since 2026-W47
    """
    found = workspace.segment_report(issue_id)
    if as_json:
        print_json(found)
        return
    names: dict[str | None, str] = {None: "No segment"}
    names.update(workspace.names)
    since = found["since"]
    table(
        "Members",
        [
            "Segment",
            ("People", "right"),
            ("Of them in no other", "right"),
            (f"Since {since or '-'}", "right"),
        ],
        [
            [
                names[one["key"]],
                one["people"],
                one["alone"],
                "" if one["before"] is None else f"{one['people'] - one['before']:+,}",
            ]
            for one in found["segments"]
        ],
    )
    out.print()
    table(
        "Overlaps",
        ["Segment", "and", ("People", "right")],
        [[names[a], names[b], people] for a, b, people in found["overlaps"]],
    )


@segment.command()
@click.argument("key")
@click.argument("emails", nargs=-1, required=True)
@with_workspace
def add(workspace: Workspace, key: str, emails: tuple[str, ...]) -> None:
    """Put people into a manual segment.

    Example: newsletter segment add procurement ada@example.com
    """
    changed = workspace.change_members(key, emails, join=True)
    before = len(emails) - changed
    err.print(f"{changed} added to {key}" + (f"; {before} in it already" if before else ""))


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
