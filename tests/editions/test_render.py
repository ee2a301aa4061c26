"""From templates to a finished edition: what survives, what is refused, what is never done."""

from __future__ import annotations

import email
import email.policy
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import lxml.html
import pytest

from newsletter.audience import ReaderKind
from newsletter.editions import Edition, Renderer
from newsletter.errors import RefusedError, TemplateError
from newsletter.workspace import Workspace

ISSUE = "2026-W48"


@pytest.fixture
def workspace(workspace_dir: Path) -> Iterator[Workspace]:
    with Workspace(workspace_dir) as opened:
        yield opened


def edition(workspace: Workspace, *reader: str, language: str = "en") -> Edition:
    return workspace.editions(workspace.issue(ISSUE), [ReaderKind(reader, language)])[0].edition


def anchors(html: str) -> list[str]:
    return [str(a.get("href")) for a in lxml.html.document_fromstring(html).iter("a")]


def test_an_edition_is_a_whole_mail_with_doctype_language_and_preheader(
    workspace: Workspace,
) -> None:
    made = edition(workspace, "ai-teams")
    assert made.html.startswith("<!doctype html>")
    root = lxml.html.document_fromstring(made.html)
    assert root.get("lang") == "en"
    assert "leaked build secrets" in root.text_content()
    assert "fonts.googleapis" not in made.html
    assert "@import" not in made.html
    assert made.html_bytes < 70_000
    mail = email.message_from_bytes(made.message, policy=email.policy.default)
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == made.text  # type: ignore[attr-defined]
    assert mail.get_body(("html",)).get_content().split() == made.html.split()  # type: ignore[attr-defined]


def test_rendering_opens_no_socket(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("rendering wanted a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert edition(workspace, "execs").html


def test_every_link_is_tracked_and_its_original_kept_exactly(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "https://ledger.example.com/a?x=1&amp=2&y=[3]&z=%C3%A9;w=ü|q#Ä"
    path = workspace.root / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    path.write_text(
        path.read_text("utf-8").replace(
            "\n## Our Take",
            f"\nSee [the terms](<{odd}>) and https://bare.example.com/x_y?a=b.\n\n## Our Take",
            1,
        ),
        "utf-8",
    )
    monkeypatch.setenv("NEWSLETTER_ISSUES__TEXT", "full")
    made = edition(workspace, "ai-teams")
    urls = {link.url for link in made.links}
    assert odd in urls
    assert "https://bare.example.com/x_y?a=b" in urls
    own = re.compile(rf"http://127\.0\.0\.1:8000/[cauvp]/.*@@{made.nonce}\.")
    assert all(own.match(href) for href in anchors(made.html))
    for address in re.findall(r"https?://\S+", made.text):
        assert own.match(address) or "/media/" in address, address


def test_without_tracking_links_stay_as_they_are_and_nothing_is_counted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_TRACKING__LEVEL", "none")
    made = edition(workspace, "ai-teams")
    assert not made.links
    hrefs = anchors(made.html)
    assert "https://harbor-ledger.example.com/2026/11/quillon-winter-price" in hrefs
    assert not any("/c/" in href or "/a/" in href for href in hrefs)
    assert "/o/@@" not in made.html
    assert any("/u/@@" in href for href in hrefs)  # leaving works at every level


def test_readers_with_the_same_words_share_an_edition(workspace: Workspace) -> None:
    issue = workspace.issue(ISSUE)
    planned = workspace.editions(
        issue,
        [ReaderKind(keys, "en") for keys in (("ai-teams",), ("ai-teams", "product"), ("execs",))],
    )
    assert [tuple(kind.segments for kind in one.readers) for one in planned] == [
        (("ai-teams",), ("ai-teams", "product")),
        (("execs",),),
    ]
    again = workspace.editions(issue, [ReaderKind(("ai-teams",), "en")])[0].edition
    assert again == planned[0].edition


def test_an_edition_holds_just_the_actions_of_its_signature(workspace: Workspace) -> None:
    issue = workspace.issue(ISSUE)
    for reader in [(), ("execs",), ("security", "ai-teams"), ("product",)]:
        made = workspace.editions(issue, [ReaderKind(reader, "en")])[0].edition
        root = lxml.html.document_fromstring(made.html)
        shown = {str(value) for value in root.xpath("//@data-action")}
        assert shown == {action.id for action in made.actions}
        assert shown == {a.id for one in issue.resolve(reader) for a in one.actions}
        for brief in issue.briefs:
            for action in brief.actions:
                if action.id not in shown:
                    assert action.text[1:40] not in root.text_content()


def test_hostile_text_becomes_text(workspace: Workspace) -> None:
    path = workspace.root / "issues" / ISSUE / "briefs" / "northmere-outage.txt"
    text = path.read_text("utf-8").replace(
        "Northmere found the fault",
        "<script>alert(1)</script> {{ 7*7 }} [x](javascript:alert(1)) <mj-raw> & <b onclick=1> found",
    )
    path.write_text(text, "utf-8")
    page = workspace.renderer.page(workspace.composer(workspace.issue(ISSUE)), "/")
    assert "<script" not in page
    assert "{{ 7*7 }}" in page
    assert 'href="javascript' not in page


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("issue.mjml.j2", "<mj-body", "{% if %}<mj-body", r"templates/issue\.mjml\.j2:\d+: .*"),
        (
            "issue.txt.j2",
            "{{ rule }}",
            "{{ e.nothing }}",
            r"templates/issue\.txt\.j2:\d+: .*nothing",
        ),
        (
            "blocks/digest.mjml.j2",
            "{{ loop.index }}",
            "{{ a.missing }}",
            r"templates/blocks/digest\.mjml\.j2:\d+: .*missing.*in macro digest",
        ),
        ("issue.mjml.j2", "</mj-body>", "", r"templates/issue\.mjml\.j2:\d+: .*MJML.*</mj-body>"),
        (
            "issue.mjml.j2",
            '{% from "blocks/masthead.mjml.j2"',
            '{% from "blocks/none.mjml.j2"',
            r"blocks/none\.mjml\.j2: there is no such template",
        ),
        (
            "issue.txt.j2",
            "{{ rule }}",
            "{{ ''.__class__.__mro__ }}",
            r"issue\.txt\.j2:\d+: .*unsafe",
        ),
    ],
)
def test_a_broken_template_is_refused_with_its_file_and_line(
    workspace: Workspace, name: str, old: str, new: str, expected: str
) -> None:
    path = workspace.root / "templates" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(TemplateError, match=expected):
        edition(workspace, "ai-teams")


def test_the_text_part_is_set_in_72_columns_without_loose_blanks(workspace: Workspace) -> None:
    text = edition(workspace, "security", "ai-teams").text
    for line in text.splitlines():
        assert line == line.rstrip()
        assert len(line) <= 72 or "http" in line or "@@" in line
    assert "\n\n\n" not in text
    assert text.index("DO THIS WEEK") < text.index("Quillon halves inference prices")


def test_a_style_sheet_from_elsewhere_is_refused(workspace: Workspace) -> None:
    path = workspace.root / "templates" / "issue.mjml.j2"
    text = path.read_text("utf-8").replace(
        "<mj-style>", "<mj-style>@import url(https://styles.example.com/x.css);", 1
    )
    path.write_text(text, "utf-8")
    with pytest.raises(TemplateError, match=r"styles\.example\.com"):
        edition(workspace, "ai-teams")


def test_what_is_limited_to_some_is_whole_in_their_mail_and_on_no_public_page(
    workspace: Workspace,
) -> None:
    path = workspace.root / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    text = path.read_text("utf-8").replace("slug:", "segments: [execs]\nslug:", 1)
    path.write_text(text, "utf-8")
    execs, general = edition(workspace, "execs"), edition(workspace)
    brief = workspace.issue(ISSUE).briefs[0]
    last = brief.body[-1].paragraphs[-1][:40]
    for part in (execs.html, " ".join(execs.text.split())):
        assert last in part
    page = workspace.renderer.page(workspace.composer(workspace.issue(ISSUE)), "/")
    for part in (general.html, general.text, page):
        assert last not in part
        assert "Quillon halves" not in part
    assert not any("#quillon-price-cut" in link.url for link in execs.links)


def test_too_many_editions_are_refused_before_they_are_rendered(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.workspace.MOST_EDITIONS", 2)
    monkeypatch.setattr(Renderer, "edition", lambda *_: pytest.fail("rendered"))
    readers = [("execs",), ("product",), ("security",)]
    with pytest.raises(RefusedError, match=r"3 editions would come of this.*variants"):
        workspace.editions(workspace.issue(ISSUE), [ReaderKind(reader, "en") for reader in readers])


def test_the_mails_own_words_come_in_the_readers_language(workspace: Workspace) -> None:
    german, english = edition(workspace, "execs", language="de"), edition(workspace, "execs")
    assert german.id != english.id
    for part in (german.html, german.text):
        assert "Ihre Ausgabe für" in part
        assert "Erledigt" in part
        assert "Not for me" not in part
    assert '<html lang="de"' in german.html
    assert "Quillon halves inference prices" in german.html  # briefs stay as they were written
    arabic = edition(workspace, "execs", language="ar").html
    assert 'dir="rtl"' in arabic
