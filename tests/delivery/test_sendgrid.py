"""SendGrid's API by a strict stand-in: whole requests, bad addresses, rests, and lost answers."""

from __future__ import annotations

import contextlib
import html
import logging
import select
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.config import SendGridSettings
from newsletter.delivery import Envelope, Letter, Outcome, Unreachable
from newsletter.delivery.transports.sendgrid import SendGridTransport
from newsletter.editions import Envelope as MailHeaders
from newsletter.editions import Skeleton, normalise
from newsletter.editions.mime import skeleton
from newsletter.editions.slots import marker
from newsletter.errors import TransportError
from newsletter.workspace import Workspace
from tests.delivery.sendgrid_server import Faults, Server
from tests.delivery.smtp_server import free_port

ISSUE = "2026-W48"
NONCE = "aaaaaaaaaa"


def letter(edition: str = "e" * 16, filler: str = "") -> Letter:
    page = f"<p>{marker(NONCE, 'reason', 'html')} {marker(NONCE, 'click', 'html')}{filler}</p>"
    text = f"{marker(NONCE, 'reason', 'text')} {marker(NONCE, 'click', 'text')}"
    headers = MailHeaders("Desk", "desk@example.com", None, "List", "https://news.example.com")
    message = skeleton(headers, nonce=NONCE, subject="S", language="en", html=page, text=text)
    return Letter(edition, NONCE, "Grüße", page, text, Skeleton.cut(message, NONCE))


LETTER = letter()


def envelope(n: int = 1, email: str | None = None, reason: str = "why", **more: Any) -> Envelope:
    values = {
        **{name: f"{name}{n}" for name in ("click", "message", "manage")},
        "to": "x",
        "date": "now",
        "reason": reason,
    }
    recipient = email or f"reader{n}@example.org"
    return Envelope(7, n, "b@example.com", recipient, more.get("letter", LETTER), values)


def transport(server: Server | str, **options: Any) -> SendGridTransport:
    host = server if isinstance(server, str) else server.host
    settings = SendGridSettings(**({"api_key": Server.key, "host": host, "timeout": 1} | options))
    return SendGridTransport(
        settings, sender_email="desk@example.com", sender_name="Désk", reply_to="r@example.com"
    )


def send(faults: Faults, *envelopes: Envelope, **options: Any) -> tuple[dict[int, Outcome], Server]:
    with Server(faults) as server:
        lane = transport(server, **options).lane()
        try:
            outcomes = {one.n: one for one in lane.send(envelopes or [envelope()])}
        finally:
            lane.close()
    return outcomes, server


def many(number: int) -> list[Envelope]:
    return [envelope(n) for n in range(number)]


def test_a_thousand_people_are_one_request() -> None:
    outcomes, server = send(Faults(), *many(1000))
    assert {one.state for one in outcomes.values()} == {"accepted"}
    assert outcomes[3].answer == "msg-1"
    assert (server.requests, len(server.taken)) == (1, 1000)
    mail = server.taken[3]
    assert (mail.delivery, mail.email, mail.subject) == ("7.3", "reader3@example.org", "Grüße")
    assert mail.text == "why click3"
    assert mail.html == "<p>why click3</p>"
    assert mail.headers["List-Unsubscribe"] == (
        "<https://news.example.com/u/manage3>, <mailto:desk@example.com?subject=unsubscribe%20manage3>"
    )
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Message-ID" not in mail.headers


@pytest.fixture(scope="module")
def quiet() -> Any:
    with Server() as server:
        lane = transport(server).lane()
        yield server, lane
        lane.close()


@given(value=st.text(max_size=90))
def test_whatever_a_value_holds_arrives_in_both_parts(quiet: Any, value: str) -> None:
    server, lane = quiet
    assert [one.state for one in lane.send([envelope(reason=value)])] == ["accepted"]
    mail = server.taken.pop()
    assert mail.text == f"{normalise(value)} click1"
    assert mail.html == f"<p>{html.escape(normalise(value))} click1</p>"


def test_a_bad_address_that_is_named_is_refused_alone() -> None:
    people = [*many(5), envelope(5, "not-an-address"), envelope(6, "x@y@z.example"), envelope(7)]
    outcomes, server = send(Faults(), *people)
    assert {n for n, one in outcomes.items() if one.state == "rejected"} == {5, 6}
    assert outcomes[5].answer == "Does not contain a valid address."
    assert {mail.delivery for mail in server.taken} == {f"7.{n}" for n in (0, 1, 2, 3, 4, 7)}
    assert server.requests == 3


def test_a_bad_address_that_is_not_named_is_found_by_halving() -> None:
    bad = {"reader17@example.org", "reader60@example.org"}
    outcomes, server = send(Faults(unnamed=bad), *many(100))
    assert {n for n, one in outcomes.items() if one.state == "rejected"} == {17, 60}
    assert len(server.taken) == 98 == len({mail.delivery for mail in server.taken})
    assert server.requests < 30


def test_what_is_wrong_for_everybody_stops_the_send() -> None:
    with Server() as server:
        way = transport(server)
        way.sender = {"email": "nobody", "name": ""}
        lane = way.lane()
        with pytest.raises(TransportError, match=r"refuses from\.email"):
            list(lane.send(many(3)))
        lane.close()
        assert server.requests == 1


@pytest.mark.parametrize(
    ("faults", "state"),
    [
        (Faults(answers=[500]), "deferred"),
        (Faults(answers=[503]), "deferred"),
        (Faults(vanish=1), "uncertain"),
        (Faults(vanish=1, keeps=True), "uncertain"),
        (Faults(stall=1), "uncertain"),
        (Faults(flood=1), "uncertain"),
    ],
)
def test_answers_that_fail_or_never_come(faults: Faults, state: str) -> None:
    outcomes, _ = send(faults, *many(3))
    assert [one.state for one in outcomes.values()] == [state] * 3


def test_a_request_that_was_cut_has_not_been_taken() -> None:
    big = letter(filler="x" * 15_000_000)
    outcomes, server = send(Faults(cut=1), envelope(letter=big))
    assert outcomes[1].state == "deferred"
    assert not server.taken


def test_a_rest_is_taken_as_long_as_asked() -> None:
    with Server(Faults(busy=1)) as server:
        lane = transport(server).lane()
        with pytest.raises(Unreachable, match="asks for a rest") as told:
            list(lane.send(many(3)))
        assert told.value.wait is not None
        assert 0 < told.value.wait <= 1
        assert [one.state for one in lane.send(many(3))] == ["accepted"] * 3
        lane.close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_named_and_never_shown(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="newsletter")
    with Server(Faults(answers=[status])) as server:
        lane = transport(server).lane()
        with pytest.raises(TransportError, match="permission Mail Send") as told:
            list(lane.send([envelope()]))
        lane.close()
    shown = f"{told.value!r} {told.value} {caplog.text} {transport(server).settings!r}"
    assert Server.key not in shown


@pytest.mark.parametrize("faults", [Faults(), Faults(answers=[400]), Faults(answers=[401])])
def test_neither_the_key_nor_an_address_is_logged_by_anybody(
    faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)  # of every library too
    with Server(faults) as server:
        lane = transport(server).lane()
        with contextlib.suppress(TransportError):
            list(lane.send([envelope(email="ada.lovelace@example.org")]))
        lane.close()
    everything = caplog.text + "".join(repr(one.__dict__) for one in caplog.records)
    assert caplog.records
    assert Server.key not in everything
    assert "ada.lovelace" not in everything


def test_too_large_a_request_is_halved_and_too_large_an_edition_named() -> None:
    outcomes, server = send(Faults(most_bytes=20_000), *many(100))
    assert {one.state for one in outcomes.values()} == {"accepted"}
    assert len(server.taken) == 100
    with pytest.raises(TransportError, match=f"edition {'e' * 16} is too large"):
        send(Faults(most_bytes=100), envelope())
    with pytest.raises(TransportError, match="20,000,000 at most"):
        send(Faults(), envelope(letter=letter(filler="x" * 20_000_001)))


def test_a_connection_that_was_closed_while_idle_is_opened_again() -> None:
    with Server(Faults(close_after=True)) as server:
        lane = transport(server).lane()
        for n in range(4):
            assert [one.state for one in lane.send([envelope(n)])] == ["accepted"]
            opened = lane._wire._connection.sock
            assert select.select([opened], [], [], 10)[0]  # the close has come
        lane.close()
    assert len(server.taken) == 4


def test_one_connection_serves_many_requests() -> None:
    with Server() as server:
        lane = transport(server).lane()
        for n in range(4):
            list(lane.send([envelope(n)]))
        lane.close()
    assert server.connections == 1


def test_before_anything_is_handed_out() -> None:
    with pytest.raises(TransportError, match="NEWSLETTER_TRANSPORTS__SENDGRID__API_KEY"):
        transport("http://127.0.0.1:1", api_key="").check()
    with pytest.raises(TransportError, match="in the clear"):
        transport("http://api.example.com").check()
    with pytest.raises(TransportError, match="can't be reached"):
        transport(f"http://127.0.0.1:{free_port()}").check()
    lane = transport(f"http://127.0.0.1:{free_port()}").lane()
    with pytest.raises(Unreachable):
        list(lane.send([envelope()]))
    lane.close()


def test_sandbox_mode_delivers_nothing() -> None:
    outcomes, server = send(Faults(), *many(2), sandbox=True)
    assert {one.state for one in outcomes.values()} == {"accepted"}
    assert (len(server.checked), len(server.taken)) == (2, 0)


def test_an_address_with_other_letters_is_refused() -> None:
    outcomes, _ = send(Faults(), envelope(1, "jörg@example.org"), envelope(2))
    assert [outcomes[n].state for n in (1, 2)] == ["rejected", "accepted"]


def test_the_sample_issue_goes_out_whole(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as server:
        monkeypatch.setenv("NEWSLETTER_TRANSPORTS__SENDGRID__HOST", server.host)
        monkeypatch.setenv("NEWSLETTER_TRANSPORTS__SENDGRID__API_KEY", server.key)
        monkeypatch.setenv("NEWSLETTER_SENDING__RETRY_FIRST", "0.1")
        with Workspace(workspace_dir, actor="tester") as workspace:
            workspace.import_people(workspace_dir / "subscribers" / "people.csv")
            plan = workspace.plan(ISSUE, transport="sendgrid")
            workspace.check_plan(ISSUE)
            assert len(server.checked) == len(plan.editions)
            server.faults = Faults(busy=1, answers=[500])
            workspace.approve(ISSUE, plan=plan.hash)
            states = workspace.start(ISSUE)["states"]
            assert states["accepted"] == 486
            assert workspace.audit(ISSUE)["ok"]
    assert len({mail.email for mail in server.taken}) == 486 == len(server.taken)
    assert not [mail for mail in server.taken if "@@" in mail.html + mail.text]
