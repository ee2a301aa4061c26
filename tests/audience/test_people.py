"""Who may be mailed, and who is in which segments: one answer for planning, hand-out and counts."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.audience import (
    REASONS,
    add_memberships,
    find,
    log,
    reason_against,
    remove_members,
    segments_of,
    sendable_groups,
    set_status,
    why_not,
)
from newsletter.db import Database
from newsletter.db.schema import audit_log, subscriber
from newsletter.errors import InputError, NotFoundError
from tests.audience.people import NOW, add_person, segment, segments, suppress

EARLIER, LATER = NOW - timedelta(days=1), NOW + timedelta(days=1)


def reasons(database: Database, *, consent_required: bool = False) -> dict[str, str | None]:
    """The reason against each person at NOW, by the local part of the address."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(subscriber.c.address_key, why_not(now=NOW, consent_required=consent_required))
        )
        return {address.partition("@")[0]: reason for address, reason in rows}


@pytest.mark.parametrize(
    ("columns", "suppressed_until", "reason"),
    [
        ({}, None, None),
        ({"status": "unsubscribed"}, None, "unsubscribed"),
        ({"status": "pending"}, None, "pending"),
        ({}, "for ever", "suppressed"),
        ({}, LATER, "suppressed"),
        ({}, EARLIER, None),
        ({"paused_until": LATER}, None, "paused"),
        ({"paused_until": EARLIER}, None, None),
        ({"paused_until": NOW}, None, None),
        ({"address": ""}, None, "invalid"),
        ({"status": "unsubscribed", "paused_until": LATER, "address": ""}, "for ever",
         "unsubscribed"),
        ({"status": "pending", "paused_until": LATER}, "for ever", "pending"),
        ({"paused_until": LATER, "address": ""}, "for ever", "suppressed"),
        ({"paused_until": LATER, "address": ""}, None, "paused"),
    ],
)  # fmt: skip
def test_the_first_reason_that_holds_is_the_reason(
    database: Database, columns: dict[str, Any], suppressed_until: Any, reason: str | None
) -> None:
    add_person(database, "a@example.com", **columns)
    if suppressed_until:
        until = None if suppressed_until == "for ever" else suppressed_until
        suppress(database, "a@example.com", expires_at=until)
    assert reasons(database) == {"a": reason}
    assert reason is None or reason in REASONS


def test_consent_is_asked_for_only_where_it_is_required(database: Database) -> None:
    add_person(database, "with@example.com")
    add_person(database, "without@example.com", consent_at=None)
    add_person(database, "suppressed@example.com", consent_at=None)
    suppress(database, "suppressed@example.com")
    assert reasons(database) == {"with": None, "without": None, "suppressed": "suppressed"}
    assert reasons(database, consent_required=True) == {
        "with": None, "without": "no_consent", "suppressed": "suppressed",
    }  # fmt: skip


def test_one_person_is_judged_as_all_are(database: Database) -> None:
    free = add_person(database, "free@example.com")
    gone = add_person(database, "gone@example.com", status="unsubscribed")
    with database.read() as connection:
        assert reason_against(connection, free, consent_required=True) is None
        assert reason_against(connection, gone, consent_required=True) == "unsubscribed"


def test_a_person_is_found_by_any_spelling_of_the_address(database: Database) -> None:
    add_person(database, "Anna@example.com", name="Anna", fields={"role": "CTO"})
    with database.read() as connection:
        person = find(connection, "  ANNA@Example.Com ")
        assert (person.address, person.name, person.fields["role"]) == (
            "Anna@example.com", "Anna", "CTO",
        )  # fmt: skip
        with pytest.raises(NotFoundError, match=r"bob@example\.com is not among"):
            find(connection, "bob@example.com")
        with pytest.raises(InputError, match="no e-mail address"):
            find(connection, "nonsense")


def test_status_changes_touch_only_those_who_are_in_another_one(database: Database) -> None:
    ids = [
        add_person(database, f"{n}@example.com", status=s)
        for n, s in enumerate(["subscribed", "unsubscribed"])
    ]
    with database.write() as connection:
        set_status(connection, ids, "unsubscribed", now=LATER)
        rows = connection.execute(sa.select(subscriber).order_by(subscriber.c.id)).all()
    assert [row.status for row in rows] == ["unsubscribed", "unsubscribed"]
    assert [row.updated_at for row in rows] == [LATER, NOW]


def test_joining_twice_is_joining_once_and_leaving_counts_who_was_in(database: Database) -> None:
    ann, bob = (add_person(database, f"{name}@example.com") for name in ("ann", "bob"))
    with database.write() as connection:
        assert add_memberships(connection, [("board", ann), ("board", ann)]) == 1
        assert add_memberships(connection, [("board", ann), ("board", bob)]) == 1
        assert add_memberships(connection, []) == 0
        assert remove_members(connection, "board", [ann, 999]) == 1
        assert segments_of(connection, segments(segment("board")), ann) == ()
        assert segments_of(connection, segments(segment("board")), bob) == ("board",)


def test_who_is_erased_is_in_no_segment(database: Database) -> None:
    ann = add_person(database, "ann@example.com", segments=["board"])
    with database.write() as connection:
        connection.execute(subscriber.delete().where(subscriber.c.id == ann))
        assert remove_members(connection, "board", [ann]) == 0


def test_the_audit_log_keeps_who_did_what_and_why(database: Database) -> None:
    with database.write() as connection:
        log(connection, "desk", "suppress", "a@example.com", {"reason": "asked — “stop”"})
    with database.read() as connection:
        entry = connection.execute(sa.select(audit_log)).one()
    assert (entry.actor, entry.action, entry.subject) == ("desk", "suppress", "a@example.com")
    assert entry.detail == {"reason": "asked — “stop”"}


KNOWN = segments(
    segment("ctos", "role = 'CTO'", priority=10),
    segment("board", priority=20),
    segment("big", "seats > 10 or vip", priority=30),
    segment("others", "not (role = 'CTO' or seats > 10)", priority=40),
    segment("fans", priority=50),
)


def expected_segments(person: dict[str, Any]) -> tuple[str, ...]:
    """The same memberships in plain Python, with SQL's third truth value as None."""
    fields = person["fields"]
    role, seats, vip = (fields.get(name) for name in ("role", "seats", "vip"))
    is_cto = None if role is None else role == "CTO"
    is_big = None if seats is None else seats > 10
    either = True if is_cto or is_big else None if None in (is_cto, is_big) else False
    holds = {
        "ctos": is_cto,
        "board": "board" in person["segments"],
        "big": is_big or vip,
        "others": None if either is None else not either,
        "fans": "fans" in person["segments"],
    }
    return tuple(key for key in KNOWN.keys if holds[key])


def may_be_mailed(person: dict[str, Any], suppressed: bool, consent_required: bool) -> bool:
    return (
        person["status"] == "subscribed"
        and not suppressed
        and not (consent_required and person["consent_at"] is None)
        and (person["paused_until"] is None or person["paused_until"] <= NOW)
    )


anybody = st.fixed_dictionaries(
    {
        "fields": st.fixed_dictionaries(
            {},
            optional={
                "role": st.sampled_from(["CTO", "cto", "dev"]),
                "seats": st.sampled_from([-1.0, 10.0, 10.5, 99.0]),
                "vip": st.booleans(),
            },
        ),
        "segments": st.sets(st.sampled_from(["board", "fans", "gone"])),
        "status": st.sampled_from(["subscribed", "subscribed", "pending", "unsubscribed"]),
        "consent_at": st.sampled_from([None, NOW]),
        "paused_until": st.sampled_from([None, EARLIER, LATER]),
    }
)


@settings(max_examples=50)
@given(st.lists(st.tuples(anybody, st.booleans()), max_size=8), st.booleans())
def test_head_counts_are_those_of_plain_python(
    database: Database, people: list[tuple[dict[str, Any], bool]], consent_required: bool
) -> None:
    with database.write() as connection:  # one database for all examples: begin empty
        connection.execute(subscriber.delete())
        connection.execute(sa.text("DELETE FROM suppression"))
    expected: Counter[tuple[str, ...]] = Counter()
    for n, (person, suppressed) in enumerate(people):
        identity = add_person(database, f"p{n}@example.com", **person)
        if suppressed:
            suppress(database, f"p{n}@example.com")
        with database.read() as connection:
            assert segments_of(connection, KNOWN, identity) == expected_segments(person)
        if may_be_mailed(person, suppressed, consent_required):
            expected[expected_segments(person)] += 1
    with database.read() as connection:
        groups = sendable_groups(connection, KNOWN, now=NOW, consent_required=consent_required)
    assert {group.segments: group.people for group in groups} == expected
    assert len({group.segments for group in groups}) == len(groups)


def test_sixty_segments_are_told_apart_on_both_systems(database: Database) -> None:
    many = segments(*(segment(f"s{n:02}") for n in range(60)))
    ann = add_person(database, "ann@example.com", segments=["s00", "s59"])
    with database.read() as connection:
        assert segments_of(connection, many, ann) == ("s00", "s59")
        (group,) = sendable_groups(connection, many, now=NOW, consent_required=False)
    assert group.segments == ("s00", "s59")


def test_without_segments_everybody_is_in_one_group(database: Database, tmp_path: Path) -> None:
    add_person(database, "ann@example.com")
    with database.read() as connection:
        (group,) = sendable_groups(connection, segments(), now=NOW, consent_required=False)
    assert (group.segments, group.people) == ((), 1)
