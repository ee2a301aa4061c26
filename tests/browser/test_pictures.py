"""The looks against their reference pictures, and the measure against mistakes of the kind it is for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser

from tests.browser.pictures import (
    CASES,
    FOLDER,
    LOOKS,
    MOST_BYTES,
    Case,
    Mails,
    difference,
    has_fonts,
    kept,
    shot,
    shrunk,
)

pytestmark = pytest.mark.chromium
AGAIN = "if that is meant: make pictures"


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Mails:
    return Mails(tmp_path_factory.mktemp("mails"))


@pytest.fixture
def drawn(browser: Browser) -> Browser:
    if not has_fonts(browser):
        pytest.skip("the references need other fonts (Debian: apt install fonts-liberation)")
    return browser


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_look_is_as_its_picture(drawn: Browser, mails: Mails, case: Case, tmp_path: Path) -> None:
    picture = mails.shot(drawn, case)
    reference = FOLDER / f"{case.name}.png"
    with Image.open(reference) as known:
        differs = difference(known, shrunk(picture))
    if differs:
        actual = tmp_path / f"{case.name}.png"
        picture.save(actual)
        shutil.copy(reference, tmp_path / f"{case.name}-reference.png")
        pytest.fail(f"{case.name} is not as {reference}: {differs}; it is {actual}; {AGAIN}")


def test_there_is_a_picture_for_every_case_and_they_are_small() -> None:
    sizes = {path.stem: path.stat().st_size for path in FOLDER.iterdir()}
    assert set(sizes) == {case.name for case in CASES}
    assert sum(sizes.values()) < MOST_BYTES


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("an accent that is a little bluer", "#0b6354", "#0b5a70"),
        ("another tint", "#edf5f1", "#f5f5f5"),
        ("grey text in black", "#57635f", "#17201d"),
        ("links without a line", "text-decoration:underline", "text-decoration:none"),
        ("a heading that moved", "margin:3px 0 0;", "margin:7px 0 -4px;"),
    ],
)
def test_a_wrong_colour_and_a_moved_block_are_seen(
    drawn: Browser, mails: Mails, what: str, old: str, new: str
) -> None:
    case = Case("quiet", "light", 375)
    html, folder = mails.of(case)
    assert old in html
    broken = shot(drawn, html.replace(old, new), folder, case.scheme, case.width)
    assert difference(kept(mails.shot(drawn, case)), shrunk(broken)), what


@pytest.mark.parametrize("look", LOOKS)
def test_how_letters_are_drawn_is_not_seen(drawn: Browser, mails: Mails, look: str) -> None:
    """Half a pixel aside and softer, as another font renderer would draw them."""
    picture = mails.shot(drawn, Case(look, "light", 375))
    aside = Image.blend(picture, ImageChops.offset(picture, 1, 0), 0.5)
    assert not difference(kept(picture), shrunk(aside))
