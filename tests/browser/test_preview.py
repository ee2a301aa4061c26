"""The preview and the coverage page in a real browser: as files without a network, live while files change,
as a picture."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from newsletter.contact_sheet import sheet_size
from newsletter.proofs import page_data
from newsletter.workspace import Workspace
from tests.conftest import copy_sample

pytestmark = pytest.mark.chromium
ISSUE = "2026-W48"
HEADLINE = "Quillon </script><!--<script>halves"
#: What a template, which is trusted, might hold by mistake.
TROUBLE = """
<script>document.title = "ran"; document.body.innerHTML = "ran"</script>
<form action="https://forms.example/take" method="get"><button name="sent" value="1">Send me</button></form>
<a id="out" href="https://elsewhere.example/" target="_top">Out of the frame</a>
<img src="https://pictures.example/chart.png" alt="A chart of prices" width="200" height="100">
"""
CEILING = "Bars for each day of a month"  # how the words of the picture in the first brief begin
_LONGEST = 20_000  # milliseconds
expect.set_options(timeout=_LONGEST)


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with people, a hostile headline, and a template that would like to do more."""
    root = copy_sample(tmp_path_factory.mktemp("preview") / "publication")
    brief = root / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    text = brief.read_text("utf-8").replace("# Quillon halves", f"# {HEADLINE}", 1)
    assert HEADLINE in text
    brief.write_text(text, "utf-8")
    footer = root / "templates" / "blocks" / "footer.mjml.j2"
    text = footer.read_text("utf-8").replace(
        "{% if e.open_url %}", TROUBLE + "{% if e.open_url %}", 1
    )
    assert TROUBLE in text
    footer.write_text(text, "utf-8")
    with Workspace(root, actor="desk") as workspace:
        workspace.import_people(root / "subscribers" / "people.csv")
    return root


@pytest.fixture(scope="module")
def written(publication: Path) -> Path:
    with Workspace(publication) as workspace:
        return workspace.preview(ISSUE)[0]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(
        viewport={"width": 1280, "height": 1000}, color_scheme="light", offline=True
    )
    opened.set_default_timeout(_LONGEST)
    yield opened
    opened.close()


@pytest.fixture
def tab(context: BrowserContext, written: Path) -> Iterator[Page]:
    """The page as a file, without a network. It must not complain."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(written.as_uri())
    expect(first(page)).to_be_visible()
    yield page
    assert errors == []


def first(page: Page) -> Any:
    """The frame of the mail for most readers."""
    return page.locator("article:first-child iframe:not(.waiting)")


def inside(page: Page) -> Any:
    return page.frame_locator("article:first-child iframe:not(.waiting)")


def loaded(page: Page) -> bool:
    """Whether the picture of a brief is seen in the first mail."""
    picture = inside(page).get_by_alt_text(CEILING)
    expect(picture).to_have_js_property("complete", True)
    return bool(picture.evaluate("image => image.naturalWidth > 600"))


def choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).check(force=True)


def paper(page: Page) -> int:
    """How light the mail in the first frame is, 0 to 255."""
    expect(inside(page).locator(".mail")).to_be_attached()
    colour = (
        inside(page).locator(".mail").evaluate("node => getComputedStyle(node).backgroundColor")
    )
    return max(int(part) for part in re.findall(r"\d+", colour)[:3])


# -- as a file -----------------------------------------------------------------------------------------


def test_every_edition_says_what_an_inbox_and_an_editor_want_to_know(tab: Page) -> None:
    card = tab.locator("article").first
    expect(card.get_by_role("heading")).to_have_text("AI teams")
    expect(card.locator(".people")).to_have_text("125 readers")
    expect(card.locator(".segments")).to_have_text("In AI teams, Data engineering, Product")
    expect(card.locator(".subject")).to_have_text("Half-price inference, with a ceiling")
    expect(card.locator(".preheader")).to_contain_text("a six-hour outage")
    expect(card.locator(".bytes")).to_contain_text("kB, Gmail cuts at 102 kB")
    people = [int(text.split()[0]) for text in tab.locator(".people").all_text_contents()]
    assert people == sorted(people, reverse=True)
    assert sum(people) == 486
    for link in card.locator(".links a").all():
        assert "/" not in str(link.get_attribute("href"))


def test_width_colours_text_and_source_are_chosen_for_all_and_remembered(
    tab: Page, context: BrowserContext
) -> None:
    expect(first(tab)).to_have_js_property("clientWidth", 375)
    assert paper(tab) > 200
    choose(tab, "Desktop")
    choose(tab, "Dark")
    expect(first(tab)).to_have_js_property("clientWidth", 700)
    expect(tab.locator("iframe.waiting")).to_have_count(0)
    assert paper(tab) < 80
    assert "width=desktop" in tab.url
    assert "scheme=dark" in tab.url
    again = context.new_page()
    again.goto(tab.url)
    expect(first(again)).to_have_js_property("clientWidth", 700)
    assert paper(again) < 80
    choose(again, "Text")
    expect(again.locator("article").first.locator("pre")).to_contain_text("DO THIS WEEK")
    choose(again, "Source")
    expect(again.locator("article").first.locator("pre")).to_contain_text("<!doctype html>")
    assert again.locator("article iframe").count() == 0


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_colours_of_a_mail_are_the_chosen_ones_whatever_the_system_is_set_to(
    context: BrowserContext, written: Path, system: Any
) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme=system)
    page.goto(written.as_uri())
    assert paper(page) > 200
    page.goto("about:blank")
    page.goto(f"{written.as_uri()}#scheme=dark")
    assert paper(page) < 80


def test_the_controls_work_from_the_keyboard(tab: Page) -> None:
    tab.get_by_role("radio", name="Phone").focus()
    tab.keyboard.press("ArrowRight")
    expect(first(tab)).to_have_js_property("clientWidth", 700)
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    assert "scheme=dark" in tab.url


def test_without_images_their_words_stand_there(tab: Page) -> None:
    expect(inside(tab).locator("img")).to_have_count(2)  # the brief's own, and one from elsewhere
    tab.get_by_label("Images").uncheck()
    expect(inside(tab).locator("img")).to_have_count(0)
    expect(inside(tab).get_by_text("A chart of prices")).to_be_attached()
    expect(inside(tab).get_by_text(CEILING)).to_be_attached()


def test_pictures_of_the_workspace_are_in_the_page_and_none_from_elsewhere(
    tab: Page, written: Path
) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.reload()
    assert loaded(tab)
    outside = inside(tab).get_by_alt_text("A chart of prices")
    assert outside.evaluate("image => image.complete && image.naturalWidth") == 0
    assert [url for url in asked if url.startswith("http") and "pictures.example" not in url] == []
    choose(tab, "Source")
    source = tab.locator("article").first.locator("pre")
    expect(source).to_contain_text("/media/")  # what is sent
    expect(source).not_to_contain_text("data:image")
    assert "data:image" not in next(written.parent.glob("ai-teams-en-*.html")).read_text("utf-8")


@pytest.mark.parametrize("look", ["bold", "plain"])
def test_another_look_is_tried_without_a_change_of_files(
    context: BrowserContext, workspace_dir: Path, look: str
) -> None:
    before = {path: path.read_bytes() for path in workspace_dir.rglob("*.toml")}
    page = context.new_page()
    seen: list[str] = []
    with Workspace(workspace_dir) as workspace:
        for tried in ("", look):
            written = workspace.write_preview(ISSUE, segments=["ai-teams"], look=tried).index
            page.goto(written.as_uri())
            expect(page.get_by_text("Tried in the look")).to_have_count(int(bool(tried)))
            assert loaded(page)
            link = inside(page).get_by_role("link", name="Read in the browser").first
            seen.append(link.evaluate("node => getComputedStyle(node).color"))
    assert seen[0] != seen[1]
    assert {path: path.read_bytes() for path in workspace_dir.rglob("*.toml")} == before


def test_each_arm_of_a_split_test_has_its_editions(
    context: BrowserContext, workspace_dir: Path
) -> None:
    manifest = workspace_dir / "issues" / ISSUE / "issue.toml"
    arm = '\n[[split.arm]]\nname = "short"\nshare = 0.3\nsubject = "Half-price inference"\n'
    manifest.write_text(manifest.read_text("utf-8") + arm, "utf-8")
    page = context.new_page()
    with Workspace(workspace_dir) as workspace:
        workspace.import_people(workspace_dir / "subscribers" / "people.csv")
        written = workspace.write_preview(ISSUE)
        drafts = workspace.drafts(workspace.issue(ISSUE), workspace.groups())
    assert {one["arm"] for one in written.editions} == {"a", "short"}
    assert sum(one["recipients"] for one in written.editions) == 486
    assert [one["key"] for one in drafts.entries][:2] == ["ai-teams-en-a", "ai-teams-en-short"]
    page.goto(written.index.as_uri())
    for name, subject, people in (
        ("a", "Half-price inference, with a ceiling", "about 88 readers"),
        ("short", "Half-price inference", "about 37 readers"),
    ):
        heading = page.get_by_role("heading", name=f"AI teams, arm {name}", exact=True)
        card = page.locator("article", has=heading)
        expect(card.locator(".subject")).to_have_text(subject)
        expect(card.locator(".people")).to_have_text(people)


def test_a_mail_can_neither_run_nor_send_nor_leave(tab: Page, written: Path) -> None:
    assert first(tab).get_attribute("sandbox") == ""
    assert "<script>document.title" in str(first(tab).get_attribute("srcdoc"))
    expect(inside(tab).locator(".mail")).to_contain_text("Your edition for")
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    inside(tab).get_by_role("button", name="Send me").dispatch_event("click")
    inside(tab).get_by_text("Out of the frame").click()
    choose(tab, "Dark")  # something that takes a while, and is seen
    assert paper(tab) < 80
    assert tab.title().startswith("Preview of")
    assert [url for url in asked if "forms.example" in url or "elsewhere.example" in url] == []
    assert len(tab.context.pages) == 1
    assert tab.url.startswith(written.as_uri())


def test_a_hostile_headline_stays_a_headline(tab: Page, written: Path) -> None:
    assert tab.locator("script").count() == 2
    said = json.loads(
        tab.locator("#editions").inner_text() or tab.locator("#editions").text_content()
    )
    assert any(HEADLINE in piece for piece in said["pieces"])  # of the text part
    assert HEADLINE not in written.read_text("utf-8")
    expect(inside(tab).get_by_role("heading", name=HEADLINE)).to_be_attached()


def test_two_editions_are_compared_by_words_with_more_than_colour(tab: Page) -> None:
    tab.get_by_role("button", name="Compare two").click()
    tab.get_by_label("Left").select_option("ai-teams-en")
    tab.get_by_label("Right").select_option("execs-en")
    lines = tab.locator("#differences")
    expect(lines.locator("p.gone").first).to_have_text(
        "Only left: Subject: Half-price inference, with a ceiling"
    )
    expect(lines.locator("p.came").first).to_have_text(
        "Only right: Subject: A winter price that ends in February"
    )
    lens = lines.locator("p.gone", has_text="Your edition for")
    assert lens.locator("del").all_inner_texts() == ["AI teams:", "six"]
    sign = "node => getComputedStyle(node, '::before').content"
    assert lines.locator("p.gone").first.evaluate(sign) == '"−"'
    assert lines.locator("p.came").first.evaluate(sign) == '"+"'
    line = "node => getComputedStyle(node).textDecorationLine"
    assert lines.locator("del").first.evaluate(line) == "line-through"
    assert lines.locator("ins").first.evaluate(line) == "underline"
    assert "http" not in lines.inner_text()
    tab.get_by_role("button", name="Swap").click()
    expect(lines.locator("p.came").first).to_contain_text("Half-price inference")
    tab.get_by_label("Left").select_option("ai-teams-en")
    tab.get_by_label("Right").select_option("ai-teams-en")
    expect(tab.locator("#differs")).to_have_text("Both say the same; only addresses may differ.")
    assert "left=ai-teams-en" in tab.url


def test_finding_leaves_what_was_asked_for(tab: Page) -> None:
    tab.get_by_role("searchbox").fill("security ai")
    expect(tab.locator("#found")).to_have_text("2 of 23 editions")
    headings = tab.locator("article:visible h2").all_inner_texts()
    assert headings == ["Security and AI teams", "Execs, Security and AI teams"]


def test_five_hundred_editions_stay_usable(
    context: BrowserContext, publication: Path, written: Path, tmp_path: Path
) -> None:
    said = re.search(r'id="editions">(.*?)</script>', written.read_text("utf-8"))
    assert said
    data = json.loads(said[1])
    one = data["editions"][0]
    many = [{**one, "key": f"e{n}", "lens": f"Lens {n}"} for n in range(500)]
    with Workspace(publication) as workspace:
        html = workspace.preview_page(ISSUE, page_data(many, pieces=data["pieces"], live=False))
        (tmp_path / "preview.js").write_bytes(workspace.preview_script())
    (tmp_path / "index.html").write_text(html, "utf-8")
    page = context.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    expect(page.locator("article")).to_have_count(500)
    for heading in ("Lens 100", "Lens 250", "Lens 499", "Lens 3"):
        card = page.locator("article", has=page.get_by_role("heading", name=heading, exact=True))
        card.scroll_into_view_if_needed()
        expect(card.locator("iframe:not(.waiting)")).to_be_visible()
        assert page.locator("iframe").count() <= 36
    page.get_by_role("searchbox").fill("lens 499")
    expect(page.locator("article:visible")).to_have_count(1)


# -- how it looks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["preview", "comparison", "text", "coverage"])
def test_pages_fit_and_can_be_used_by_everybody(
    context: BrowserContext,
    publication: Path,
    written: Path,
    tmp_path: Path,
    name: str,
    scheme: Any,
) -> None:
    address = written.as_uri()
    if name == "comparison":
        address += "#left=ai-teams-en&right=execs-en"
    if name == "text":
        address += "#show=text"
    if name == "coverage":
        with Workspace(publication) as workspace:
            (tmp_path / "coverage.html").write_text(workspace.coverage_page(ISSUE), "utf-8")
        address = (tmp_path / "coverage.html").as_uri()
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)
    for width in (360, 375, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("about:blank")
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if name != "coverage":
            shown = "#differences p" if name == "comparison" else "#grid iframe, #grid pre"
            expect(page.locator(shown).first).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} px wide at {width} px"
        found = Axe().run(page, options={"resultTypes": ["violations"], "iframes": False})
        bad = [
            (one["id"], [node["html"] for node in one["nodes"]])
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert bad == []


def test_coverage_says_in_words_and_marks_what_a_cell_is(
    context: BrowserContext, workspace_dir: Path
) -> None:
    manifest = workspace_dir / "issues" / ISSUE / "issue.toml"
    text = manifest.read_text("utf-8")
    without, count = re.subn(r'brief = "cachewright-advisory"', 'brief = "tarn-two-retires"', text)
    assert count
    manifest.write_text(without, "utf-8")
    page = workspace_dir / "coverage.html"
    with Workspace(workspace_dir) as workspace:
        workspace.import_people(workspace_dir / "subscribers" / "people.csv")
        page.write_text(workspace.coverage_page(ISSUE), "utf-8")
    tab = context.new_page()
    tab.goto(page.as_uri())
    row = tab.get_by_role("row", name="Cachewright stored build secrets")
    expect(row.get_by_role("cell").first).to_contain_text("Own")
    expect(row.get_by_role("cell").first).to_contain_text("Get a written answer")
    expect(row.get_by_role("cell").last).to_contain_text("No action")
    expect(row.get_by_role("cell").last).to_contain_text("50 readers get nothing to do here.")
    row = tab.get_by_role("row", name="Five coastal states")
    expect(row.get_by_role("cell").first).to_contain_text("None, on purpose")
    expect(row.get_by_role("cell").first.locator("circle")).to_have_count(0)
    row.get_by_role("link", name="Reason").first.click()
    expect(tab.locator("li:target")).to_contain_text("The register needs no decision")
    expect(tab.get_by_role("row", name="Actions per reader")).to_contain_text("5 to 6")
    expect(tab.get_by_text("Gate:")).to_be_visible()
    assert "<script" not in page.read_text("utf-8")


def test_the_picture_shows_each_edition_and_leaves_no_process(
    publication: Path, tmp_path: Path, browser: Browser
) -> None:
    picture, scratch = tmp_path / "sheet.png", tmp_path / "scratch"
    scratch.mkdir()
    command = [*_COMMAND, "--workspace", str(publication), "issue", "preview", ISSUE, "--png"]
    ran = subprocess.run(
        [*command, str(picture)],
        check=False,
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert b"23 editions" in ran.stderr
    with Image.open(picture) as opened:
        assert opened.size == sheet_size(23)
        colours = opened.convert("RGB").getcolors(1 << 24)
    assert colours
    assert len(colours) > 50
    assert (11, 99, 84) in {colour for _, colour in colours}  # the button of a mail
    assert list(scratch.iterdir()) == []
    assert [line for line in _processes() if str(scratch) in line] == []


def test_the_picture_has_the_pictures_of_the_mails(workspace_dir: Path, tmp_path: Path) -> None:
    Image.new("RGB", (320, 80), (200, 0, 200)).save(workspace_dir / "images" / "logo.png")
    theme = workspace_dir / "templates" / "theme.toml"
    theme.write_text('logo = "images/logo.png"\n' + theme.read_text("utf-8"), "utf-8")
    with Workspace(workspace_dir) as workspace:
        workspace.picture(workspace.write_preview(ISSUE, segments=["execs"]), tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as opened:
        counted = opened.convert("RGB").getcolors(1 << 24)
    assert counted
    assert {colour: count for count, colour in counted}.get((200, 0, 200), 0) > 1000


# -- live ----------------------------------------------------------------------------------------------

_COMMAND = [sys.executable, "-m", "newsletter"]


def _processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:  # it has ended
            continue
    return found


@pytest.fixture
def served(workspace_dir: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of the previews that `newsletter serve` offers, and its process."""
    with Workspace(workspace_dir, actor="desk") as workspace:
        workspace.import_people(workspace_dir / "subscribers" / "people.csv")
    server = subprocess.Popen(
        [*_COMMAND, "--workspace", str(workspace_dir), "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert server.stdout
    assert b"listening on" in server.stdout.readline()
    line = server.stdout.readline().decode()
    assert line.startswith("previews on http://127.0.0.1:")
    yield line.removeprefix("previews on ").strip(), server
    if server.poll() is None:
        server.kill()
    server.wait(30)
    server.stdout.close()


@pytest.fixture
def live(browser: Browser, served: tuple[str, Any]) -> Iterator[Page]:
    opened = browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme="light")
    opened.set_default_timeout(_LONGEST)
    page = opened.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{served[0]}/")
    page.get_by_role("link", name=ISSUE).click()
    expect(page.locator("#state")).to_have_text("Shows what is saved, as it is saved")
    expect(first(page)).to_be_visible()
    yield page
    assert errors == []
    opened.close()


def test_a_saved_brief_shows_at_once_and_everything_else_stays(
    live: Page, workspace_dir: Path
) -> None:
    choose(live, "Dark")
    live.get_by_role("searchbox").fill("teams")
    live.evaluate("scrollTo(0, 150)")
    live.evaluate("window.same = true")
    brief = workspace_dir / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    for word in ("Zebra", "Giraffe"):
        text = brief.read_text("utf-8")
        brief.write_text(
            re.sub(r"^# .*$", f"# {word} costs half", text, count=1, flags=re.MULTILINE), "utf-8"
        )
        expect(inside(live).get_by_text(f"{word} costs half").first).to_be_attached()
    assert paper(live) < 80
    assert live.evaluate("scrollY") == 150
    assert live.evaluate("window.same")  # the page itself was not loaded again
    assert live.get_by_role("searchbox").input_value() == "teams"
    # the frame begins where the change is
    top = inside(live).get_by_text("Giraffe costs half").last
    assert 0 <= top.evaluate("node => node.getBoundingClientRect().top") < 200


def test_live_pictures_come_from_this_machine_and_another_look_can_be_tried(
    live: Page, served: tuple[str, Any], workspace_dir: Path
) -> None:
    assert loaded(live)
    theme = (workspace_dir / "templates" / "theme.toml").read_bytes()
    colour = "node => getComputedStyle(node).fontFamily"
    own = inside(live).locator("h1, h2").first.evaluate(colour)
    live.get_by_label("Look").select_option("bold")
    expect(inside(live).locator("h1, h2").first).not_to_have_css("font-family", own)
    assert loaded(live)
    assert "look=bold" in live.url
    live.reload()
    expect(inside(live).locator("h1, h2").first).not_to_have_css("font-family", own)
    link = live.get_by_role("link", name="Open the mail: AI teams", exact=True)
    expect(link).to_have_attribute("href", "ai-teams-en.html?look=bold")
    with live.expect_response("**/ai-teams-en.html?look=bold") as answered:
        link.press("Enter")
    policy = answered.value.headers["content-security-policy"]
    assert "img-src data: http: https:" in policy
    assert 'src="data:image/png;base64,' in answered.value.text()
    live.go_back()
    live.get_by_label("Look").select_option("")
    expect(inside(live).locator("h1, h2").first).to_have_css("font-family", own)
    assert (workspace_dir / "templates" / "theme.toml").read_bytes() == theme


def test_a_broken_file_is_named_with_its_line_and_the_next_save_mends_it(
    live: Page, workspace_dir: Path
) -> None:
    error = live.locator("#error")
    breaks = {
        f"issues/{ISSUE}/issue.toml": ("\nnonsense = 1\n", "nonsense"),
        "newsletter.toml": ("\n[[[\n", "not valid TOML"),
        "subscribers/segments.toml": ("\nx y\n", "TOML"),
        "templates/issue.mjml.j2": ("\n{{ e.nowhere }}\n", "nowhere"),
    }
    for name, (wrong, said) in breaks.items():
        path = workspace_dir / name
        text = path.read_text("utf-8")
        path.write_text(text + wrong, "utf-8")
        expect(error).to_be_visible()
        expect(error).to_contain_text(said)
        expect(error.locator("code")).to_have_text(re.compile(rf"{re.escape(name)}:\d+$"))
        expect(first(live)).to_be_visible()  # what was there before
        path.write_text(text, "utf-8")
        expect(error).to_be_hidden()


def test_a_page_that_was_opened_broken_comes_once_it_is_mended(
    live: Page, workspace_dir: Path
) -> None:
    path = workspace_dir / "newsletter.toml"
    text = path.read_text("utf-8")
    path.write_text(f"{text}\n[[[\n", "utf-8")
    live.reload()
    expect(live.get_by_text("not valid TOML")).to_be_visible()
    path.write_text(text, "utf-8")
    expect(first(live)).to_be_visible()


def test_new_names_of_segments_and_what_forbids_sending_are_seen(
    live: Page, workspace_dir: Path
) -> None:
    path = workspace_dir / "subscribers" / "segments.toml"
    replacement = path.with_name(".segments.toml.new")  # as careful editors save
    replacement.write_text(path.read_text("utf-8").replace('"AI teams"', '"AI crews"'), "utf-8")
    replacement.replace(path)
    expect(live.get_by_role("heading", name="AI crews", exact=True)).to_be_visible()
    brief = workspace_dir / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    text = brief.read_text("utf-8")
    brief.write_text(
        text.replace("- AI crews:", "- Wizards:").replace("- AI teams:", "- Wizards:"), "utf-8"
    )
    line = 1 + next(n for n, one in enumerate(text.splitlines()) if one.startswith("- AI "))
    place = f"issues/{ISSUE}/briefs/quillon-price-cut.md:{line}:"
    expect(live.locator("#findings")).to_contain_text(place)
    expect(live.locator("#findings")).to_contain_text("Wizards")
    brief.write_text(text, "utf-8")
    expect(live.locator("#findings")).not_to_contain_text("Wizards")


def test_an_opened_mail_runs_nothing_and_its_links_work(
    live: Page, served: tuple[str, Any], workspace_dir: Path
) -> None:
    footer = workspace_dir / "templates" / "blocks" / "footer.mjml.j2"
    text = footer.read_text("utf-8")
    footer.write_text(
        text.replace("{% if e.open_url %}", TROUBLE + "{% if e.open_url %}", 1), "utf-8"
    )
    expect(inside(live).get_by_text("Out of the frame")).to_be_attached()
    with live.expect_response("**/ai-teams-en.html") as answered:
        # By keyboard: a click right after a scroll may reach the frame that was there a moment ago.
        live.get_by_role("link", name="Open the mail: AI teams", exact=True).press("Enter")
    policy = answered.value.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups ")
    assert "allow-scripts" not in policy
    assert "allow-forms" not in policy
    token = re.search(r"/v/(\w+)", answered.value.text())
    assert token
    with Workspace(workspace_dir) as workspace:
        ref = workspace.keyring.verify(token[1], "view")
        assert ref
        assert ref.test
        assert workspace.lookup.mail(ref)


def test_ctrl_c_ends_it_while_a_page_waits(live: Page, served: tuple[str, Any]) -> None:
    _, server = served
    begun = time.monotonic()
    server.send_signal(signal.SIGINT)
    assert server.wait(20) in (0, 130, -signal.SIGINT)
    assert time.monotonic() - begun < 4
    expect(live.locator("#state")).to_contain_text("does not answer")
