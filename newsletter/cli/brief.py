"""newsletter brief: new, add, check, format, show."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from newsletter.briefs import ParsedBrief
from newsletter.cli.show import (
    check_options,
    err,
    explain_check,
    json_option,
    out,
    print_findings,
    print_json,
    tell_findings,
    with_workspace,
)
from newsletter.workspace import Workspace

_file = click.argument("file", type=click.Path(path_type=Path))
_files = click.argument("files", nargs=-1, type=click.Path(path_type=Path))


@click.group()
def brief() -> None:
    """Briefs: one story each, as data."""


@brief.command()
@click.argument("headline")
@with_workspace
def new(workspace: Workspace, headline: str) -> None:
    """Write a form for a new brief into the inbox.

    Example: newsletter brief new "Quillon halves its prices"
    """
    out.print(str(workspace.new_brief(headline).relative_to(workspace.root)), markup=False)


@brief.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@with_workspace
def add(workspace: Workspace, files: tuple[Path, ...]) -> None:
    """Check briefs and put them into the inbox: .md, .txt, .docx, .html, or - for standard input.

    What comes out of a document is written as Markdown; what was left out of it is said.

    Example: newsletter brief add ~/Downloads/quillon.docx
    """
    for path in files:
        taken = workspace.take_brief(path, sys.stdin.buffer)
        for note in taken.notes:
            err.print(f"{path}: {note}", markup=False)
        if not taken.parsed.ok:
            print_findings(taken.parsed.findings)
            err.print(f"{path} is not added: mend the errors first", markup=False)
            raise click.exceptions.Exit(1)
        target = workspace.add_brief(taken)
        found = workspace.brief(target).findings
        codes = {finding.code for finding in found}
        lost = [one for one in taken.parsed.findings if taken.document and one.code not in codes]
        print_findings([*lost, *found])
        out.print(f"added {target.relative_to(workspace.root)}", markup=False)


@brief.command()
@_files
@check_options
@with_workspace
def check(
    workspace: Workspace,
    files: tuple[Path, ...],
    as_json: bool,
    shape: str,
    explain: str | None,
    strict: bool,
) -> None:
    """Say what is wrong with briefs; without files, with those in the inbox.

    Example: newsletter brief check issues/inbox/quillon.md
    """
    if explain is not None:
        explain_check(explain)
        return
    findings = [finding for one in _parsed(workspace, files) for finding in one.findings]
    tell_findings(findings, "json" if as_json else shape, strict=strict)


@brief.command("format")
@_files
@click.option("--write", "-w", is_flag=True, help="Rewrite the files instead of printing.")
@with_workspace
def format_command(workspace: Workspace, files: tuple[Path, ...], write: bool) -> None:
    """Print briefs in the canonical form, or rewrite their files.

    A plain-text file is rewritten as .md beside it, and the .txt is removed.

    Example: newsletter brief format --write issues/inbox/quillon.txt
    """
    for path in files or _inbox(workspace):
        if write:
            err.print(f"wrote {workspace.rewrite_brief(path)}", markup=False)
        else:
            click.echo(workspace.format_brief(path), nl=False)


@brief.command()
@_file
@json_option
@with_workspace
def show(workspace: Workspace, file: Path, as_json: bool) -> None:
    """Show how a brief is understood.

    Example: newsletter brief show issues/inbox/quillon.txt --json
    """
    parsed = workspace.brief(file)
    if as_json:
        print_json(brief_shape(parsed))
        return
    _print(workspace, parsed)


def brief_shape(parsed: ParsedBrief) -> dict[str, Any]:
    """The shape that `brief show --json` prints."""
    brief_ = parsed.brief
    return {
        "slug": brief_.slug,
        "headline": brief_.headline or None,
        "take": brief_.take or None,
        "why": brief_.why or None,
        "actions": [
            {
                "id": action.id,
                "segments": list(action.segments),
                "text": action.text,
                "due": action.due.isoformat() if action.due else None,
            }
            for action in brief_.actions
        ],
        "body": [
            {
                "heading": section.heading,
                "paragraphs": list(section.paragraphs),
                **({"role": section.role} if section.role != "body" else {}),
                **({"segments": list(section.segments)} if section.segments else {}),
            }
            for section in brief_.body
        ],
        "sources": [dataclasses.asdict(source) for source in brief_.sources],
        "tags": list(brief_.tags),
        "date": brief_.date.isoformat() if brief_.date else None,
        "segments": list(brief_.segments),
        "findings": [finding.as_dict() for finding in parsed.findings],
    }


def _print(workspace: Workspace, parsed: ParsedBrief) -> None:
    brief_ = parsed.brief
    labels = workspace.vocabulary.labels
    out.print(
        f"[bold]{escape(brief_.headline or '(no headline)')}[/bold]  [dim]{brief_.slug}[/dim]"
    )
    for label, text in ((labels["take"][0], brief_.take), (labels["why"][0], brief_.why)):
        out.print(f"\n[bold]{escape(label)}[/bold]")
        out.print(text or "(none)", markup=False)
    out.print(f"\n[bold]{escape(labels['action'][0])}[/bold]")
    for action in brief_.actions:
        who = ", ".join(workspace.audiences.name(key) for key in action.segments) or "Everyone"
        due = f"  (by {action.due.isoformat()})" if action.due else ""
        out.print(f"  {who}: {action.text}{due}", markup=False)
    for section in brief_.body:
        count = len(section.paragraphs)
        unit = "paragraph" if count == 1 else "paragraphs"
        out.print(f"\n{section.heading or '(lead)'}  · {count} {unit}", markup=False)
    names = [f"{source.name} {source.url or ''}".strip() for source in brief_.sources]
    out.print(f"\nSources: {'; '.join(names) or 'none'}", markup=False)
    print_findings(parsed.findings)


def _parsed(workspace: Workspace, files: Sequence[Path]) -> list[ParsedBrief]:
    return [workspace.brief(path) for path in files or _inbox(workspace)]


def _inbox(workspace: Workspace) -> list[Path]:
    from newsletter.issues import inbox

    return inbox(workspace.root)
