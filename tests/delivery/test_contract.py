"""The contract that plug-ins must pass, passed by every way out of our own."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsletter.config import FaultySettings, SendGridSettings, SmtpSettings
from newsletter.delivery import OutboxTransport, Transport
from newsletter.delivery.transports.contract import Received, TransportContract
from newsletter.delivery.transports.faulty import FaultyTransport
from newsletter.delivery.transports.sendgrid import SendGridTransport
from newsletter.delivery.transports.smtp import SmtpTransport
from newsletter.errors import ConfigError
from newsletter.workspace import TRANSPORTS, Workspace
from tests.delivery import sendgrid_server, smtp_server


def recipients(folder: Path) -> list[str]:
    return [
        str(email.message_from_bytes(path.read_bytes(), policy=email.policy.default)["To"])
        for path in (folder / "new").glob("*.eml")
    ]


class _Files(TransportContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path


class TestOutbox(_Files):
    @contextmanager
    def opened(self) -> Iterator[tuple[Transport, Received]]:
        yield OutboxTransport(self.folder), lambda: recipients(self.folder)


class TestFaulty(_Files):
    @contextmanager
    def opened(self) -> Iterator[tuple[Transport, Received]]:
        settings = FaultySettings(path=Path("faulty"))  # type: ignore[call-arg]
        yield FaultyTransport(settings, self.folder), lambda: recipients(self.folder / "faulty")


class TestSmtp(TransportContract):
    @contextmanager
    def opened(self) -> Iterator[tuple[Transport, Received]]:
        with smtp_server.Server() as server:
            settings = SmtpSettings(url=server.url)  # type: ignore[call-arg]
            yield (
                SmtpTransport(settings, Path("/")),
                lambda: [taken.recipient for taken in server.taken],
            )


class TestSendGrid(TransportContract):
    @contextmanager
    def opened(self) -> Iterator[tuple[Transport, Received]]:
        with sendgrid_server.Server() as server:
            settings = SendGridSettings(api_key=server.key, host=server.host)  # type: ignore[call-arg, arg-type]
            transport = SendGridTransport(
                settings, sender_email="desk@example.com", sender_name="Desk", reply_to=None
            )
            yield transport, lambda: [mail.email for mail in server.taken]


def test_none_is_forgotten() -> None:
    tested = {name.removeprefix("Test").lower() for name in globals() if name.startswith("Test")}
    assert tested == set(TRANSPORTS)


PLUGIN = """
from newsletter.delivery.transports.outbox import OutboxTransport

class Mine(OutboxTransport):
    name = "mine"

def make(options, root):
    return Mine(root / options.get("path", "var/mine"))
"""


def test_a_plug_in_is_a_way_out_like_others(
    workspace_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "mine-1.0.dist-info").mkdir(parents=True)
    (site / "mine_transport.py").write_text(PLUGIN)
    info = site / "mine-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[newsletter.transports]\nmine = mine_transport:make\n")
    with (workspace_dir / "newsletter.toml").open("a") as file:
        file.write('\n[transports.mine]\npath = "var/elsewhere"\n')
    with (
        Workspace(workspace_dir) as workspace,
        pytest.raises(ConfigError, match='transport "mine"'),
    ):
        workspace.settings  # noqa: B018
    monkeypatch.syspath_prepend(site)
    with Workspace(workspace_dir) as workspace:
        workspace.import_people(workspace_dir / "subscribers" / "people.csv")
        plan = workspace.plan("2026-W48", transport="mine")
        workspace.approve("2026-W48", plan=plan.hash)
        assert workspace.start("2026-W48")["states"]["accepted"] == 486
        with pytest.raises(ConfigError, match="Did you mean"):
            workspace.plan("2026-W48", transport="mien")
    assert len(recipients(workspace_dir / "var" / "elsewhere")) == 486
