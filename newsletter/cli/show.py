"""How things look in the terminal: JSON alone on standard output, tables, findings, progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from newsletter.findings import Finding, blocking
from newsletter.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])
_COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def with_workspace(command: F) -> F:
    """Hand the command an open Workspace as its first argument, and close it afterwards."""

    @wraps(command)
    @click.pass_context
    def run(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        with Workspace(ctx.find_root().obj or Path()) as workspace:
            return command(workspace, *args, **kwargs)

    return run  # type: ignore[return-value]


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def print_json(document: Any) -> None:
    """The document alone on standard output."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def table(
    title: str, columns: Iterable[str | tuple[str, str]], rows: Iterable[Iterable[Any]]
) -> None:
    """A table; a column given as (name, "right") is set to the right, as numbers are."""
    if title:
        out.print(f"[bold]{escape(title)}[/bold]")
    shown = Table(box=None, pad_edge=False)
    for column in columns:
        name, justify = column if isinstance(column, tuple) else (column, "left")
        shown.add_column(escape(name), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        shown.add_row(
            *(number(cell) if isinstance(cell, int) else escape(str(cell)) for cell in row)
        )
    console = Console(highlight=False) if out.is_terminal else Console(highlight=False, width=140)
    console.print(shown)


def number(value: int) -> str:
    """Thousands apart."""
    return f"{value:,}"


def size(value: int) -> str:
    """`46.0 kB`"""
    return f"{value / 1000:.1f} kB"


def print_findings(findings: Iterable[Finding]) -> None:
    """`file:line:column: severity CODE message`, as editors and CI read it."""
    for finding in findings:
        if finding.waived is not None:
            mark = f"[dim]waived {finding.code}[/dim]"
            tail = f" [dim](waived: {escape(finding.waived)})[/dim]"
        else:
            mark = f"[{_COLOURS[finding.severity]}]{finding.severity}[/] {finding.code}"
            tail = ""
        place = f"{escape(finding.place)}: " if finding.place else ""
        out.print(f"{place}{mark} {escape(finding.message)}{tail}")


def check_options(command: F) -> F:
    """`--json`, `--format`, `--explain` and `--strict`, as all checks take them."""
    for option in (
        click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too."),
        click.option(
            "--explain", metavar="CODE", help="Say what a check looks for, with an example."
        ),
        click.option(
            "--format",
            "shape",
            type=click.Choice(["text", "json", "sarif", "github"]),
            default="text",
            show_default=True,
            help="sarif: for code scanning; github: annotations in a workflow.",
        ),
        click.option("--json", "as_json", is_flag=True, help="The same as --format json."),
    ):
        command = option(command)
    return command


def tell_findings(
    findings: Sequence[Finding],
    shape: str,
    *,
    root: Path = Path(),
    what: str = "",
    strict: bool = False,
) -> None:
    """Print findings in the shape that was asked for, and exit with 1 when one of them blocks; with
    `strict` when one is a warning."""
    if shape == "json":
        print_json({"findings": [one.as_dict() for one in findings], "ok": not blocking(findings)})
    elif shape == "sarif":
        from newsletter.checks import sarif

        print_json(sarif(_from_repository(findings, root)))
    elif shape == "github":
        from newsletter.checks import github

        click.echo(github(_from_repository(findings, root)), nl=False)
    else:
        print_findings(findings)
        err.print(f"{what}: {summary(findings)}" if what else summary(findings), markup=False)
    warned = any(one.severity == "warning" and one.waived is None for one in findings)
    if blocking(findings) or (strict and warned):
        raise click.exceptions.Exit(1)


def _from_repository(findings: Iterable[Finding], root: Path) -> list[Finding]:
    """Findings with their files as seen from the repository that holds the workspace at `root`: so
    code scanning and annotations name them."""
    inside = [
        path for path in (root.resolve(), *root.resolve().parents) if (path / ".git").exists()
    ]
    top = Path(os.environ.get("GITHUB_WORKSPACE", "") or (inside or [root.resolve()])[0])
    begins = os.path.relpath(root.resolve(), top)
    if begins == "." or begins.startswith(".."):
        return list(findings)
    return [
        replace(one, file=f"{Path(begins).as_posix()}/{one.file}" if one.file else None)
        for one in findings
    ]


def explain_check(code: str) -> None:
    """What a check looks for, and what to do about it."""
    from newsletter.checks import rule

    found = rule(code)
    out.print(f"[bold]{found.code}[/bold]  {escape(found.title)}  ({found.severity})\n")
    for paragraph in found.explanation().split("\n\n"):
        out.print(" ".join(paragraph.split()), markup=False)
    if found.example:
        out.print("\nFound in:", markup=False)
        for line in found.example.rstrip("\n").splitlines():
            out.print(f"    {line}", markup=False)
    out.print(f"\nTo mend it: {found.remedy}", markup=False)
    if not found.waivable:
        out.print("\nNo waiver silences it.", markup=False)
    if found.online:
        out.print("\nLooked at only with --online.", markup=False)


def summary(findings: Iterable[Finding]) -> str:
    """`2 errors, 1 warning`"""
    counts: dict[str, int] = {}
    for finding in findings:
        key = "waived" if finding.waived is not None else finding.severity
        counts[key] = counts.get(key, 0) + 1
    words = [
        f"{counts[key]} {key}{'s' if counts[key] != 1 and key in ('error', 'warning') else ''}"
        for key in ("error", "warning", "info", "waived")
        if key in counts
    ]
    return ", ".join(words) or "nothing to mend"


def excluded(reasons: Mapping[str, int]) -> str:
    """`1,204 left out: 812 unsubscribed, 392 suppressed`"""
    total = sum(reasons.values())
    if not total:
        return "nobody left out"
    parts = ", ".join(
        f"{people:,} {reason.replace('_', ' ')}" for reason, people in reasons.items()
    )
    return f"{total:,} left out: {parts}"


def require_answer(*, yes: bool) -> None:
    """Refuse at once where nobody could be asked: without a terminal --yes is needed."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("this needs --yes when it is not run in a terminal")


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless --yes was given."""
    require_answer(yes=yes)
    if not yes:
        click.confirm(question, abort=True, err=True)


class Advance(Protocol):
    """Takes how much is done, of how much (0 when unknown), and what is being done."""

    def __call__(self, done: int, total: int, doing: str = "", /) -> None: ...


@contextmanager
def progress_bar(label: str) -> Iterator[Advance]:
    """Call the yielded function as the work goes on. Shows nothing without a terminal, or for work that
    is over within a second."""
    if not err.is_terminal:
        yield lambda _done, _total, _doing="", /: None
        return
    import time

    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    begun = time.monotonic()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
    task = bar.add_task(label, total=None, rate="")
    started = False

    def advance(done: int, total: int, doing: str = "", /) -> None:
        nonlocal started, begun
        doing = doing or label
        if bar.tasks[0].description != doing:  # another part, with another measure
            bar.reset(task, description=doing)
            begun = time.monotonic() - (1 if started else 0)
        seconds = time.monotonic() - begun
        if not started and seconds > 1:
            bar.start()
            started = True
        rate = f"{done / seconds:,.0f}/s" if seconds else ""
        bar.update(task, completed=done, total=total or None, rate=rate)

    try:
        yield advance
    finally:
        if started:
            bar.stop()
