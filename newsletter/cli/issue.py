"""newsletter issue: assemble, check, preview, coverage, show."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click
from rich.markup import escape

from newsletter.cli.show import (
    check_options,
    err,
    explain_check,
    json_option,
    out,
    print_json,
    table,
    tell_findings,
    with_workspace,
)
from newsletter.errors import RefusedError
from newsletter.files import replace_file
from newsletter.issues import FOLDER, INBOX, NOBODY, Cell, Choice
from newsletter.issues import issue_ids as issue_ids_of
from newsletter.workspace import Workspace

_id = click.argument("issue_id", metavar="ID")
_day = click.DateTime(["%Y-%m-%d"])


@click.group()
def issue() -> None:
    """Issues: briefs in order, for one week."""


@issue.command()
@_id
@click.argument("slugs", nargs=-1)
@click.option("--tag", help="Only briefs with this tag.")
@click.option("--since", type=_day, help="Only briefs of this day and later.")
@click.option("--until", type=_day, help="Only briefs of this day and earlier.")
@click.option("--order", help="Slugs in order, with commas between; the same as naming SLUGS.")
@click.option("--most", type=click.IntRange(1), help="At most so many briefs.")
@click.option("--add", is_flag=True, help="Put more briefs into an issue that is there.")
@with_workspace
def assemble(
    workspace: Workspace,
    issue_id: str,
    slugs: tuple[str, ...],
    tag: str | None,
    since: datetime | None,
    until: datetime | None,
    order: str | None,
    most: int | None,
    add: bool,
) -> None:
    """Take briefs from the inbox into an issue: all, or just SLUGS in that order.

    A new issue starts from the last one's settings.

    Example: newsletter issue assemble 2026-W49 --tag pricing
    """
    named = (*slugs, *(part.strip() for part in (order or "").split(",") if part.strip()))
    choice = Choice(
        named, tag, since.date() if since else None, until.date() if until else None, most
    )
    chosen = workspace.assemble(issue_id, choice, add=add)
    for candidate in chosen:
        out.print(f"{candidate.slug}  {candidate.parsed.brief.headline}", markup=False)
    err.print(
        f"{len(chosen)} briefs in issues/{issue_id}. Next: write subject and preheader in its "
        f"issue.toml, then: newsletter issue check {issue_id}"
    )


@issue.command()
@click.argument("issue_ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--online",
    is_flag=True,
    help="Ask the network, too: whether links answer, and the DNS of the sender.",
)
@check_options
@with_workspace
def check(
    workspace: Workspace,
    issue_ids: tuple[str, ...],
    online: bool,
    as_json: bool,
    shape: str,
    explain: str | None,
    strict: bool,
) -> None:
    """Say what is wrong with an issue, its briefs and its editions, and where.

    Paths of an issue's files do for its ID, so that a commit hook can hand them over.

    Example: newsletter issue check 2026-W48
    """
    if explain is not None:
        explain_check(explain)
        return
    if not issue_ids:
        raise click.UsageError("name an issue, e.g. 2026-W48")
    named = list(filter(None, dict.fromkeys(_issue_of(workspace, one) for one in issue_ids)))
    if not named:
        err.print("none of these files is in an issue")
    findings = [one for key in named for one in workspace.check(key, online=online)]
    shape = "json" if as_json else shape
    tell_findings(findings, shape, root=workspace.root, what=", ".join(named), strict=strict)


def _issue_of(workspace: Workspace, given: str) -> str:
    """The issue of a path such as issues/2026-W48/briefs/one.md, "" for one of the inbox and one that was
    removed with its issue; anything else as it is."""
    if "/" not in given and os.sep not in given:
        return given
    path = Path(given).resolve()
    folder = workspace.root / FOLDER
    if not path.is_relative_to(folder) or path == folder:
        raise click.UsageError(f"{given} is in no issue of {workspace.root}")
    issue = path.relative_to(folder).parts[0]
    gone = issue == INBOX or (not path.exists() and issue not in issue_ids_of(workspace.root))
    return "" if gone else issue


@issue.command()
@_id
@click.option(
    "--segment", "segments", multiple=True, help="The edition of these segments' readers."
)
@click.option("--for", "email", help="The edition of this person.")
@click.option("--all", "everybody", is_flag=True, help="All editions (the default).")
@click.option("--look", default="", help="Try another look; no file is changed.")
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write one picture of the editions, as phones show them; needs Chromium.",
)
@json_option
@with_workspace
def preview(
    workspace: Workspace,
    issue_id: str,
    segments: tuple[str, ...],
    email: str | None,
    everybody: bool,  # noqa: ARG001
    look: str,
    png: Path | None,
    as_json: bool,
) -> None:
    """Write the editions as files to look at; prints the page to open.

    Looks are in templates/looks. Of a split test, each arm has editions of its own.

    Example: newsletter issue preview 2026-W48
    """
    for key in segments:
        workspace.segments.get(key)
    if png:
        _require_folder(png)
    written = workspace.write_preview(issue_id, segments=segments or None, email=email, look=look)
    count = len(written.editions)
    if as_json:
        print_json({"page": str(written.index), "editions": written.editions})
    else:
        out.print(str(written.index), markup=False)
        err.print(f"{count} edition{'s' if count != 1 else ''}, each as HTML and text")
    if png:
        shown = workspace.picture(written, png)
        of = f" of {count}, those for most readers" if shown < count else ""
        err.print(f"wrote {png}: {shown} edition{'s' if shown != 1 else ''}{of}", markup=False)


@issue.command()
@_id
@json_option
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write one HTML page."
)
@with_workspace
def coverage(workspace: Workspace, issue_id: str, as_json: bool, html: Path | None) -> None:
    """Which audience gets which action of which brief, with head-counts.

    Example: newsletter issue coverage 2026-W48 --html coverage.html
    """
    if html:
        _require_folder(html)
        replace_file(html, workspace.coverage_page(issue_id))
        err.print(f"wrote {html}", markup=False)
        if not as_json:
            return
    matrix = workspace.coverage(issue_id)
    if as_json:
        print_json(matrix.as_dict())
        return
    names = {**workspace.names, NOBODY: "No segment"}
    columns = [f"{names[key or NOBODY]}\n{people:,}" for key, people in matrix.people]
    rows = [[row.headline, *(_cell(cell) for cell in row.cells.values())] for row in matrix.rows]
    spread = [matrix.actions_per_reader.get(key or NOBODY) for key, _ in matrix.people]
    rows.append(
        [
            "Actions per reader",
            *(
                "" if s is None else str(s[0]) if s[0] == s[1] else f"{s[0]} to {s[1]}"
                for s in spread
            ),
        ]
    )
    table(f"Coverage of {issue_id}, {matrix.readers:,} readers", ["Brief\n", *columns], rows)
    if matrix.gate_ok:
        out.print("Gate: holds for every reader.")
    else:
        out.print(f"Gate: {matrix.readers_outside:,} readers are outside; see issue check.")


def _require_folder(file: Path) -> None:
    if not file.parent.is_dir():
        raise RefusedError(f"there is no folder {file.parent} to write {file.name} into")


def _cell(cell: Cell) -> str:
    match cell.how:
        case "own":
            return f"own: {_short(cell.text)}"
        case "general":
            return f"general: {_short(cell.text)}"
        case "waived":
            return "none, on purpose"
        case _:
            return "NONE"


def _short(text: str) -> str:
    return text if len(text) <= 36 else f"{text[:35].rstrip()}…"


@issue.command()
@_id
@json_option
@with_workspace
def show(workspace: Workspace, issue_id: str, as_json: bool) -> None:
    """Show an issue: settings, briefs in order, their actions.

    Example: newsletter issue show 2026-W48
    """
    loaded = workspace.issue(issue_id)
    if as_json:
        from newsletter.cli.brief import brief_shape

        print_json(
            {
                "id": loaded.id,
                "title": loaded.title,
                "subject": loaded.manifest.subject,
                "preheader": loaded.manifest.preheader,
                "send_at": loaded.sends_at.isoformat() if loaded.sends_at else None,
                "briefs": [brief_shape(parsed) for parsed in loaded.parsed],
            }
        )
        return
    when = f"{loaded.sends_at:%a %d %b %Y, %H:%M}" if loaded.sends_at else "no time set"
    out.print(f"[bold]{loaded.id}[/bold]  {escape(loaded.title)}  · {when}")
    out.print(f"Subject: {loaded.manifest.subject or '(none)'}", markup=False)
    out.print(f"Preheader: {loaded.manifest.preheader or '(none)'}", markup=False)
    table(
        "",
        [("", "right"), "Brief", "Headline", ("Words", "right"), "Actions for"],
        [
            [
                str(n),
                brief.slug,
                brief.headline,
                brief.words,
                "; ".join(
                    " + ".join(workspace.names.get(key, key) for key in action.segments)
                    or "everyone"
                    for action in brief.actions
                ),
            ]
            for n, brief in enumerate(loaded.briefs, 1)
        ],
    )
