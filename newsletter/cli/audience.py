"""newsletter audience: people in and out, questions about them, their rights."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.markup import escape

from newsletter.audience import (
    FORMATS,
    POLICIES,
    SUPPRESSED_FOR,
    Belonging,
    Clause,
    How,
    ImportOptions,
    ImportResult,
    write_table,
)
from newsletter.cli.live import few_collections
from newsletter.cli.show import (
    confirm,
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
            lines = [[name, *(row.get(name, "") for row in result.first[:2])] for name in names]
            table("As understood", ["", "First row", "Second row"][: len(lines[0])], lines)
            out.print()
    counts = {
        name: n for name, n in result.as_dict().items() if type(n) is int and (n or name == "rows")
    }
    shown = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items())
    shown = shown.replace("1 rows", "1 row", 1) if result.rows == 1 else shown
    out.print(f"{'would be: ' if dry else ''}{shown}", markup=False)
    for key, name in result.new_segments.items():
        made = "would be made" if dry else "was made"
        err.print(f'the segment {key} ("{name}", by hand) {made}', markup=False)
    for notice in result.notices:
        err.print(f"note: {notice}", markup=False)
    for refusal in result.refused if dry else ():
        err.print(f"rejected: {refusal}", markup=False)
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
    kind = kind or _kind(file)
    with few_collections(), progress_bar("exporting") as advance:
        if str(file) == "-":
            stream = sys.stdout.buffer
            workspace.audience.export(stream, kind, rule=rule, progress=advance)
            return
        with new_private_file(file) as stream:
            number = workspace.audience.export(stream, kind, rule=rule, progress=advance)
    err.print(f"{number:,} people in {file}", markup=False)


def _kind(file: Path) -> Any:
    ending = file.suffix.lower().removeprefix(".") or "csv"
    if ending not in FORMATS:
        raise click.UsageError(f"name the file .{', .'.join(FORMATS)}, or give --format")
    return ending


@audience.command()
@click.argument("rule")
@click.option("--sendable", is_flag=True, help="Only those who may be mailed now.")
@json_option
@with_workspace
def count(workspace: Workspace, rule: str, sendable: bool, as_json: bool) -> None:
    """Count the subscribers whom a rule finds, whatever their status.

    Example: newsletter audience count "role in ('cto','ceo') and country = 'DE'"
    """
    found = workspace.count(rule, sendable=sendable)
    for issue in workspace.never_sent(rule):
        err.print(f"note: no issue {issue} was sent, so nobody got or opened it", markup=False)
    if as_json:
        print_json({"count": found})
    else:
        out.print(f"{found:,}")


@audience.command()
@click.argument("email")
@click.option("--issue", "issue_id", help="The issue whose actions to explain, too.")
@json_option
@with_workspace
def explain(workspace: Workspace, email: str, issue_id: str | None, as_json: bool) -> None:
    """Why somebody is in which segment, clause by clause; of an issue, which actions they get and why.

    Example: newsletter audience explain ada@example.com --issue 2026-W48
    """
    belongings = workspace.audience.belongings(email)
    if issue_id is None:
        if as_json:
            segments = [one.segment for one in belongings if one.member]
            print_json({"segments": segments, "why": [one.as_dict() for one in belongings]})
        else:
            if against := workspace.audience.not_mailed(email):
                out.print(f"gets no mail: {against.replace('_', ' ')}", markup=False)
            _print_belongings(workspace, belongings)
        return
    explained = workspace.explain(email, issue_id)
    if as_json:
        print_json(
            {
                "segments": list(explained.segments),
                "actions": list(explained.actions),
                "edition": explained.edition,
                "not_mailed": explained.not_mailed,
                "why": [one.as_dict() for one in belongings],
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


def _print_belongings(workspace: Workspace, belongings: list[Belonging]) -> None:
    for one in belongings:
        mark = "[green]in[/]" if one.member else "[dim]not in[/]"
        out.print(f"{mark} [bold]{escape(workspace.names[one.segment])}[/]: {escape(one.because)}")
        if one.clause:
            _print_clause(one.clause, 1)


def _print_clause(clause: Clause, depth: int) -> None:
    answer = {True: "[green]yes[/]", False: "[red]no[/]", None: "[yellow]can't say[/]"}[
        clause.answer
    ]
    has = f" [dim]({escape(clause.has)})[/]" if clause.has else ""
    out.print(f"{'  ' * depth}{answer}  {escape(clause.text)}{has}")
    for part in clause.parts:
        _print_clause(part, depth + 1)


# -- one person ------------------------------------------------------------------------------------

_email = click.argument("email")


def _values(given: tuple[str, ...]) -> dict[str, str]:
    """`FIELD=VALUE` as a mapping; an empty value empties a field."""
    found = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name.strip():
            raise click.UsageError(f'"{one}" must look like FIELD=VALUE')
        found[name.strip()] = value
    return found


@audience.command()
@_email
@click.argument("values", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--proof", required=True, help="Where and how they agreed; it is kept.")
@with_workspace
def add(workspace: Workspace, email: str, values: tuple[str, ...], proof: str) -> None:
    """Put one person in who agreed to it.

    Example: newsletter audience add ada@example.com name="Ada King" role=cto --proof "on the phone, 24 Nov"
    """
    workspace.audience.add(email, _values(values), source=proof, consent_at=datetime.now(UTC))
    err.print(f"{email} is subscribed", markup=False)


@audience.command("set")
@_email
@click.argument("values", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option("--reason", default="", help="Why, or who asked for it; it is kept.")
@with_workspace
def set_command(workspace: Workspace, email: str, values: tuple[str, ...], reason: str) -> None:
    """Change what is known of somebody; nothing after the = empties a field.

    \b
    Besides the declared fields: email, name, language, lens (a segment that can be chosen; empty for
    what the rules say), topics (split at ;, empty for all), frequency (fortnightly, monthly, empty
    for every issue), paused_until (a day, empty to go on).

    Example: newsletter audience set ada@example.com role=ceo lens=execs --reason "ticket 1203"
    """
    changed = workspace.audience.set(email, _values(values), reason=reason)
    err.print(f"changed: {', '.join(changed) or 'nothing'}", markup=False)


@audience.command()
@_email
@click.option("--reason", default="", help="Why, in their words; it is kept.")
@with_workspace
def unsubscribe(workspace: Workspace, email: str, reason: str) -> None:
    """End somebody's subscription, as they wished.

    Example: newsletter audience unsubscribe ada@example.com --reason "changed jobs"
    """
    changed = workspace.audience.unsubscribe(email, reason=reason)
    err.print(f"{email} {'has left' if changed else 'had left before'}", markup=False)


@audience.command()
@_email
@click.option("--proof", required=True, help="How they asked to come back; it is kept.")
@with_workspace
def resubscribe(workspace: Workspace, email: str, proof: str) -> None:
    """Bring somebody back who left, at their own wish.

    Example: newsletter audience resubscribe ada@example.com --proof "mail of 24 November, ticket 1204"
    """
    back = workspace.audience.resubscribe(email, proof=proof)
    err.print(
        f"{email} {'is back' if back else 'was subscribed, and the proof is kept'}", markup=False
    )


@audience.command()
@click.argument("email", required=False)
@click.option(
    "--reason",
    type=click.Choice([one for one in SUPPRESSED_FOR if one != "erased"]),
    default="manual",
    show_default=True,
)
@click.option("--note", default="", help="Who said so, and why; it is kept.")
@click.option("--until", metavar="DAY", help="Not longer than this, e.g. 2027-01-31.")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Many: a table with the columns email, reason, note, until.",
)
@with_workspace
def suppress(
    workspace: Workspace,
    email: str | None,
    reason: Any,
    note: str,
    until: str | None,
    path: Path | None,
) -> None:
    """Keep an address out, subscriber or not, whatever imports say.

    Example: newsletter audience suppress ada@example.com --note "asked by phone, 24 Nov"
    """
    if (email is None) == (path is None):
        raise click.UsageError("give an EMAIL, or --file")
    if path is not None:
        number = workspace.audience.suppress_all(path)
        err.print(f"{number:,} kept out anew", markup=False)
        return
    new = workspace.audience.suppress(email or "", reason=reason, note=note, until=until)
    err.print(f"{email} {'is kept out' if new else 'was kept out before'}", markup=False)


@audience.command()
@_email
@click.option("--reason", required=True, help="Why they may be mailed again; it is kept.")
@with_workspace
def unsuppress(workspace: Workspace, email: str, reason: str) -> None:
    """Take an address off the suppression list; who left stays away all the same.

    Example: newsletter audience unsuppress ada@example.com --reason "mailbox works again, ticket 1205"
    """
    was = workspace.audience.unsuppress(email, reason=reason)
    err.print(f"{email} is off the list; it was there for: {was}", markup=False)


@audience.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
@with_workspace
def suppressions(workspace: Workspace, file: Path | None, as_json: bool) -> None:
    """List who is kept out, or write them to FILE (CSV, TSV, JSON Lines or XLSX).

    Erased people are in neither list: nobody knows who they are.

    Example: newsletter audience suppressions kept-out.csv
    """
    rows = workspace.audience.suppressions()
    if file is not None:
        with new_private_file(file) as stream:
            write_table(stream, _kind(file), rows)
        err.print(f"{len(rows):,} addresses in {file}", markup=False)
    elif as_json:
        print_json({"suppressions": rows})
    else:
        table("", ["Address", "Reason", "Note", "Since", "Until"], [one.values() for one in rows])


@audience.command()
@_email
@json_option
@with_workspace
def show(workspace: Workspace, email: str, as_json: bool) -> None:
    """Show everything that is held on somebody; with --json as the file that they may ask for.

    Example: newsletter audience show ada@example.com --json > ada.json
    """
    found = workspace.audience.show(email)
    if as_json:
        print_json(found)
        return
    zone = workspace.settings.publication.zone
    fields = found["person"].pop("fields")
    person = {**found["person"], **fields}
    for name, value in person.items():
        if value not in ("", None, []):
            out.print(f"{name.replace('_', ' ')}: {_shown(value, zone)}", markup=False)
    names = [workspace.names[one["segment"]] for one in found["segments"]]
    out.print(f"segments: {', '.join(names) or 'none'}", markup=False)
    if found["not_mailed"]:
        out.print(f"gets no mail: {found['not_mailed'].replace('_', ' ')}", markup=False)
    for title, rows in found.items():
        if title in ("consents", "suppressions", "requests", "log") and rows:
            out.print()
            table(
                title.capitalize(),
                list(rows[0]),
                [[_shown(v, zone) for v in r.values()] for r in rows],
            )
    if found["mails"]:
        out.print()
        table(
            "Mails",
            ["Mailing", "Issue", "State", "Sent", "What came back"],
            [
                [
                    one["mailing"],
                    one["issue"] or one["kind"],
                    one["state"],
                    _shown(one["settled_at"], zone),
                    ", ".join(f"{e['kind']} ({e['verdict']})" for e in one["events"]),
                ]
                for one in found["mails"]
            ],
        )


def _shown(value: Any, zone: ZoneInfo) -> str:
    """A value as a person reads it, times in the publication's zone."""
    match value:
        case None:
            return ""
        case datetime():
            return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"
        case bool():
            return "yes" if value else "no"
        case dict():
            said = {name: _shown(one, zone) for name, one in value.items()}
            return ", ".join(f"{name}: {one}" for name, one in said.items() if one)
        case list():
            return ", ".join(_shown(one, zone) for one in value)
    return str(value)


@audience.command()
@_email
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@with_workspace
def erase(workspace: Workspace, email: str, yes: bool, as_json: bool) -> None:
    """Forget somebody for good: every table, their mails in the outbox, rejects files.

    \b
    What stays: deliveries and events under a number that is nobody else's, so that the books still
    balance, and a keyed hash of the address, so that no import brings them back. Backups can't be
    changed; they are named, and `newsletter db restore` erases again.

    Example: newsletter audience erase ada@example.com --yes
    """
    confirm(f"Forget {email} for good?", yes=yes)
    done = workspace.erase(email)
    if as_json:
        print_json(done.as_dict())
        return
    out.print("erased", markup=False)
    out.print(f"{done.mails:,} mails and {done.rejects:,} rejected rows removed", markup=False)
    out.print(f"{done.deliveries:,} deliveries stay under a number", markup=False)
    for backup in done.backups:
        out.print(f"still in the backup {backup}", markup=False)
