"""make pictures: the pictures of the README, made from the sample publication, its own drawings, the contact
sheet of its editions, and the reference pictures of the looks that tests compare with.

Everything happens in a throw-away workspace; what readers do is invented, from a fixed seed.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import sqlalchemy as sa
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from newsletter import Workspace, init
from newsletter.contact_sheet import sheet_size
from newsletter.db.schema import delivery, edition_action, link, mailing, mailing_edition
from newsletter.tracking.spool import RawEvent

sys.path.insert(0, str(Path(__file__).parent.parent))  # the references are the tests' own

from docs import drawings
from tests.browser import pictures as references

ISSUE, SEGMENT = "2026-W48", "ai-teams"
SENT = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
PICTURES = Path(__file__).parent / "pictures"
MOST_BYTES = 300_000  #: of a picture
CHROMIUM = Path("/usr/bin/chromium")
_SHEET = 1800  # pixels of the contact sheet's width, twice what GitHub shows
_GAP, _CANVAS = 20, "#dfe5e3"  # pixels and colour between the two widths
_READER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_SCANNER = "Mozilla/5.0 (compatible; LinkScanBot/2.1; +https://scanner.example/bot)"


def main() -> None:
    drawings.main()
    if not CHROMIUM.exists():
        sys.exit(f"pictures are taken with Debian's chromium ({CHROMIUM}): apt install chromium")
    # The sample's own settings, whatever the caller's environment says of another publication.
    for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        with Workspace(init(Path(folder) / "publication"), actor="pictures") as workspace:
            workspace.import_people(workspace.root / "subscribers" / "people.csv")
            _keep(_contact_sheet(workspace), "contact-sheet.png")
            mail = next(
                path
                for path in workspace.preview(ISSUE, segments=[SEGMENT])
                if path.name.startswith(SEGMENT) and path.suffix == ".html"
            ).read_text("utf-8")
            report = _report(workspace)
        looks = references.Mails(Path(folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=references.QUIET)
        root = workspace.root
        _keep(_beside(_shot(browser, mail, width, 1440, root) for width in (700, 375)), "mail.png")
        _keep(_shot(browser, report, 1100, 980, root), "report.png")
        cases = [
            references.Case("quiet", "light", 375),
            references.Case("bold", "light", 375),
            references.Case("plain", "light", 375),
            references.Case("bold", "dark", 375),
        ]
        tops = (looks.shot(browser, case).crop((0, 0, case.width, 1240)) for case in cases)
        _keep(_beside(tops), "looks.png")
        browser.close()
    references.main()


def _shot(browser: Browser, html: str, width: int, height: int, root: Path) -> Image.Image:
    """The top of a page, in pixels; its pictures come from the workspace, nothing else is fetched."""
    page = references.screen(browser, html, root, "light", width, height)
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    page.context.close()
    return picture


def _contact_sheet(workspace: Workspace) -> Image.Image:
    """The first row of what `newsletter issue preview --png` draws, as sharp as a README shows it."""
    file = workspace.root / "editions.png"
    workspace.picture(workspace.write_preview(ISSUE), file)
    with Image.open(file) as opened:
        row = (0, 0, opened.width, sheet_size(1)[1])
        top = opened.convert("RGB").crop(row)
    return top.resize((_SHEET, round(top.height * _SHEET / top.width)), Image.Resampling.LANCZOS)


def _beside(pictures: Iterable[Image.Image]) -> Image.Image:
    """Pictures of one height, side by side."""
    row = list(pictures)
    wide = sum(one.width for one in row) + _GAP * (len(row) - 1)
    whole = Image.new("RGB", (wide, row[0].height), _CANVAS)
    at = 0
    for one in row:
        whole.paste(one, (at, 0))
        at += one.width + _GAP
    return whole


def _keep(picture: Image.Image, name: str) -> None:
    """Write a picture with 256 colours of its own; flat surfaces keep theirs exactly."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / name
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{path} has {size:,} bytes; {MOST_BYTES:,} is the most")
    print(f"{path}: {picture.width} × {picture.height}, {size / 1000:.0f} kB")


def _report(workspace: Workspace) -> str:
    """The report page of a mailing that readers, and some machines, reacted to."""
    workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
    workspace.start(ISSUE)
    with workspace.database.write() as connection:
        connection.execute(mailing.update().values(started_at=SENT))
        deliveries = connection.execute(_deliveries()).all()
    chance = random.Random(48)
    for row in deliveries:
        for one in _events(workspace, row, chance):
            workspace.spool.put(one).result()
    return workspace.report_page(ISSUE)


def _deliveries() -> sa.Select[tuple[int, int, int, int]]:
    """(mailing, n, links, actions) of every delivery."""
    links = sa.select(sa.func.count()).where(link.c.edition == mailing_edition.c.edition)
    actions = sa.select(sa.func.count()).where(
        edition_action.c.edition == mailing_edition.c.edition
    )
    return (
        sa.select(
            delivery.c.mailing,
            delivery.c.n,
            links.scalar_subquery().label("links"),
            actions.scalar_subquery().label("actions"),
        )
        .join(
            mailing_edition,
            sa.and_(
                mailing_edition.c.mailing == delivery.c.mailing,
                mailing_edition.c.n == delivery.c.edition,
            ),
        )
        .order_by(delivery.c.n)
    )


def _events(workspace: Workspace, row: sa.Row, chance: random.Random) -> Iterator[RawEvent]:
    """What comes back from one reader: first a scanner perhaps, then they themselves, by and by."""
    at = SENT.timestamp() + 60 * chance.expovariate(1 / 200)

    def event(kind: str, ref: int | None, *, agent: str = _READER, verb: str = "GET") -> RawEvent:
        number = workspace.spool.next_number()
        return RawEvent(number, row.mailing, row.n, kind, ref, at, verb, agent)

    if chance.random() < 0.12:
        for n in range(1, row.links + 1):
            yield event("click", n, agent=_SCANNER)
    if chance.random() > 0.56:
        return
    yield event("open", None)
    for n in range(1, row.links + 1):
        if chance.random() < 0.06:
            yield event("click", n)
    for n in range(1, row.actions + 1):
        if chance.random() < 0.42 / n:
            yield event("done", n, verb="POST")
        elif chance.random() < 0.05:
            yield event("not_for_me", n, verb="POST")
    if chance.random() < 0.01:
        yield event("unsubscribe", None, verb="POST")


if __name__ == "__main__":
    main()
