"""newsletter audience: people in and out, questions about them, their rights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from newsletter.audience import FORMATS, POLICIES, How, ImportOptions, ImportResult
from newsletter.cli.live import few_collections
from newsletter.cli.show import (
    err,
    json_option,
    out,
    print_json,
    progress_bar,
    table,
    with_workspace,
)
from newsletter.files import new_private_file
from newsletter.workspace import Workspace


@click.group()
def audience() -> None:
    """Subscribers, and who of them is who."""


@audience.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="COLUMN=FIELD",
    help="What a column is; FIELD `-` leaves it out. Remembered for files with the same columns.",
)
@click.option("--from", "system", help="Whose export it is, when its columns don't tell.")
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    default="update",
    show_default=True,
    help="Of people who are here: leave them, take over what is given, or empty fields, too.",
)
@click.option("--dry-run", is_flag=True, help="Show the first rows and the counts; change nothing.")
@click.option(
    "--create-segments/--no-create-segments",
    default=None,
    help="Make a segment by hand of a tag that is none; so for other systems' exports.",
)
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Else told by name and content.")
@click.option("--encoding", help="Else found out, e.g. utf-8 or cp1252.")
@click.option("--delimiter", help="Else found out.")
@click.option("--sheet", help="Of a workbook; else its first.")
@json_option
@with_workspace
def import_command(
    workspace: Workspace,
    file: Path,
    mapped: tuple[str, ...],
    system: str | None,
    policy: Any,
    dry_run: bool,
    create_segments: bool | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Import people from CSV, TSV, JSON Lines or XLSX; `-` is standard input.

    \b
    The first line names the columns: email (needed), name (or first_name, last_name), segments
    (of manual ones, split at ;), status, consent_at, consent_source, language, topics,
    frequency, created_at, and the fields declared in newsletter.toml. Exports of Mailchimp,
    Substack, Ghost, listmonk, Buttondown and beehiiv are known by their columns.

    Bad rows are listed in a file with line and reason; the good ones go in. Nobody who left or is
    suppressed comes back, unless a later proof of consent comes with them.

    Example: newsletter audience import people.csv --map "E-Mail=email" --dry-run
    """
    options = ImportOptions(
        map=_pairs(mapped, "--map"),
        system=system,
        replaces=policy == "replace-fields",
        creates_segments=create_segments,
    )
    how["delimiter"] = {"\\t": "\t", "tab": "\t"}.get(how["delimiter"], how["delimiter"])
    stdin = sys.stdin.buffer if str(file) == "-" else None
    with few_collections(), progress_bar("importing") as advance:
        result = workspace.audience.import_file(
            None if stdin else file,
            stdin,
            how=How(format=how.pop("kind"), **how),
            options=options,
            policy=policy,
            dry=dry_run,
            progress=advance,
        )
    if as_json:
        print_json(result.as_dict())
        return
    _print_import(workspace, result, dry=dry_run)


def _print_import(workspace: Workspace, result: ImportResult, *, dry: bool) -> None:
    if result.system:
        err.print(f"an export of {result.system}", markup=False)
    if dry:
        names = list(dict.fromkeys(name for row in result.first for name in row))
        if names:
            table("As understood", names, [[row.get(n, "") for n in names] for row in result.first])
            out.print()
    counts = {
        name: n for name, n in result.as_dict().items() if type(n) is int and (n or name == "rows")
    }
    shown = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items())
    out.print(f"{'would be: ' if dry else ''}{shown}", markup=False)
    for key, name in result.new_segments.items():
        made = "would be made" if dry else "was made"
        err.print(f'the segment {key} ("{name}", by hand) {made}', markup=False)
    for notice in result.notices:
        err.print(f"note: {notice}", markup=False)
    if result.rejects_file:
        place = Path(result.rejects_file).relative_to(workspace.root)
        err.print(f"what was rejected, with reasons: {place}", markup=False)


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    """`A=b` as a mapping."""
    found = {}
    for one in given:
        name, sign, value = one.rpartition("=")
        if not sign or not name.strip() or not value.strip():
            raise click.UsageError(f'{option} "{one}" must look like COLUMN=FIELD')
        found[name.strip()] = value.strip()
    return found


@audience.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option("--rule", help="Only people whom this rule finds.")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Else told by the file's name.")
@with_workspace
def export(workspace: Workspace, file: Path, rule: str | None, kind: Any) -> None:
    """Write people as CSV, TSV, JSON Lines or XLSX, as an import takes them; `-` is standard output.

    Cells that a spreadsheet would run as formulas get an apostrophe, which an import takes off. The
    file is the owner's alone, and is there as a whole or not at all.

    Example: newsletter audience export vips.csv --rule "seniority = 'c-level'"
    """
    kind = kind or {".tsv": "tsv", ".jsonl": "jsonl", ".xlsx": "xlsx"}.get(
        file.suffix.lower(), "csv"
    )
    with few_collections(), progress_bar("exporting") as advance:
        if str(file) == "-":
            stream = sys.stdout.buffer
            workspace.audience.export(stream, kind, rule=rule, progress=advance)
            return
        with new_private_file(file) as stream:
            number = workspace.audience.export(stream, kind, rule=rule, progress=advance)
    err.print(f"{number:,} people in {file}", markup=False)


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
