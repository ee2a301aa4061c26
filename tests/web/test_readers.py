"""Signing up, confirming, choosing: by the public pages, with the mails that belong to it."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from babel.dates import format_date
from starlette.testclient import TestClient

from newsletter.db.schema import request as requests
from newsletter.db.schema import subscriber
from newsletter.errors import NotFoundError, RefusedError
from newsletter.web.public import public_app
from newsletter.workspace import Workspace

ADA = "ada@example.com"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Site:
    """A publication with its public pages, asked as a browser would."""

    def __init__(self, workspace: Workspace, client: TestClient) -> None:
        self.workspace = workspace
        self.client = client
        self.outbox = workspace.root / "var" / "outbox" / "new"
        self._seen: set[Path] = set()

    def ask(self, email: str = ADA, **more: str) -> Any:
        return self.client.post("/subscribe", data={"email": email, **more})

    def mails(self) -> list[EmailMessage]:
        """What came since the last look, requests answered first."""
        self.workspace.joining.answer()
        new = sorted(set(self.outbox.glob("*.eml")) - self._seen)
        self._seen |= set(new)
        return [
            email.message_from_bytes(one.read_bytes(), policy=policy.default)  # type: ignore[misc]
            for one in new
        ]

    def path(self, mail: EmailMessage, kind: str) -> str:
        found = re.search(rf"/{kind}/[a-z2-7]+", _text(mail))
        assert found, f"no /{kind}/ in the mail"
        return found[0]

    def joined(self, email: str = ADA, **more: str) -> EmailMessage:
        """Somebody signs up and confirms; returns the mail that welcomes them."""
        self.ask(email, **more)
        (asks,) = self.mails()
        self.client.post(self.path(asks, "confirm"))
        (welcome,) = self.mails()
        return welcome

    def status(self, email: str = ADA) -> str:
        with self.workspace.database.read() as connection:
            key = subscriber.c.address_key == email
            return str(connection.scalar(sa.select(subscriber.c.status).where(key)))


def _text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part
    return str(part.get_content())


@pytest.fixture
def site(workspace_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NEWSLETTER_DATABASE__URL", database_url)
    monkeypatch.setenv("NEWSLETTER_PUBLICATION__LANGUAGES", '["de", "fr"]')
    monkeypatch.setenv("NEWSLETTER_SIGNUP__BLOCKED_DOMAINS", '["throwaway.example"]')
    monkeypatch.setenv("NEWSLETTER_SIGNUP__CLIENT_LIMIT", "8/hour")
    with Workspace(workspace_dir, actor="tester") as workspace:
        yield Site(workspace, TestClient(public_app(workspace)))


def test_nobody_is_subscribed_before_they_press_in_the_mail(site: Site) -> None:
    answer = site.ask(lens="execs")
    assert answer.status_code == 200
    (mail,) = site.mails()
    assert mail["To"] == ADA
    assert site.status() == "pending"
    path = site.path(mail, "confirm")
    assert "Confirm" in site.client.get(path).text
    assert site.status() == "pending"  # a scanner opened it
    done = site.client.post(path)
    assert "You are subscribed" in done.text
    assert site.status() == "subscribed"
    shown = site.workspace.audience.show(ADA)
    (consent,) = shown["consents"]
    assert (consent["given"], consent["method"]) == (True, "double-opt-in")
    assert consent["words"].startswith("Yes, send me Signal Brief")
    assert shown["person"]["lens"] == "execs"
    (welcome,) = site.mails()
    assert "Welcome" in welcome["Subject"]
    assert "You are subscribed" in site.client.post(path).text  # twice is once
    assert site.mails() == []
    assert len(site.workspace.audience.show(ADA)["consents"]) == 1


def test_the_answer_is_the_same_whoever_asks(site: Site) -> None:
    site.joined()
    known, new = site.ask(), site.ask("new@example.com")
    blocked, robot = site.ask("x@sub.throwaway.example"), site.ask("r@example.com", website="x")
    assert known.text == new.text == blocked.text == robot.text
    assert known.status_code == new.status_code == blocked.status_code == robot.status_code == 200
    subjects = {mail["To"]: mail["Subject"] for mail in site.mails()}
    assert subjects == {
        ADA: "You are subscribed to Signal Brief already",
        "new@example.com": "Please confirm your subscription to Signal Brief",
    }


def test_programs_sign_up_by_json(site: Site) -> None:
    post = site.client.post
    assert post("/api/v1/subscribe", json={"email": ADA, "language": "de"}).status_code == 202
    (mail,) = site.mails()
    assert mail["Subject"] == "Bitte bestätigen Sie Ihr Abonnement von Signal Brief"
    for wrong in ({"email": "no address"}, {}, [], {"email": 5}):
        assert post("/api/v1/subscribe", json=wrong).status_code == 400
    as_json = {"Content-Type": "application/json"}
    assert post("/api/v1/subscribe", content=b"{", headers=as_json).status_code == 400
    much = post("/api/v1/subscribe", content=b"x" * 20_000, headers=as_json)
    assert (much.status_code, much.json()) == (413, {"error": "Request Entity Too Large"})
    assert post("/api/v1/subscribe", content=b'{"email": "b@example.com"}').status_code == 415
    refused = site.client.get("/api/v1/subscribe")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_whoever_types_an_address_in_does_not_rename_its_owner(site: Site) -> None:
    site.joined()
    site.workspace.audience.set(ADA, {"name": "Ada"})
    site.workspace.audience.unsubscribe(ADA)
    site.client.post("/api/v1/subscribe", json={"email": ADA, "name": "Bad <b@example.com>"})
    (mail,) = site.mails()
    site.client.post(site.path(mail, "confirm"))
    assert site.workspace.audience.show(ADA)["person"]["name"] == "Ada"


def test_too_many_requests_of_one_client_are_refused(site: Site) -> None:
    answers = [site.ask(f"p{n}@example.com").status_code for n in range(9)]
    assert answers == [200] * 8 + [429]
    answer = site.client.post("/api/v1/subscribe", json={"email": ADA})
    assert answer.status_code == 429
    assert 3500 < int(answer.headers["retry-after"]) <= 3600
    assert len(site.mails()) == 8


def test_one_client_does_not_use_up_what_all_may(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_SIGNUP__CLIENT_LIMIT", "3/hour")
    monkeypatch.setenv("NEWSLETTER_SIGNUP__TOTAL_LIMIT", "4/hour")
    with Workspace(workspace_dir, actor="tester") as workspace:
        app = public_app(workspace)
        mine, same_net, other = (
            TestClient(app, client=(host, 1)) for host in ("2001:db8::1", "2001:db8::2", "10.0.0.2")
        )
        wrong = [mine.post("/subscribe", data={"email": "x"}).status_code for _ in range(6)]
        assert wrong == [400] * 3 + [429] * 3
        assert same_net.post("/subscribe", data={"email": ADA}).status_code == 429
        assert other.post("/subscribe", data={"email": ADA}).status_code == 200


def test_who_says_no_is_not_asked_again_and_may_change_their_mind(site: Site) -> None:
    site.ask("ada+news@example.com")
    (mail,) = site.mails()
    leave = mail["List-Unsubscribe"].partition("/u/")[2].partition(">")[0]
    page = site.client.get(f"/u/{leave}").text
    assert "ask me again" in page
    assert site.status("ada+news@example.com") == "pending"  # a scanner opened it
    one_click = {"List-Unsubscribe": "One-Click"}
    assert site.client.post(f"/u/{leave}", data=one_click).text == "unsubscribed\n"
    site.workspace.load_events()
    assert site.client.post(site.path(mail, "confirm")).status_code == 410
    site.ask("ada+news@example.com")
    site.ask("ada+other@example.com")
    assert site.mails() == []
    undone = site.client.post(f"/u/{leave}?undo=1").text
    assert "Nothing is sent until you confirm" in undone
    assert site.status("ada+news@example.com") == "pending"
    site.client.post(site.path(mail, "confirm"))
    assert site.status("ada+news@example.com") == "subscribed"


def test_an_undo_subscribes_nobody_who_never_agreed(site: Site) -> None:
    site.joined()
    site.workspace.audience.unsubscribe(ADA)
    site.ask()
    (mail,) = site.mails()
    leave = mail["List-Unsubscribe"].partition("/u/")[2].partition(">")[0]
    site.client.post(f"/u/{leave}")
    site.client.post(f"/u/{leave}?undo=1")
    assert site.status() == "unsubscribed"


def test_one_press_answers_every_mail_that_asked(site: Site) -> None:
    site.ask()
    (first,) = site.mails()
    site.ask()
    (second,) = site.mails()
    site.client.post(site.path(first, "confirm"))
    assert "You are subscribed" in site.client.post(site.path(second, "confirm")).text
    assert [mail["Subject"][:7] for mail in site.mails()] == ["Welcome"]
    assert len(site.workspace.audience.show(ADA)["consents"]) == 1


def test_what_was_confirmed_and_holds_no_more_is_not_said_to(site: Site) -> None:
    site.ask()
    (mail,) = site.mails()
    path = site.path(mail, "confirm")
    site.client.post(path)
    site.mails()
    site.workspace.audience.unsubscribe(ADA)
    assert site.client.get(path).status_code == 410
    assert site.client.post(path).status_code == 410
    assert site.status() == "unsubscribed"


def test_an_address_gets_few_mails_however_often_somebody_types_it_in(site: Site) -> None:
    for _ in range(5):
        site.ask()
        site.mails()
    with site.workspace.database.read() as connection:
        states = connection.scalars(sa.select(requests.c.state).order_by(requests.c.id)).all()
    assert states == ["mailed"] * 3 + ["dropped"] * 2


@pytest.mark.parametrize("address", ["", "ada", "ada@", "a\r\nb@example.com", "😀@example.com "])
def test_what_is_no_address_is_said_and_kept_in_the_form(site: Site, address: str) -> None:
    answer = site.ask(address)
    if "😀" in address:  # an address in other letters is one
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    assert "That is no e-mail address" in answer.text
    assert site.mails() == []


def test_who_called_our_mail_spam_gets_none_for_anybodys_asking(site: Site) -> None:
    site.workspace.audience.suppress(ADA, reason="complaint")
    site.ask()
    assert site.mails() == []


def test_who_left_comes_back_by_their_own_wish(site: Site) -> None:
    site.joined()
    site.workspace.audience.unsubscribe(ADA)
    site.workspace.audience.suppress(ADA, reason="manual")
    site.joined()
    assert site.status() == "subscribed"
    assert site.workspace.audience.show(ADA)["not_mailed"] is None


def test_who_was_erased_comes_back_by_their_own_wish(site: Site) -> None:
    site.joined()
    site.workspace.erase(ADA)
    site.joined()
    assert site.status() == "subscribed"
    assert site.workspace.audience.suppressions() == []


def test_a_forged_or_old_confirmation_does_nothing(site: Site) -> None:
    welcome = site.joined()
    manage = site.path(welcome, "p").removeprefix("/p/")
    assert site.client.post(f"/confirm/{manage}").status_code == 404
    assert site.client.post("/confirm/aaaa").status_code == 404
    site.workspace.erase(ADA)
    site.ask()
    (mail,) = site.mails()
    site.workspace.erase(ADA)
    assert site.client.post(site.path(mail, "confirm")).status_code == 410
    assert site.client.get(site.path(mail, "confirm")).status_code == 410


# -- choosing ----------------------------------------------------------------------------------------


def test_choices_are_taken_over_and_taken_back(site: Site) -> None:
    path = site.path(site.joined(), "p")
    before = site.client.get(path).text
    assert "a***@e***.com" in before
    assert ADA not in before
    until = date.today() + timedelta(days=100)
    choices = {
        "form": "choices", "lens": "security", "frequency": "monthly", "language": "de",
        "paused_until": until.isoformat(),
    }  # fmt: skip
    answer = site.client.post(path, data=choices)
    shown = site.workspace.audience.show(ADA)
    assert [one["segment"] for one in shown["segments"]] == ["security"]
    assert (shown["person"]["frequency"], shown["person"]["language"]) == ("monthly", "de")
    assert shown["not_mailed"] == "paused"
    back = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.text)[:5])
    german = site.client.get(path).text
    assert "Was Sie bekommen" in german
    assert format_date(until, "d. MMMM y", "de") in german
    site.client.post(path, data=back)
    person = site.workspace.audience.show(ADA)["person"]
    assert (person["lens"], person["frequency"], person["paused_until"]) == ("", "", None)


@pytest.mark.parametrize(
    "choices",
    [
        {"lens": "procurement"},
        {"language": "xx"},
        *({"paused_until": day} for day in ("soon", "0001-01-01", "2001-01-01", "9999-12-31")),
    ],
)
def test_what_nobody_could_have_chosen_changes_nothing(site: Site, choices: dict[str, str]) -> None:
    path = site.path(site.joined(), "p")
    before = site.workspace.audience.show(ADA)["person"]
    answer = site.client.post(path, data={"form": "choices", **choices})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert site.workspace.audience.show(ADA)["person"] == before


def test_a_new_address_is_confirmed_there_before_anything_changes(site: Site) -> None:
    path = site.path(site.joined(), "p")
    site.client.post(path, data={"form": "address", "email": "new@example.com"})
    (mail,) = site.mails()
    assert mail["To"] == "new@example.com"
    person = site.workspace.audience.show(ADA)["person"]["id"]
    site.client.post(site.path(mail, "confirm"))
    assert site.workspace.audience.show("new@example.com")["person"]["id"] == person
    assert site.status() == "pending"  # the old address stands for nobody, until it is forgotten
    return_path = mail["List-Unsubscribe"].partition("/u/")[2].partition(">")[0]
    site.mails()
    site.client.post(f"/u/{return_path}")  # by the mail that asked, which is theirs now
    site.workspace.load_events()
    assert site.status("new@example.com") == "unsubscribed"


def test_the_old_address_is_told_and_can_take_a_change_back(site: Site) -> None:
    path = site.path(site.joined(), "p")
    site.client.post(path, data={"form": "address", "email": "thief@example.com"})
    (asks,) = site.mails()
    site.client.post(site.path(asks, "confirm"))
    (told,) = site.mails()
    assert told["To"] == ADA
    assert told["Subject"] == "Signal Brief goes to another address now"
    back = site.path(told, "confirm")
    assert "Take the change back" in site.client.get(back).text
    assert site.status("thief@example.com") == "subscribed"
    assert "taken back" in site.client.post(back).text
    assert site.status() == "subscribed"
    with pytest.raises(NotFoundError):
        site.workspace.audience.show("thief@example.com")
    assert site.mails() == []  # no new round
    assert site.client.get(site.path(asks, "confirm")).status_code == 410


def test_who_moves_to_an_address_that_left_or_was_kept_out_gets_mail_there(site: Site) -> None:
    left = site.path(site.joined("new@example.com"), "p")
    site.client.post(left.replace("/p/", "/u/"))
    site.workspace.load_events()
    site.workspace.audience.suppress("new@example.com", reason="manual")
    path = site.path(site.joined(), "p")
    site.client.post(path, data={"form": "address", "email": "new@example.com"})
    (mail,) = site.mails()
    site.client.post(site.path(mail, "confirm"))
    shown = site.workspace.audience.show("new@example.com")
    assert shown["not_mailed"] is None
    said = [(one["given"], one["method"]) for one in shown["consents"]]
    assert (False, "mail") in said  # that the address left once can still be proven


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/x-www-form-urlencoded", 400),
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded", 400),
        (b"form=choices&lens=%ff", "application/x-www-form-urlencoded", 400),
        (b"form=choices&x=" + b"x" * 11_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415),
    ],
)
def test_what_is_no_form_of_ours_takes_nothing_away(
    site: Site, content: bytes, kind: str, status: int
) -> None:
    path = site.path(site.joined(), "p")
    site.client.post(path, data={"form": "choices", "lens": "security", "frequency": "monthly"})
    before = site.workspace.audience.show(ADA)["person"]
    answer = site.client.post(path, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert site.workspace.audience.show(ADA)["person"] == before


def test_an_undo_brings_all_topics_back(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_AUDIENCE__TOPICS", '{"ai": "AI", "law": "Law"}')
    with Workspace(workspace_dir, actor="tester") as workspace:
        site = Site(workspace, TestClient(public_app(workspace)))
        path = site.path(site.joined(), "p")
        answer = site.client.post(path, data={"form": "choices", "topic": "ai"})
        assert workspace.audience.show(ADA)["person"]["topics"] == ["ai"]
        fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.text)[:-2]
        site.client.post(path, content=urlencode(fields), headers=FORM)
        assert workspace.audience.show(ADA)["person"]["topics"] is None


def test_who_left_is_told_so_and_can_choose_nothing(site: Site) -> None:
    path = site.path(site.joined(), "p")
    site.workspace.audience.unsubscribe(ADA)
    assert "gets no issue of" in site.client.get(path).text
    site.client.post(path, data={"form": "choices", "lens": "security"})
    site.client.post(path, data={"form": "address", "email": "new@example.com"})
    assert site.mails() == []
    assert site.workspace.audience.show(ADA)["person"]["lens"] == ""
    leave = path.replace("/p/", "/u/")
    page = site.client.get(leave).text
    assert "You are unsubscribed already" in page
    assert "undo" not in page  # it was not by this mail


def test_a_lens_is_shown_in_the_readers_language(site: Site) -> None:
    workspace = site.workspace
    workspace.import_people(workspace.root / "subscribers" / "people.csv")
    workspace.approve("2026-W48", plan=workspace.plan("2026-W48").hash)
    path = site.path(site.joined(), "p")
    workspace.start("2026-W48")
    site.client.post(path, data={"form": "choices", "language": "de"})
    page = site.client.get(f"{path}/security").text
    assert "Ihre Ausgabe für" in page
    assert "es für jemanden im Verteiler bestimmt war" in page


def test_an_address_of_another_subscriber_is_not_taken_over(site: Site) -> None:
    path = site.path(site.joined(), "p")
    site.joined("bo@example.com")
    site.client.post(path, data={"form": "address", "email": "bo@example.com"})
    assert site.mails() == []
    assert site.status() == "subscribed"


def test_why_somebody_left_is_kept_beside_it(site: Site) -> None:
    path = site.path(site.joined(), "p").replace("/p/", "/u/")
    assert site.client.post(f"{path}?reason=1", data={"reason": "other"}).status_code == 404
    assert "Not you?" in site.client.get(path).text
    site.client.post(path)
    answer = site.client.post(f"{path}?reason=1", data={"reason": "other", "words": "moved <on>"})
    assert "Thank you for telling" in answer.text
    assert site.workspace.audience.show(ADA)["consents"][-1]["reason"] == "other: moved <on>"


def test_without_sign_up_there_is_no_form(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_SIGNUP__ENABLED", "false")
    with Workspace(workspace_dir) as workspace:
        client = TestClient(public_app(workspace))
        assert client.get("/subscribe").status_code == 404
        assert "/subscribe" not in client.get("/issues/").text


def test_an_old_link_uses_up_no_new_request(site: Site) -> None:
    site.ask()
    (first,) = site.mails()
    site.client.post(site.path(first, "confirm"))
    site.mails()
    site.workspace.audience.unsubscribe(ADA)
    site.ask()
    assert site.client.post(site.path(first, "confirm")).status_code == 410
    (again,) = site.mails()
    site.client.post(site.path(first, "confirm"))
    site.client.post(site.path(again, "confirm"))
    assert site.status() == "subscribed"


def test_who_refused_one_mail_and_confirmed_another_may_sign_up_later(site: Site) -> None:
    site.ask()
    (first,) = site.mails()
    site.ask()
    (second,) = site.mails()
    leave = first["List-Unsubscribe"].partition("/u/")[2].partition(">")[0]
    site.client.post(f"/u/{leave}")
    site.workspace.load_events()
    site.client.post(site.path(second, "confirm"))
    site.mails()
    site.workspace.audience.unsubscribe(ADA)
    site.ask()
    assert len(site.mails()) == 1


def test_a_mail_that_was_taken_back_is_not_taken_again_in_silence(site: Site) -> None:
    def move(path: str, to: str) -> EmailMessage:
        """Ask, and confirm at the new address; returns what the old one is told."""
        site.client.post(path, data={"form": "address", "email": to})
        (asks,) = site.mails()
        site.client.post(site.path(asks, "confirm"))
        (told,) = site.mails()
        return told

    path = site.path(site.joined(), "p")
    told_ada = move(path, "bo@example.com")
    told_bo = move(path, "cy@example.com")
    site.client.post(site.path(told_ada, "confirm"))  # Ada's is outdated: Bo's came after it
    assert site.status("cy@example.com") == "subscribed"
    site.client.post(site.path(told_bo, "confirm"))
    assert site.status("bo@example.com") == "subscribed"
    assert site.client.post(site.path(told_bo, "confirm")).status_code == 200  # and stays so
    assert site.status("bo@example.com") == "subscribed"


def test_several_presses_at_once_are_one(site: Site) -> None:
    site.ask()
    (mail,) = site.mails()
    path = site.path(mail, "confirm")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: site.client.post(path).status_code, range(4)))
    assert answers == [200] * 4
    assert len(site.workspace.audience.show(ADA)["consents"]) == 1
    assert len(site.mails()) == 1


def test_who_moved_is_erased_at_every_address(site: Site) -> None:
    path = site.path(site.joined(), "p")
    site.client.post(path, data={"form": "address", "email": "bo@example.com"})
    (asks,) = site.mails()
    site.client.post(site.path(asks, "confirm"))
    site.mails()
    site.client.post(path, data={"form": "address", "email": "stranger@example.com"})
    site.ask("stranger@example.com")  # by the stranger, too
    site.mails()
    site.workspace.delete_old(now=datetime.now(UTC))
    site.workspace.erase("bo@example.com")
    with site.workspace.database.read() as connection:
        people = set(connection.scalars(sa.select(subscriber.c.address_key)))
        asked = set(connection.scalars(sa.select(requests.c.address_key)))
    assert people == asked == {"stranger@example.com"}
    for file in site.outbox.glob("*.eml"):
        assert b"bo@example.com" not in file.read_bytes()
        assert b"To: ada@example.com" not in file.read_bytes()
    for address in (ADA, "bo@example.com"):
        with pytest.raises(RefusedError, match="erased"):
            site.workspace.audience.add(address, {}, source="x", consent_at=None)
