"""newsletter send: plan, approve, start, pause, resume, cancel, missed, resolve, test, status, audit."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import click

from newsletter.cli.live import few_collections, live_progress
from newsletter.cli.show import (
    confirm,
    err,
    excluded,
    json_option,
    out,
    print_json,
    require_answer,
    size,
    table,
    with_workspace,
)
from newsletter.delivery import Plan, Stop
from newsletter.workspace import TRANSPORTS, Workspace

_id = click.argument("issue_id", metavar="ID")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.group()
def send() -> None:
    """Plan a mailing, approve it, send it, audit it."""


class _Share(click.ParamType):  # type: ignore[type-arg]
    """`1%` or `0.01`."""

    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            share = float(value[:-1]) / 100 if value.endswith("%") else float(value)
        except ValueError:
            share = -1.0
        if not 0 < share < 1:
            self.fail(f'"{value}" is no share; write one such as 1%', param, ctx)
        return share


class _Time(click.ParamType):  # type: ignore[type-arg]
    """`2026-12-01 07:00` in the publication's zone, with an offset if another is meant, or `+2h`."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> Callable[[Workspace], datetime]:
        units = {"m": "minutes", "h": "hours", "d": "days"}
        try:
            if value.startswith("+") and value[-1] in units:
                ahead = timedelta(**{units[value[-1]]: float(value[1:-1])})
                return lambda workspace: datetime.now(workspace.settings.publication.zone) + ahead
            time = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail(
                f'"{value}" is no time; write one such as "2026-12-01 07:00" or +2h', param, ctx
            )
        if time.tzinfo:
            return lambda _workspace: time
        return lambda workspace: time.replace(tzinfo=workspace.settings.publication.zone)


def _plan_options(command: Any) -> Any:
    """The options that `plan` and `missed` share."""
    for option in reversed(
        [
            click.option(
                "--transport", metavar="NAME", help=f"The way out: {', '.join(TRANSPORTS)}."
            ),
            click.option("--to", metavar="RULE", help="Only people whom this rule finds."),
            click.option("--exclude", metavar="RULE", help="Nobody whom this rule finds."),
            click.option("--at", type=_Time(), metavar="TIME", help="Not before this time."),
            click.option(
                "--not-after",
                type=_Time(),
                metavar="TIME",
                help="Hand out nothing after this time.",
            ),
            click.option(
                "--canary", type=_Share(), metavar="SHARE", help="Send this share first, then wait."
            ),
            click.option(
                "--check", is_flag=True, help="Let the provider validate each edition (SendGrid)."
            ),
        ]
    ):
        command = option(command)
    return command


@send.command()
@_id
@_plan_options
@json_option
@with_workspace
def plan(workspace: Workspace, issue_id: str, as_json: bool, **options: Any) -> None:
    """Render the editions and freeze who gets which; nothing is sent.

    Example: newsletter send plan 2026-W48 --canary 1% --not-after "2026-11-27 18:00"
    """
    _plan(workspace, issue_id, "issue", as_json=as_json, **options)


@send.command()
@_id
@_plan_options
@json_option
@with_workspace
def missed(workspace: Workspace, issue_id: str, as_json: bool, **options: Any) -> None:
    """Plan an issue that was sent once more, for those only who did not get it.

    Example: newsletter send missed 2026-W48
    """
    _plan(workspace, issue_id, "missed", as_json=as_json, **options)


def _plan(
    workspace: Workspace,
    issue_id: str,
    kind: str,
    *,
    as_json: bool,
    check: bool,
    at: Callable[[Workspace], datetime] | None,
    not_after: Callable[[Workspace], datetime] | None,
    canary: float | None,
    **options: Any,
) -> None:
    made = workspace.plan(
        issue_id,
        kind=kind,
        send_at=at and at(workspace),
        not_after=not_after and not_after(workspace),
        canary=canary or 0.0,
        **options,
    )
    if check:
        workspace.check_plan(issue_id)
        err.print(f"{made.transport} takes every edition.")
    if as_json:
        print_json(made.as_dict())
        return
    print_plan(workspace, made)
    for name, value in made.options.items():
        out.print(f"{name.replace('_', ' ')}: {_option(name, value)}", markup=False)
    if made.deliveries:
        err.print(f"Next: newsletter send approve {issue_id} --plan {made.hash}")
    elif made.candidates:
        err.print("Nobody is left to mail.")
    else:
        err.print("There is nobody to mail yet; import people: newsletter audience import FILE")


def _option(name: str, value: Any) -> str:
    """An option of a plan in words."""
    if name == "arms":
        return ", ".join(f"{arm} {share:.0%}" for arm, share in value)
    return f"{value:.2%}" if name == "canary" else str(value)


def print_plan(workspace: Workspace, made: Plan, *, most: int | None = None) -> None:
    """The plan as a table with its sums. `most` bounds the lines."""
    table(
        f"Plan {made.hash} of {made.issue}, by {made.transport}",
        [
            "Edition",
            "For",
            "Readers are in",
            ("People", "right"),
            ("HTML", "right"),
            ("Mail", "right"),
        ],
        [
            [
                line.edition,
                (line.lens or "everybody") + (f" · arm {line.arm}" if line.arm else ""),
                ", ".join(workspace.names.get(key, key) for key in line.segments) or "no segment",
                line.recipients,
                size(line.bytes),
                size(line.message_bytes),
            ]
            for line in made.editions[:most]
        ],
    )
    if most and len(made.editions) > most:
        out.print(f"… and {len(made.editions) - most} smaller editions")
    out.print(
        f"{made.candidates:,} people: {made.deliveries:,} get a mail, {excluded(made.excluded)}; "
        f"{len(made.editions)} editions"
    )


@send.command()
@_id
@click.option("--plan", "plan_hash", metavar="HASH", help="Approve just this plan.")
@_yes
@with_workspace
def approve(workspace: Workspace, issue_id: str, plan_hash: str | None, yes: bool) -> None:
    """Approve the plan of an issue.

    Example: newsletter send approve 2026-W48 --plan 9f31c2a0b4d5e6f7
    """
    confirm(f"Approve the plan of {issue_id}?", yes=yes or plan_hash is not None)
    approved = workspace.approve(issue_id, plan=plan_hash)
    out.print(f"plan {approved} is approved by {workspace.actor}", markup=False)
    err.print(f"Next: newsletter send start {issue_id}")


@send.command()
@_id
@_yes
@click.option("--wait", is_flag=True, help="Return when all is sent (the default with SQLite).")
@json_option
@with_workspace
def start(workspace: Workspace, issue_id: str, yes: bool, wait: bool, as_json: bool) -> None:  # noqa: ARG001
    """Send the approved plan. Started again, it sends only what has not been sent.

    Example: newsletter send start 2026-W48
    """
    require_answer(yes=yes)
    before = workspace.status(issue_id)
    if before["state"] == "done":
        err.print("Nothing is left to send.")
    elif note := workspace.sends_early(issue_id):
        err.print(f"note: {note}", markup=False)
    confirm(f"Send {issue_id} now?", yes=yes)
    stop = Stop()
    with _signals(stop), few_collections(), live_progress(f"sending {issue_id}") as show:
        status = workspace.start(issue_id, progress=show, stop=stop)
    if as_json:
        print_json(status)
    else:
        _print_status(issue_id, status)
    if stop.asked and status["state"] == "running":
        err.print(f"Stopped. Go on with: newsletter send start {issue_id}")
        raise click.exceptions.Exit(1)


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """SIGTERM and Ctrl-C let what is on its way arrive; a second one cuts the connections. A closed
    terminal (SIGHUP, unless it was to be ignored) and `serve` when it ends (SIGUSR1) ask gently,
    however often."""

    told = False

    def ask(_number: int, _frame: Any) -> None:
        nonlocal told
        stop.asked = True
        if told:
            err.print("Cutting the connections.")
            stop.at_once = True
        else:
            err.print("Stopping; what is on its way arrives first. Once more cuts the connections.")
            told = True

    def leave(_number: int, _frame: Any) -> None:
        stop.asked = True

    handlers = {signal.SIGTERM: ask, signal.SIGINT: ask, signal.SIGUSR1: leave}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        handlers[signal.SIGHUP] = leave
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@send.command()
@_id
@with_workspace
def pause(workspace: Workspace, issue_id: str) -> None:
    """Let a running send wait; what is on its way arrives.

    Example: newsletter send pause 2026-W48
    """
    workspace.pause(issue_id)
    out.print(f"{issue_id} is paused", markup=False)
    err.print(f"Next: newsletter send resume {issue_id}, or cancel {issue_id}")


@send.command()
@_id
@click.option(
    "--i-know",
    is_flag=True,
    help="This copy or restored backup may send, or: it may be late.",
)
@with_workspace
def resume(workspace: Workspace, issue_id: str, i_know: bool) -> None:
    """Let a paused or held send go on.

    Example: newsletter send resume 2026-W48
    """
    state, at_work = workspace.resume(issue_id, i_know=i_know)
    out.print(f"{issue_id} is {state}", markup=False)
    if not at_work:
        err.print(f"No process is sending it. Next: newsletter send start {issue_id}")


@send.command()
@_id
@_yes
@with_workspace
def cancel(workspace: Workspace, issue_id: str, yes: bool) -> None:
    """Take back every message that has not left. This can't be undone.

    Example: newsletter send cancel 2026-W48
    """
    confirm(f"Cancel the mailing of {issue_id}?", yes=yes)
    number = workspace.cancel(issue_id)
    out.print(f"{issue_id} is cancelled; {number:,} messages do not leave", markup=False)


@send.command()
@_id
@click.option("--resend", "resend", flag_value=True, type=bool, help="Send them again.")
@click.option("--drop", "resend", flag_value=False, type=bool, help="Do not send them again.")
@with_workspace
def resolve(workspace: Workspace, issue_id: str, resend: bool | None) -> None:
    """Decide about messages of which nobody can tell whether they were taken.

    Example: newsletter send resolve 2026-W48 --resend
    """
    if resend is None:
        raise click.UsageError("say what becomes of them: --resend or --drop")
    number = workspace.resolve(issue_id, resend=resend)
    if not number:
        out.print("nothing is uncertain")
    elif resend:
        out.print(f"{number:,} are planned again, with the same Message-ID")
        err.print(f"Next: newsletter send start {issue_id}")
    else:
        out.print(f"{number:,} are dropped: skipped, in doubt")


@send.command("test")
@_id
@click.option("--to", required=True, metavar="EMAIL", help="Where the test mail goes.")
@click.option(
    "--segment", "segments", multiple=True, help="The edition of these segments' readers."
)
@click.option("--for", "email", metavar="EMAIL", help="The edition of this person.")
@click.option("--transport", metavar="NAME", help="The way out; the publication's by default.")
@with_workspace
def test_command(
    workspace: Workspace,
    issue_id: str,
    to: str,
    segments: tuple[str, ...],
    email: str | None,
    transport: str | None,
) -> None:
    """Send one edition to yourself. Its links work, nothing is counted.

    Example: newsletter send test 2026-W48 --to me@example.com --segment ai-teams
    """
    for note in workspace.signing_notes(transport):
        err.print(f"note: {note}", markup=False)
    sent = workspace.send_test(
        issue_id, to, segments=segments, email=email, transport_name=transport
    )
    out.print(f"{sent.name} to {sent.recipient}", markup=False)


@send.command()
@_id
@click.option("--domains", is_flag=True, help="The largest recipient domains, too.")
@json_option
@with_workspace
def status(workspace: Workspace, issue_id: str, domains: bool, as_json: bool) -> None:
    """How far a mailing is.

    Example: newsletter send status 2026-W48 --domains
    """
    now = workspace.status(issue_id, domains=domains)
    if as_json:
        print_json(now)
        return
    _print_status(issue_id, now)
    for domain, states in now.get("domains", {}).items():
        counts = ", ".join(f"{n:,} {state}" for state, n in sorted(states.items()))
        out.print(f"  {domain}: {counts}", markup=False)


@send.command()
@_id
@json_option
@with_workspace
def audit(workspace: Workspace, issue_id: str, as_json: bool) -> None:
    """Recompute the books: every candidate is mailed, left out with a reason, or still open.

    Example: newsletter send audit 2026-W48
    """
    books = workspace.audit(issue_id)
    if as_json:
        print_json(books)
    else:
        for one in books["mailings"]:
            _print_books(one)
    if not books["ok"]:
        raise click.exceptions.Exit(1)


def _print_books(books: dict[str, Any]) -> None:
    """One mailing's sums, by state and by edition."""
    out.print(
        f"Mailing {books['mailing']} is {books['state']}: {books['candidates']:,} candidates = "
        f"{books['deliveries']:,} deliveries + {sum(books['excluded'].values()):,} left out"
    )
    used = [state for state, people in books["states"].items() if people]
    rows = [
        [edition, *(states.get(state, 0) for state in used)]
        for edition, states in books["editions"].items()
    ]
    rows.append(["all", *(books["states"][state] for state in used)])
    table("", ["Edition", *((state, "right") for state in used)], rows)
    under_way = "" if books["state"] == "done" else " so far"
    out.print(f"The books balance{under_way}." if books["ok"] else "THE BOOKS DO NOT BALANCE.")


def _print_status(issue_id: str, now: dict[str, Any]) -> None:
    counts = ", ".join(f"{n:,} {state}" for state, n in now["states"].items() if n) or "nobody"
    tail = f"; {now['rate']:,.0f}/s" if now["rate"] else ""
    eta = f", done in {now['eta']:.0f} s" if now["eta"] else ""
    note = f" ({now['note']})" if now["note"] else ""
    at = f" for {now['send_at']}" if now["state"] == "scheduled" else ""
    out.print(f"{issue_id} is {now['state']}{at}{note}: {counts}{tail}{eta}", markup=False)
    if now["states"]["uncertain"] and now["state"] == "done":
        err.print(
            f"{now['states']['uncertain']:,} are uncertain. Decide: "
            f"newsletter send resolve {issue_id} --resend, or --drop"
        )
