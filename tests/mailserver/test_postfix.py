"""Through a real Postfix, the whole way: every mail arrives once and as it was made, its signatures
hold, its return path names its delivery; and nothing that the server does costs anybody a mail."""

from __future__ import annotations

import csv
import email
import email.policy
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsletter.delivery import Progress
from newsletter.errors import TransportError
from newsletter.tracking.stamp import message_id
from newsletter.tracking.tokens import Ref
from newsletter.workspace import Workspace
from tests.mailserver.postfix import UNKNOWN, Mail, Postfix, make_certificate
from tests.mailserver.publication import (
    ISSUE,
    SMTP,
    Delivered,
    Keys,
    environment,
    ledger,
    made,
    signatures,
)

EVERYBODY = 486  #: of the sample's people get mail
VERP = re.compile(r"bounce\+([a-z2-7]+)@signal-brief\.example")


@contextmanager
def planned(
    root: Path, url: str, people: Sequence[str] = (), **settings: str
) -> Iterator[tuple[Workspace, int, pytest.MonkeyPatch]]:
    """An approved plan that goes to `url`, for these addresses or for all of the sample's people;
    with its mailing's number, and with the environment, which may still be changed."""
    source = root / "subscribers" / "people.csv"
    if people:
        source = root / "few.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["email"], *([one] for one in people)])
    settings["TRANSPORTS__SMTP__URL"] = url
    with environment(**settings) as patch, Workspace(root, actor="tester") as workspace:
        workspace.import_people(source)
        plan = workspace.plan(ISSUE, transport="smtp")
        workspace.approve(ISSUE, plan=plan.hash)
        yield workspace, plan.mailing, patch


def start(workspace: Workspace) -> dict[str, int]:
    """Send what is planned with the settings of now; how many are in which state."""
    with Workspace(workspace.root, actor="tester") as anew:
        states: dict[str, int] = anew.start(ISSUE)["states"]
    return {state: people for state, people in states.items() if people}


def addresses(mails: Sequence[Mail]) -> list[str]:
    return sorted(mail.delivered_to for mail in mails)


def test_everybody_gets_one_mail_and_it_is_the_one_that_was_made(delivered: Delivered) -> None:
    assert delivered.states["accepted"] == EVERYBODY == sum(delivered.states.values())
    assert delivered.workspace.audit(ISSUE)["ok"]
    assert addresses(delivered.mails) == sorted(delivered.ledger)
    assert len(delivered.mails) == EVERYBODY
    for mail in delivered.mails:
        row = delivered.ledger[mail.delivered_to]
        assert [mail.raw] == delivered.made[row.n]
        assert (row.state, row.code) == ("accepted", "250 2.0.0")
        assert "queued as" in row.answer
    # lines that begin with a dot are among them: where a careless client loses one
    assert sum(b"\r\n.example is" in mail.raw for mail in delivered.mails) == EVERYBODY


def test_every_return_path_names_its_delivery(delivered: Delivered) -> None:
    keyring = delivered.workspace.keyring
    for mail in delivered.mails:
        found = VERP.fullmatch(mail.return_path)
        assert found, mail.return_path
        n = delivered.ledger[mail.delivered_to].n
        assert keyring.verify(found[1], "bounce") == Ref(delivered.mailing, n)
        assert keyring.verify(found[1], "manage") is None
        own = message_id(found[1])
        assert f"Message-ID: <{own}@signal-brief.example>\r\n".encode() in mail.raw
        assert keyring.verify(own, "bounce") is None  # every reply shows it to somebody


def test_signatures_of_both_keys_hold_and_cover_the_way_out(
    delivered: Delivered, keys: Keys
) -> None:
    editions = delivered.one_of_each_edition()
    assert len(editions) >= 16
    for mail in editions.values():
        assert keys.valid(mail.raw) == {"rsa": True, "ed": True}
        message = email.message_from_bytes(mail.raw, policy=email.policy.default)
        ways = re.findall(r"<([^>]+)>", message["List-Unsubscribe"])
        assert [way.partition(":")[0] for way in ways] == ["https", "mailto"]
        token = re.fullmatch(r"https://news\.signal-brief\.example/u/([a-z2-7]+)", ways[0])
        assert token
        ref = delivered.workspace.keyring.verify(token[1], "manage")
        assert ref == Ref(delivered.mailing, delivered.ledger[mail.delivered_to].n)
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        for signature in signatures(mail.raw):
            signed = Counter(signature["h"].split(":"))
            assert signed.keys() >= {"from", "to", "subject", "date", "message-id", "list-id"}
            assert signed["list-unsubscribe"] == signed["list-unsubscribe-post"] == 1
            assert signed["from"] == 2  # so that nobody can add another one
            assert signature["d"] == "signal-brief.example"  # aligned with From, for DMARC


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"/u/", b"/x/"),
        (b"One-Click", b"No-Click"),
        (b"\r\nFrom: Signal Brief", b"\r\nFrom: Other <x@y.example>\r\nFrom: Signal Brief"),
        (b"Harbour Street", b"Harbour  Street"),
    ],
)
def test_whoever_changes_a_mail_breaks_both_signatures(
    delivered: Delivered, keys: Keys, was: bytes, now: bytes
) -> None:
    message = delivered.mails[0].raw
    changed = message.replace(was, now, 1)
    assert changed != message
    assert keys.valid(changed) == {"rsa": False, "ed": False}


def test_starttls_with_a_certificate_that_can_be_verified(
    postfix: Postfix, workspace_dir: Path
) -> None:
    people = ["one@kiosk.example", "two@kiosk.example"]
    tls = {"TRANSPORTS__SMTP__SECURITY": "starttls"}
    ca = {"TRANSPORTS__SMTP__CA_FILE": str(postfix.ca_file)}
    with planned(workspace_dir, postfix.url(), people, **tls, **ca) as (workspace, _, _):
        assert start(workspace) == {"accepted": 2}
    mails = postfix.mails()
    assert addresses(mails) == people
    assert all(b"with ESMTPS id" in mail.whole for mail in mails)


def test_a_certificate_of_another_authority_is_refused_before_anything_is_handed_out(
    postfix: Postfix, workspace_dir: Path
) -> None:
    people = ["one@kiosk.example", "two@kiosk.example"]
    tls = {"TRANSPORTS__SMTP__SECURITY": "starttls"}
    other = workspace_dir / "other.pem"
    make_certificate(other, workspace_dir)
    ca = {"TRANSPORTS__SMTP__CA_FILE": str(other)}
    with planned(workspace_dir, postfix.url(), people, **tls, **ca) as (workspace, mailing, patch):
        with pytest.raises(TransportError, match=r"certificate of 127\.0\.0\.1:\d+ is not valid"):
            start(workspace)
        rows = ledger(workspace, mailing)
        assert {(row.state, row.attempts) for row in rows.values()} == {("planned", 0)}
        assert not postfix.mails()
        patch.setenv(SMTP + "CA_FILE", str(postfix.ca_file))
        assert start(workspace) == {"accepted": 2}
    assert addresses(postfix.mails()) == people


def test_international_addresses_arrive(postfix: Postfix, keys: Keys, workspace_dir: Path) -> None:
    people = ["dörte@nordsee.example", "plain@kiosk.example", "zoë@münchen.example"]
    dkim = {"TRANSPORTS__SMTP__DKIM": keys.write(workspace_dir / "keys")}
    with planned(workspace_dir, postfix.url(), people, **dkim) as (workspace, _, patch):
        with made(patch) as kept:
            assert start(workspace) == {"accepted": 3}
        mails = postfix.mails()
        assert addresses(mails) == [*people[:2], "zoë@xn--mnchen-3ya.example"]
        assert sorted(mail.raw for mail in mails) == sorted(
            one for many in kept.values() for one in many
        )
    for mail in mails:
        assert keys.valid(mail.raw) == {"rsa": True, "ed": True}
        assert re.search(rf"\r\nTo: [^\r]*\b{mail.delivered_to}>?\r\n".encode(), mail.raw)
        assert (b"with UTF8SMTP id" in mail.whole) is not mail.delivered_to.isascii()


def test_a_server_without_smtputf8_gets_what_it_can_take(
    postfix: Postfix, workspace_dir: Path
) -> None:
    people = ["dörte@nordsee.example", "plain@münchen.example"]
    with planned(workspace_dir, postfix.url("ascii"), people) as (workspace, mailing, _):
        assert start(workspace) == {"accepted": 1, "rejected": 1}
        refused = ledger(workspace, mailing)["dörte@nordsee.example"]
    assert (refused.state, refused.code) == ("rejected", "553 5.6.7")
    assert "SMTPUTF8" in refused.answer
    assert addresses(postfix.mails()) == ["plain@xn--mnchen-3ya.example"]


def test_an_unknown_user_is_rejected_for_good_and_the_others_get_theirs(
    postfix: Postfix, workspace_dir: Path
) -> None:
    unknown = f"{UNKNOWN}there@kiosk.example"
    people = ["after@kiosk.example", "before@kiosk.example"]
    with planned(workspace_dir, postfix.url(), [people[1], unknown, people[0]]) as planning:
        workspace, mailing, _ = planning
        assert start(workspace) == {"accepted": 2, "rejected": 1}
        assert workspace.audit(ISSUE)["ok"]
        row = ledger(workspace, mailing)[unknown]
    assert (row.state, row.code, row.attempts) == ("rejected", "550 5.1.1", 1)
    assert "User unknown in virtual mailbox table" in row.answer
    assert addresses(postfix.mails()) == people


@pytest.mark.parametrize(
    ("port", "why"),
    [
        ("small", r"is \d\d,\d{3} bytes as a mail, and \S+ takes 20,000 at most"),
        ("surprise", r"is \d\d,\d{3} bytes as a mail, too many for \S+: 552 5\.3\.4 "),
    ],
)
def test_a_server_that_takes_smaller_mails_only_is_a_clear_refusal(
    postfix: Postfix, workspace_dir: Path, port: str, why: str
) -> None:
    people = [f"reader{n}@kiosk.example" for n in range(5)]
    with planned(workspace_dir, postfix.url(port), people) as (workspace, mailing, patch):
        with pytest.raises(TransportError, match=why):
            start(workspace)
        assert {row.state for row in ledger(workspace, mailing).values()} == {"planned"}
        assert not postfix.mails()
        patch.setenv(SMTP + "URL", postfix.url())
        assert start(workspace) == {"accepted": 5}
    assert addresses(postfix.mails()) == people


@pytest.mark.parametrize("end", [Postfix.stop, Postfix.crash])
def test_a_server_that_goes_away_in_mid_send_loses_nobody(
    postfix: Postfix, workspace_dir: Path, end: Callable[[Postfix], None]
) -> None:
    seen: list[Progress] = []

    def progress(now: Progress) -> None:
        """Called by the run itself, so the server is gone until the run has noticed it."""
        if postfix.process is not None and not seen and now.accepted >= 20:
            seen.append(now)
            assert now.accepted < EVERYBODY - 100
            end(postfix)
        elif postfix.process is None and "can't be reached" in now.waiting:
            postfix.start()

    patience = {"SENDING__RETRY_FIRST": "0.2"}
    with planned(workspace_dir, postfix.url(), **patience) as (workspace, mailing, patch):
        with made(patch) as kept:
            states = workspace.start(ISSUE, progress=progress)["states"]
        assert postfix.process is not None, "the run never noticed that the server was gone"
        assert states["accepted"] == EVERYBODY == sum(states.values())
        assert workspace.audit(ISSUE)["ok"]
        rows = ledger(workspace, mailing)
    mails = postfix.mails()
    taken = {mail.queue_id: mail.delivered_to for mail in mails}
    arrived = Counter(taken.values())
    assert arrived.keys() == rows.keys()
    # Only who was in doubt, the answer to the final dot being lost, may have it twice: the same one.
    assert arrived.total() - EVERYBODY <= seen[0].uncertain
    assert all(arrived[address] <= row.attempts for address, row in rows.items())
    assert all(mail.raw in kept[rows[mail.delivered_to].n] for mail in mails)
    assert len({mail.return_path for mail in mails}) == EVERYBODY
