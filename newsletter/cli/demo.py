"""newsletter demo: the whole pipeline on the sample publication, told in plain words.

Real parts throughout: real files, database, outbox, and a real server in a process of its own that
simulated readers (and a few machines) talk to over HTTP.
"""

from __future__ import annotations

import email
import email.policy
import http.client
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import click
import lxml.html

from newsletter.cli.report import print_report
from newsletter.cli.send import print_plan
from newsletter.cli.show import out, print_findings, summary
from newsletter.errors import RefusedError
from newsletter.sample import init
from newsletter.workspace import Workspace

_PAST, _NOW = "2026-W47", "2026-W48"
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_SCANNER = "Mozilla/5.0 (compatible; LinkScanBot/2.1; +https://scanner.example/bot)"
_SEED = 48


@click.command()
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make the workspace here (it must not exist yet) instead of in a temporary folder.",
)
def demo(keep: Path | None) -> None:
    """Run the whole pipeline on the sample publication, in a throw-away workspace.

    Import, check, coverage, plan, approve, send to the outbox, readers who click, report.

    Example: newsletter demo
    """
    folder = init(keep or Path(tempfile.mkdtemp(prefix="newsletter-demo-")) / "signal-brief")
    # The sample's own settings, whatever the caller's environment says of another publication.
    for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
        del os.environ[name]
    with _serving(folder) as base_url:
        os.environ["NEWSLETTER_PUBLICATION__BASE_URL"] = base_url
        try:
            with Workspace(folder, actor="demo") as workspace:
                _run(workspace, base_url)
        finally:
            del os.environ["NEWSLETTER_PUBLICATION__BASE_URL"]


def _run(workspace: Workspace, base_url: str) -> None:
    _step(1, "Import", "500 people come in from subscribers/people.csv.")
    result = workspace.import_people(workspace.root / "subscribers" / "people.csv")
    out.print(f"{result.added} added, {result.rejected} rejected.")

    _step(2, "Check", f"Is anything wrong with issue {_NOW}?")
    findings = workspace.check(_NOW)
    print_findings(findings)
    out.print(f"{summary(findings)}.")

    _step(3, "Coverage", "Which audience gets an action of its own from which brief?")
    matrix = workspace.coverage(_NOW)
    cells = [cell for row in matrix.rows for cell in row.cells.values()]
    counted = {how: sum(cell.how == how for cell in cells) for how in ("own", "general", "waived")}
    out.print(
        f"{len(matrix.rows)} briefs × {len(matrix.people)} audiences: {counted['own']} cells with an "
        f"action of their own, {counted['general']} with everybody's, {counted['waived']} empty on "
        f"purpose. The gate holds for {matrix.readers - matrix.readers_outside} of "
        f"{matrix.readers} readers."
    )

    _step(4, "Plan, approve, send", f"Last week's issue {_PAST} first, then {_NOW}.")
    for issue in (_PAST, _NOW):
        plan = workspace.plan(issue)
        workspace.approve(issue, plan=plan.hash)
        status = workspace.start(issue)
        if issue == _NOW:
            print_plan(workspace, plan, most=8)
        accepted = status["states"]["accepted"]
        out.print(f"{issue}: {accepted} mails in the outbox, {status['rate']:,.0f} a second.")
    again = workspace.start(_NOW)
    out.print(f"Started a second time, it sends nothing: {again['states']['accepted']} accepted.")
    books = workspace.audit(_NOW)
    out.print(f"Audit: {'the books balance' if books['ok'] else 'THE BOOKS DO NOT BALANCE'}.")

    _step(5, "Readers", f"They open their mail and click, over real HTTP at {base_url}.")
    readers = _Readers(workspace, random.Random(_SEED))  # noqa: S311  (a fixed story, no secret)
    readers.read_mail()
    out.print(
        f"{readers.seen['mails']} mails checked: text and HTML part, no unfilled slot. "
        f"{readers.seen['redirects']} links followed; each led to the exact original. "
        f"{readers.seen['done']} actions done, {readers.seen['left']} readers left, and a scanner "
        f"fetched {readers.seen['scanned']} links without unsubscribing anybody."
    )

    _step(6, "Report", "What came back.")
    print_report(workspace.report(_NOW), most=6)
    report = workspace.root / "report.html"
    report.write_text(workspace.report_page(_NOW), "utf-8")
    preview = workspace.preview(_NOW)[0]
    mail = min((workspace.root / "var" / "outbox" / "new").glob("*.eml"))

    _step(7, "Look", "Open these files:")
    for words, path in (
        ("all editions side by side", preview),
        ("the report as a page", report),
        ("a mail as it was sent", mail),
    ):
        out.print(f"  {words}\n    {path}", markup=False)
    command = (
        "newsletter" if shutil.which("newsletter") else Path(sys.executable).with_name("newsletter")
    )
    out.print(
        f"\nGo on in that workspace:\n  cd {workspace.root}\n  {command} issue coverage {_NOW}\n"
        f"  {command} issue assemble 2026-W49\n  {command} serve",
        markup=False,
    )


def _step(number: int, title: str, words: str) -> None:
    out.print(f"\n[bold]{number}. {title}.[/bold] {words}")


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """`newsletter serve` in a process of its own; yields its address.

    On its usual port where that is free, so that the demo's links work again later, with
    `newsletter serve` in the workspace; else on any.
    """
    command = [sys.executable, "-m", "newsletter", "--workspace", str(folder), "serve", "--port"]
    for port, errors in (("8000", subprocess.DEVNULL), ("0", None)):
        with subprocess.Popen(  # noqa: S603
            [*command, port], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                continue
            try:
                yield line.removeprefix("listening on ").strip()
            finally:
                process.terminate()
                process.wait(timeout=20)
            return
    raise RefusedError("the server of the demo did not start; see above")


@dataclass
class _Readers:
    """500 people with an inbox, and a scanner at the gate of some."""

    workspace: Workspace
    chance: random.Random
    seen: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("mails", "redirects", "done", "left", "scanned"), 0)
    )

    def read_mail(self) -> None:
        """Every mail of the newest issue is parsed and judged; most readers do something with it."""
        folder = self.workspace.root / "var" / "outbox" / "new"
        mailing = self.workspace.status(_NOW)["mailing"]
        paths = sorted(folder.glob(f"m{mailing:06d}-*.eml"))
        plans = [(path, self.chance.random(), self.chance.randrange(1 << 30)) for path in paths]
        with ThreadPoolExecutor(8) as pool:
            for seen in pool.map(lambda plan: self._reader(*plan), plans):
                for name, number in seen.items():
                    self.seen[name] += number

    def _reader(self, path: Path, mood: float, seed: int) -> dict[str, int]:
        chance = random.Random(seed)  # noqa: S311
        seen = dict.fromkeys(self.seen, 0)
        mail = _Mail(path)
        seen["mails"] = 1
        host = urlsplit(mail.open_url).netloc
        with _client(host) as client:
            if mood > 0.9:  # a gateway fetches every link at once before the mail is delivered
                for url in mail.links:
                    _get(client, url, _SCANNER)
                    seen["scanned"] += 1
            if mood > 0.62:
                return seen
            _get(client, mail.open_url, _BROWSER)
            if mood > 0.4:
                return seen
            for url in chance.sample(mail.links, k=chance.randint(1, 3)):
                self._follow(client, url)
                seen["redirects"] += 1
            if mood < 0.3:
                for url in chance.sample(mail.actions, k=min(2, len(mail.actions))):
                    _get(client, url, _BROWSER)
                    _post(client, url, {"verb": "done"})
                    seen["done"] += 1
            if mood < 0.006:
                _post(client, mail.unsubscribe_url, {"List-Unsubscribe": "One-Click"})
                seen["left"] += 1
        return seen

    def _follow(self, client: http.client.HTTPConnection, url: str) -> None:
        """A redirect must lead to the very address that the editor wrote."""
        number, token = urlsplit(url).path.split("/")[2:4]
        ref = self.workspace.keyring.verify(token, "click")
        expected = self.workspace.lookup.link(ref, int(number)) if ref else None
        found = _get(client, url, _BROWSER)
        if found != expected or not expected:
            raise RefusedError(f"{url} led to {found} instead of {expected}")


class _Mail:
    """One .eml of the outbox, opened with a mail parser as any reader's program would."""

    def __init__(self, path: Path) -> None:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        parts = {}
        for kind in ("plain", "html"):
            part = message.get_body((kind,))
            if part is None:
                raise RefusedError(f"{path} has no {kind} part")
            parts[kind] = part.get_content()
        if any(re.search(r"@@[a-z2-7]{10}\.", text) for text in (*parts.values(), str(message))):
            raise RefusedError(f"{path} has an unfilled slot")
        document = lxml.html.document_fromstring(parts["html"])
        hrefs = [str(anchor.get("href")) for anchor in document.iter("a")]
        self.links = [href for href in hrefs if "/c/" in href]
        self.actions = list(dict.fromkeys(h for h in hrefs if "/a/" in h and "not_for_me" not in h))
        untracked = [h for h in hrefs if not re.search(r"/[cauvp]/", urlsplit(h).path)]
        if untracked:
            raise RefusedError(f"{path} has an untracked link: {untracked[0]}")
        self.open_url = next(
            str(image.get("src"))
            for image in document.iter("img")
            if "/o/" in str(image.get("src"))
        )
        self.unsubscribe_url = message["List-Unsubscribe"].split(",")[0].strip("<>")


@contextmanager
def _client(host: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def _get(client: http.client.HTTPConnection, url: str, agent: str) -> str | None:
    """GET an address; returns where it redirects to, if it does."""
    parts = urlsplit(url)
    client.request("GET", f"{parts.path}?{parts.query}".rstrip("?"), headers={"User-Agent": agent})
    response = client.getresponse()
    response.read()
    if response.status >= 400:
        raise RefusedError(f"{url} answered {response.status}")
    return response.getheader("Location")


def _post(client: http.client.HTTPConnection, url: str, fields: dict[str, str]) -> None:
    headers = {"User-Agent": _BROWSER, "Content-Type": "application/x-www-form-urlencoded"}
    client.request("POST", urlsplit(url).path, urlencode(fields), headers)
    response = client.getresponse()
    response.read()
    if response.status != 200:
        raise RefusedError(f"{url} answered {response.status}")
