"""What an issue says beside its briefs, and briefs with quotes and images: who gets it, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import lxml.html
import pytest

from newsletter.audience import ReaderKind
from newsletter.editions import Edition, pictures_of
from newsletter.errors import ConfigError, InputError
from newsletter.workspace import Workspace
from tests.conftest import ROOT

ISSUE = "2026-W48"
BLOCKS = """
[[block]]
kind = "sponsor"
title = "Two days on measured migrations"
text = "How five companies **moved**."
by = "Marlowe Conferences"
url = "https://marlowe.example.com/migrations?a=1&b=2"
button = "See the programme"

[[block]]
kind = "fact"
title = "By the numbers"
text = "Eleven minutes."
after = "northmere-outage"
segments = ["execs"]

[[block]]
kind = "quote"
text = "We practised on a Thursday."
by = "Head of operations"
url = "https://marlowe.example.com/talk"
after = "quillon-price-cut"

[[block]]
kind = "image"
image = "images/quillon-ceiling.png"
alt = "Bars that pass a line"
text = "The ceiling."
after = "end"

[[block]]
kind = "note"
text = "No issue on 29 December."
after = "end"
"""


@pytest.fixture
def workspace(workspace_dir: Path) -> Iterator[Workspace]:
    write(workspace_dir, BLOCKS)
    with Workspace(workspace_dir) as opened:
        yield opened


def write(root: Path, blocks: str, top: str = "") -> None:
    path = root / "issues" / ISSUE / "issue.toml"
    path.write_text(top + path.read_text("utf-8") + blocks, "utf-8")


def edition(workspace: Workspace, *reader: str, language: str = "en") -> Edition:
    return workspace.editions(workspace.issue(ISSUE), [ReaderKind(reader, language)])[0].edition


def blocks(html: str) -> dict[int, str]:
    """Number to words, of every block in a mail or page."""
    found = lxml.html.document_fromstring(html).xpath("//*[@data-block]")
    return {int(one.get("data-block")): " ".join(one.text_content().split()) for one in found}


def page(workspace: Workspace) -> str:
    return workspace.renderer.page(workspace.composer(workspace.issue(ISSUE)), "/")


def test_everybody_gets_what_is_for_everybody_and_a_segment_its_own(workspace: Workspace) -> None:
    general, execs = edition(workspace), edition(workspace, "execs")
    assert set(blocks(general.html)) == {0, 2, 3, 4}
    assert set(blocks(execs.html)) == {0, 1, 2, 3, 4}
    assert execs.signature.extra == (0, 1, 2, 3, 4)
    assert "Eleven minutes." not in general.html + general.text + page(workspace)
    for part in (" ".join(blocks(execs.html).values()), " ".join(execs.text.split())):
        for words in ("Eleven minutes.", "We practised on a Thursday.", "No issue on 29 December."):
            assert words in part


def test_they_stand_where_the_manifest_says(workspace: Workspace) -> None:
    for part in (edition(workspace).html, page(workspace)):
        body = part[part.index("<body") :]
        order = [
            body.index('data-action="quillon-price-cut/all"'),  # the digest
            body.index('data-block="0"'),
            body.index('data-brief="quillon-price-cut"'),
            body.index('data-block="2"'),
            body.index('data-brief="northmere-outage"'),
            body.index('data-block="3"'),
            body.index('data-block="4"'),
        ]
        assert order == sorted(order)
    text = " ".join(edition(workspace).text.split())
    words = (
        "DO THIS WEEK",
        "Two days on",
        "1 PRICING",
        "> We practised",
        "2 Northmere",
        "No issue on",
    )
    assert [text.index(one) for one in words] == sorted(text.index(one) for one in words)


@pytest.mark.parametrize(
    ("language", "label"), [("en", "Advertisement"), ("de", "Anzeige"), ("fr", "Publicité")]
)
def test_a_sponsors_words_are_labelled_in_the_readers_language(
    workspace: Workspace, language: str, label: str
) -> None:
    made = edition(workspace, "execs", language=language)
    assert blocks(made.html)[0].startswith(f"{label} · Marlowe Conferences")
    assert f"{label} - Marlowe Conferences".upper() in made.text
    if language == "en":
        assert blocks(page(workspace))[0].startswith(label)
        assert 'rel="sponsored nofollow"' in page(workspace)


def test_their_links_are_counted_and_kept_exactly(workspace: Workspace) -> None:
    urls = {link.url: link for link in edition(workspace).links}
    link = urls["https://marlowe.example.com/migrations?a=1&b=2"]
    assert (link.brief, link.action) == (None, None)
    assert "https://marlowe.example.com/talk" in urls


def test_who_does_not_get_the_brief_does_not_get_what_stands_below_it(
    workspace: Workspace,
) -> None:
    path = workspace.root / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    text = path.read_text("utf-8").replace("slug:", "segments: [execs]\nslug:", 1)
    path.write_text(text, "utf-8")
    assert set(blocks(edition(workspace).html)) == {0, 3, 4}
    assert set(blocks(page(workspace))) == {0, 3, 4}
    assert 2 in blocks(edition(workspace, "execs").html)


def test_a_place_that_is_none_shows_nothing_and_breaks_nothing(workspace_dir: Path) -> None:
    write(
        workspace_dir,
        '\n[[block]]\nkind = "note"\ntext = "stands nowhere"\nafter = "no-such-brief"\n'
        '[[block]]\nkind = "image"\nimage = "images/quillon-ceiling.png"\nsegments = ["no-such"]\n'
        '[[block]]\nkind = "image"\n[[block]]\nkind = "sponsor"\n[[block]]\nkind = "quote"\n',
    )
    with Workspace(workspace_dir) as workspace:
        made = edition(workspace, "execs")
        assert set(blocks(made.html)) == {2, 3, 4}
        assert "stands nowhere" not in made.text + made.html
        assert page(workspace)


def test_hostile_words_become_text(workspace_dir: Path) -> None:
    bad = "<script>alert(1)</script> </mj-text> {{ 7*7 }} \\u0022>"
    keys = "".join(f'{key} = "{bad}"\n' for key in ("title", "text", "by", "button", "alt"))
    picture = 'image = "images/quillon-ceiling.png"\n'
    write(
        workspace_dir,
        "".join(
            f'\n[[block]]\nkind = "{kind}"\nurl = "https://a.example/"\n{keys}{picture}'
            for kind in ("sponsor", "note", "quote", "fact", "image")
        ),
    )
    with Workspace(workspace_dir) as workspace:
        for html in (edition(workspace).html, page(workspace)):
            assert "<script" not in html
            root = lxml.html.document_fromstring(html)
            assert len(root.xpath("//*[@data-block]")) == 5
            assert root.xpath("//img/@alt")[0]
            assert "{{ 7*7 }}" in root.text_content()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('\n[[block]]\ntext = "x"\n', r"issue\.toml:53: .*kind.* is missing"),
        ('\n[[block]]\nkind = "advert"\n', r"issue\.toml:54: .*kind"),
        (
            '\n[[block]]\nkind = "note"\nurl = "javascript:alert(1)"\n',
            r"issue\.toml:55: .*https://",
        ),
        ('\n[[block]]\nkind = "note"\ntxt = "x"\n', r"issue\.toml:55: unknown key.*text"),
    ],
)
def test_a_block_that_is_none_is_refused_with_its_line(
    workspace_dir: Path, text: str, why: str
) -> None:
    path = workspace_dir / "issues" / ISSUE / "issue.toml"
    lines = path.read_text("utf-8").splitlines()[:51]
    path.write_text("\n".join(lines) + "\n" + text, "utf-8")
    with Workspace(workspace_dir) as workspace, pytest.raises(InputError, match=why):
        workspace.issue(ISSUE)


# -- an issue's look -----------------------------------------------------------------------------


def test_an_issue_may_have_a_look_of_its_own(workspace_dir: Path) -> None:
    with Workspace(workspace_dir) as workspace:
        before = edition(workspace)
    write(workspace_dir, "", 'look = "bold"\n')
    with Workspace(workspace_dir) as workspace:
        made = edition(workspace)
        assert made.signature.look == "bold"
        assert made.id != before.id
        assert "#2436b8" in made.html
        assert "#0b6354" not in made.html
        assert "--band: #2436b8" in page(workspace)
        assert workspace.templates.theme["look"] == "quiet"


def test_a_look_that_is_not_there_is_refused(workspace_dir: Path) -> None:
    write(workspace_dir, "", 'look = "bald"\n')
    with (
        Workspace(workspace_dir) as workspace,
        pytest.raises(ConfigError, match='Did you mean "bold"'),
    ):
        edition(workspace)


# -- quotes and images of briefs -----------------------------------------------------------------


def brief(root: Path, body: str) -> None:
    path = root / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"\n!\[.*\n", lambda _: f"\n{body}\n", text, count=1), "utf-8")


@pytest.mark.parametrize("full", [False, True])
def test_a_briefs_image_is_in_mail_text_and_page(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    monkeypatch.setenv("NEWSLETTER_ISSUES__TEXT", "full" if full else "lead")
    with Workspace(workspace_dir) as workspace:
        made = edition(workspace, "ai-teams")
        for html in (made.html, page(workspace)):
            (image,) = lxml.html.document_fromstring(html).xpath("//img[contains(@src, '/media/')]")
            assert image.get("alt").startswith("Bars for each day")
            assert (image.get("width"), image.get("height")) == ("552", "250")
        style = lxml.html.document_fromstring(made.html).xpath("//img/@style")[0]
        assert {"width:100%", "max-width:552px", "height:auto"} <= set(style.split("; "))
        words = " ".join(made.text.split())
        assert "Picture: Bars for each day of a month" in words
        assert "reaches the ceiling on day 20." in words
        assert "![B" not in made.html + made.text + page(workspace)


def test_a_quote_is_one_in_mail_text_and_page(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_ISSUES__TEXT", "full")
    brief(workspace_dir, "> We measured for a month,\n> and signed *nothing*.")
    with Workspace(workspace_dir) as workspace:
        made = edition(workspace, "ai-teams")
        for html in (made.html, page(workspace)):
            (quote,) = lxml.html.document_fromstring(html).xpath("//blockquote")
            assert quote.text_content() == "We measured for a month, and signed nothing."
        assert "> We measured for a month, and signed nothing." in made.text


def test_a_picture_that_is_none_stops_with_its_path(workspace_dir: Path) -> None:
    brief(workspace_dir, "![x](images/none.png)")
    with Workspace(workspace_dir) as workspace:
        assert pictures_of(workspace.issue(ISSUE)) == ("images/none.png",)
        with pytest.raises(InputError, match=r"there is no picture images/none\.png"):
            edition(workspace)


def test_a_plan_freezes_the_pictures_of_its_issue(workspace_dir: Path) -> None:
    with Workspace(workspace_dir) as workspace:
        issue = workspace.issue(ISSUE)
        before, made = workspace.fingerprint(issue), edition(workspace)
    (workspace_dir / "images" / "other.png").write_bytes(b"of the next issue")
    with Workspace(workspace_dir) as workspace:
        assert workspace.fingerprint(workspace.issue(ISSUE)) == before
    path = workspace_dir / "images" / "quillon-ceiling.png"
    path.write_bytes(path.read_bytes() + b"\0")
    with Workspace(workspace_dir) as workspace:
        assert workspace.fingerprint(workspace.issue(ISSUE)) != before
        assert edition(workspace).nonce != made.nonce


def test_the_sample_has_no_block_and_one_picture() -> None:
    with Workspace(ROOT) as workspace:
        issue = workspace.issue(ISSUE)
        assert issue.manifest.block == ()
        assert pictures_of(issue) == ("images/quillon-ceiling.png",)
