"""init, serve, db: beginning and keeping a workspace."""

from __future__ import annotations

from pathlib import Path

import click

from newsletter.cli.show import out, with_workspace
from newsletter.workspace import Workspace


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
def init_command(folder: Path) -> None:
    """Make a new workspace from the sample publication.

    Example: newsletter init my-letter
    """
    from newsletter.sample import init

    made = init(folder)
    out.print(
        f"{made} is ready. Change newsletter.toml, then try:\n"
        f"  cd {folder}\n"
        "  newsletter audience import subscribers/people.csv\n"
        "  newsletter issue check 2026-W48"
    )


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--only", type=click.Choice(["public"]), help="Serve just this part; start no scheduled send."
)
@with_workspace
def serve_command(workspace: Workspace, host: str, port: int, only: str | None) -> None:
    """Serve the public pages (redirects, unsubscribe, actions, archive), and start scheduled sends.

    Example: newsletter serve --port 8000
    """
    from newsletter.web import serve

    serve(
        workspace,
        host=host,
        port=port,
        ready=lambda address: click.echo(f"listening on {address}"),
        clock=only is None,
    )
