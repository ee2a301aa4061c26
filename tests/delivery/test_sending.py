"""From a plan to the outbox: nobody lost, nobody twice, every recipient accounted for."""

from __future__ import annotations

import email
import email.policy
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import policy
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.audience import Choices
from newsletter.db.schema import delivery, lease, subscriber, suppression
from newsletter.delivery import Envelope, Letter, OutboxTransport
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.owners import host
from newsletter.delivery.transports.outbox import OutboxLane
from newsletter.editions import Skeleton
from newsletter.errors import NewsletterError, NotFoundError, RefusedError, TransportError
from newsletter.workspace import Workspace

ISSUE = "2026-W48"


@pytest.fixture
def workspace(
    workspace_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """The sample publication with its 500 people, once on each database."""
    monkeypatch.setenv("NEWSLETTER_DATABASE__URL", database_url)
    with Workspace(workspace_dir, actor="tester") as opened:
        opened.import_people(workspace_dir / "subscribers" / "people.csv")
        yield opened


@pytest.fixture
def local(workspace_dir: Path) -> Iterator[Workspace]:
    """The same on SQLite only."""
    with Workspace(workspace_dir, actor="tester") as opened:
        opened.import_people(workspace_dir / "subscribers" / "people.csv")
        yield opened


def send(workspace: Workspace) -> dict[str, int]:
    plan = workspace.plan(ISSUE)
    workspace.approve(ISSUE, plan=plan.hash)
    states: dict[str, int] = workspace.start(ISSUE)["states"]
    return states


def outbox(workspace: Workspace) -> list[Path]:
    return sorted((workspace.root / "var" / "outbox" / "new").glob("*.eml"))


def recipient(path: Path) -> str:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return str(message["To"].addresses[0].addr_spec)


def test_everybody_who_may_be_mailed_gets_one_mail_and_the_books_balance(
    workspace: Workspace,
) -> None:
    plan = workspace.plan(ISSUE)
    assert plan.candidates == 500 == plan.deliveries + sum(plan.excluded.values())
    assert plan.excluded == {"unsubscribed": 14}
    assert len(plan.editions) >= 16
    workspace.approve(ISSUE, plan=plan.hash)
    states = workspace.start(ISSUE)["states"]
    assert states["accepted"] == 486 == sum(states.values())
    books = workspace.audit(ISSUE)
    assert books["ok"]
    assert books["mailings"][0]["editions"].keys() == {line.edition for line in plan.editions}
    people = [recipient(path) for path in outbox(workspace)]
    assert len(people) == 486 == len(set(people))


def test_starting_again_sends_nothing_again(workspace: Workspace) -> None:
    first = send(workspace)
    written = {path: path.stat().st_mtime_ns for path in outbox(workspace)}
    assert workspace.start(ISSUE)["states"] == first
    assert {path: path.stat().st_mtime_ns for path in outbox(workspace)} == written


def test_every_mail_is_whole(local: Workspace) -> None:
    send(local)
    ids = set()
    for path in outbox(local):
        raw = path.read_bytes()
        assert b"\n" not in raw.replace(b"\r\n", b"")
        assert max(map(len, raw.split(b"\r\n"))) <= 200
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert not message.defects
        html = message.get_body(("html",)).get_content()  # type: ignore[attr-defined]
        text = message.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
        for part in (html, text):
            assert not re.search(r"@@[a-z2-7]{10}\.", part)
            assert "12 Harbour Street" in part
            assert "/u/" in part
            assert "/v/" in part
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        ids.add(message["Message-ID"])
    assert len(ids) == 486


def test_an_unapproved_plan_does_not_start(local: Workspace) -> None:
    with pytest.raises(NotFoundError, match="no plan yet"):
        local.start(ISSUE)
    local.plan(ISSUE)
    with pytest.raises(RefusedError, match="not approved"):
        local.start(ISSUE)
    assert not outbox(local)


def test_an_approval_holds_for_the_plan_that_was_looked_at(local: Workspace) -> None:
    seen = local.plan(ISSUE)
    path = local.root / "issues" / ISSUE / "issue.toml"
    path.write_text(path.read_text("utf-8").replace("Half-price", "Half price"), "utf-8")
    made_again = local.plan(ISSUE)
    assert made_again.hash != seen.hash
    with pytest.raises(RefusedError, match="made again since"):
        local.approve(ISSUE, plan=seen.hash)
    assert local.approve(ISSUE, plan=made_again.hash[:8]) == made_again.hash


def test_the_same_files_and_people_give_the_same_hash(local: Workspace) -> None:
    first = local.plan(ISSUE)
    again = local.plan(ISSUE)
    assert again.hash == first.hash
    assert again.mailing > first.mailing  # a number is never used twice: tokens name it


@pytest.mark.parametrize(
    "file",
    [
        "issues/2026-W48/briefs/northmere-outage.txt",
        "templates/issue.mjml.j2",
        "templates/theme.toml",
        "subscribers/segments.toml",
        "newsletter.toml",
    ],
)
def test_start_refuses_when_what_was_approved_has_changed(local: Workspace, file: str) -> None:
    plan = local.plan(ISSUE)
    local.approve(ISSUE, plan=plan.hash)
    path = local.root / file
    text = path.read_text("utf-8")
    changes = {
        "segments.toml": ("priority = 10", "priority = 11"),
        "newsletter.toml": ("Harbour Street", "Harbor Street"),
        "theme.toml": ("#", "# a comment\n#"),
        "issue.mjml.j2": ("</mjml>", "</mjml>\n"),
        "northmere-outage.txt": ("six hours", "6 hours"),
    }
    old, new = changes[path.name]
    changed = text.replace(old, new, 1)
    assert changed != text
    path.write_text(changed, "utf-8")
    later = Workspace(local.root)
    with later, pytest.raises(RefusedError, match="changed after it was planned"):
        later.start(ISSUE)
    assert not outbox(local)


def test_people_who_joined_meanwhile_never_make_start_refuse(local: Workspace) -> None:
    plan = local.plan(ISSUE)
    local.approve(ISSUE, plan=plan.hash)
    more = local.root / "more.csv"
    more.write_text("email,role\nnew@example.com,ml engineer\n", "utf-8")
    local.import_people(more)
    assert local.start(ISSUE)["states"]["accepted"] == 486
    # planned again, only the newcomer is left
    later = local.plan(ISSUE)
    assert later.deliveries == 1
    assert later.excluded["already_received"] == 486


def test_who_leaves_between_plan_and_hand_out_is_not_mailed(workspace: Workspace) -> None:
    plan = workspace.plan(ISSUE)
    workspace.approve(ISSUE, plan=plan.hash)
    now = datetime.now(UTC)
    with workspace.database.write() as connection:
        rows = connection.execute(
            sa.select(subscriber.c.id, subscriber.c.address_key)
            .where(subscriber.c.status == "subscribed")
            .order_by(subscriber.c.id)
            .limit(3)
        ).all()
        left, blocked, erased = rows
        connection.execute(
            subscriber.update().where(subscriber.c.id == left.id).values(status="unsubscribed")
        )
        connection.execute(
            suppression.insert(),
            {"address_key": blocked.address_key, "reason": "complaint", "created_at": now},
        )
        connection.execute(subscriber.delete().where(subscriber.c.id == erased.id))
    states = workspace.start(ISSUE)["states"]
    assert states["skipped"] == 3
    assert states["accepted"] == 483
    assert workspace.audit(ISSUE)["ok"]
    with workspace.database.read() as connection:
        reasons = set(
            connection.scalars(sa.select(delivery.c.reason).where(delivery.c.state == "skipped"))
        )
    assert reasons == {"unsubscribed", "suppressed", "erased"}
    mailed = {recipient(path) for path in outbox(workspace)}
    assert not mailed & {row.address_key for row in rows}


def test_an_issue_with_an_error_is_not_planned(local: Workspace) -> None:
    path = local.root / "issues" / ISSUE / "briefs" / "northmere-outage.txt"
    path.write_text(path.read_text("utf-8").replace("AI teams: list", "AI taems: list"), "utf-8")
    with pytest.raises(RefusedError, match=r"northmere-outage\.txt:\d+: .*Did you mean"):
        local.plan(ISSUE)
    with pytest.raises(NotFoundError):
        local.status(ISSUE)


def test_an_unwritable_outbox_is_refused_before_anything_is_handed_out(
    local: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = local.plan(ISSUE)
    local.approve(ISSUE, plan=plan.hash)
    blocked = local.root / "var" / "outbox"
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("a file, not a folder", "utf-8")
    with pytest.raises(TransportError, match="can't be written"):
        local.start(ISSUE)
    assert local.status(ISSUE)["states"]["planned"] == 486
    blocked.unlink()
    assert local.start(ISSUE)["states"]["accepted"] == 486


def test_an_outbox_that_fails_half_way_loses_nobody(
    local: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = local.plan(ISSUE)
    local.approve(ISSUE, plan=plan.hash)
    written = OutboxLane._write
    calls = 0

    def failing(self: OutboxLane, envelope: Envelope) -> object:
        nonlocal calls
        calls += 1
        if calls == 200:
            raise OSError(28, "No space left on device")
        return written(self, envelope)

    monkeypatch.setattr(OutboxLane, "_write", failing)
    with pytest.raises(TransportError, match="No space left"):
        local.start(ISSUE)
    states = local.status(ISSUE)["states"]
    assert states["handed"] == 0
    assert states["accepted"] == len(outbox(local))
    monkeypatch.undo()
    assert local.start(ISSUE)["states"]["accepted"] == 486
    people = [recipient(path) for path in outbox(local)]
    assert len(people) == 486 == len(set(people))


_KILLED = """
import os, signal, sys
from newsletter.delivery.transports.outbox import OutboxLane
from newsletter.workspace import Workspace
left = int(sys.argv[2])
written = OutboxLane._write
def killed(self, envelope):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return written(self, envelope)
OutboxLane._write = killed
with Workspace(sys.argv[1]) as workspace:
    workspace.start("2026-W48")
"""


@pytest.mark.parametrize("after", [1, 63, 65, 300])
def test_killed_at_any_moment_the_next_start_goes_on(local: Workspace, after: int) -> None:
    plan = local.plan(ISSUE)
    local.approve(ISSUE, plan=plan.hash)
    local.close()
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(local.root), str(after)],
        env={**os.environ},
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL
    states = local.start(ISSUE)["states"]
    assert states["accepted"] == 486
    assert local.audit(ISSUE)["ok"]
    people = [recipient(path) for path in outbox(local)]
    assert len(people) == 486 == len(set(people))


def test_two_starts_at_once_mail_nobody_twice(local: Workspace) -> None:
    plan = local.plan(ISSUE)
    local.approve(ISSUE, plan=plan.hash)
    local.close()
    command = [
        sys.executable,
        "-m",
        "newsletter",
        "--workspace",
        str(local.root),
        "send",
        "start",
        ISSUE,
    ]
    runs = [
        subprocess.Popen([*command, "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for run in runs:
        run.communicate(timeout=60)
    local.start(ISSUE)
    assert local.audit(ISSUE)["ok"]
    people = [recipient(path) for path in outbox(local)]
    assert len(people) == 486 == len(set(people))


def test_a_test_mail_is_whole_and_counts_nothing(local: Workspace) -> None:
    sent = local.send_test(ISSUE, "me@example.com", segments=["ai-teams"])
    message = email.message_from_bytes(sent.message(), policy=email.policy.default)
    assert message["To"].addresses[0].addr_spec == "me@example.com"
    assert "AI teams" in message.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
    with pytest.raises(NotFoundError):
        local.audit(ISSUE)
    with pytest.raises(NewsletterError, match="no e-mail address"):
        local.send_test(ISSUE, "nobody")
    with pytest.raises(NotFoundError, match="Did you mean"):
        local.send_test(ISSUE, "me@example.com", segments=["ai-team"])


def test_two_owners_are_never_handed_the_same_delivery(workspace: Workspace) -> None:
    workspace.plan(ISSUE)
    mailing = workspace.status(ISSUE)["mailing"]
    barrier = threading.Barrier(2)
    handed: dict[str, list[int]] = {"one": [], "two": []}

    def take(owner: str) -> None:
        ledger = Ledger(mailing, owner, workspace.database.engine.dialect, consent_required=False)
        barrier.wait(timeout=10)
        while True:
            with workspace.database.write() as connection:
                claims = ledger.claim(connection, after=0, only=None)
            if not claims:
                return
            for at in range(0, len(claims), 7):
                rows = [claim.n for claim in claims[at : at + 7]]
                with workspace.database.write() as connection:
                    got, _ = ledger.hand_out(connection, rows, datetime.now(UTC))
                handed[owner] += [recipient.n for recipient in got]

    threads = [threading.Thread(target=take, args=(owner,)) for owner in handed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    both = handed["one"] + handed["two"]
    assert len(both) == len(set(both)) == 486


def test_who_does_not_hold_the_claim_is_handed_nothing(workspace: Workspace) -> None:
    workspace.plan(ISSUE)
    mailing = workspace.status(ISSUE)["mailing"]
    mine = Ledger(mailing, "one", workspace.database.engine.dialect, consent_required=False)
    theirs = Ledger(mailing, "two", workspace.database.engine.dialect, consent_required=False)
    with workspace.database.write() as connection:
        rows = [claim.n for claim in mine.claim(connection, after=0, only=None)][:5]
    with workspace.database.write() as connection:
        assert theirs.hand_out(connection, rows, datetime.now(UTC)) == ([], {})
    with workspace.database.write() as connection:
        assert len(mine.hand_out(connection, rows, datetime.now(UTC))[0]) == 5
    with (
        workspace.database.write() as connection
    ):  # a second time there is nothing left to hand out
        assert mine.hand_out(connection, rows, datetime.now(UTC)) == ([], {})


_PARENT = f"{host()}:{os.getppid()}:"


@pytest.mark.parametrize(
    ("owner", "until", "refused"),
    [
        ("another-host/1:1:2:ab", timedelta(minutes=5), True),
        ("another-host/1:1:2:ab", timedelta(minutes=-1), False),
        (f"{_PARENT}:ab", timedelta(minutes=5), True),
        (f"{_PARENT}:ab", timedelta(minutes=-1), True),  # it lives: the clock is what is wrong
        (f"{_PARENT}1:ab", timedelta(minutes=5), False),  # the number was given again
        (f"{host()}:4194303::ab", timedelta(minutes=5), False),
    ],
)
def test_rows_of_an_owner_are_taken_over_only_when_it_is_dead(
    local: Workspace, owner: str, until: timedelta, refused: bool
) -> None:
    local.approve(ISSUE, plan=local.plan(ISSUE).hash)
    with local.database.write() as connection:
        mailing = connection.scalar(sa.select(delivery.c.mailing))
        connection.execute(
            delivery.update().where(delivery.c.n <= 5).values(state="handed", owner=owner)
        )
        connection.execute(
            lease.insert(),
            {"owner": owner, "mailing": mailing, "until": datetime.now(UTC) + until},
        )
    if refused:
        with pytest.raises(RefusedError, match="is being sent by process"):
            local.start(ISSUE)
        assert local.status(ISSUE)["states"]["handed"] == 5
    else:
        assert local.start(ISSUE)["states"]["accepted"] == 486


def test_the_editions_can_be_looked_at_before_anybody_is_there(workspace_dir: Path) -> None:
    with Workspace(workspace_dir) as empty:
        index, *files = empty.preview(ISSUE)
        assert len(files) == 2
        assert "General" in index.read_text("utf-8")
        plan = empty.plan(ISSUE)
        assert (plan.candidates, plan.deliveries) == (0, 0)


def test_one_address_beyond_us_does_not_stop_the_rest(local: Workspace) -> None:
    path = local.root / "more.csv"
    path.write_text(
        "email,consent_at\njörg@münchen.example,\nanna@münchen.example,\nz@example.com,9999-12-31T23:59:59Z\n",
        "utf-8",
    )
    assert local.import_people(path).rejected == 1
    states = send(local)
    assert states["accepted"] == 488  # the outbox takes other letters in local parts, too
    assert local.audit(ISSUE)["ok"]
    assert "anna@xn--mnchen-3ya.example" in {recipient(path) for path in outbox(local)}


def test_a_mail_that_somebody_has_read_is_not_sent_again(local: Workspace) -> None:
    transport = OutboxTransport(local.root / "var" / "outbox")
    transport.check()
    letter = Letter("e", "aaaaaaaaaa", "s", "", "", Skeleton.cut(b"x", "aaaaaaaaaa"))
    envelope = Envelope(1, 7, "b@example.com", "a@example.com", letter, {})
    assert [outcome.state for outcome in transport.lane().send([envelope])] == ["accepted"]
    new = transport.path / "new" / f"{envelope.name}.eml"
    new.rename(transport.path / "cur" / f"{new.name}:2,S")
    assert transport.took(1, 7)
    assert not transport.took(1, 8)


def test_line_breaks_in_settings_make_no_headers(local: Workspace) -> None:
    path = local.root / "issues" / ISSUE / "issue.toml"
    text = path.read_text("utf-8")
    broken = text.replace(
        'subject = "Half-price', 'subject = "Half-price\\nBcc: victim@example.org', 1
    )
    assert broken != text
    path.write_text(broken, "utf-8")
    sent = local.send_test(ISSUE, "me@example.com")
    message = email.message_from_bytes(sent.message(), policy=email.policy.default)
    assert message["Bcc"] is None
    assert "Bcc: victim" in str(message["Subject"])
    assert not message.defects


def test_what_belongs_to_people_is_readable_by_the_owner_alone(local: Workspace) -> None:
    bad = local.root / "bad.csv"
    bad.write_text("email\nnobody\n", "utf-8")
    local.import_people(bad)
    local.spool.next_number()
    send(local)
    for path in (local.root / "var").rglob("*"):
        if path.is_file() and "cache" not in path.parts:
            assert path.stat().st_mode & 0o077 == 0, path
    assert (local.root / "var").stat().st_mode & 0o077 == 0


def test_each_reader_gets_the_mails_words_in_their_language(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_PUBLICATION__LANGUAGES", '["de", "fr"]')
    people = {"de": "de", "de-AT": "de", "DE_ch": "de", "fr": "fr", "": "en", "ja": "en"}
    file = workspace_dir / "people.csv"
    rows = "".join(f"p{n}@example.com,{code}\n" for n, code in enumerate(people))
    file.write_text(f"email,language\n{rows}", "utf-8")
    says = {"de": "Sie bekommen", "fr": "Vous recevez", "en": "You get"}
    with Workspace(workspace_dir, actor="tester") as workspace:
        workspace.import_people(file)
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
        workspace.start(ISSUE)
        assert workspace.audit(ISSUE)["ok"]
    for path in (workspace_dir / "var" / "outbox" / "new").glob("*.eml"):
        mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        number = int(re.search(r"p(\d)@", mail["To"])[1])  # type: ignore[index]
        code = list(people.values())[number]
        assert mail["Content-Language"] == code
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert says[code] in text
        assert {"de": "eingetragen wurden", "fr": "ajoutée à la liste", "en": "added to the list"}[
            code
        ] in text


def test_who_chose_topics_gets_no_brief_about_others_alone(
    workspace_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_DATABASE__URL", database_url)
    monkeypatch.setenv("NEWSLETTER_AUDIENCE__TOPICS", '{"ai": "AI", "law": "Law", "food": "Food"}')
    for file in (workspace_dir / "issues" / ISSUE / "briefs").glob("*.md"):
        tags = {"quillon-price-cut": "[pricing, AI]", "cachewright-advisory": "[ai, law]"}
        text = re.sub(r"^tags:\n(- .*\n)+", "", file.read_text("utf-8"), flags=re.MULTILINE)
        if file.stem in tags:
            text = text.replace("---\n", f"---\ntags: {tags[file.stem]}\n", 1)
        file.write_text(text, "utf-8")
    chosen = {"all": None, "ai": ["ai"], "law": ["law"], "food": ["food"], "none": []}
    with Workspace(workspace_dir, actor="tester") as workspace:
        briefs = [brief.slug for brief in workspace.issue(ISSUE).briefs]
        assert workspace.issue(ISSUE).topics(["ai", "law", "food"]) == ("ai", "law")
        for name, topics in chosen.items():
            workspace.audience.add(
                f"{name}@example.com", {}, source="test", consent_at=datetime.now(UTC)
            )
            if topics is not None:
                choices = Choices(topics=tuple(topics))
                person = workspace.audience.show(f"{name}@example.com")["person"]["id"]
                workspace.audience.choose(person, choices)
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE).hash)
        workspace.start(ISSUE)
        assert workspace.audit(ISSUE)["ok"]
        explained = workspace.explain("food@example.com", ISSUE)
    missing = {}
    for path in (workspace_dir / "var" / "outbox" / "new").glob("*.eml"):
        mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
        shown = set(re.findall(r'data-brief="([^"]+)"', html))
        missing[mail["To"].partition("@")[0]] = {slug for slug in briefs if slug not in shown}
    both = {"quillon-price-cut", "cachewright-advisory"}
    assert missing == {
        "all": set(), "ai": set(), "law": {"quillon-price-cut"}, "food": both, "none": both,
    }  # fmt: skip
    because = {one["brief"]: one["because"] for one in explained.actions}
    assert because["quillon-price-cut"] == "the reader chose other topics than ai"


def test_who_would_get_no_brief_at_all_gets_no_mail(
    workspace_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_DATABASE__URL", database_url)
    monkeypatch.setenv("NEWSLETTER_AUDIENCE__TOPICS", '{"ai": "AI", "food": "Food"}')
    for file in (workspace_dir / "issues" / ISSUE / "briefs").glob("*.*"):
        text = re.sub(r"^tags:\n(- .*\n)+", "", file.read_text("utf-8"), flags=re.MULTILINE)
        if not text.startswith("---\n"):
            text = f"---\nslug: {file.stem}\n---\n{text}"
        file.unlink()
        text = text.replace("---\n", "---\ntags: [ai]\n", 1)
        file.with_suffix(".md").write_text(text, "utf-8")
    with Workspace(workspace_dir, actor="tester") as workspace:
        for name, topics in [("all", None), ("food", ("food",)), ("ai", ("ai",))]:
            email = f"{name}@example.com"
            workspace.audience.add(email, {}, source="test", consent_at=datetime.now(UTC))
            person = workspace.audience.show(email)["person"]["id"]
            workspace.audience.choose(person, Choices(topics=topics))
        plan = workspace.plan(ISSUE)
        assert (plan.deliveries, plan.excluded) == (2, {"no_brief": 1})
        workspace.approve(ISSUE, plan=plan.hash)
        workspace.start(ISSUE)
        assert workspace.audit(ISSUE)["ok"]
