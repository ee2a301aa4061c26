"""What the checks say of the answers of DNS, web servers and a spam filter: real servers on loopback."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from newsletter.audience import ReaderKind
from newsletter.checks import EditionSubject, Linter, SendingSubject
from newsletter.checks.dns import Selector, look_up
from newsletter.checks.reach import reachable
from newsletter.checks.spam import Missing, Rule, SpamScore
from newsletter.config import CheckSettings, Settings
from newsletter.findings import Finding
from newsletter.workspace import Workspace
from tests.checks.nameserver import SILENT, Zone, serving
from tests.checks.webserver import page
from tests.checks.webserver import serving as web

_SPF = "v=spf1 ip4:192.0.2.1 -all"
_DMARC = "v=DMARC1; p=reject; rua=mailto:dmarc@letters.example"


def key(bits: int) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


@pytest.fixture(scope="module")
def strong() -> str:
    return key(2048)


def zone(dkim: str, **other: Any) -> dict[str, Any]:
    return {
        "letters.example": {"TXT": [_SPF], "MX": ["10 mx.letters.example."]},
        "_dmarc.letters.example": {"TXT": [_DMARC]},
        "k1._domainkey.letters.example": {"TXT": [dkim]},
        **other,
    }


def told(
    answers: Zone | None, *, bounces: str = "", spam: Any = None, **settings: Any
) -> list[Finding]:
    """Findings about the sending by SMTP, with what a name server on loopback answers."""
    sender = {"email": "desk@letters.example", **({"bounces": bounces} if bounces else {})}
    chosen = Settings(
        publication={
            "name": "P",
            "base_url": "https://p.letters.example",
            "postal_address": "1 Road",
        },
        sender=sender,
        transports={"smtp": {"relay_signs": True}},
        **settings,
    )
    domain = None
    if answers is not None:
        with serving(answers) as server:
            domain = look_up(
                "letters.example",
                selectors=[Selector("k1", "letters.example")],
                bounces=bounces.rpartition("@")[2] or None,
                resolver=server.resolver(),
                timeout=0.3,
            )
    text = '[publication]\n[sender]\nemail = "desk@letters.example"\n'
    subject = SendingSubject(chosen, "smtp", "newsletter.toml", text, domain, spam)
    found = Linter(chosen.checks, file="newsletter.toml", online=True).sending(subject)
    return [one for one in found if one.code != "SD201"]  # the domain is reserved, of course


def codes(found: list[Finding]) -> list[str]:
    return [one.code for one in found]


def test_a_domain_with_everything_has_no_findings(strong: str) -> None:
    assert told(zone(strong)) == []


def test_off_line_is_said_and_nothing_guessed() -> None:
    (found,) = told(None)
    assert (found.code, found.severity, found.line) == ("SD100", "info", 3)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"letters.example": {"TXT": ["hello"]}}, ["SD101"]),
        ({"letters.example": {"TXT": [_SPF, "v=spf1 ip4:192.0.2.2 -all"]}}, ["SD101"]),
        ({"letters.example": {"TXT": ["v=spf1 +all"]}}, ["SD101"]),
        ({"k1._domainkey.letters.example": {"TXT": ["v=DKIM1; p="]}}, ["SD102"]),
        ({"k1._domainkey.letters.example": "NXDOMAIN"}, ["SD102"]),
        ({"_dmarc.letters.example": "NXDOMAIN"}, ["SD103"]),
        ({"_dmarc.letters.example": {"TXT": ["v=DMARC1; p=perhaps"]}}, ["SD103"]),
        ({"k1._domainkey.letters.example": SILENT}, ["SD100"]),
        ({"_dmarc.letters.example": "SERVFAIL"}, ["SD100"]),
    ],
)
def test_what_the_dns_lacks_is_told_and_silence_is_no_lack(
    strong: str, other: dict[str, Any], expected: list[str]
) -> None:
    assert codes(told(zone(strong, **other))) == expected


def test_a_short_key_is_told_with_its_bits() -> None:
    (found,) = told(zone(key(1024)))
    assert found.code == "SD102"
    assert "1024 bits" in found.message


def test_bounces_elsewhere_and_no_signature_of_ours_fail_dmarc(strong: str) -> None:
    answers = zone(strong, **{"mailer.test": {"TXT": [_SPF], "MX": ["10 mx.mailer.test."]}})
    assert told(answers, bounces="b@mailer.test") == []  # the signature is aligned
    with serving(answers) as server:
        report = look_up(
            "letters.example", bounces="mailer.test", resolver=server.resolver(), timeout=0.3
        )
    chosen = Settings(
        publication={
            "name": "P",
            "base_url": "https://p.letters.example",
            "postal_address": "1 Road",
        },
        sender={"email": "desk@letters.example", "bounces": "b@mailer.test"},
    )
    subject = SendingSubject(chosen, "smtp", "newsletter.toml", "[sender]\n", report)
    found = Linter(chosen.checks, file="newsletter.toml", online=True).sending(subject)
    assert {"SD104", "SD203"} <= set(codes(found))


@pytest.mark.parametrize(
    ("spam", "expected"),
    [
        (SpamScore(3.4, 5.0, (Rule(2.2, "MPART_ALT_DIFF", "d"),)), ["SD301"]),
        (SpamScore(2.9, 5.0, ()), []),
        (Missing("there is no spamc here"), []),
    ],
)
def test_points_are_told_from_the_limit_on(spam: Any, expected: list[str], strong: str) -> None:
    assert codes(told(zone(strong), spam=spam)) == expected


def test_a_dead_link_is_told_where_the_editor_wrote_it(workspace_dir: Path) -> None:
    with Workspace(workspace_dir) as workspace:
        brief = workspace_dir / "issues" / "2026-W48" / "briefs" / "quillon-price-cut.md"
        with web({"/ok": page()}) as server:
            gone, there = server.url("/gone"), server.url("/ok")
            text = brief.read_text("utf-8")
            brief.write_text(
                text.replace(
                    "Every account", f"[Gone]({gone}) and [there]({there}). Every account", 1
                ),
                "utf-8",
            )
            issue = workspace.issue("2026-W48")
            (planned,) = workspace.editions(issue, [ReaderKind(("execs",), "en")])
            urls = [gone, there]
            answers = reachable(urls, cache=None, allow_private=True, gap=0)
        dead = {url: one.reason for url, one in answers.items() if one.status == "dead"}
        subject = workspace.checking.subject(issue, (), workspace.today)
        edition = EditionSubject(
            planned.edition, planned.edition.html, planned.edition.text, subject, 1, (), (), dead
        )
        found = Linter(CheckSettings(), file="newsletter.toml", online=True).edition(edition)  # type: ignore[call-arg]
    (one,) = [one for one in found if one.code == "ED202"]
    assert (one.file or "").endswith("quillon-price-cut.md")
    assert (one.line, one.brief) == (15, "quillon-price-cut")
    assert gone in one.message
