"""newsletter db: upgrade, check, backup, restore, retention."""

from __future__ import annotations

from pathlib import Path

import click

from newsletter.cli.show import (
    confirm,
    err,
    json_option,
    number,
    out,
    print_json,
    size,
    with_workspace,
)
from newsletter.workspace import Workspace


@click.group()
def db() -> None:
    """The database."""


@db.command()
@with_workspace
def upgrade(workspace: Workspace) -> None:
    """Bring the database to this program's schema.

    Example: newsletter db upgrade
    """
    for field in workspace.upgrade():
        out.print(f"the index of the field {field} is as newsletter.toml says")
    out.print("the database is up to date")


@db.command()
@json_option
@with_workspace
def retention(workspace: Workspace, as_json: bool) -> None:
    """Delete what is past its time: events, requests that nobody confirmed, suppressions.

    `newsletter serve` does it once a day. How long events are kept is `keep_days` under [tracking]; the
    figures of issues stay.

    Example: newsletter db retention
    """
    deleted = workspace.delete_old()
    if as_json:
        print_json(deleted.as_dict())
        return
    out.print(
        f"deleted: {number(deleted.events)} events, "
        f"{number(deleted.requests)} requests that nobody confirmed, "
        f"{number(deleted.suppressions)} suppressions that had expired"
    )


@db.command()
@with_workspace
def check(workspace: Workspace) -> None:
    """Look for damage; exit 1 when there is any.

    Example: newsletter db check
    """
    found = workspace.check_database()
    for problem in found:
        out.print(problem, markup=False)
    if found:
        raise click.exceptions.Exit(1)
    out.print("the database is whole")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@with_workspace
def backup(workspace: Workspace, file: Path | None) -> None:
    """Write a backup while everything runs; to var/backups when FILE is left out.

    The secrets in var/secrets are not in it: keep a copy of them, too, in another place.

    Example: newsletter db backup /backups/newsletter-2026-11-24.db
    """
    path, written = workspace.backup(file)
    err.print(f"{path} ({size(written)})", markup=False)


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--yes", is_flag=True, help="Don't ask.")
@with_workspace
def restore(workspace: Workspace, file: Path, yes: bool) -> None:
    """Put a backup into the place of the database, which is kept as a backup itself.

    Who was erased after the backup was made is erased again. Plans are held until somebody says that
    this place may send: newsletter send resume ID --i-know

    Example: newsletter db restore var/backups/2026-11-24.db --yes
    """
    confirm(f"Put {file} into the place of the database?", yes=yes)
    done = workspace.restore(file)
    err.print(f"restored; what was there is now {done.before}", markup=False)
    err.print(f"{number(done.erased)} people were erased again", markup=False)
    err.print("plans are held until: newsletter send resume ID --i-know", markup=False)
    err.print(f"{number(done.left)} who left or were kept out since are so again", markup=False)
