"""Previews are for this machine alone; nothing is left behind by whoever takes their picture."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from newsletter import contact_sheet
from newsletter.errors import RefusedError
from newsletter.web.preview import preview_app
from newsletter.workspace import Workspace

ISSUE = "2026-W48"


@pytest.fixture
def client(workspace_dir: Path) -> Any:
    with Workspace(workspace_dir) as workspace:
        workspace.database.check()
    app, _ = preview_app(workspace_dir, patience=5)
    with TestClient(app, base_url="http://127.0.0.1:8002") as opened:
        yield opened


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8002", ""])
@pytest.mark.parametrize(
    "path", ["/", f"/{ISSUE}/", f"/{ISSUE}/data", f"/{ISSUE}/everybody-en.html"]
)
def test_a_name_that_is_not_this_machines_gets_nothing(
    client: TestClient, host: str, path: str
) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert "Quillon" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8002", "127.0.0.1", "127.0.0.1:1"])
def test_this_machine_is_answered_and_scripts_are_ours_alone(client: TestClient, host: str) -> None:
    answer = client.get(f"/{ISSUE}/", headers={"Host": host})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_look_at_everything_writes_nothing(client: TestClient, workspace_dir: Path) -> None:
    with Workspace(workspace_dir) as workspace:
        workspace.import_people(workspace_dir / "subscribers" / "people.csv")
        before = _editions(workspace)
        listed = client.get(f"/{ISSUE}/data").json()
        assert client.get(f"/{ISSUE}/").status_code == 200
        listed = client.get(f"/{ISSUE}/data").json()
        assert len(listed["editions"]) == 23
        for one in listed["editions"]:
            said = client.get(f"/{ISSUE}/contents/{one['key']}").json()
            assert said["bytes"] > 40_000
            assert said["text"].startswith("Signal Brief")
        assert _editions(workspace) == before
        assert client.get(f"/{ISSUE}/{listed['editions'][0]['html_file']}").status_code == 200
        assert _editions(workspace) == before + 1


def _editions(workspace: Workspace) -> int:
    with workspace.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM edition").scalar_one())


def test_pictures_of_a_mail_are_served_here_and_nothing_else(client: TestClient) -> None:
    key = client.get(f"/{ISSUE}/data").json()["editions"][0]["key"]
    said = client.get(f"/{ISSUE}/contents/{key}").json()
    assert said["pictures"]
    for address, name in said["pictures"].items():
        assert address in said["html"]
        answer = client.get(f"/media/{name}")
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")
        assert client.get(f"/media/{name}", headers={"Host": "evil.example"}).status_code == 400
    for name in ("sources", "nothing.png", "..%2f..%2fnewsletter.toml", "..%2fnewsletter.db"):
        assert client.get(f"/media/{name}").status_code == 404
    policy = client.get(f"/{ISSUE}/").headers["content-security-policy"]
    assert "img-src data:;" in policy


def test_a_look_that_is_not_there_is_said_and_one_that_is_changes_the_mail(
    client: TestClient,
) -> None:
    bald = client.get(f"/{ISSUE}/data?look=bald").json()
    assert bald["error"]["message"] == 'there is no look "bald". Did you mean "bold"?'
    assert client.get(f"/{ISSUE}/contents/x?look=../theme").status_code == 422
    key = client.get(f"/{ISSUE}/data?look=bold").json()["editions"][0]["key"]
    own, bold = (
        client.get(f"/{ISSUE}/contents/{key}{query}").json()["html"] for query in ("", "?look=bold")
    )
    assert "#0b6354" in own.lower()  # the accent of the sample's own look
    assert "#0b6354" not in bold.lower()


@pytest.mark.parametrize(
    "path",
    ["/nothing/", f"/{ISSUE}/nobody.html", f"/{ISSUE}/everybody-en.exe", "/../newsletter.toml"],
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_previews_are_not_on_the_public_port_and_can_be_left_out(workspace_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        public, said = _serve(workspace_dir, "--preview-port", port)
        try:
            assert said.startswith(f"no previews: port {port} on 127.0.0.1 can't be used")
            for path in (f"/{ISSUE}/", f"/{ISSUE}/data", "/preview.js"):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(public[1] + path)
        finally:
            _end(public[0])
    public, said = _serve(workspace_dir, "--no-preview", lines=1)
    _end(public[0])
    assert said == ""


def _serve(root: Path, *options: str, lines: int = 2) -> tuple[tuple[Any, str], str]:
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "newsletter",
            "--workspace",
            str(root),
            "serve",
            "--port",
            "0",
            *options,
        ],
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert server.stdout
    address = server.stdout.readline().decode().removeprefix("listening on ").strip()
    return (server, address), server.stdout.readline().decode().strip() if lines > 1 else ""


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)
    assert server.wait(30) in (0, 130, -signal.SIGINT)
    assert server.stdout
    assert server.stdout.read() == b""  # nothing was said that nobody read
    server.stdout.close()


def test_without_chromium_the_picture_is_refused_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RefusedError, match="apt install chromium"):
        contact_sheet.photographed("<p>hello", 1)


def test_a_browser_that_hangs_is_ended_with_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "chromium"
    program.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\nwait\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(contact_sheet, "_PATIENCE", 1.5)
    with pytest.raises(RefusedError, match="did not take the picture"):
        contact_sheet.photographed("<p>hello", 1)
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"  # dead, perhaps not yet reaped


def test_a_browser_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho something is missing >&2\nexit 3\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(RefusedError, match="took no picture: something is missing"):
        contact_sheet.photographed("<p>hello", 1)
