"""The sample publication with a mail server as its way out, and what it sent there."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dkim
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from newsletter.config import ENV_PREFIX
from newsletter.db.schema import delivery, edition, mailing_edition, subscriber
from newsletter.delivery import Envelope
from newsletter.delivery.transports.smtp import SmtpTransport
from newsletter.workspace import Workspace
from tests.conftest import copy_sample
from tests.mailserver.postfix import Mail, Postfix

ISSUE = "2026-W48"
DOMAIN = "signal-brief.example"
HOST = f"https://news.{DOMAIN}"
SMTP = f"{ENV_PREFIX}TRANSPORTS__SMTP__"


class Keys:
    """Two signing keys, and the DNS that tells receivers of them."""

    def __init__(self) -> None:
        self.private = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "ed": ed25519.Ed25519PrivateKey.generate(),
        }

    def write(self, folder: Path) -> str:
        """Files that only their owner can read; returns the setting that names them."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = []
        for selector, key in self.private.items():
            path = folder / f"{selector}.pem"
            path.touch(0o600)
            path.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            settings.append({"domain": DOMAIN, "selector": selector, "key_file": str(path)})
        return json.dumps(settings)

    def dns(self, name: bytes, timeout: int = 5) -> bytes:
        """The TXT record, made from the public key alone and not by the product."""
        selector, _, rest = name.decode().partition(".")
        assert rest == f"_domainkey.{DOMAIN}."
        public = self.private[selector].public_key()
        if selector == "rsa":
            raw = public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            return b"v=DKIM1; k=rsa; p=" + base64.b64encode(raw)
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(raw)

    def valid(self, message: bytes) -> dict[str, bool]:
        """Whether the signature of each key holds, by selector."""
        found = {}
        for n, text in enumerate(signatures(message)):
            try:
                holds = bool(dkim.DKIM(message).verify(idx=n, dnsfunc=self.dns))
            except dkim.ValidationError:
                holds = False
            found[text["s"]] = holds
        return found


def signatures(message: bytes) -> list[dict[str, str]]:
    """The tags of each DKIM-Signature, without spaces."""
    head = re.sub(rb"\r\n(?=[ \t])", b"", message.partition(b"\r\n\r\n")[0]).decode()
    values = re.findall(r"(?im)^dkim-signature:(.*?)\r?$", head)
    return [
        {
            tag.strip(): "".join(value.split())
            for tag, _, value in (part.partition("=") for part in text.split(";"))
        }
        for text in values
    ]


@contextmanager
def environment(**values: str) -> Iterator[pytest.MonkeyPatch]:
    """Only these settings of the environment, for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(ENV_PREFIX):
                patch.delenv(name)
        for name, value in values.items():
            patch.setenv(ENV_PREFIX + name, value)
        yield patch


@contextmanager
def made(patch: pytest.MonkeyPatch) -> Iterator[dict[int, list[bytes]]]:
    """Every message that the transport is about to hand over, by delivery."""
    kept: dict[int, list[bytes]] = {}
    original = SmtpTransport.message

    def message(self: SmtpTransport, envelope: Envelope) -> bytes:
        whole = original(self, envelope)
        kept.setdefault(envelope.n, []).append(whole)
        return whole

    with patch.context() as own:
        own.setattr(SmtpTransport, "message", message)
        yield kept


@dataclass
class Row:
    """A line of the ledger."""

    n: int
    address: str
    edition: str
    state: str
    code: str
    answer: str
    attempts: int


@dataclass
class Delivered:
    """An issue that was sent: what was handed over, what arrived, what the ledger says."""

    workspace: Workspace
    mailing: int
    states: Mapping[str, int]
    made: Mapping[int, list[bytes]]
    mails: list[Mail]
    ledger: dict[str, Row] = field(default_factory=dict)  #: by address

    def __post_init__(self) -> None:
        self.ledger = ledger(self.workspace, self.mailing)

    def one_of_each_edition(self) -> dict[str, Mail]:
        """The first mail of each edition, by the edition's id."""
        found: dict[str, Mail] = {}
        for mail in self.mails:
            found.setdefault(self.ledger[mail.delivered_to].edition, mail)
        return found


def ledger(workspace: Workspace, mailing: int) -> dict[str, Row]:
    with workspace.database.read() as connection:
        rows = connection.execute(
            sa.select(
                delivery.c.n,
                subscriber.c.address,
                edition.c.id,
                delivery.c.state,
                delivery.c.code,
                delivery.c.answer,
                delivery.c.attempts,
            )
            .join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
            .join(
                mailing_edition,
                (mailing_edition.c.mailing == delivery.c.mailing)
                & (mailing_edition.c.n == delivery.c.edition),
            )
            .join(edition, edition.c.id == mailing_edition.c.edition)
            .where(delivery.c.mailing == mailing)
        )
        return {row[1]: Row(*row) for row in rows}


def deliver(root: Path, server: Postfix, keys: Keys) -> Delivered:
    """Send the sample issue to all of its people, with a text whose lines begin with dots."""
    copy_sample(root)
    brief = root / "issues" / ISSUE / "briefs" / "northmere-outage.txt"
    text = brief.read_text("utf-8")
    # The words open the text part's paragraph, where RFC 5321 §4.5.2 wants the dot doubled.
    changed = text.replace("A second region that", ".example is where a second region that", 1)
    assert changed != text
    brief.write_text(changed, "utf-8")
    settings = {
        "PUBLICATION__BASE_URL": HOST,
        "TRANSPORTS__SMTP__URL": server.url(),
        "TRANSPORTS__SMTP__DKIM": keys.write(root / "keys"),
    }
    workspace = Workspace(root, actor="tester")
    with environment(**settings) as patch, workspace, made(patch) as kept:
        workspace.import_people(root / "subscribers" / "people.csv")
        plan = workspace.plan(ISSUE, transport="smtp")
        workspace.approve(ISSUE, plan=plan.hash)
        states = workspace.start(ISSUE)["states"]
        return Delivered(workspace, plan.mailing, states, kept, server.mails())
