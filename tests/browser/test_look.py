"""Mails and pages in a real browser: nothing wider than the screen, from 320 px up, light and dark, and
nothing that keeps people out."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from newsletter.audience import ReaderKind
from newsletter.editions import SERVICE_KINDS, fill, service_edition
from newsletter.workspace import Workspace
from tests.browser.pictures import LOOKS, SCHEMES, WIDTHS, Case, Mails, screen

pytestmark = pytest.mark.chromium
ISSUE = "2026-W48"


@pytest.fixture
def pages(workspace_dir: Path) -> list[Path]:
    """The longest edition with and without whole briefs, the public page, and the preview."""
    long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    brief = workspace_dir / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    text = brief.read_text("utf-8").replace(
        "# Quillon", f"# {long} https://example.com/{'x' * 90} Quillon", 1
    )
    brief.write_text(text, "utf-8")
    with Workspace(workspace_dir) as workspace:
        index, *files = workspace.preview(ISSUE, segments=["ai-teams", "security"])
        page = workspace_dir / "page.html"
        page.write_text(
            workspace.renderer.page(workspace.composer(workspace.issue(ISSUE)), "/"), "utf-8"
        )
    return [page, index, *(path for path in files if path.suffix == ".html")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(browser: Browser, pages: list[Path], scheme: str) -> None:
    for width in (320, 375, 700):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        tab = context.new_page()
        for path in pages:
            tab.goto(path.as_uri())
            wide = tab.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path.name} is {wide} px wide at {width} px, {scheme}"
            assert tab.evaluate("document.compatMode") == "CSS1Compat"
        context.close()


def test_dark_mail_is_dark_and_buttons_fit_a_thumb(browser: Browser, pages: list[Path]) -> None:
    mail = pages[-1]
    context = browser.new_context(viewport={"width": 375, "height": 900}, color_scheme="dark")
    tab = context.new_page()
    tab.goto(mail.as_uri())
    paper = tab.evaluate("getComputedStyle(document.querySelector('.mail')).backgroundColor")
    assert max(int(part) for part in paper[4:-1].split(",")) < 80
    height = tab.evaluate("document.querySelector('.done a').getBoundingClientRect().height")
    assert height >= 44
    context.close()


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Mails:
    return Mails(tmp_path_factory.mktemp("mails"))


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_holds_long_words_from_320_px_up(
    browser: Browser, mails: Mails, look: str
) -> None:
    html, folder = mails.of(Case(look, "light", 320, "long"))
    for width in (320, *WIDTHS):
        page = screen(browser, html, folder, "light", width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{width} px"
        assert page.evaluate("document.compatMode") == "CSS1Compat"
        page.context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_what_acts_fits_a_thumb_and_sits_on_the_readers_side(
    browser: Browser, mails: Mails, look: str
) -> None:
    for kind, side in (("", "left"), ("rtl", "right")):
        html, folder = mails.of(Case(look, "light", 375, kind))
        page = screen(browser, html, folder, "light", 375)
        boxes = page.evaluate(
            """() => [...document.querySelectorAll('.done a, .not a, .ask')].map(a => {
                 const box = a.getBoundingClientRect(); return [box.width, box.height] })"""
        )
        assert len(boxes) == 5
        for wide, high in boxes:
            assert high >= 44
            assert wide >= 24
        number, text, done, refuse = page.evaluate(
            """() => ['.digest .n', '.digest .cell', '.digest .done', '.digest .not'].map(
                 name => document.querySelector(name).getBoundingClientRect().left)"""
        )
        assert (number < text, done < refuse) == (
            (True, True) if side == "left" else (False, False)
        )
        border = page.evaluate(
            "side => getComputedStyle(document.querySelector('.own'))[`border-${side}-width`]", side
        )
        assert border in ("1px", "3px", "6px")
        page.context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("look", LOOKS)
def test_nobody_is_kept_out_of_a_mail_or_a_page(
    browser: Browser, workspace_dir: Path, mails: Mails, look: str, scheme: str
) -> None:
    """axe-core finds nothing serious."""
    html, folder = mails.of(Case(look, scheme, 375, "long"))
    (workspace_dir / "templates" / "theme.toml").write_text(f'look = "{look}"\n', "utf-8")
    with Workspace(workspace_dir) as workspace:
        issue = workspace.issue(ISSUE)
        edition = workspace.editions(issue, [ReaderKind(("ai-teams",), "en")])[0].edition
        service = service_edition(
            workspace.renderer, workspace.settings, SERVICE_KINDS[0], "en", days=14
        )
        blank = dict.fromkeys(("click", "view", "manage", "act", "open", "reason", "confirm"), "x")
        found = {
            "small": html,
            "mail": fill(edition.html, edition.nonce, blank, "html"),
            "service": fill(service.html, service.nonce, blank, "html"),
            "issue": workspace.renderer.page(workspace.composer(issue), "/issues/"),
            "issues": workspace.page("web/issues.html.j2", issues=[], subscribe_url="/subscribe"),
            "subscribe": workspace.page(
                "web/subscribe.html.j2", email="x", lens="", lenses=[("a", "AI")], consent="Yes.",
                problem="That is no address.", invalid=True,
            ),
            "preferences": workspace.page(
                "web/preferences.html.j2", state="subscribed", address_masked="a***@example.com",
                segments=["AI"], paused_until=None, lenses=[("a", "AI", "/x")], topics=[("a", "AI")],
                chosen={"lens": "", "topics": None, "frequency": "", "paused_until": "", "language": "en"},
                languages=[("en", "English"), ("de", "Deutsch")], tomorrow=date(2026, 11, 25).isoformat(),
                said="Saved.", problem="", before=None, email="", wrong_email="", post_url="/p/x",
                unsubscribe_url="/u/x", subscribe_url="/subscribe",
            ),
        }  # fmt: skip
    for name, source in found.items():
        page = screen(browser, source, folder, scheme, 375)
        violations = Axe().run(page).response["violations"]
        bad = [
            (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0].get("failureSummary"))
            for one in violations
            if one["impact"] in ("serious", "critical")
        ]
        assert not bad, f"{name}, {look}, {scheme}: {bad}"
        page.context.close()
