"""The pages that are made from the code: every setting, every command, every public address.

`python docs/reference.py` writes them; `--check` writes nothing and exits with 1 when one differs.
Types and defaults come from the code. A meaning comes from it too where the code gives one (a
setting's `description`, a command's help), else from the tables below; one without a meaning is refused.
"""

from __future__ import annotations

import os
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from newsletter import Workspace, init, public_app
from newsletter.checks import Rule, all_rules
from newsletter.cli.main import cli, command_tree
from newsletter.config import ENV_PREFIX, RESERVED_FIELDS, Settings

ROOT = Path(__file__).parent.parent

#: What settings mean, where their `description` in newsletter/config.py does not say it.
MEANINGS = {
    "transports.sendgrid.host": "where the API is; another one for the EU: https://api.eu.sendgrid.com",
    "transports.smtp.username": "for logging in (PLAIN or LOGIN), under TLS or on a loopback address only",
    "transports.smtp.connections": "open at a time; at most two messages are on their way for each",
    "transports.sendgrid.connections": "requests at a time",
    "transports.smtp.seconds_per_connection": "then it is opened anew",
    "transports.smtp.connect_timeout": "seconds, for connecting, greeting, TLS and AUTH together",
    "transports.smtp.dkim": (
        "keys that sign, one table each with `domain` (`d=`), `selector` (`<selector>._domainkey.<domain>` "
        "in the DNS) and `key_file` (PEM, RSA of 2048 bits or more, or Ed25519); without any the mail "
        "server signs, or nobody"
    ),
    "transports.faulty.path": "folder of its outbox",
    "transports.faulty.seed": "of its dice",
    "transports.faulty.lanes": "writers at a time",
    "sending.domains": "limits for recipients of single domains",
    "sending.domains.<name>.limits": "as `sending.limits`, for this domain",
    "publication.name": "stands in every mail, on every page and in `List-Id`",
    "publication.tagline": "stands in the head of the public pages",
    "publication.base_url": (
        "where `newsletter serve` is reached from outside; every link of a mail begins with it. With "
        "http the header for one-click unsubscribing is left out, except on a loopback address"
    ),
    "publication.postal_address": "stands in the footer of every mail; required by law in most countries",
    "publication.language": (
        "of mails and pages, as BCP 47; `ar`, `fa`, `he`, `ur` and `yi` are set from right to left"
    ),
    "publication.timezone": "for dates that people see, and for a `send_at` without a zone",
    "sender.email": "the address in `From`; its domain also stands in `Message-ID` and `List-Id`",
    "sender.name": "the name in `From`; the publication's name when empty",
    "sender.reply_to": "the address in `Reply-To`",
    "labels.take": "the word a mail prints before the take",
    "labels.why": "the word a mail prints before the reason",
    "labels.action": "the heading of the digest, and the word before an action for everybody",
    "briefs.labels": (
        "labels that editors may write, by part: `headline`, `take`, `why`, `action`, `body`, `fact`, "
        "`note`. A list takes the place of that part's default, which is in "
        "[briefs](briefs.md#labels); its first label is the one that `newsletter brief format` writes"
    ),
    "briefs.not_audiences": "words that may stand before a colon in an action without being an audience",
    "briefs.everyone": "words that address an action to everybody; the first is the one that is written",
    "issues.text": (
        "how much of a brief a mail carries: `lead` is the first paragraph and a link, `full` is all. "
        "`text` in an issue.toml wins"
    ),
    "fields.<name>.type": 'kind of the values; `role = "text"` is short for `role = { type = "text" }`',
    "fields.<name>.choices": "the values that a `choice` may have; needed there, refused elsewhere",
    "audience.import_consent": (
        "`required` leaves everybody out of a mailing whose `consent_at` is unknown (`no_consent`); "
        "`assumed` does not ask"
    ),
    "tracking.level": (
        "`person` counts opens, clicks and actions by reader; `none` leaves links as they are and puts "
        "in neither picture nor action buttons"
    ),
    "transports.default": "the way out of a plan that names none",
    "transports.outbox.path": "folder of the outbox, a Maildir; a relative path counts from the workspace",
    "database.url": (
        "`sqlite:///…` or `postgresql+psycopg://…`; a relative SQLite path counts from the workspace"
    ),
}  # fmt: skip

#: What stands below a table's heading besides its docstring.
REMARKS = {
    "fields": (
        "What is known of a subscriber besides what everybody has. Each key is a field: a name of a-z, "
        "0-9 and `_` that begins with a letter, at most 40 characters. Imports fill fields from columns "
        "of the same name, rules ask for them. Names that every subscriber has are taken: "
        + ", ".join(f"`{name}`" for name in RESERVED_FIELDS)
        + "."
    ),
}

#: What happens at each public address.
ADDRESSES = {
    "GET /c/{n}/{token}": (
        "redirects (302) to link number `n` of the reader's edition, exactly as it was written; "
        "recorded as a click"
    ),
    "GET /o/{token}.gif": "a transparent picture of one pixel; recorded as an open",
    "GET /v/{token}": "the mail in the browser",
    "GET /u/{token}": "a page with a button; changes nothing",
    "POST /u/{token}": (
        "unsubscribes; with `?undo=1` subscribes again, with `?reason=1` keeps why. A body with "
        "`List-Unsubscribe=One-Click` (RFC 8058) is answered in plain text, 200"
    ),
    "GET /p/{token}": "what the reader gets, with forms to change it; changes nothing",
    "POST /p/{token}": (
        "takes over lens, topics, frequency, pause and language; with `form=address` asks another "
        "address to confirm by mail"
    ),
    "GET /p/{token}/{lens}": "the latest issue as readers of that segment get it",
    "GET /subscribe": "the form for signing up",
    "POST /subscribe": "the same answer whoever asks; a mail asks to confirm",
    "POST /api/v1/subscribe": (
        'the same for programs: `{"email": …}`, and perhaps `name`, `language`, `lens`, `topics`, '
        "`source`; answers 202, or 400 for what is no address, 429 for too many requests"
    ),
    "GET /confirm/{token}": "a page with a button; changes nothing",
    "POST /confirm/{token}": "does what the mail asked to confirm; twice is once",
    "GET /a/{n}/{token}": (
        "a page about action number `n` with the buttons Done and Not for me; changes nothing"
    ),
    "POST /a/{n}/{token}": "records the answer: field `verb` is `done`, `not_for_me` or `undo`",
    "GET /media/{name}": (
        "a picture of a mail; its name is a hash of its bytes, so it may be kept for a year"
    ),
    "GET /issues": "the same as `/issues/`",
    "GET /issues/": "the archive: issues whose sending has started, the newest first",
    "GET /issues/{issue}": "the public page of such an issue, every brief in full, nothing personal",
    "GET /": "redirects to `/issues/`",
    "GET /favicon.ico": "nothing (204): browsers ask for it unbidden",
    "GET /health": 'the process answers: `{"ok": true}`',
    "GET /ready": "the database answers too; 503 when it does not",
}  # fmt: skip


def main() -> None:
    # Defaults are the code's, whatever the caller's environment says of a publication.
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        del os.environ[name]
    stale = [path for path, text in pages().items() if read(path) != text]
    if sys.argv[1:] == ["--check"]:
        if stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            sys.exit(f"not as the code is: {names}. Run: python docs/reference.py")
        return
    if sys.argv[1:]:
        sys.exit("usage: python docs/reference.py [--check]")
    codes = {path.stem for path in pages() if path.parent.name == "checks"}
    for path in (ROOT / "docs" / "checks").glob("*.md"):
        if path.stem not in codes:
            path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages()[path], "utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


def pages() -> dict[Path, str]:
    """Every generated page's text by its path."""
    return {
        ROOT / "docs" / "configuration.md": configuration(),
        ROOT / "docs" / "reference" / "cli.md": commands(),
        ROOT / "docs" / "reference" / "addresses.md": addresses(),
        ROOT / "docs" / "reference" / "checks.md": checks(),
        **{ROOT / "docs" / "checks" / f"{one.code}.md": check(one) for one in own_rules()},
    }


def read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def _page(title: str, *parts: str) -> str:
    note = "<!-- Made by docs/reference.py. Change the code or that file, then run it again. -->"
    return "\n\n".join([note, f"# {title}", *parts]) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(map(_line, [head, tuple("---" for _ in head), *rows]))


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


# -- settings ------------------------------------------------------------------------------------


_SETTINGS = """\
Settings stand in `newsletter.toml` at the root of the workspace. An unknown key, a missing one and a
wrong value are refused with file and line. Keys without a default must be given.

The environment wins over the file. The variable of a key is `NEWSLETTER_<TABLE>__<KEY>`; lists and
tables are written as JSON. A variable with that prefix that names no table is refused.
`NEWSLETTER_WORKSPACE` names the workspace itself, as `--workspace` does.

```sh
NEWSLETTER_PUBLICATION__BASE_URL=https://news.example.com newsletter serve
NEWSLETTER_BRIEFS__NOT_AUDIENCES='["Deadline", "Hint"]' newsletter brief check
```"""


def configuration() -> str:
    """docs/configuration.md: every key of newsletter.toml."""
    parts = [_SETTINGS]
    for table, model, fields in tables(Settings):
        parts.append(f"## [{table}]")
        parts += filter(None, (_docstring(model), REMARKS.get(table)))
        if fields:
            head = ("key", "type", "default", "meaning", "environment")
            parts.append(_table(head, [_setting(table, name, one) for name, one in fields.items()]))
    return _page("Configuration", *parts)


def tables(
    model: type[BaseModel], inside: str = ""
) -> Iterator[tuple[str, type[BaseModel] | None, dict[str, FieldInfo]]]:
    """(dotted name, model, its plain keys) of every table of newsletter.toml, in their order."""
    for name, field in model.model_fields.items():
        dotted = f"{inside}{name}"
        if one := _model_in(field.annotation):
            plain = {n: f for n, f in one.model_fields.items() if not _model_in(f.annotation)}
            yield dotted, one, plain
            yield from tables(one, f"{dotted}.")
        elif many := _model_in((None, *get_args(field.annotation))[-1]):  # named ones, or a list
            if get_origin(field.annotation) is list:
                continue
            yield dotted, None, {}
            yield f"{dotted}.<name>", many, dict(many.model_fields)


def settings() -> dict[str, FieldInfo]:
    """Every key by its dotted name."""
    return {f"{t}.{n}": f for t, _, fields in tables(Settings) for n, f in fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model else None


def _docstring(model: type[BaseModel] | None) -> str | None:
    own = model.__doc__ if model and "__doc__" in vars(model) else None
    return " ".join(own.split()) if own else None


def _setting(table: str, name: str, field: FieldInfo) -> tuple[str, ...]:
    dotted = f"{table}.{name}"
    meaning = MEANINGS.get(dotted) or field.description
    if not meaning:
        sys.exit(f"{dotted} has no meaning: give it Field(description=…) in newsletter/config.py")
    variable = ENV_PREFIX + dotted.replace(".", "__").upper()
    return f"`{name}`", _type(field), _default(field), meaning, f"`{variable}`"


_NAMES: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
}


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(limit, name)}"
        for limit in field.metadata
        for name, words in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))
        if getattr(limit, name, None) is not None
    ]
    return ", ".join([_words(field.annotation), *bounds])


def _words(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inside)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(one) for one in inside if one is not type(None))
    if origin is list and _model_in(inside[0]):
        return "list of tables"
    if origin in (list, tuple):
        return f"list of {_words(inside[0])}"
    if origin is dict:
        return f"table, each a {_words(inside[1])}"
    return _NAMES.get(annotation) or getattr(annotation, "__name__", str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value in (None, "", [], {}) or value is PydanticUndefined:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


# -- commands ------------------------------------------------------------------------------------


_COMMANDS = """\
Options of `newsletter` itself stand before the command. Findings and figures go to standard output,
progress and remarks to standard error; with `--json` standard output holds one JSON document and
nothing else. A command exits with 0 when it is done, with 1 when it refuses or finds an error that
blocks, with 2 when it was called wrongly."""


def commands() -> str:
    """docs/reference/cli.md: every command with its options."""
    parts = [_COMMANDS, _options(cli, click.Context(cli, info_name="newsletter"))]
    for name, command in command_tree().items():
        level = "##" if " " not in name else "###"
        context = click.Context(command, info_name=f"newsletter {name}")
        parts += [f"{level} newsletter {name}", *_command(command, context)]
    return _page("Commands", *parts)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    words, example = _help(command)
    yield words
    if isinstance(command, click.Group):
        return
    yield f"```text\n{context.info_name} {' '.join(command.collect_usage_pieces(context))}\n```"
    if options := _options(command, context):
        yield options
    if example:
        yield f"Example: `{example}`"


def _help(command: click.Command) -> tuple[str, str]:
    """The help as paragraphs without click's marks, and its example."""
    text = (command.help or "").replace("\b", "")
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    examples = [
        part.removeprefix("Example: ") for part in paragraphs if part.startswith("Example:")
    ]
    rest = [part for part in paragraphs if part and not part.startswith("Example:")]
    return "\n\n".join(rest), "".join(examples)


def _options(command: click.Command, context: click.Context) -> str:
    options = [one for one in command.params if isinstance(one, click.Option)]
    records = [one.get_help_record(context) for one in options]
    rows = [(f"`{record[0]}`", record[1]) for record in records if record]
    return _table(("option", "meaning"), rows) if rows else ""


# -- addresses -----------------------------------------------------------------------------------


_ADDRESSES = """\
What `newsletter serve` answers to. A token that was not signed here for that purpose, a link that the
edition does not have and an unknown issue all get one page, 404; only the picture answers always. A
token of a test mail or preview works and records nothing."""


def addresses() -> str:
    """docs/reference/addresses.md: what the public app answers to."""
    rows = []
    for address in routes():
        method, _, path = address.partition(" ")
        if address not in ADDRESSES:
            sys.exit(f"{address} has no meaning: add it to ADDRESSES in docs/reference.py")
        rows.append((method, f"`{path}`", ADDRESSES[address]))
    table = _table(("method", "address", "what it does"), rows)
    return _page("Public addresses", _ADDRESSES, table)


def routes() -> list[str]:
    """`METHOD /path` of every route; HEAD goes with GET."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Workspace(init(Path(folder) / "publication")) as workspace,
    ):
        app = public_app(workspace).app
    return [
        f"{method} {route.path}"
        for route in app.routes
        for method in sorted(route.methods - {"HEAD"})
    ]


# -- checks --------------------------------------------------------------------------------------


_CHECKS = """\
Every check by its code. `newsletter issue check --explain CODE` prints the same. How they are run, waived,
switched off and written is in [checks](../checks.md). A code is never used again for something else.

An **error** blocks planning and sending unless it is waived; a **warning** should be mended; an **info** is
worth a look."""
_SCOPES = {
    "BR": "Briefs",
    "IS": "Issues",
    "ED": "Editions",
    "SD": "Sending",
}


def own_rules() -> list[type[Rule]]:
    """The rules of this package, by code; those that plug-ins add are none of ours."""
    return [one for one in all_rules() if one.__module__.startswith("newsletter.")]


def checks() -> str:
    """docs/reference/checks.md: every check in a line."""
    parts = [_CHECKS]
    for prefix, name in _SCOPES.items():
        rows = [
            (f"[{one.code}](../checks/{one.code}.md)", one.severity, one.title)
            for one in own_rules()
            if one.code.startswith(prefix)
        ]
        parts += [f"## {name}", _table(("code", "severity", "what is wrong"), rows)]
    return _page("All checks", *parts)


def check(one: type[Rule]) -> str:
    """docs/checks/<code>.md: one check, from its class."""
    said = [f"**{one.severity.capitalize()}.** {one.title[:1].upper()}{one.title[1:]}."]
    if one.online:
        said.append("Looked at only with `--online`.")
    if not one.waivable:
        said.append("No waiver and no setting silences it.")
    parts = [" ".join(said), one.explanation()]
    if one.example:
        parts.append(f"Found in:\n\n````text\n{one.example.rstrip()}\n````")
    parts.append(f"To mend it: {one.remedy}")
    return _page(one.code, *parts, "[All checks](../reference/checks.md)")


if __name__ == "__main__":
    main()
