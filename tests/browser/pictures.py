"""What the looks look like: pictures of one small edition, and how two pictures are compared.

`python -m tests.browser.pictures` takes the reference pictures anew; `make pictures` does too. Each is kept
at a quarter of its size in few colours: enough to see a wrong colour or a moved block, too little to see
how a font is hinted.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Page, Route, sync_playwright

from newsletter.audience import ReaderKind
from newsletter.editions import fill
from newsletter.workspace import Workspace
from tests.conftest import copy_sample

FOLDER = Path(__file__).parent / "reference"
LOOKS, SCHEMES, WIDTHS = ("quiet", "bold", "plain"), ("light", "dark"), (320, 375, 600, 800)
ISSUE = "2026-W48"
SCALE = 4  #: how many pixels of the screen, each way, become one that is kept
COLOURS = 192
MOST_BYTES = 400_000  #: of all pictures together
#: Two looks at a pair of pictures: how many kept pixels round a place its mean colour is taken over, by how
#: many levels (of 255) that may differ, and the share of places that may differ more. The narrow one
#: sees what moved, the wide one a colour that is off by little in many places. Measured at 375 px: letters
#: that are set anew, without subpixel positions, reach 15 and 6; hinting alone nothing; a heading that
#: moved by four pixels 22 (narrow), grey text in black 7, another tint 8, a bluer accent 12 (wide).
MEASURES = ((2, 16, 0.0005), (6, 6, 0.002))
CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

_LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
# The fonts of Debian's fonts-liberation, so that lines break at the same words everywhere.
_FONTS = """
[font]
headline = "Liberation {headline}"
sans = "Liberation {text}"
serif = "Liberation Serif"
mono = "Liberation Mono"
"""
_MANIFEST = """
subject = "Half-price inference, with a ceiling"
preheader = "Also: a rehearsed switch."
intro = "{intro}"
text = "full"
send_at = 2026-11-24T07:30:00+01:00
order = ["harbour", "marlowe"]

[policy]
digest = 1

[[block]]
kind = "sponsor"
title = "Two days on measured migrations"
text = "How five companies moved without losing a week."
by = "Marlowe Conferences"
url = "https://marlowe.example.com/migrations"
button = "See the programme"

[[block]]
kind = "quote"
text = "We practised on a Thursday morning, with customers online."
by = "Head of operations, Marlowe Parcels"
after = "harbour"

[[block]]
kind = "note"
title = "No issue on 29 December"
text = "We are back on [5 January](https://signal-brief.example/)."
after = "end"
"""
_HARBOUR = """---
slug: harbour
date: 2026-11-19
tags: [pricing]
---

# {headline}

Every account qualifies, and there is `no form` to fill in (per [Ledger](https://ledger.example.com/)).

![Bars that pass a line.](images/{picture} "The ceiling is met on day 20.")

## Our Take

A good test offer and a poor basis for a budget. {long}

## Why it matters

Most budgets are fixed in December.

> Whoever measures first has something to negotiate with.

## Do this week

- AI teams: re-test your two busiest prompts by 27 November 2026.
- Everyone: show both prices in every forecast.

## By the numbers

**Two billion** tokens a month.

- 4,000 conversations a day
- 25,000 tokens each
"""
_MARLOWE = """---
slug: marlowe
date: 2026-11-19
tags: [outage]
---

# A rehearsed switch took eleven minutes

The others were still comparing settings.

## Our Take

A second region that nobody has switched to is a plan.

## Do this week

- AI teams: list the calls that you can't do without.
"""


@dataclass(frozen=True)
class Case:
    """One picture: a look on a screen."""

    look: str
    scheme: str
    width: int
    kind: str = ""  #: "", "rtl" or "long"

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.look, self.kind, self.scheme, str(self.width))))


CASES = [
    *(Case(look, scheme, width) for look in LOOKS for scheme in SCHEMES for width in WIDTHS),
    Case("quiet", "light", 375, "rtl"),
    Case("bold", "dark", 320, "long"),
]


def mail(folder: Path, look: str, kind: str = "") -> str:
    """The HTML of the small edition in a look, its slots filled; `folder` becomes its workspace."""
    long, right_to_left = kind == "long", kind == "rtl"
    copy_sample(folder)
    shutil.rmtree(folder / "issues")
    briefs = folder / "issues" / ISSUE / "briefs"
    briefs.mkdir(parents=True)
    intro = "שני סיפורים, ואחד לא יכול לחכות." if right_to_left else "Two stories, one can't wait."
    headline = "הנמל מוזיל את מחיריו לתשעים יום" if right_to_left else "Harbour halves its prices"
    text = _MANIFEST.replace("{intro}", intro)
    (folder / "issues" / ISSUE / "issue.toml").write_text(text, "utf-8")
    text = _HARBOUR.replace("{headline}", f"{headline} {_LONG if long else ''}".strip())
    text = text.replace("{long}", f"https://example.com/{'x' * 90}" if long else "")
    picture = "clear.png" if long else "quillon-ceiling.png"
    (briefs / "harbour.md").write_text(text.replace("{picture}", picture), "utf-8")
    (briefs / "marlowe.md").write_text(_MARLOWE, "utf-8")
    theme = f'look = "{look}"\n'
    if long:
        _clear("#17201d").save(folder / "images" / "clear.png")
        _clear("#ffffff").save(folder / "images" / "logo.png")
        theme += 'logo = "images/logo.png"\nlogo_width = 120\n'
    headlines = "Serif" if look != "bold" else "Sans"
    fonts = _FONTS.format(headline=headlines, text="Serif" if look == "plain" else "Sans")
    (folder / "templates" / "theme.toml").write_text(theme + fonts, "utf-8")
    with Workspace(folder) as workspace:
        reader = ReaderKind(("ai-teams",), "he" if right_to_left else "en")
        made = workspace.editions(workspace.issue(ISSUE), [reader])[0].edition
    values = {"reason": "you signed up on 3 May 2026"}
    names = ("click", "view", "manage", "act", "open")
    return fill(made.html, made.nonce, values | dict.fromkeys(names, "x"), "html")


def _clear(colour: str) -> Image.Image:
    """A colour on nothing: dark ones are what dark mode would swallow."""
    picture = Image.new("RGBA", (600, 150), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((10, 10, 140, 140), colour)
    draw.rectangle((180, 50, 590, 100), colour)
    return picture


def screen(
    browser: Browser, html: str, folder: Path, scheme: str, width: int, height: int = 800
) -> Page:
    """A page in a browser of that width, its pictures from the workspace, and nothing from elsewhere."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()

    def answer(route: Route) -> None:
        path = folder / "var" / "media" / route.request.url.rsplit("/", 1)[-1]
        if "/media/" in route.request.url and path.is_file():
            route.fulfill(path=path)
        else:
            route.abort()

    page.route("**/*", answer)
    page.set_content(html, wait_until="load")
    return page


def shot(browser: Browser, html: str, folder: Path, scheme: str, width: int) -> Image.Image:
    """The whole page."""
    page = screen(browser, html, folder, scheme, width)
    picture = Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")
    page.context.close()
    return picture


def has_fonts(browser: Browser) -> bool:
    """Whether the fonts that the references were taken with are here."""
    page = browser.new_page()
    measure = (
        "font => { const c = document.createElement('canvas').getContext('2d'); c.font = font;"
    )
    measure += " return c.measureText('Hamburgefonstiv 0123').width }"
    widths = [
        (
            page.evaluate(measure, f"40px '{font}', monospace"),
            page.evaluate(measure, "40px monospace"),
        )
        for font in ("Liberation Sans", "Liberation Serif")
    ]
    page.close()
    return all(one != other for one, other in widths)


def shrunk(picture: Image.Image) -> Image.Image:
    """At a quarter of its size, to be compared with what is kept."""
    size = (-(-picture.width // SCALE), -(-picture.height // SCALE))
    return picture.resize(size, Image.Resampling.BOX)


def kept(picture: Image.Image) -> Image.Image:
    """As it is kept: shrunk, in few colours. The octree errs by 5 levels at most, the median cut by 38."""
    octree = Image.Quantize.FASTOCTREE
    return shrunk(picture).quantize(COLOURS, method=octree, dither=Image.Dither.NONE)


def difference(one: Image.Image, other: Image.Image) -> str:
    """In what a kept picture and a shrunk one differ, as words; "" when they show the same."""
    if one.size != other.size:
        return f"{one.size} against {other.size} kept pixels"
    for radius, tolerance, share in MEASURES:
        blur = ImageFilter.BoxBlur(radius)
        pair = [picture.convert("RGB").filter(blur) for picture in (one, other)]
        red, green, blue = ImageChops.difference(*pair).split()
        most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        wrong = sum(most.histogram()[tolerance + 1 :]) / (most.width * most.height)
        if wrong > share:
            box = most.point(lambda level, least=tolerance: 255 * (level > least)).getbbox()
            place = [SCALE * side for side in box or ()]
            wide = SCALE * (2 * radius + 1)
            return f"{wrong:.2%} of places of {wide} px differ by more than {tolerance}, within {place}"
    return ""


class Mails:
    """The mails of the cases, each made once, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[tuple[str, str], str] = {}

    def of(self, case: Case) -> tuple[str, Path]:
        """(HTML, workspace)"""
        key, place = (case.look, case.kind), self.folder / f"{case.look}{case.kind}"
        if key not in self._made:
            self._made[key] = mail(place, *key)
        return self._made[key], place

    def shot(self, browser: Browser, case: Case) -> Image.Image:
        return shot(browser, *self.of(case), case.scheme, case.width)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        if not has_fonts(browser):
            sys.exit("the pictures need the fonts of Debian's fonts-liberation: apt install it")
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        mails = Mails(Path(folder))
        for case in CASES:
            kept(mails.shot(browser, case)).save(FOLDER / f"{case.name}.png", optimize=True)
        browser.close()
    total = sum(path.stat().st_size for path in FOLDER.glob("*.png"))
    if total > MOST_BYTES:
        sys.exit(f"the references have {total:,} bytes; {MOST_BYTES:,} is the most")
    sys.stdout.write(f"{FOLDER}: {len(CASES)} pictures, {total / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
