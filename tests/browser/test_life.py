"""A person's whole life here, in a real browser against the real server: sign up, confirm, choose a lens,
receive, pause, leave, undo, be erased."""

from __future__ import annotations

import email
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter.workspace import Workspace
from tests.delivery.smtp_server import free_port

pytestmark = pytest.mark.chromium
ISSUE = "2026-W48"
ADA = "ada.lovelace@example.com"
_LONGEST = 60.0  # seconds


@pytest.fixture
def site(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server of a publication whose first issue is out, as its address."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("NEWSLETTER_PUBLICATION__BASE_URL", base)
    monkeypatch.setenv("NEWSLETTER_PUBLICATION__LANGUAGES", '["de", "fr"]')
    with Workspace(workspace_dir, actor="desk") as workspace:
        workspace.audience.add("first@example.com", {}, source="test", consent_at=None)
        sent(workspace)
    command = [sys.executable, "-m", "newsletter", "--workspace", str(workspace_dir), "serve"]
    server = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, env=dict(os.environ)
    )
    assert server.stdout
    assert base in server.stdout.readline().decode()
    yield base
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) in (0, -signal.SIGTERM)
    server.stdout.close()


def sent(workspace: Workspace, issue: str = ISSUE) -> None:
    workspace.approve(issue, plan=workspace.plan(issue).hash)
    workspace.start(issue)


def until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + _LONGEST
    while not (found := true()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
    return found


def mail(workspace_dir: Path, subject: str, *but: str) -> EmailMessage:
    """The mail to Ada with this in its subject, and nothing of `but`, once it is there."""

    def look() -> EmailMessage | None:
        for path in (workspace_dir / "var" / "outbox" / "new").glob("*.eml"):
            found = email.message_from_bytes(path.read_bytes(), policy=policy.default)
            said = str(found["Subject"])
            if ADA in found["To"] and subject in said and not any(one in said for one in but):
                return found  # type: ignore[return-value]
        return None

    return until(look)


def link(message: EmailMessage, kind: str) -> str:
    part = message.get_body(("plain",))
    assert part
    found = re.search(rf"http\S+/{kind}/\S+", part.get_content())
    assert found
    return found[0]


def headline(tab: Page, text: str) -> None:
    expect(tab.get_by_role("heading", level=1)).to_have_text(text)
    wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{text}: {wide} px wider than the screen"


@pytest.mark.parametrize("width", [360, 1000])
def test_a_persons_whole_life(site: str, browser: Browser, workspace_dir: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)

    # sign up
    tab.goto(f"{site}/subscribe")
    tab.get_by_label("E-mail address").fill(ADA)
    tab.get_by_role("radio", name="AI teams").check()
    tab.get_by_role("button", name="Subscribe").click()
    headline(tab, "Please look into your mail")

    # confirm
    tab.goto(link(mail(workspace_dir, "Please confirm"), "confirm"))
    headline(tab, "Confirm your subscription")
    tab.get_by_role("button", name="Confirm").click()
    headline(tab, "You are subscribed")
    welcome = mail(workspace_dir, "Welcome")
    html = welcome.get_body(("html",))
    assert html
    assert "Your edition for <b>AI teams</b>" in html.get_content()

    # choose a lens, after a look through it
    tab.get_by_role("link", name="Choose what you get").click()
    headline(tab, "What you get")
    tab.get_by_role("link", name="Preview").first.click()
    expect(tab.get_by_text("Your edition for Execs").first).to_be_visible()
    tab.go_back()
    tab.get_by_role("radio", name="Security").check()
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("status")).to_contain_text("Saved.")
    expect(tab.get_by_text("Your edition is the one for Security.")).to_be_visible()

    # receive
    with Workspace(workspace_dir, actor="desk") as workspace:
        sent(workspace)
        (group,) = workspace.audience.show(ADA)["segments"]
        assert group["segment"] == "security"
        received = mail(workspace_dir, "", "Please confirm", "Welcome")
    preferences = link(received, "p")

    # pause
    tab.goto(preferences)
    day = date.today() + timedelta(days=100)
    tab.get_by_label("Pause until").fill(day.isoformat())
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_text(f"Mail is paused until {day.day} {day:%B %Y}.")).to_be_visible()
    with Workspace(workspace_dir) as workspace:
        assert workspace.audience.show(ADA)["not_mailed"] == "paused"

    # leave, say why, and undo
    tab.get_by_role("link", name="Unsubscribe").click()
    headline(tab, "Unsubscribe from Signal Brief")
    expect(tab.get_by_text("Not you?")).to_be_visible()
    tab.get_by_role("button", name="Unsubscribe").click()
    headline(tab, "You are unsubscribed")
    tab.get_by_label("It does not fit my work").check()
    tab.get_by_role("button", name="Tell").click()
    expect(tab.get_by_role("status")).to_contain_text("Thank you")
    with Workspace(workspace_dir) as workspace:
        shown = workspace.audience.show(ADA)
        assert shown["person"]["status"] == "unsubscribed"
        assert shown["consents"][-1]["reason"] == "not-for-me"
    tab.get_by_role("button", name="Undo").click()
    headline(tab, "You are subscribed again")

    # be erased: every page of theirs is nobody's now
    with Workspace(workspace_dir, actor="desk") as workspace:
        until(lambda: workspace.audience.show(ADA)["person"]["status"] == "subscribed")
        workspace.erase(ADA)
    tab.goto(preferences)
    headline(tab, "There is nothing here")
    words = (b"lovelace", b"Lovelace")
    files = [path for path in (workspace_dir / "var").rglob("*") if path.is_file()]
    assert [str(one) for one in files if any(word in one.read_bytes() for word in words)] == []
    assert [one for one in complaints if "404" not in one] == []
    context.close()
