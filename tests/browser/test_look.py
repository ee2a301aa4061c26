"""Mails and pages in a real browser: nothing wider than the screen, from 320 px up, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from newsletter.workspace import Workspace

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
