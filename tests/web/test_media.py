"""Pictures of mails, as readers load them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import lxml.html
import pytest
from PIL import Image
from starlette.testclient import TestClient

from newsletter.audience import ReaderKind
from newsletter.web import public_app
from newsletter.workspace import Workspace

ISSUE = "2026-W48"


@pytest.fixture
def workspace(workspace_dir: Path) -> Iterator[Workspace]:
    with Workspace(workspace_dir) as opened:
        yield opened


@pytest.fixture
def client(workspace: Workspace) -> Iterator[TestClient]:
    app = public_app(Workspace(workspace.root))
    with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as opened:
        yield opened


def picture(workspace: Workspace) -> str:
    """The path of the picture in the sample's mail."""
    made = workspace.editions(workspace.issue(ISSUE), [ReaderKind(("execs",), "en")])[0].edition
    (url,) = lxml.html.document_fromstring(made.html).xpath("//img[@width='552']/@src")
    return str(url).removeprefix("http://127.0.0.1:8000")


def test_a_mails_picture_is_there_and_may_be_kept_for_ever(
    workspace: Workspace, client: TestClient
) -> None:
    path = picture(workspace)
    assert re.fullmatch(r"/media/[0-9a-f]{32}\.png", path)
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert Image.open(io.BytesIO(answer.content)).size[0] == 1104
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_the_source_may_be_gone_once_the_mail_was_made(
    workspace: Workspace, client: TestClient
) -> None:
    path = picture(workspace)
    (workspace.root / "images" / "quillon-ceiling.png").unlink()
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "0" * 32 + ".png",
        "0" * 32 + ".svg",
        "x.png",
        "..%2f..%2fnewsletter.toml",
        "..%2fsecrets%2ftokens",
        "%2e%2e",
        "sources",
        "0" * 31 + ".png",
        "0" * 32 + ".png%00",
        "0" * 32 + ".PNG",
    ],
)
def test_nothing_else_is_there(workspace: Workspace, client: TestClient, name: str) -> None:
    picture(workspace)
    answer = client.get(f"/media/{name}")
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("Cache-Control", "")
    assert client.post("/media/" + "0" * 32 + ".png").status_code == 405


def test_the_public_page_may_show_it(workspace: Workspace, client: TestClient) -> None:
    workspace.import_people(workspace.root / "subscribers" / "people.csv")
    workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
    workspace.start(ISSUE)
    answer = client.get(f"/issues/{ISSUE}")
    (url,) = lxml.html.document_fromstring(answer.text).xpath("//figure/img/@src")
    assert url == f"http://127.0.0.1:8000{picture(workspace)}"
    assert "img-src 'self'" in answer.headers["Content-Security-Policy"]
