"""The `newsletter` command: options before the command, errors as sentences, exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from newsletter.errors import NewsletterError

# Name → module and attribute, imported when the command is used: start-up stays quick.
_COMMANDS = {
    "demo": ("demo", "demo"),
    "init": ("start", "init_command"),
    "brief": ("brief", "brief"),
    "issue": ("issue", "issue"),
    "audience": ("audience", "audience"),
    "segment": ("segment", "segment"),
    "send": ("send", "send"),
    "report": ("report", "report"),
    "serve": ("start", "serve_command"),
    "doctor": ("doctor", "doctor"),
    "db": ("db", "db"),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"newsletter.cli.{module}"), name)
        return command


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="newsletter")
@click.option(
    "--workspace",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="NEWSLETTER_WORKSPACE",
    default=Path(),
    help="The publication's folder; the current one by default.",
)
@click.option("--verbose", "-v", is_flag=True, help="Every change of a delivery, on stderr.")
@click.pass_context
def cli(ctx: click.Context, workspace: Path, verbose: bool) -> None:
    """Briefs become a weekly issue; every audience gets its own "Do this week".

    \b
    The weekly round:
      newsletter brief add FILE           put a brief into the inbox
      newsletter issue assemble 2026-W48  make an issue of the inbox
      newsletter issue check 2026-W48     what is wrong with it
      newsletter send plan 2026-W48       who would get what
      newsletter send approve 2026-W48
      newsletter send start 2026-W48
      newsletter report 2026-W48          what came back
    """
    ctx.obj = workspace
    if verbose:
        import logging

        logging.basicConfig(format="%(asctime)s %(name)s %(message)s")
        logging.getLogger("newsletter").setLevel(logging.DEBUG)


def main() -> None:
    """Entry point. A user's mistake is a sentence on standard error and exit code 1."""
    if any("\ud800" <= char <= "\udfff" for argument in sys.argv for char in argument):
        print("error: an argument is not UTF-8; nothing was done", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    try:
        code = cli.main(
            standalone_mode=False
        )  # the code of click.exceptions.Exit, if one was raised
    except click.Abort:
        print("\nstopped", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except NewsletterError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except BrokenPipeError:  # `newsletter … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def command_tree() -> dict[str, Any]:
    """Every command by its full name, for tests and for the reference in the docs."""
    found: dict[str, Any] = {}
    context = click.Context(cli)
    for name in _COMMANDS:
        command = cli.get_command(context, name)
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": one for sub, one in command.commands.items()}
    return found
