"""What mail programs do to HTML, and what therefore must hold in every look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import lxml.html
import pytest

from newsletter.audience import ReaderKind
from newsletter.editions import SERVICE_KINDS, service_edition
from newsletter.workspace import Workspace
from tests.editions.test_blocks import BLOCKS, write

ISSUE = "2026-W48"
LOOKS = ("quiet", "bold", "plain")
each_look = pytest.mark.parametrize("look", LOOKS)


@pytest.fixture
def root(workspace_dir: Path) -> Path:
    write(workspace_dir, BLOCKS)
    return workspace_dir


@pytest.fixture
def mails(root: Path, look: str) -> Iterator[list[str]]:
    """An issue's mail and a service mail."""
    with opened(root, look) as workspace:
        yield [html(workspace), service(workspace)]


def opened(root: Path, look: str) -> Workspace:
    (root / "templates" / "theme.toml").write_text(f'look = "{look}"\n', "utf-8")
    return Workspace(root)


def html(workspace: Workspace, language: str = "en") -> str:
    reader = ReaderKind(("ai-teams", "security"), language)
    return workspace.editions(workspace.issue(ISSUE), [reader])[0].edition.html


def service(workspace: Workspace, language: str = "en") -> str:
    kind = SERVICE_KINDS[0]
    return service_edition(workspace.renderer, workspace.settings, kind, language, days=14).html


def styles(source: str) -> list[str]:
    return [str(one) for one in lxml.html.document_fromstring(source).xpath("//@style")]


@each_look
def test_doctype_language_and_direction_are_there(mails: list[str]) -> None:
    for mail in mails:
        assert mail.startswith("<!doctype html>\n<html ")
        root = lxml.html.document_fromstring(mail)
        assert (root.get("lang"), root.get("dir")) == ("en", "ltr")
        assert root.xpath("//body//*[@lang='en'][@dir='ltr']")  # webmail drops html and body


@each_look
def test_six_briefs_weigh_less_than_70_kilobytes(mails: list[str]) -> None:
    assert len(mails[0].encode()) < 70_000
    assert len(mails[1].encode()) < 20_000


@each_look
def test_colours_have_six_digits_and_lengths_their_unit(mails: list[str]) -> None:
    for mail in mails:
        for style in styles(mail):
            for colour in re.findall(r"#[0-9a-fA-F]+", style):
                assert len(colour) == 7, style
        assert not re.search(r'bgcolor="#[0-9a-fA-F]{3}"', mail)


@each_look
def test_nothing_is_loaded_but_our_own_pictures(mails: list[str]) -> None:
    for mail in mails:
        root = lxml.html.document_fromstring(mail)
        assert not root.xpath("//link | //script | //iframe | //object | //*[@background]")
        for source in root.xpath("//@src"):
            assert source.startswith(("http://127.0.0.1:8000/media/", "http://127.0.0.1:8000/o/"))
        for remote in ("@import", "@font-face", "url(", "fonts.googleapis"):
            assert remote not in mail


@each_look
def test_every_picture_says_what_it_shows_and_how_big_it_is(mails: list[str]) -> None:
    images = lxml.html.document_fromstring(mails[0]).xpath("//img")
    assert len(images) == 3  # of a brief, of a block, and the one that counts opens
    for image in images:
        assert image.get("alt") is not None
        assert image.get("width").isdigit()
        assert image.get("height").isdigit()
    assert [bool(image.get("alt")) for image in images] == [True, True, False]


@each_look
def test_outlooks_conditions_survive_and_are_balanced(mails: list[str]) -> None:
    for mail in mails:
        assert len(re.findall(r"<!--\[if [^\]]+\]>", mail)) > 3
        opens = re.findall(r"<!--\[if [^\]]+\]>", mail)
        assert len(opens) == len(re.findall(r"<!\[endif\]-->", mail))
        inside = "".join(
            re.findall(r"<!--\[if [^\]]*mso[^\]]*\]>(.*?)<!\[endif\]-->", mail, re.DOTALL)
        )
        for tag in ("table", "tr", "td"):
            assert len(re.findall(rf"<{tag}\b", inside)) == len(re.findall(rf"</{tag}>", inside)), (
                tag
            )


@each_look
def test_no_break_spaces_stay(mails: list[str]) -> None:
    assert "\u00a0" in mails[0] or "&#160;" in mails[0] or "&nbsp;" in mails[0]


@pytest.mark.parametrize("look", ["quiet", "bold"])
def test_a_buttons_cell_carries_its_colour_and_room(mails: list[str], look: str) -> None:
    for mail in mails:
        cells = lxml.html.document_fromstring(mail).xpath("//td[@class='done']")
        assert cells
        for cell in cells:
            assert cell.get("bgcolor") in ("#0b6354", "#2436b8")
            assert "mso-padding-alt:10px 22px" in cell.get("style")
            link = cell.find("a").get("style")
            for rule in ("display:block", "padding:11px 22px", "line-height:22px", "#ffffff"):
                assert rule in link


@pytest.mark.parametrize("look", ["plain"])
def test_in_a_letter_what_acts_is_a_link(mails: list[str], look: str) -> None:
    for cell in lxml.html.document_fromstring(mails[0]).xpath("//td[@class='done']"):
        assert cell.get("bgcolor") in (None, "transparent")
        assert "underline" in cell.find("a").get("style")
        assert "/a/" in cell.find("a").get("href")


@each_look
def test_without_its_style_sheet_a_mail_is_dressed_all_the_same(mails: list[str]) -> None:
    bare = re.sub(r"<style.*?</style>", "", mails[0], flags=re.DOTALL)
    for tag in ("h1", "h2", "blockquote"):
        for one in lxml.html.document_fromstring(bare).iter(tag):
            assert "font-family" in str(one.get("style")), tag


@each_look
def test_right_to_left_mirrors_every_side(root: Path, look: str) -> None:
    with opened(root, look) as workspace:
        for language in ("ar", "he"):
            for mail in (html(workspace, language), service(workspace, language)):
                assert f'<html lang="{language}" dir="rtl"' in mail
                for style in styles(mail):
                    assert "border-left" not in style
                    if not style.startswith(
                        "font-size:0px"
                    ):  # MJML's columns; texts have their own
                        assert "text-align:left" not in style
            assert "border-right:" in html(workspace, language)
        english = " ".join(styles(html(workspace)))
        assert "border-right" not in english
        assert "border-left:" in english


@each_look
def test_dark_mode_reaches_every_colour(mails: list[str], look: str) -> None:
    """Each scheme's sheet names every dark colour that the mail's blocks need."""
    for mail in mails[:1]:
        assert "@media (prefers-color-scheme: dark)" in mail
        assert "[data-ogsc] .mail" in mail
        assert '<meta name="color-scheme" content="light dark"' in mail
        assert mail.count("[data-ogsc]") > 10


def test_a_transparent_picture_gets_a_plate_and_a_logo_its_dark_one(root: Path) -> None:
    from PIL import Image

    for name in ("logo", "dark"):
        Image.new("RGBA", (320, 80), (0, 0, 0, 90)).save(root / "images" / f"{name}.png")
    theme = root / "templates" / "theme.toml"
    theme.write_text('logo = "images/logo.png"\nlogo_alt = "The Brief"\n', "utf-8")
    with Workspace(root) as workspace:
        for mail in (html(workspace), service(workspace)):
            logo = lxml.html.document_fromstring(mail).xpath("//h1/img")[0]
            assert (logo.get("alt"), logo.get("width")) == ("The Brief", "160")
            assert "plate" in logo.get("class")
            assert "background-color:#ffffff" in logo.get("style")
    theme.write_text('logo = "images/logo.png"\nlogo_dark = "images/dark.png"\n', "utf-8")
    with Workspace(root) as workspace:
        root_ = lxml.html.document_fromstring(html(workspace))
        (day,) = root_.xpath("//h1/img[contains(@class, 'day')]")
        (night,) = root_.xpath("//h1/*[contains(@class, 'night')]")
        assert day.get("alt") == "Signal Brief"
        assert "display:none" in night.get("style")
        assert "mso-hide:all" in night.get("style")
        web = workspace.page("web/issues.html.j2", issues=[], subscribe_url="")
        assert "prefers-color-scheme: dark" in web
        assert 'srcset="http://127.0.0.1:8000/media/' in web
