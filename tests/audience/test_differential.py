"""Both databases find whom plain Python finds, whatever the rule and whoever the people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.audience import Asked, Rule, Segment, Segments, explain_rule, where
from newsletter.db import Database
from newsletter.db.schema import (
    delivery,
    edition_action,
    event,
    link,
    mailing,
    mailing_edition,
    membership,
    subscriber,
)
from tests.audience.people import FIELDS, NOW
from tests.audience.questions import (
    ACTIONS,
    QUESTIONS,
    SENT,
    URLS,
    Person,
    Question,
    issue_of,
    people,
)

KEYS = ("hand", "ruled", "lensed")
SEGMENTS = Segments(
    [
        Segment("hand", "By hand", (), 1, None, choosable=True),
        Segment("ruled", "By rule", (), 2, Rule("seats > 0", FIELDS)),
        Segment(
            "lensed",
            "A lens",
            (),
            3,
            Rule("segment('ruled') and vip", FIELDS, KEYS),
            choosable=True,
        ),
    ]
)


@pytest.fixture
def world(database: Database) -> Database:
    """Three issues, the last with two mailings, each with one edition of two links and actions."""
    with database.write() as connection:
        for n in range(1, 5):
            values = {
                "id": n, "kind": "missed" if n == 4 else "issue", "issue": issue_of(n),
                "state": "done", "transport": "outbox", "plan": "", "fingerprint": "",
                "segments": [], "candidates": 0, "created_at": NOW,
                "started_at": SENT[issue_of(n)],
            }  # fmt: skip
            connection.execute(mailing.insert(), values)
            connection.execute(
                mailing_edition.insert(),
                {"mailing": n, "n": 1, "edition": "e", "segments": [], "recipients": 1},
            )
        for n, (url, action) in enumerate(zip(URLS, ACTIONS, strict=True), 1):
            connection.execute(link.insert(), {"edition": "e", "n": n, "url": url})
            connection.execute(
                edition_action.insert(),
                {"edition": "e", "n": n, "action": action, "segments": [], "label": "",
                 "text": "", "brief": "", "headline": ""},
            )  # fmt: skip
    return database


@contextmanager
def living(database: Database, crowd: Sequence[Person]) -> Iterator[sa.Connection]:
    """The people, ids from 1, for as long as the context lasts."""
    with database.write() as connection, connection.begin_nested() as all_of_them:
        for number, person in enumerate(crowd, 1):
            _settle(connection, number, person)
        yield connection
        all_of_them.rollback()


def _settle(connection: sa.Connection, number: int, person: Person) -> None:
    address = f"p{number}@example.com"
    values: dict[str, Any] = {
        "id": number, "address": address, "address_key": address, "domain": "example.com",
        "name": person.name, "status": person.status, "fields": dict(person.fields),
        "consent_at": person.consented, "created_at": person.created, "updated_at": NOW,
        "topics": None if person.topics is None else list(person.topics), "lens": person.lens,
    }  # fmt: skip
    connection.execute(subscriber.insert(), values)
    if person.by_hand:
        connection.execute(
            membership.insert(), {"segment": "hand", "subscriber_id": number, "added_at": NOW}
        )
    for n in sorted(person.received):
        connection.execute(
            delivery.insert(),
            {"mailing": n, "n": number, "subscriber_id": number, "edition": 1, "segments": 0,
             "state": "accepted", "settled_at": SENT[issue_of(n)]},
        )  # fmt: skip
    for i, one in enumerate(person.events):
        connection.execute(
            event.insert(),
            {"mailing": one.mailing, "n": number * 100 + i, "delivery": number,
             "subscriber_id": number, "kind": one.kind, "ref": one.ref, "rule": "",
             "at": NOW - timedelta(days=one.days_ago), "verdict": one.verdict},
        )  # fmt: skip


@settings(max_examples=150)
@given(
    crowd=st.lists(people(), min_size=1, max_size=6),
    questions=st.lists(QUESTIONS, min_size=1, max_size=6),
)
def test_a_rule_finds_whom_plain_python_finds(
    world: Database, crowd: list[Person], questions: list[Question]
) -> None:
    with living(world, crowd) as connection:
        for question in questions:
            rule = Rule(question.text, FIELDS, KEYS)
            found = connection.scalars(
                sa.select(subscriber.c.id).where(where(rule, Asked(SEGMENTS, NOW)))
            )
            expected = [n for n, person in enumerate(crowd, 1) if question.answer(person) is True]
            assert sorted(found) == expected, question.text


@settings(max_examples=50)
@given(person=people(), questions=st.lists(QUESTIONS, min_size=1, max_size=6))
def test_what_is_explained_of_one_person_is_what_the_rule_says_of_all(
    world: Database, person: Person, questions: list[Question]
) -> None:
    with living(world, [person]) as connection:
        for question in questions:
            rule = Rule(question.text, FIELDS, KEYS)
            explained = explain_rule(connection, rule, Asked(SEGMENTS, NOW, person=1))
            assert explained.answer is question.answer(person), question.text
