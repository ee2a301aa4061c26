"""Exports of other systems: known by their columns, states kept, who left stays away.

The files beside this are of our own making, in the shape of each system's export.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.audience import Importer, ImportOptions, ImportResult, open_table
from newsletter.db import Database
from newsletter.db.schema import membership, subscriber, suppression
from newsletter.errors import InputError
from tests.audience.people import FIELDS, add_person, everybody, segment, segments

HERE = Path(__file__).parent / "exports"
SEGMENTS = segments(segment("board"))


def bring(
    database: Database, folder: Path, name: str, made: dict[str, str] | None = None, **options: Any
) -> ImportResult:
    importer = Importer(database, SEGMENTS, FIELDS)
    with open_table(HERE / name) as table:
        return importer.run(
            table,
            folder / "rejects.csv",
            source=f"import:{name}",
            options=ImportOptions(**options),
            make_segments=(made if made is not None else {}).update,
        )


def person(database: Database, email: str) -> dict[str, Any]:
    (found,) = [one for one in everybody(database) if one["address_key"] == email]
    return found


def kept_out(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return {row.address_key: row.reason for row in connection.execute(sa.select(suppression))}


def members(database: Database) -> set[tuple[str, str]]:
    with database.read() as connection:
        return {
            (row.address_key, row.segment)
            for row in connection.execute(
                sa.select(subscriber.c.address_key, membership.c.segment).join(
                    membership, membership.c.subscriber_id == subscriber.c.id
                )
            )
        }


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("mailchimp-subscribed.csv", "mailchimp"),
        ("mailchimp-unsubscribed.csv", "mailchimp"),
        ("mailchimp-cleaned.csv", "mailchimp"),
        ("substack.csv", "substack"),
        ("ghost.csv", "ghost"),
        ("listmonk.csv", "listmonk"),
        ("buttondown.csv", "buttondown"),
        ("beehiiv.csv", "beehiiv"),
    ],
)
def test_an_export_is_known_by_its_columns_and_a_second_run_changes_nothing(
    database: Database, tmp_path: Path, name: str, system: str
) -> None:
    first = bring(database, tmp_path, name)
    assert first.system == system
    assert first.rejected == 0
    assert [note for note in first.notices if "not used" in note] == []  # it is their file
    again = bring(database, tmp_path, name)
    assert (again.added, again.updated) == (0, 0)
    assert again.unchanged + again.kept_out == again.rows


def test_mailchimp(database: Database, tmp_path: Path) -> None:
    made: dict[str, str] = {}
    bring(database, tmp_path, "mailchimp-subscribed.csv", made)
    bring(database, tmp_path, "mailchimp-unsubscribed.csv", made)
    bring(database, tmp_path, "mailchimp-cleaned.csv", made)
    mara = person(database, "mara@mailchimp.example")
    assert (mara["name"], mara["status"]) == ("Mara Quill", "subscribed")
    assert mara["consent_at"] == datetime(2024, 3, 1, 8, 5, 11, tzinfo=UTC)
    assert made == {"beta-testers": "Beta testers"}
    assert members(database) == {
        (mara["address_key"], "board"),
        (mara["address_key"], "beta-testers"),
    }
    assert kept_out(database) == {
        "gone@mailchimp.example": "manual",
        "dead@mailchimp.example": "bounce",
    }
    assert {one["address_key"] for one in everybody(database)} == {
        "mara@mailchimp.example",
        "noor@mailchimp.example",
    }


def test_who_left_there_and_is_here_leaves_here(database: Database, tmp_path: Path) -> None:
    add_person(database, "gone@mailchimp.example")
    result = bring(database, tmp_path, "mailchimp-unsubscribed.csv")
    assert result.updated == 1
    assert person(database, "gone@mailchimp.example")["status"] == "unsubscribed"


def test_substack(database: Database, tmp_path: Path) -> None:
    result = bring(database, tmp_path, "substack.csv")
    assert (result.added, result.kept_out) == (1, 1)
    sue = person(database, "sue@substack.example")
    assert sue["consent_at"] == datetime(2023, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert kept_out(database) == {"sid@substack.example": "manual"}


def test_ghost(database: Database, tmp_path: Path) -> None:
    result = bring(database, tmp_path, "ghost.csv")
    assert (result.added, result.kept_out) == (1, 2)
    assert ("gil@ghost.example", "board") in members(database)
    assert set(kept_out(database)) == {"gus@ghost.example", "gem@ghost.example"}


def test_listmonk(database: Database, tmp_path: Path) -> None:
    result = bring(database, tmp_path, "listmonk.csv")
    assert (result.added, result.kept_out) == (1, 2)
    lea = person(database, "lea@listmonk.example")
    assert lea["fields"] == {"role": "CTO", "seats": 3.0, "likes": ["ai", "law"]}
    assert kept_out(database) == {
        "lou@listmonk.example": "complaint",
        "lin@listmonk.example": "manual",
    }


def test_buttondown(database: Database, tmp_path: Path) -> None:
    result = bring(database, tmp_path, "buttondown.csv")
    assert (result.added, result.kept_out) == (2, 2)
    assert person(database, "bea@buttondown.example")["fields"] == {"role": "ml engineer"}
    assert person(database, "bud@buttondown.example")["status"] == "pending"
    assert kept_out(database)["bit@buttondown.example"] == "bounce"


def test_beehiiv(database: Database, tmp_path: Path) -> None:
    result = bring(database, tmp_path, "beehiiv.csv")
    assert (result.added, result.kept_out) == (2, 2)
    assert person(database, "ivy@beehiiv.example")["consent_at"] == datetime(
        2024, 9, 10, 11, 12, 13, tzinfo=UTC
    )
    assert person(database, "ira@beehiiv.example")["status"] == "pending"


def test_a_system_can_be_named_and_must_fit(database: Database, tmp_path: Path) -> None:
    assert bring(database, tmp_path, "ghost.csv", system="ghost").system == "ghost"
    with pytest.raises(InputError, match="no export of mailchimp"):
        bring(database, tmp_path, "ghost.csv", system="mailchimp")
    with pytest.raises(InputError, match='Did you mean "mailchimp"'):
        bring(database, tmp_path, "ghost.csv", system="mailchmp")


def test_tags_make_no_segments_when_nobody_wants_that(database: Database, tmp_path: Path) -> None:
    result = bring(database, tmp_path, "ghost.csv", creates_segments=False)
    assert result.rejected == 0
    assert result.new_segments == {}
    assert [note for note in result.notices if "Beta testers" in note]
