"""SendGrid's own description of its API, as a mock server that validates every request.

Runs where the OpenAPI document is found (`SENDGRID_OPENAPI`, else beside the repository); the summary of a
run says when it was not. The stand-in in `sendgrid_server.py` is always used.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.errors import TransportError
from newsletter.workspace import Workspace
from tests.conftest import OPENAPI
from tests.delivery.smtp_server import free_port
from tests.delivery.test_sendgrid import ISSUE, envelope, transport

PRISM = "@stoplight/prism-cli@5.16.0"


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    """The address of a mock server that is ready."""
    npx = shutil.which("npx")
    if npx is None:
        pytest.fail("the OpenAPI document is here, but npx is not (Debian: nodejs, npm)")
    port = free_port()
    command = [npx, "--yes", PRISM, "mock", "-p", str(port), "-h", "127.0.0.1", str(OPENAPI)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            _ready(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Installing and starting it takes a while the first time."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{PRISM} did not start")


def test_requests_are_what_the_document_describes(prism: str) -> None:
    lane = transport(prism, timeout=30).lane()
    for number in (1, 3, 1000):
        outcomes = list(lane.send([envelope(n) for n in range(number)]))
        assert {one.state for one in outcomes} == {"accepted"}
        assert len(outcomes) == number
    lane.close()


def test_the_mock_would_have_said_no(prism: str) -> None:
    """A thousand and one are one too many: SendGrid's rule, and proof that the mock validates."""
    lane = transport(prism, timeout=30).lane()
    request = lane._requests(envelope().letter)
    parts = [(one, request.personalization(one)[0]) for one in map(envelope, range(1001))]
    with pytest.raises(TransportError, match="SendGrid refuses"):
        list(lane._post(request, parts))
    lane.close()


def test_the_sample_issue_goes_out(
    prism: str, workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_TRANSPORTS__SENDGRID__HOST", prism)
    monkeypatch.setenv("NEWSLETTER_TRANSPORTS__SENDGRID__API_KEY", "SG.mock")
    with Workspace(workspace_dir, actor="tester") as workspace:
        workspace.import_people(workspace_dir / "subscribers" / "people.csv")
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE, transport="sendgrid").hash)
        assert workspace.start(ISSUE)["states"]["accepted"] == 486
        assert workspace.audit(ISSUE)["ok"]
