"""What a person may ask for: all that is held on them, and to be forgotten in every file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.audience import Ask, Audience, ask, load_segments, parse_address, write_table
from newsletter.db.schema import (
    audit_log,
    consent,
    delivery,
    event,
    mailing,
    subscriber,
    suppression,
)
from newsletter.errors import InputError, NotFoundError, RefusedError
from newsletter.tracking import RawEvent
from newsletter.workspace import Workspace

ISSUE = "2026-W48"
WHO = "lovelace.xq@saltmarsh-studios.example"
PROOF = "on the phone, 24 November"


@pytest.fixture
def workspace(
    workspace_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    monkeypatch.setenv("NEWSLETTER_DATABASE__URL", database_url)
    with Workspace(workspace_dir, actor="desk") as one:
        yield one


def joined(workspace: Workspace, **values: str) -> None:
    workspace.audience.add(
        WHO, {"name": "Ada Xq", "role": "cto", **values}, source=PROOF, consent_at=datetime.now(UTC)
    )


def sent(workspace: Workspace) -> None:
    workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
    workspace.start(ISSUE)


def came_back(workspace: Workspace, kind: str, ref: int | None = None) -> None:
    with workspace.database.read() as connection:
        row = connection.execute(sa.select(delivery.c.mailing, delivery.c.n)).first()
        assert row
    event = RawEvent(
        n=workspace.spool.next_number(), mailing=row.mailing, delivery=row.n, kind=kind, ref=ref,
        at=datetime.now(UTC).timestamp(), method="GET", agent="Xqbrowser 1",
    )  # fmt: skip
    workspace.spool.put(event).result()
    workspace.load_events()


def log_of(workspace: Workspace) -> list[tuple[str, str, Any]]:
    with workspace.database.read() as connection:
        rows = connection.execute(sa.select(audit_log).order_by(audit_log.c.id))
        return [(row.actor, row.action, row.detail) for row in rows]


# -- by command --------------------------------------------------------------------------------------


def test_somebody_who_agreed_comes_in_with_the_proof(workspace: Workspace) -> None:
    joined(workspace, segments="procurement")
    shown = workspace.audience.show(WHO)
    assert shown["person"]["consent_source"] == PROOF
    assert shown["consents"][0]["method"] == "command"
    assert shown["segments_by_hand"] == ["procurement"]
    assert ("desk", "add", {"source": PROOF}) in log_of(workspace)
    with pytest.raises(RefusedError, match="already"):
        joined(workspace)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"rol": "x"}, 'Did you mean "role"'),
        ({"seniority": "boss"}, "none of junior"),
        ({"lens": "procurement"}, "not known"),
        ({"frequency": "daily"}, "fortnightly, monthly"),
        ({"paused_until": "soon"}, "2026-12-24"),
        ({"topics": "x"}, "not known"),
        ({"email": "no address"}, "no e-mail address"),
        ({"segments": "procurement"}, "segment add|remove"),
    ],
)
def test_a_value_that_is_none_is_refused_and_nothing_changes(
    workspace: Workspace, values: dict[str, str], says: str
) -> None:
    joined(workspace)
    before = workspace.audience.show(WHO)["person"]
    with pytest.raises(InputError, match=says.replace("|", r"\|")):
        workspace.audience.set(WHO, values)
    assert workspace.audience.show(WHO)["person"] == before


def test_what_is_known_is_changed_and_emptied(workspace: Workspace) -> None:
    joined(workspace)
    changed = workspace.audience.set(
        WHO,
        {"role": "", "country": "DE", "lens": "execs", "paused_until": "2027-01-01", "name": "A"},
    )
    assert sorted(changed) == ["country", "lens", "name", "paused_until", "role"]
    person = workspace.audience.show(WHO)["person"]
    assert person["fields"] == {"country": "DE"}
    assert person["paused_until"] == datetime(2026, 12, 31, 23, tzinfo=UTC)  # Berlin's midnight
    assert workspace.audience.set(WHO, {"country": "DE"}) == []
    assert workspace.audience.show(WHO)["not_mailed"] == "paused"


def test_a_lens_that_was_chosen_beats_the_rules(workspace: Workspace) -> None:
    joined(workspace, department="ai", seniority="c-level")
    assert [one["segment"] for one in workspace.audience.show(WHO)["segments"]] == [
        "execs",
        "ai-teams",
    ]
    workspace.audience.set(WHO, {"lens": "security"})
    shown = workspace.audience.show(WHO)["segments"]
    assert [(one["segment"], one["because"]) for one in shown] == [
        ("security", "chose the lens Security")
    ]


def test_leaving_and_coming_back_keep_their_proofs(workspace: Workspace) -> None:
    joined(workspace)
    assert workspace.audience.unsubscribe(WHO, reason="changed jobs")
    assert not workspace.audience.unsubscribe(WHO)
    assert workspace.audience.show(WHO)["not_mailed"] == "unsubscribed"
    assert workspace.audience.resubscribe(WHO, proof="ticket 7")
    consents = workspace.audience.show(WHO)["consents"]
    assert [(one["given"], one["source"], one["reason"]) for one in consents] == [
        (True, PROOF, ""), (False, "", "changed jobs"), (True, "ticket 7", ""),
    ]  # fmt: skip
    with pytest.raises(InputError, match="--proof"):
        workspace.audience.resubscribe(WHO, proof=" ")
    actions = [action for _, action, _ in log_of(workspace)]
    assert actions == ["add", "unsubscribe", "resubscribe"]


def test_who_is_kept_out_can_be_put_in_by_nobody_until_somebody_says_why(
    workspace: Workspace,
) -> None:
    assert workspace.audience.suppress(WHO, note="asked by phone")
    assert not workspace.audience.suppress(WHO)
    with pytest.raises(RefusedError, match="kept out"):
        joined(workspace)
    assert workspace.audience.unsuppress(WHO, reason="ticket 8") == "manual"
    joined(workspace)
    with pytest.raises(RefusedError, match="not on the suppression list"):
        workspace.audience.unsuppress(WHO, reason="x")


def test_a_complaint_is_not_softened_and_a_date_lets_somebody_back(workspace: Workspace) -> None:
    workspace.audience.suppress(WHO, reason="complaint")
    assert not workspace.audience.suppress(WHO, reason="manual", until="2099-01-01")
    (listed,) = workspace.audience.suppressions()
    assert (listed["reason"], listed["until"]) == ("complaint", "")
    other = "other@example.com"
    with pytest.raises(InputError, match="is past"):
        workspace.audience.suppress(other, until="2020-01-01")
    workspace.audience.suppress(other, until="2099-02-01", note="on leave")
    assert not workspace.audience.suppress(other, until="2099-01-01")
    listed = {one["email"]: one for one in workspace.audience.suppressions()}[other]
    assert (listed["until"], listed["note"]) == ("2099-02-01", "on leave")
    workspace.audience.suppress(other, reason="bounce")
    listed = {one["email"]: one for one in workspace.audience.suppressions()}[other]
    assert (listed["reason"], listed["until"]) == ("bounce", "")


def test_a_list_of_suppressions_goes_in_whole_or_not_at_all(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    path.write_text(
        "email,reason,note,until\na@example.com,bounce,x,\nb@example.com,,,2027-01-31\n"
    )
    assert workspace.audience.suppress_all(path) == 2
    path.write_text("email,reason\nc@example.com,bounce\nd@example.com,bored\n")
    with pytest.raises(InputError, match="bored") as caught:
        workspace.audience.suppress_all(path)
    assert caught.value.line == 3
    listed = {one["email"]: one["until"] for one in workspace.audience.suppressions()}
    assert listed == {"a@example.com": "", "b@example.com": "2027-01-31"}


def test_a_list_of_suppressions_goes_out_and_in_as_it_is(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.audience.suppress("a@example.com", until="2099-01-31", note="=1+1")
    before = workspace.audience.suppressions()
    for kind in ("csv", "xlsx", "jsonl"):
        path = tmp_path / f"out.{kind}"
        with path.open("wb") as file:
            write_table(file, kind, before)
        assert workspace.audience.suppress_all(path) == 0
    assert workspace.audience.suppressions() == before


# -- everything that is held ------------------------------------------------------------------------


def test_everything_that_is_held_is_shown_and_is_json(workspace: Workspace) -> None:
    joined(workspace)
    sent(workspace)
    came_back(workspace, "click", 1)
    shown = workspace.audience.show(WHO)
    (mail,) = shown["mails"]
    assert (mail["issue"], mail["state"]) == (ISSUE, "accepted")
    (back,) = mail["events"]
    assert (back["kind"], back["agent"]) == ("click", "Xqbrowser 1")
    assert back["of"].startswith("http")
    text = json.dumps(shown, default=str)
    assert "Ada Xq" in text
    with pytest.raises(NotFoundError):
        workspace.audience.show("nobody@example.com")


# -- to be forgotten --------------------------------------------------------------------------------


def files_that_name(root: Path, *words: bytes) -> list[str]:
    found = []
    for path in (root / "var").rglob("*"):
        if path.is_file() and not path.is_relative_to(root / "var" / "backups"):
            content = path.read_bytes().lower()
            found += [f"{path}: {word!r}" for word in words if word.lower() in content]
    return found


def test_nothing_of_an_erased_person_is_in_any_file(workspace: Workspace) -> None:
    bad = workspace.root / "bad.csv"
    bad.write_text(f"email,name,seniority\n{WHO},Ada Xq,boss\nother@example.com,Bo,boss\n")
    joined(workspace)
    workspace.audience.set(WHO, {"company": "Xqcorp"})
    workspace.audience.import_file(bad)
    sent(workspace)
    came_back(workspace, "click", 1)
    came_back(workspace, "unsubscribe")
    workspace.audience.suppress(WHO, note="Xq wrote to us")
    words = (WHO.encode(), b"lovelace.xq", b"Ada Xq", b"Xqcorp", b"Xqbrowser", b"Xq wrote")
    if workspace.database.sqlite:
        assert len(files_that_name(workspace.root, *words)) >= len(words)
    audit = workspace.audit(ISSUE)
    done = workspace.erase(WHO)
    assert (done.mails, done.rejects, done.deliveries) == (1, 1, 1)
    workspace.close()
    assert files_that_name(workspace.root, *words) == []
    assert "other@example.com" in next((workspace.root / "var/imports").iterdir()).read_text()
    assert workspace.audit(ISSUE) == audit  # the books still balance
    with workspace.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(subscriber)) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(consent)) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(event)) == 2
        (kept,) = connection.execute(sa.select(suppression)).all()
    assert kept.address_key.startswith("hmac:")
    assert kept.note == ""


def test_an_erased_person_stays_out_and_can_come_back_of_their_own_accord(
    workspace: Workspace, tmp_path: Path
) -> None:
    joined(workspace)
    workspace.erase(WHO)
    path = tmp_path / "people.csv"
    path.write_text(f"email\n{WHO.upper()}\n")
    assert workspace.import_people(path).kept_out == 1
    with pytest.raises(RefusedError, match="erased"):
        joined(workspace)
    assert workspace.audience.suppressions() == []
    assert workspace.audience.unsuppress(WHO, reason="signed up again") == "erased"
    joined(workspace)
    assert workspace.audience.show(WHO)["person"]["id"] != 1  # an old token is nobody's


def test_what_stands_elsewhere_of_an_erased_person_goes_too(
    workspace: Workspace, tmp_path: Path
) -> None:
    joined(workspace)
    workspace.send_test(ISSUE, WHO)
    workspace.plan(ISSUE, to=f"email = '{WHO}' or role = 'cto'")
    with (tmp_path / "out.csv").open("wb") as file:
        workspace.audience.export(file, "csv", rule=f"email = '{WHO}'")
    workspace.audience.suppress("stranger@example.com", note="asked for by " + WHO)
    path = workspace.root / "var" / "imports" / "people.rejects.csv"
    path.parent.mkdir()
    path.write_text(f'line,reason,row\n2,wrong,"{"x" * 200_000}"\n3,wrong,{WHO}\n')
    done = workspace.erase(WHO)
    assert (done.mails, done.rejects) == (1, 1)
    for file in (workspace.root / "var").rglob("*"):
        if file.is_file():
            assert WHO.encode() not in file.read_bytes().lower(), file
    with workspace.database.read() as connection:
        assert WHO not in str(connection.execute(sa.select(audit_log)).all())
        assert WHO not in str(connection.execute(sa.select(mailing)).all())


def test_an_address_that_is_only_kept_out_can_be_erased(workspace: Workspace) -> None:
    workspace.audience.suppress(WHO, note="a letter of theirs")
    workspace.erase(WHO)
    assert workspace.audience.suppressions() == []
    with pytest.raises(RefusedError, match="erased"):
        joined(workspace)
    workspace.audience.suppress(WHO)  # somebody writes it down again
    assert workspace.audience.unsuppress(WHO, reason="their own wish") == "erased"
    joined(workspace)


def test_an_erasure_that_was_cut_off_goes_on_when_it_is_run_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(workspace)
    sent(workspace)

    class CutOffError(Exception):
        pass

    def cut(*_: object) -> None:
        raise CutOffError

    with monkeypatch.context() as patched:
        patched.setattr(Audience, "erase", cut)
        with pytest.raises(CutOffError):
            workspace.erase(WHO)
    workspace.erase(WHO)
    with pytest.raises(NotFoundError):
        workspace.audience.show(WHO)


def test_who_moved_is_erased_under_the_old_address_too(workspace: Workspace) -> None:
    joined(workspace)
    person = workspace.audience.show(WHO)["person"]["id"]
    old = "old.xq@saltmarsh-studios.example"
    with workspace.database.write() as connection:
        ask(
            connection,
            Ask("address", parse_address(old), "moved", person=person),
            datetime.now(UTC),
        )
        values = {"status": "pending", "fields": {}, "created_at": datetime.now(UTC)}
        values |= {"address": old, "address_key": old, "domain": "saltmarsh-studios.example"}
        connection.execute(subscriber.insert(), {**values, "updated_at": datetime.now(UTC)})
    workspace.erase(WHO)
    with workspace.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(subscriber)) == 0


@pytest.mark.parametrize("text", ["x" * 501, "y\x01" * 600])
def test_what_is_typed_is_not_longer_than_an_import_takes(workspace: Workspace, text: str) -> None:
    joined(workspace)
    for change in (
        lambda: workspace.audience.set(WHO, {"role": text}),
        lambda: workspace.audience.resubscribe(WHO, proof=text),
        lambda: workspace.audience.suppress(WHO, note=text),
    ):
        with pytest.raises(InputError, match="500 is the most"):
            change()


def test_who_is_not_here_can_not_be_erased(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError):
        workspace.erase(WHO)
    assert not (workspace.root / "var" / "secrets" / "erased.list").exists()


def test_segments_of_the_sample_can_be_chosen(workspace: Workspace) -> None:
    segments = load_segments(workspace.root, workspace.settings.fields)
    assert [one.key for one in segments if one.choosable] == [
        "execs", "security", "ai-teams", "data-engineering", "product",
    ]  # fmt: skip
