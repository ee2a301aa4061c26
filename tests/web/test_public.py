"""The public pages, over the ASGI app: what changes, what never does, what is never told."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from pathlib import Path

import lxml.html
import pytest
from starlette.testclient import TestClient

from newsletter.audience import ReaderKind
from newsletter.db import Database
from newsletter.errors import RefusedError
from newsletter.tracking import Spool, SpoolFullError
from newsletter.web import public_app
from newsletter.web.public import location
from newsletter.workspace import Workspace

ISSUE = "2026-W48"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
PEOPLE = """email,name,role,department,seniority
ada@example.com,Ada,ml engineer,ai,lead
bob@example.com,Bob,,,c-level
eve@example.com,Eve,,,
"""


class Letter:
    """One mail of the outbox, with the addresses in it."""

    def __init__(self, path: Path) -> None:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        self.to = str(message["To"].addresses[0].addr_spec)
        self.unsubscribe = self._path(message["List-Unsubscribe"].split(",")[0].strip("<>"))
        html = message.get_body(("html",)).get_content()  # type: ignore[attr-defined]
        document = lxml.html.document_fromstring(html)
        self.hrefs = [self._path(str(a.get("href"))) for a in document.iter("a")]
        self.pixel = next(self._path(src) for src in document.xpath("//img/@src") if "/o/" in src)

    @staticmethod
    def _path(url: str) -> str:
        return url.removeprefix("http://127.0.0.1:8000")

    def of(self, kind: str) -> str:
        return next(href for href in self.hrefs if href.startswith(f"/{kind}/"))


@pytest.fixture
def workspace(workspace_dir: Path) -> Iterator[Workspace]:
    (workspace_dir / "people.csv").write_text(PEOPLE, "utf-8")
    toml = workspace_dir / "issues" / ISSUE / "issue.toml"
    toml.write_text(re.sub(r"min = 1", "min = 0", toml.read_text("utf-8")), "utf-8")
    with Workspace(workspace_dir, actor="tester") as opened:
        opened.import_people(workspace_dir / "people.csv")
        opened.approve(ISSUE, plan=opened.plan(ISSUE).hash)
        opened.start(ISSUE)
        yield opened


@pytest.fixture
def client(workspace: Workspace) -> Iterator[TestClient]:
    app = public_app(Workspace(workspace.root))
    with TestClient(
        app, base_url="http://127.0.0.1:8000", headers=BROWSER, follow_redirects=False
    ) as opened:
        yield opened


@pytest.fixture
def letters(workspace: Workspace) -> dict[str, Letter]:
    found = [Letter(path) for path in (workspace.root / "var" / "outbox" / "new").glob("*.eml")]
    return {letter.to: letter for letter in found}


def status(workspace: Workspace, address: str) -> str:
    from newsletter.audience import find

    workspace.load_events()  # as every command does that looks at people
    with workspace.database.read() as connection:
        return find(connection, address).status


def test_every_link_of_a_mail_leads_to_the_exact_original(
    client: TestClient, letters: dict[str, Letter], workspace: Workspace
) -> None:
    planned = workspace.editions(workspace.issue(ISSUE), [ReaderKind(("ai-teams",), "en")])[
        0
    ].edition
    urls = {link.n: link.url for link in planned.links}
    clicks = [href for href in letters["ada@example.com"].hrefs if href.startswith("/c/")]
    assert clicks
    for href in clicks:
        answer = client.get(href)
        assert answer.status_code == 302
        assert answer.headers["location"] == urls[int(href.split("/")[2])]


def test_clicks_and_opens_are_in_the_report(
    client: TestClient, letters: dict[str, Letter], workspace: Workspace
) -> None:
    letter = letters["ada@example.com"]
    client.get(letter.pixel)
    client.get(letter.of("c"))
    client.get(letter.of("c"), headers={"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"})
    client.head(letter.of("c"))
    figures = workspace.report(ISSUE)
    assert figures["opens"] == {"raw": 1, "human": 1, "readers": 1}
    assert figures["clicks"] == {"raw": 3, "human": 1, "readers": 1}
    assert sum(link["raw"] for link in figures["links"]) == 3
    assert [s["clicks"]["readers"] for s in figures["segments"] if s["key"] == "ai-teams"] == [1]


def test_a_get_unsubscribes_nobody_and_a_post_does_with_an_undo(
    client: TestClient, letters: dict[str, Letter], workspace: Workspace
) -> None:
    href = letters["ada@example.com"].of("u")
    page = client.get(href)
    assert page.status_code == 200
    assert "ada@example.com" not in page.text
    assert status(workspace, "ada@example.com") == "subscribed"
    assert client.post(href).status_code == 200
    assert status(workspace, "ada@example.com") == "unsubscribed"
    undone = client.post(f"{href}?undo=1")
    assert "subscribed again" in undone.text
    assert status(workspace, "ada@example.com") == "subscribed"
    assert workspace.report(ISSUE)["unsubscribed"] == 0


@pytest.mark.parametrize("encoding", ["data", "files"])
def test_one_click_unsubscribe_needs_no_page_and_no_redirect(
    client: TestClient, letters: dict[str, Letter], workspace: Workspace, encoding: str
) -> None:
    field = {"List-Unsubscribe": "One-Click"}
    arguments = (
        {"data": field}
        if encoding == "data"
        else {"files": {"List-Unsubscribe": (None, "One-Click")}}
    )
    answer = client.post(letters["bob@example.com"].unsubscribe, **arguments)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert not answer.headers.get("location")
    assert status(workspace, "bob@example.com") == "unsubscribed"
    assert workspace.report(ISSUE)["unsubscribed"] == 1


def test_an_action_is_done_by_a_post_and_can_be_undone(
    client: TestClient, letters: dict[str, Letter], workspace: Workspace
) -> None:
    href = letters["ada@example.com"].of("a")
    assert "Nothing is recorded" in client.get(href).text
    assert sum(a["done"] for a in workspace.report(ISSUE)["actions"]) == 0
    client.post(href, data={"verb": "done"})
    client.post(href, data={"verb": "done"})
    done = [a for a in workspace.report(ISSUE)["actions"] if a["done"]]
    assert [a["done"] for a in done] == [1]
    assert "ai-teams" in done[0]["segments"]
    client.post(href, data={"verb": "undo"})
    assert sum(a["done"] for a in workspace.report(ISSUE)["actions"]) == 0
    assert client.post(href, data={"verb": "drop table"}).status_code == 400


def test_the_mail_in_the_browser_is_the_readers_own(
    client: TestClient, letters: dict[str, Letter]
) -> None:
    page = client.get(letters["ada@example.com"].of("v"))
    assert page.status_code == 200
    assert "AI teams" in page.text
    assert "@@" not in page.text
    own = [
        Letter._path(str(a.get("href"))) for a in lxml.html.document_fromstring(page.text).iter("a")
    ]
    clicks = [href for href in own if href.startswith("/c/")]
    assert clicks == [href for href in letters["ada@example.com"].hrefs if href.startswith("/c/")]


def test_a_page_that_is_passed_on_changes_nothing_and_names_nobody(
    client: TestClient, letters: dict[str, Letter], workspace: Workspace
) -> None:
    page = client.get(letters["ada@example.com"].of("v"))
    document = lxml.html.document_fromstring(page.text)
    links = [Letter._path(str(a.get("href"))) for a in document.iter("a")]
    for kind in ("u", "p", "a"):
        href = next(link for link in links if link.startswith(f"/{kind}/"))
        assert href not in letters["ada@example.com"].hrefs
        for answer in (client.get(href), client.post(href, data={"verb": "done"})):
            assert answer.status_code in (200, 405)
            assert "subscri" not in answer.text or answer.status_code == 405
    assert "you signed up" not in page.text
    assert status(workspace, "ada@example.com") == "subscribed"
    assert sum(a["done"] for a in workspace.report(ISSUE)["actions"]) == 0


def test_the_archive_shows_everybodys_edition_and_nobodys_own(client: TestClient) -> None:
    index = client.get("/issues/")
    assert "Half-price inference" in index.text
    page = client.get(f"/issues/{ISSUE}")
    assert page.status_code == 200
    assert 'id="quillon-price-cut"' in page.text
    for private in ("/u/", "/a/", "/c/", "@@", "You get"):
        assert private not in page.text
    assert client.get("/issues/2026-W47").status_code == 404


def test_what_a_person_gets_is_told_on_their_own_page(
    client: TestClient, letters: dict[str, Letter]
) -> None:
    page = client.get(letters["ada@example.com"].of("p"))
    assert "AI teams" in page.text


@pytest.mark.parametrize(
    "path",
    ["/c/1/{}", "/v/{}", "/u/{}", "/p/{}", "/a/1/{}", "/c/99/{click}", "/nothing", "/issues/none"],
)
def test_forged_cut_and_foreign_addresses_get_one_neutral_page(
    client: TestClient, workspace: Workspace, path: str
) -> None:
    click = workspace.keyring.token(1, 1, "click")
    answers = [
        client.get(path.format(bad, click=click)) for bad in ("aaaa", "x" * 500, click[:-1], "é")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert workspace.report(ISSUE)["clicks"]["raw"] == 0


def test_a_forged_open_gets_the_picture_and_counts_nothing(
    client: TestClient, workspace: Workspace
) -> None:
    answer = client.get("/o/aaaa.gif")
    assert answer.content.startswith(b"GIF89a")
    assert workspace.report(ISSUE)["opens"]["raw"] == 0


def test_links_of_a_test_mail_work_and_count_nothing(
    client: TestClient, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an edition's id is a 64-bit number, more than SQLite's integers hold: the largest must do too
    monkeypatch.setattr("newsletter.editions.render.edition_id", lambda _message: "f" * 16)
    sent = workspace.send_test(ISSUE, "me@example.com", segments=["ai-teams"])
    path = tmp_path / "test.eml"
    path.write_bytes(sent.message())
    letter = Letter(path)
    assert client.get(letter.of("c")).status_code == 302
    assert client.get(letter.of("v")).status_code == 200
    assert client.post(letter.of("u")).status_code == 200
    client.get(letter.pixel)
    client.post(letter.of("a"), data={"verb": "done"})
    figures = workspace.report(ISSUE)
    assert figures["clicks"]["raw"] == figures["opens"]["raw"] == figures["unsubscribed"] == 0
    assert sum(a["done"] for a in figures["actions"]) == 0


def test_every_page_forbids_scripts_frames_and_referrers(
    client: TestClient, letters: dict[str, Letter]
) -> None:
    letter = letters["ada@example.com"]
    for path in (
        "/issues/",
        f"/issues/{ISSUE}",
        letter.of("u"),
        letter.of("v"),
        letter.of("a"),
        "/x",
    ):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert ("'unsafe-inline'" in policy) == (path == letter.of("v"))
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "<script" not in answer.text


def test_health_and_readiness_answer(client: TestClient) -> None:
    assert client.get("/health").json() == {"ok": True}
    assert client.get("/ready").json() == {"ok": True}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://e.example/a?x=1&y=[2]|3#f%20g", "https://e.example/a?x=1&y=[2]|3#f%20g"),
        ("https://e.example/ü", "https://e.example/%C3%BC"),
        ("https://e.example/a\r\nSet-Cookie: x", "https://e.example/a%0D%0ASet-Cookie:%20x"),
    ],
)
def test_a_location_is_the_address_itself_but_for_what_http_cannot_carry(
    url: str, expected: str
) -> None:
    assert location(url) == expected


def test_an_undo_holds_for_the_mail_that_ended_it_alone(
    client: TestClient, letters: dict[str, Letter], workspace: Workspace
) -> None:
    path = workspace.root / "left.csv"
    path.write_text("email,status\nada@example.com,unsubscribed\n", "utf-8")
    workspace.import_people(path)
    href = letters["ada@example.com"].of("u")
    answer = client.post(f"{href}?undo=1")
    assert "undone here" in answer.text
    assert status(workspace, "ada@example.com") == "unsubscribed"


def test_who_leaves_while_the_database_is_down_has_left(
    client: TestClient,
    letters: dict[str, Letter],
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def down(*_: object, **__: object) -> None:
        raise RefusedError("the database can't be used now")

    monkeypatch.setattr(Database, "_connect", down)
    answer = client.post(
        letters["ada@example.com"].unsubscribe, data={"List-Unsubscribe": "One-Click"}
    )
    assert answer.status_code == 200
    assert client.post(letters["bob@example.com"].of("u")).status_code == 200
    monkeypatch.undo()
    assert status(workspace, "ada@example.com") == "unsubscribed"
    assert status(workspace, "bob@example.com") == "unsubscribed"


def test_readers_go_on_when_nothing_can_be_written_down(
    client: TestClient, letters: dict[str, Letter], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise SpoolFullError("full")

    monkeypatch.setattr(Spool, "put", broken)
    assert client.get(letters["ada@example.com"].of("c")).status_code == 302
    assert client.get(letters["ada@example.com"].pixel).status_code == 200


@pytest.mark.parametrize("number", ["99999999999999999999", "1" * 5000, "-1", "١", "x"])
def test_numbers_that_can_be_no_link_are_unknown(
    client: TestClient, workspace: Workspace, number: str
) -> None:
    token = workspace.keyring.token(1, 1, "click")
    assert client.get(f"/c/{number}/{token}").status_code == 404
