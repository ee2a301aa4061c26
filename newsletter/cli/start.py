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
    "--preview-port",
    type=click.IntRange(0, 65535),
    help="Port of the previews, on this machine alone; 2 above --port by default, 0 takes a free one.",
)
@click.option("--no-preview", is_flag=True, help="Serve no previews.")
@click.option(
    "--only",
    type=click.Choice(["public"]),
    help="Serve just this part; start no scheduled send, serve no previews.",
)
@with_workspace
def serve_command(
    workspace: Workspace,
    host: str,
    port: int,
    preview_port: int | None,
    no_preview: bool,
    only: str | None,
) -> None:
    """Serve the public pages (redirects, unsubscribe, actions, archive), and start scheduled sends.

    Previews that follow the files are served too, to this machine alone.

    Example: newsletter serve --port 8000
    """
    from newsletter.web import serve

    if preview_port is None:
        preview_port = port + 2 if port else 0
    serve(
        workspace,
        host=host,
        port=port,
        ready=lambda address: click.echo(f"listening on {address}"),
        clock=only is None,
        preview_port=None if no_preview or only else preview_port,
        note=click.echo,
    )
