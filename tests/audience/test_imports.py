"""An import brings in what is right, lists what is not, and never brings back who left."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.audience import (
    Importer,
    ImportOptions,
    ImportResult,
    Segments,
    open_table,
    segments_of,
    set_status,
)
from newsletter.audience import staging as staging_module
from newsletter.audience.columns import MOST_NOTICES
from newsletter.audience.erased import Erased, ErasedPeople
from newsletter.db import Database
from newsletter.db.schema import audit_log, consent, membership, subscriber, suppression
from newsletter.errors import InputError
from tests.audience.people import FIELDS, NOW, add_person, everybody, segment, segments, suppress

SEGMENTS = segments(
    segment("buyers", name="Procurement", aliases=["Buyers' club"], priority=10),
    segment("board", priority=20),
    segment("vips", "vip", priority=30),
)
SIX = ("added", "updated", "unchanged", "merged", "kept_out", "rejected")


class Desk:
    """A database and a folder to import from."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.rejects = folder / "var" / "rejects.csv"

    def bring(self, text: str | bytes, *, name: str = "people.csv", **options: Any) -> ImportResult:
        """Import a file of this content; its six counts always sum to its rows."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        with open_table(path) as table:
            result = Importer(self.database, SEGMENTS, FIELDS).run(
                table, self.rejects, source=f"import:{name}", **options
            )
        assert sum(getattr(result, count) for count in SIX) == result.rows
        return result

    def refused(self) -> list[tuple[str, str]]:
        """(line, reason) of each rejected row."""
        return [(row[0], row[1]) for row in self.refused_rows()]

    def refused_rows(self) -> list[list[str]]:
        """The rejects file without its first line."""
        with self.rejects.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["line", "reason", "row"]
        return rows

    def person(self, email: str) -> dict[str, Any]:
        (found,) = [one for one in everybody(self.database) if one["address_key"] == email]
        return found

    def segments_of(self, email: str, known: Segments = SEGMENTS) -> tuple[str, ...]:
        with self.database.read() as connection:
            (person,) = connection.scalars(
                sa.select(subscriber.c.id).where(subscriber.c.address_key == email)
            )
            return segments_of(connection, known, person)


def counts(result: ImportResult) -> dict[str, int]:
    """Those of the six that are not zero."""
    return {name: getattr(result, name) for name in SIX if getattr(result, name)}


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


@pytest.fixture
def sqlite_desk(sqlite: Database, tmp_path: Path) -> Desk:
    return Desk(sqlite, tmp_path)


def test_a_row_becomes_a_person_with_everything_the_file_says(desk: Desk) -> None:
    result = desk.bring(
        "Email,Name,Segments,Status,Consent_at,consent source,Language,role,seats,since,vip,level\n"
        "Zoë.K@Bücher.Example,  Zoë   King ,procurement;Board,active,2026-05-03T09:00:00+02:00,form,"
        "de,CTO,7,2026-01-02,yes,SENIOR\n"
    )
    assert counts(result) == {"added": 1}
    assert result.notices == []
    assert desk.person("zoë.k@xn--bcher-kva.example") == {
        "address": "Zoë.K@bücher.example",
        "address_key": "zoë.k@xn--bcher-kva.example",
        "domain": "xn--bcher-kva.example",
        "name": "Zoë King",
        "status": "subscribed",
        "language": "de",
        "fields": {
            "role": "CTO", "seats": 7.0, "since": "2026-01-02", "vip": True, "level": "senior",
        },
        "consent_at": NOW.replace(month=5, day=3, hour=7),
        "consent_source": "form",
        "paused_until": None,
    }  # fmt: skip
    assert desk.segments_of("zoë.k@xn--bcher-kva.example") == ("buyers", "board", "vips")


def test_without_consent_columns_the_file_is_the_source(desk: Desk) -> None:
    desk.bring("email\na@example.com\n", name="fair 2026.csv")
    person = desk.person("a@example.com")
    assert (person["status"], person["consent_at"]) == ("subscribed", None)
    assert person["consent_source"] == "import:fair 2026.csv"


def test_the_same_file_again_changes_nothing(desk: Desk) -> None:
    text = (
        "email,name,segments,seats,consent_at,status\n"
        "a@example.com,Ann,board,1.5,2026-01-01T00:00:00Z,subscribed\n"
        "b@example.com,,,,,unsubscribed\nA@Example.com,,procurement,,,\nbad,,,,,\n"
    )
    first = desk.bring(text)
    before = everybody(desk.database)
    again = desk.bring(text)
    assert counts(first) == {"added": 2, "merged": 1, "rejected": 1}
    assert counts(again) == {"unchanged": 2, "merged": 1, "rejected": 1}
    assert everybody(desk.database) == before


def test_a_changed_row_updates_and_an_empty_cell_takes_nothing_away(desk: Desk) -> None:
    desk.bring("email,name,role,seats\na@example.com,Ann,CTO,5\nb@example.com,Bob,,\n")
    result = desk.bring("email,name,role,seats\na@example.com,,CEO,\nb@example.com,,,\n")
    assert counts(result) == {"updated": 1, "unchanged": 1}
    assert desk.person("a@example.com")["fields"] == {"role": "CEO", "seats": 5.0}
    assert desk.person("a@example.com")["name"] == "Ann"


def test_joining_a_segment_is_an_update_and_leaving_the_cell_empty_no_leave(desk: Desk) -> None:
    desk.bring("email,segments\na@example.com,board\n")
    assert counts(desk.bring("email,segments\na@example.com,Buyers' club\n")) == {"updated": 1}
    assert counts(desk.bring("email,segments\na@example.com,\n")) == {"unchanged": 1}
    assert desk.segments_of("a@example.com") == ("buyers", "board")


@pytest.mark.parametrize("status", ["", "subscribed", "active", "pending"])
def test_who_left_is_not_brought_back(desk: Desk, status: str) -> None:
    person = add_person(desk.database, "gone@example.com", name="Gone")
    with desk.database.write() as connection:
        set_status(connection, [person], "unsubscribed", now=NOW)
    before = everybody(desk.database)
    result = desk.bring(f"email,name,status,segments\nGONE@example.com,New,{status},board\n")
    assert counts(result) == {"kept_out": 1}
    assert everybody(desk.database) == before
    assert desk.segments_of("gone@example.com") == ()


def test_who_is_suppressed_is_kept_out_known_or_not(desk: Desk) -> None:
    add_person(desk.database, "known@example.com", name="Known")
    for email in ("known@example.com", "new@example.com"):
        suppress(desk.database, email)
    before = everybody(desk.database)
    result = desk.bring("email,name\nknown@example.com,X\nNew@example.com,Y\n")
    assert counts(result) == {"kept_out": 2}
    assert everybody(desk.database) == before
    with desk.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(suppression)) == 2


def test_a_suppression_that_has_expired_keeps_nobody_out(desk: Desk) -> None:
    suppress(desk.database, "a@example.com", expires_at=NOW.replace(year=2001))
    suppress(desk.database, "b@example.com", expires_at=NOW.replace(year=2999))
    assert counts(desk.bring("email\na@example.com\nb@example.com\n")) == {
        "added": 1, "kept_out": 1,
    }  # fmt: skip


def test_a_file_can_unsubscribe_people(desk: Desk) -> None:
    add_person(desk.database, "a@example.com")
    result = desk.bring("email,status\na@example.com,unsubscribed\nb@example.com,Unsubscribed\n")
    assert counts(result) == {"updated": 1, "added": 1}
    assert {one["status"] for one in everybody(desk.database)} == {"unsubscribed"}


TWICE = (
    "email,name,segments,role,seats,status\n"
    "a@example.com,,board,CTO,,subscribed\n"
    "x@example.com,X,,,,\n"
    "A@EXAMPLE.com,Ann,procurement,CEO,3,\n"
    "y@example.com,Y,,,,\n"
    "z@example.com,Z,,,,\n"
    "a@Example.com,Later,,,4,{last}\n"
)


@pytest.mark.parametrize("chunk", [1, 2, 3, 5_000])
def test_rows_of_one_address_are_one_person_wherever_chunks_end(
    desk: Desk, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "CHUNK", chunk)
    text = TWICE.format(last="subscribed")
    assert counts(desk.bring(text)) == {"added": 4, "merged": 2}
    person = desk.person("a@example.com")
    assert (person["name"], person["fields"]) == ("Ann", {"role": "CTO", "seats": 3.0})
    assert desk.segments_of("a@example.com") == ("buyers", "board")
    before = everybody(desk.database)
    assert counts(desk.bring(text)) == {"unchanged": 4, "merged": 2}
    assert everybody(desk.database) == before


@pytest.mark.parametrize("chunk", [1, 3, 5_000])
@pytest.mark.parametrize("known", [False, True])
def test_a_wish_to_leave_holds_whichever_row_has_it(
    desk: Desk, chunk: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "CHUNK", chunk)
    if known:
        add_person(desk.database, "a@example.com")
    desk.bring(TWICE.format(last="unsubscribed"))
    assert desk.person("a@example.com")["status"] == "unsubscribed"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiter_bom_and_line_ends_vary(
    sqlite_desk: Desk, delimiter: str, start: str, newline: str
) -> None:
    rows = (("email", "name", "segments"), ("a@example.com", '"King, Ann"', '"board;procurement"'))
    text = newline.join(delimiter.join(row) for row in rows)
    assert counts(sqlite_desk.bring(start + text)) == {"added": 1}
    assert sqlite_desk.person("a@example.com")["name"] == "King, Ann"
    assert sqlite_desk.segments_of("a@example.com") == ("buyers", "board")


@pytest.mark.parametrize("name", ["E-Mail", "e-mail address", "EMAIL_ADDRESS", " Mail ", '"email"'])
def test_the_column_of_addresses_has_several_names(sqlite_desk: Desk, name: str) -> None:
    assert counts(sqlite_desk.bring(f"name,{name}\nAnn,a@example.com\n")) == {"added": 1}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("not-an-address,,,,,,,", "@-sign"),
        (",Ann,,,,,,", "empty"),
        ("a@example.com\x01,,,,,,,", "control character"),
        ("a@example.com," + "x" * 501 + ",,,,,,", "500 is the most"),
        ("a@example.com,,bord,,,,,", 'Did you mean "Board"?'),
        ("a@example.com,,,cancelled,,,,", "subscribed, pending, unsubscribed"),
        ("a@example.com,,,,yesterday,,,", "2026-05-03T09:00:00Z"),
        ("a@example.com,,,,0001-01-01T00:00:00+14:00,,,", "no time"),
        ("a@example.com,,,,,five,,", "no number"),
        ("a@example.com,,,,,nan,,", "no number"),
        ("a@example.com,,,,,-inf,,", "no number"),
        ("a@example.com,,,,,,2026-02-30,", "2026-11-24"),
        ("a@example.com,,,,,,,maybe", "neither yes nor no"),
        ("a@example.com,,,,,,,,,too many", "10 cells, the first line names 8"),
        ('a@example.com,"Ann" King,,,,,,', "quote"),
    ],
)
def test_a_bad_row_is_listed_with_line_and_reason_and_the_others_go_in(
    desk: Desk, row: str, says: str
) -> None:
    header = "email,name,segments,status,consent_at,seats,since,vip"
    result = desk.bring(f"{header}\ngood@example.com,,,,,,,\n\n{row}\nbetter@example.com,,,,,,,\n")
    assert counts(result) == {"added": 2, "rejected": 1}
    assert result.rejects_file == str(desk.rejects)
    ((line, reason),) = desk.refused()
    assert line == "4"
    assert says in reason


def test_an_unknown_choice_is_refused_with_the_closest(desk: Desk) -> None:
    desk.bring("email,level\na@example.com,Junoir\n")
    assert 'Did you mean "junior"?' in desk.refused()[0][1]


def test_without_bad_rows_there_is_no_file_of_them(desk: Desk) -> None:
    assert desk.bring("email\na@example.com\n").rejects_file is None
    assert not desk.rejects.exists()


def test_the_rejected_rows_can_be_mended_and_imported(desk: Desk) -> None:
    desk.bring('email,name\nbad address,"King, Ann"\n')
    assert desk.refused_rows()[0][2:] == ["bad address", "King, Ann"]


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("", "empty", 1),
        ("name,role\nAnn,CTO\n", 'no column "email"', 1),
        ("a@example.com\nb@example.com\n", 'no column "email"', 1),
        ("\nemail\na@example.com\n", "empty line", 1),
        ("   \n", "empty line", 1),
        (
            "email,name\na@example.com,Zoë\n".encode() + "b@example.com,Zoë\n".encode("cp1252"),
            "UTF-8",
            3,
        ),
        (
            "email,name\na@example.com,Zoë\n".encode("cp1252") + "b@example.com,Zoë\n".encode(),
            "two enc",
            3,
        ),
        (b"email\na@example.com\n\0\n", "NUL", 3),
        ('"email\na@example.com\n', "can't be read as CSV", 1),
        ("email," + "x" * 140_000 + "\n", "can't be read as CSV", 1),
    ],
    ids=[
        "empty",
        "no-email",
        "no-header",
        "blank-first",
        "blank",
        "mixed",
        "mixed-otherwise",
        "nul",
        "quote",
        "huge",
    ],
)
def test_what_is_no_csv_with_addresses_is_refused_and_changes_nothing(
    sqlite_desk: Desk, text: str | bytes, says: str, line: int
) -> None:
    with pytest.raises(InputError) as caught:
        sqlite_desk.bring(text)
    assert says in caught.value.message
    assert caught.value.line == line
    assert str(sqlite_desk.folder / "people.csv") in str(caught.value)
    assert everybody(sqlite_desk.database) == []
    with sqlite_desk.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit_log)) == 0


def test_a_missing_file_and_a_folder_are_refused(sqlite: Database, tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.csv", "no such file"), (tmp_path, "folder")):
        with pytest.raises(InputError, match=says):
            open_table(path)


@pytest.mark.parametrize("closes", ["", '"', '" x'])
def test_a_quote_that_is_not_closed_swallows_nobody_in_silence(desk: Desk, closes: str) -> None:
    result = desk.bring(
        f'email,name\na@example.com,Ann\nb@example.com,"Bob\nc@example.com,Cee{closes}\n'
    )
    assert counts(result) == {"added": 1, "rejected": 1}
    ((line, reason),) = desk.refused()
    assert line == "3"
    assert "quote" in reason
    assert "2" in reason or "4" in reason  # how far it reaches


def test_a_quoted_cell_may_run_over_lines_and_later_lines_are_counted_right(desk: Desk) -> None:
    result = desk.bring('email,name\na@example.com,"Ann\nKing"\nbad,x\n')
    assert counts(result) == {"added": 1, "rejected": 1}
    assert desk.person("a@example.com")["name"] == "Ann King"
    assert desk.refused()[0][0] == "4"


def test_many_columns_without_use_are_told_in_brief(sqlite_desk: Desk) -> None:
    header = ",".join(["email", *(f"column {n}" for n in range(900))])
    result = sqlite_desk.bring(f"{header}\na@example.com{',x' * 900}\n")
    assert counts(result) == {"added": 1}
    assert len(result.notices) == MOST_NOTICES + 1
    assert "880 more columns" in result.notices[-1]


def test_ten_thousand_columns_are_no_list_of_people(sqlite_desk: Desk) -> None:
    with pytest.raises(InputError, match="names 10,001 columns; 1,000 is the most"):
        sqlite_desk.bring("email" + ",x" * 10_000 + "\n")


def test_what_was_not_used_is_told_once_with_a_count(desk: Desk) -> None:
    result = desk.bring(
        "email,rolle,name,Name,segments\na@example.com,x,Ann,Other,vips\nb@example.com,,,,vips\n"
    )
    assert counts(result) == {"added": 2}
    assert [notice.partition(".")[0] for notice in result.notices[:2]] == [
        'column "rolle" is not used', 'column "Name" again is not used',
    ]  # fmt: skip
    assert 'Did you mean "role"?' in result.notices[0]
    assert result.notices[2].startswith('"vips" has a rule')
    assert result.notices[2].endswith("(2 rows)")
    assert desk.person("a@example.com")["name"] == "Ann"
    with desk.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(membership)) == 0


def test_cells_lose_what_can_not_be_seen(desk: Desk) -> None:
    desk.bring("email,name,role\na@example.com,An\u202en\x07 King,\tC  TO\n")
    person = desk.person("a@example.com")
    assert (person["name"], person["fields"]["role"]) == ("Ann King", "C TO")


def test_an_import_leaves_its_counts_in_the_audit_log(desk: Desk) -> None:
    desk.bring("email\na@example.com\nbad\n", name="list.csv")
    with desk.database.read() as connection:
        entry = connection.execute(sa.select(audit_log)).one()
    assert (entry.actor, entry.action, entry.subject) == ("import", "import", "list.csv")
    assert (entry.detail["rows"], entry.detail["added"]) == (2, 1)


def test_progress_tells_the_rows_read_so_far(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "CHUNK", 2)
    path = tmp_path / "people.csv"
    path.write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(5)), "utf-8")
    seen: list[tuple[int, int, str]] = []
    importer = Importer(sqlite, SEGMENTS, FIELDS, progress=lambda *told: seen.append(told))
    with open_table(path) as table:
        importer.run(table, tmp_path / "rejects.csv", source="import:people.csv")
    size = path.stat().st_size
    assert seen == [
        (size, size, "reading"),
        (2, 5, "storing"),
        (4, 5, "storing"),
        (5, 5, "storing"),
    ]


cells = st.sampled_from(
    ["", "a@example.com", "A@example.com", "b@example.com", "c@example.com", "no address", "board",
     "procurement; board", "nobody", "5", "x y", '"', 'a"b', "line\nbreak", "😀", "subscribed",
     "unsubscribed", "pending"]
)  # fmt: skip
columns = st.permutations(["email", "name", "segments", "seats", "status", "other"])


@settings(max_examples=60)
@given(columns, st.lists(st.lists(cells, max_size=7), max_size=12), st.sampled_from([1, 3, 5_000]))
def test_whatever_a_file_holds_the_counts_sum_and_a_second_run_adds_nobody(
    migrated_sqlite: Path,
    tmp_path_factory: pytest.TempPathFactory,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    chunk: int,
) -> None:
    folder = tmp_path_factory.mktemp("import")
    (folder / "newsletter.db").write_bytes(migrated_sqlite.read_bytes())
    database = Database("sqlite:///newsletter.db", folder)
    desk = Desk(database, folder)
    with (folder / "source.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    text = (folder / "source.csv").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging_module, "CHUNK", chunk)
        first = desk.bring(text)
        before = everybody(database)
        again = desk.bring(text)
    database.close()
    assert first.rows == sum(any(cell.strip() for cell in row) for row in rows)
    assert len(before) == first.added
    assert again.added == 0
    assert again.rejected == first.rejected
    assert [one["address_key"] for one in everybody(database)] == [
        one["address_key"] for one in before
    ]
    database.close()


# -- policies, dry runs, proofs, maps ---------------------------------------------------------------


def test_a_dry_run_counts_what_a_real_one_does_and_changes_nothing(desk: Desk) -> None:
    add_person(desk.database, "old@example.com", name="Old")
    add_person(desk.database, "same@example.com", name="Same")
    add_person(desk.database, "left@example.com", status="unsubscribed")
    suppress(desk.database, "out@example.com")
    text = (
        "email,name,segments\nnew@example.com,New,board\nold@example.com,Older,\nsame@example.com,Same,\n"
        "left@example.com,,\nout@example.com,,\nbad,,\nNEW@example.com,,\n"
    )
    before = everybody(desk.database)
    dry = desk.bring(text, dry=True)
    assert everybody(desk.database) == before
    assert not desk.rejects.exists()
    assert dry.first[0] == {"email": "new@example.com", "name": "New", "segments": "board"}
    with desk.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(membership)) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit_log)) == 0
    assert counts(desk.bring(text)) == counts(dry)
    assert counts(dry) == {
        "added": 1, "updated": 1, "unchanged": 1, "kept_out": 2, "rejected": 1, "merged": 1,
    }  # fmt: skip


def test_the_policy_add_leaves_who_is_here_as_they_are(desk: Desk) -> None:
    add_person(desk.database, "a@example.com", name="Ann", fields={"role": "CTO"})
    result = desk.bring(
        "email,name,role\na@example.com,Other,x\nb@example.com,Bo,y\n", policy="add"
    )
    assert counts(result) == {"unchanged": 1, "added": 1}
    assert desk.person("a@example.com")["name"] == "Ann"


def test_replaced_fields_are_emptied_by_empty_cells_and_others_stay(desk: Desk) -> None:
    fields = {"role": "CTO", "seats": 3.0, "vip": True}
    add_person(desk.database, "a@example.com", name="Ann", fields=fields)
    options = ImportOptions(replaces=True)
    text = "email,name,role,seats\na@example.com,,,5\nb@example.com,,,\n"
    result = desk.bring(text, policy="replace-fields", options=options)
    assert counts(result) == {"updated": 1, "added": 1}
    assert desk.person("a@example.com")["fields"] == {"seats": 5.0, "vip": True}
    assert desk.person("a@example.com")["name"] == "Ann"
    assert desk.person("b@example.com")["fields"] == {}
    again = desk.bring(text, policy="replace-fields", options=options)
    assert counts(again) == {"unchanged": 2}


@pytest.mark.parametrize(
    ("consent", "comes_back"),
    [
        ("2026-11-22T00:00:00Z,fair 2026", True),
        ("2026-11-22T00:00:00Z,", False),
        ("2026-11-19T00:00:00Z,fair 2026", False),
        (",fair 2026", False),
    ],
)
def test_who_left_comes_back_only_with_a_later_proof(
    desk: Desk, consent: str, comes_back: bool
) -> None:
    add_person(desk.database, "a@example.com", status="unsubscribed")
    suppress(desk.database, "b@example.com")
    result = desk.bring(
        f"email,consent_at,consent_source\na@example.com,{consent}\nb@example.com,{consent}\n"
    )
    if comes_back:
        assert counts(result) == {"updated": 1, "added": 1}
        assert desk.person("a@example.com")["status"] == "subscribed"
        assert desk.person("a@example.com")["consent_source"] == "fair 2026"
    else:
        assert counts(result) == {"kept_out": 2}


def test_who_comes_back_or_leaves_by_a_file_has_that_on_record(desk: Desk) -> None:
    ids = {
        email: add_person(desk.database, email, status=status)
        for email, status in [
            ("back@example.com", "unsubscribed"),
            ("off@example.com", "subscribed"),
            ("bounced@example.com", "subscribed"),
            ("here@example.com", "subscribed"),
        ]
    }
    result = desk.bring(
        "email,status,consent_at,consent_source,name\n"
        "back@example.com,,2026-11-22T00:00:00Z,fair 2026,\n"
        "off@example.com,unsubscribed,,,\n"
        "bounced@example.com,bounced,,,\n"
        "here@example.com,pending,,,New Name\n"
    )
    assert counts(result) == {"updated": 4}
    with desk.database.read() as connection:
        rows = connection.execute(sa.select(consent).order_by(consent.c.subscriber_id)).all()
    assert [(one.subscriber_id, one.given, one.method, one.source) for one in rows] == [
        (ids["back@example.com"], True, "import", "fair 2026"),
        (ids["off@example.com"], False, "import", "import:people.csv"),
        (ids["bounced@example.com"], False, "import", "import:people.csv"),
    ]
    assert rows[0].at == datetime(2026, 11, 22, tzinfo=UTC)
    assert desk.person("here@example.com")["status"] == "subscribed"


def test_who_came_in_by_another_way_meanwhile_stays_as_they_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "CHUNK", 1)
    monkeypatch.setattr(staging_module._PostgresqlStorage, "pieces", 1)
    path = desk.folder / "people.csv"
    path.write_text("email,name\na@example.com,A\nb@example.com,B\nc@example.com,C\n")

    def meanwhile(done: int, _total: int, doing: str) -> None:
        if doing == "storing" and done == 1:
            add_person(desk.database, "b@example.com", name="By form")

    with open_table(path) as table:
        result = Importer(desk.database, SEGMENTS, FIELDS, progress=meanwhile).run(
            table, desk.rejects, source="import:people.csv"
        )
    assert counts(result) == {"added": 2, "unchanged": 1}
    assert desk.person("b@example.com")["name"] == "By form"


def test_what_copying_takes_for_a_sign_comes_in_as_it_is(desk: Desk) -> None:
    names = [r"\N", r"\.", r"a\tb", 'quote " and \\" more', "NULL", r"ends in \ "]
    rows = "".join(
        f"p{n}@example.com,{csv_cell(name)},{csv_cell(name)}\n" for n, name in enumerate(names)
    )
    assert counts(desk.bring(f"email,name,role\n{rows}")) == {"added": len(names)}
    for n, name in enumerate(names):
        person = desk.person(f"p{n}@example.com")
        assert person["name"] == name.strip()
        assert person["fields"]["role"] == name.strip()


def csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def test_a_mailbox_that_bounced_is_not_there_whatever_anybody_proves(desk: Desk) -> None:
    with desk.database.write() as connection:
        values = {"address_key": "a@example.com", "reason": "bounce", "created_at": NOW}
        connection.execute(suppression.insert(), values)
    result = desk.bring(
        "email,consent_at,consent_source\na@example.com,2026-11-22T00:00:00Z,fair 2026\n"
    )
    assert counts(result) == {"kept_out": 1}


def test_who_was_erased_stays_out_until_they_agree_anew(desk: Desk) -> None:
    path = desk.folder / "people.csv"
    path.write_text(
        "email,consent_at,consent_source\na@example.com,,\nb@example.com,2026-11-22T00:00:00Z,fair\n"
    )
    erased = Erased(desk.folder / "secrets")
    erase_before(desk, erased, "a@example.com", "b@example.com")
    assert counts(bring_beside(desk, path, erased)) == {"kept_out": 1, "added": 1}
    assert [one["address_key"] for one in everybody(desk.database)] == ["b@example.com"]
    with desk.database.read() as connection:  # b is known again, and can leave and come back
        kept = connection.scalars(sa.select(suppression.c.address_key)).all()
    assert kept == [erased.hashed("a@example.com")]


def test_who_is_erased_while_a_file_is_read_is_not_brought_in_by_it(desk: Desk) -> None:
    path = desk.folder / "people.csv"
    path.write_text("email\na@example.com\nb@example.com\n")
    erased = Erased(desk.folder / "secrets")

    def meanwhile(_done: int, _total: int, doing: str) -> None:
        if doing == "reading":
            with desk.database.write() as connection:
                values = {"reason": "erased", "created_at": datetime.now(UTC)}
                digest = erased.hashed("b@example.com")
                connection.execute(suppression.insert(), {"address_key": digest, **values})

    result = bring_beside(desk, path, erased, progress=meanwhile)
    assert counts(result) == {"added": 1, "kept_out": 1}


def erase_before(desk: Desk, erased: Erased, *emails: str) -> None:
    with desk.database.write() as connection:
        for email in emails:
            values = {"reason": "erased", "created_at": NOW}
            connection.execute(
                suppression.insert(), {"address_key": erased.hashed(email), **values}
            )


def bring_beside(desk: Desk, path: Path, erased: Erased, **options: Any) -> ImportResult:
    """Import a file as the audience does, which knows who was erased."""
    with desk.database.read() as connection:
        known = ErasedPeople(erased, connection)
    with open_table(path) as table:
        importer = Importer(desk.database, SEGMENTS, FIELDS, erased=known, **options)
        return importer.run(table, desk.rejects, source="import:people.csv")


@pytest.mark.parametrize("rows", [["bounced", "unsubscribed"], ["unsubscribed", "bounced"]])
def test_of_several_rows_the_gravest_counts(desk: Desk, rows: list[str]) -> None:
    desk.bring("email,status\n" + "".join(f"a@example.com,{one}\n" for one in rows))
    assert suppressed(desk) == {"a@example.com": "bounce"}


def test_two_rows_make_no_proof_of_halves(desk: Desk) -> None:
    add_person(desk.database, "a@example.com", status="unsubscribed")
    result = desk.bring(
        "email,consent_at,consent_source\n"
        "a@example.com,2026-11-22T00:00:00Z,\na@example.com,,fair 2026\n"
    )
    assert counts(result) == {"kept_out": 1, "merged": 1}


def test_a_consent_that_is_to_come_is_none(desk: Desk) -> None:
    later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    result = desk.bring(f"email,consent_at,consent_source\na@example.com,{later},fair 2027\n")
    assert counts(result) == {"rejected": 1}


def test_a_file_keeps_out_whoever_was_kept_out_less(desk: Desk) -> None:
    suppress(desk.database, "gone@example.com", expires_at=NOW - timedelta(days=1))
    suppress(desk.database, "soon@example.com", expires_at=NOW + timedelta(days=9_000))
    suppress(desk.database, "left@example.com")
    rows = "".join(f"{one}@example.com,complained\n" for one in ("gone", "soon", "left"))
    desk.bring(f"email,status\n{rows}")
    with desk.database.read() as connection:
        kept = connection.execute(sa.select(suppression)).all()
    assert {(one.reason, one.expires_at) for one in kept} == {("complaint", None)}


def test_a_complaint_is_lifted_by_no_file(desk: Desk) -> None:
    desk.bring("email,status\na@example.com,complained\n")
    again = "email,consent_at,consent_source\na@example.com,2026-11-22T00:00:00Z,fair 2026\n"
    assert counts(desk.bring(again)) == {"kept_out": 1}


def test_the_policy_add_lifts_nothing_and_moves_nobody(desk: Desk) -> None:
    add_person(desk.database, "a@example.com")
    suppress(desk.database, "a@example.com")
    text = (
        "email,segments,consent_at,consent_source\n"
        "a@example.com,buyers,2026-11-22T00:00:00Z,fair\nb@example.com,buyers,,\n"
    )
    assert counts(desk.bring(text, policy="add")) == {"kept_out": 1, "added": 1}
    assert suppressed(desk) == {"a@example.com": "manual"}
    add_person(desk.database, "c@example.com")
    text = "email,segments\nc@example.com,buyers\n"
    assert counts(desk.bring(text, policy="add")) == {"unchanged": 1}
    assert desk.segments_of("c@example.com") == ()
    assert desk.segments_of("b@example.com") == ("buyers",)


def test_a_file_of_before_does_not_bring_back_who_left_by_another_file(desk: Desk) -> None:
    text = "email,consent_at,consent_source\na@example.com,2026-11-22T00:00:00Z,fair 2026\n"
    desk.bring(text)
    desk.bring("email,status\na@example.com,unsubscribed\n")
    assert counts(desk.bring(text)) == {"kept_out": 1}


@pytest.mark.parametrize("header", ["email,unsubscribed_at,status", "email,status,left_at"])
def test_who_has_a_day_of_leaving_has_left_wherever_the_column_stands(
    desk: Desk, header: str
) -> None:
    cells = {"email": "a@example.com", "status": "subscribed"}
    row = ",".join(cells.get(name, "2024-01-01") for name in header.split(","))
    desk.bring(f"{header}\n{row}\n")
    assert suppressed(desk) == {"a@example.com": "manual"}


def test_a_whole_name_beats_its_parts(desk: Desk) -> None:
    desk.bring(
        "email,name,last_name,first_name\na@example.com,Ada King,King,Ada\n"
        "b@example.com,,Lovelace,Ada\n"
    )
    assert desk.person("a@example.com")["name"] == "Ada King"
    assert desk.person("b@example.com")["name"] == "Ada Lovelace"


def test_lines_of_json_are_taken_as_they_are(desk: Desk) -> None:
    desk.bring('{"email": "a@example.com", "name": "\'=1+1"}\n', name="people.jsonl")
    assert desk.person("a@example.com")["name"] == "'=1+1"
    desk.bring("email,name\n'+b@example.com,'=1+1\n")
    assert desk.person("+b@example.com")["name"] == "=1+1"


def test_a_pause_comes_in(desk: Desk) -> None:
    text = "email,paused_until\na@example.com,2099-12-24\nb@example.com,soon\n"
    assert counts(desk.bring(text)) == {"added": 1, "rejected": 1}
    assert desk.person("a@example.com")["paused_until"] == datetime(2099, 12, 24, tzinfo=UTC)


def test_tags_make_segments_with_keys_that_can_be(desk: Desk) -> None:
    tags = ["All", "C++", "C#", "board.", "a" * 35 + " and more", "日本"]
    rows = "".join(f"p{n}@example.com,{tag}\n" for n, tag in enumerate(tags))
    made: dict[str, str] = {}
    result = desk.bring(
        f"email,tags\n{rows}no address,Lost\n",
        options=ImportOptions(creates_segments=True),
        make_segments=made.update,
    )
    assert counts(result) == {"added": len(tags), "rejected": 1}
    assert list(made.values()) == tags
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key) for key in made)
    assert not {"all", "board"} & made.keys()


def test_more_tags_than_segments_can_be_are_refused_before_anything_is_stored(desk: Desk) -> None:
    rows = "".join(f"p{n}@example.com,tag {n}\n" for n in range(70))
    for dry in (True, False):
        with pytest.raises(InputError, match=r"73 segments.*--no-create-segments"):
            desk.bring(f"email,tags\n{rows}", options=ImportOptions(creates_segments=True), dry=dry)
    assert everybody(desk.database) == []


def test_times_of_go_programs_are_understood(desk: Desk) -> None:
    times = [
        "2021-09-16 08:52:47.123456789 +0000 +0000",
        "2021-09-16 10:52:47.1 +0200 CEST",
        "2021-09-16 08:52:47 +0000 UTC",
    ]
    rows = "".join(f"p{n}@example.com,{one}\n" for n, one in enumerate(times))
    assert counts(desk.bring(f"email,consent_at\n{rows}")) == {"added": 3}
    for n in range(3):
        at = desk.person(f"p{n}@example.com")["consent_at"]
        assert at.replace(microsecond=0) == datetime(2021, 9, 16, 8, 52, 47, tzinfo=UTC)


def test_the_last_word_of_what_a_column_means_counts(desk: Desk) -> None:
    text = "email,Function\na@example.com,x\n"
    desk.bring(text, options=ImportOptions(map={"Function": "name"}))
    desk.bring(text, options=ImportOptions(map={"function": "role"}))
    assert desk.person("a@example.com")["fields"] == {"role": "x"}
    with pytest.raises(InputError, match=r'no column "Funktion"\. Did you mean "Function"'):
        desk.bring(text, options=ImportOptions(map={"Funktion": "name"}))


def test_pieces_touch_nobody_of_the_pieces_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "CHUNK", 3)
    monkeypatch.setattr(staging_module._PostgresqlStorage, "pieces", 1)
    for n in range(9):
        add_person(desk.database, f"p{n}@example.com")
    desk.bring("email,status\n" + "".join(f"p{n}@example.com,left\n" for n in range(9)))
    with desk.database.read() as connection:
        records = connection.scalars(sa.select(consent.c.subscriber_id)).all()
    assert len(records) == len(set(records)) == 9


@pytest.mark.parametrize("proof_first", [True, False])
def test_of_an_erased_persons_rows_one_proof_is_enough(desk: Desk, proof_first: bool) -> None:
    rows = ["a@example.com,2026-11-22T00:00:00Z,fair\n", "a@example.com,,\n"]
    path = desk.folder / "people.csv"
    path.write_text(
        "email,consent_at,consent_source\n" + "".join(rows if proof_first else rows[::-1])
    )
    erased = Erased(desk.folder / "secrets")
    erase_before(desk, erased, "a@example.com")
    assert counts(bring_beside(desk, path, erased)) == {"added": 1, "merged": 1}
    assert counts(bring_beside(desk, path, erased)) == {"unchanged": 1, "merged": 1}
    assert suppressed(desk) == {}


def test_a_file_confirms_for_nobody(desk: Desk) -> None:
    add_person(desk.database, "a@example.com", status="pending", consent_at=None, consent_source="")
    desk.bring("email,status,name\na@example.com,subscribed,Ann\n")
    assert desk.person("a@example.com")["status"] == "pending"
    desk.bring("email,consent_at,consent_source\na@example.com,2026-11-22T00:00:00Z,fair\n")
    assert desk.person("a@example.com")["status"] == "subscribed"


def test_two_columns_can_not_be_one_field(desk: Desk) -> None:
    with pytest.raises(InputError, match="another column is the role already"):
        desk.bring(
            "email,Job,Title\na@example.com,x,y\n",
            options=ImportOptions(map={"Job": "role", "Title": "role"}),
        )


def test_a_line_of_blanks_is_no_row_whatever_stands_around_it(desk: Desk) -> None:
    for text in ("email\na@example.com\n   \n", "email\na@example.com\n   \n\n"):
        assert desk.bring(text).rows == 1


def suppressed(desk: Desk) -> dict[str, str]:
    with desk.database.read() as connection:
        rows = connection.execute(sa.select(suppression.c.address_key, suppression.c.reason))
        return {one.address_key: one.reason for one in rows}


def test_a_map_names_columns_and_is_remembered_for_files_with_the_same_ones(desk: Desk) -> None:
    text = "Kontakt,Rolle,Notiz\na@example.com,CTO,x\n"
    options = ImportOptions(map={"Kontakt": "email", "Rolle": "role", "Notiz": "-"})
    first = desk.bring(text, options=options)
    assert first.columns == {"Kontakt": "email", "Rolle": "role", "Notiz": ""}
    assert first.notices == []
    second = desk.bring(text.replace("CTO", "CEO"))
    assert counts(second) == {"updated": 1}
    assert "as the last time: Kontakt=email" in second.notices[0]
    with pytest.raises(InputError, match='Did you mean "role"'):
        desk.bring(text, options=ImportOptions(map={"Rolle": "rolle"}))


def test_topics_frequency_and_lists_come_in(desk: Desk) -> None:
    desk.bring("email,likes,frequency\na@example.com,ai; law ;ai,monthly\nb@example.com,,daily\n")
    person = desk.person("a@example.com")
    assert person["fields"] == {"likes": ["ai", "law"]}
    assert 'frequency "daily" is not known' in desk.refused()[0][1]


def test_an_import_that_is_cut_off_goes_on_when_it_is_run_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "CHUNK", 1)
    monkeypatch.setattr(staging_module._PostgresqlStorage, "pieces", 1)
    path = desk.folder / "people.csv"
    path.write_text("email,name\n" + "".join(f"p{n}@example.com,P\n" for n in range(4)))

    class CutOffError(Exception):
        pass

    def cut(done: int, _total: int, doing: str) -> None:
        if doing == "storing" and done == 2:
            raise CutOffError

    with open_table(path) as table, pytest.raises(CutOffError):
        Importer(desk.database, SEGMENTS, FIELDS, progress=cut).run(
            table, desk.rejects, source="import:people.csv"
        )
    assert len(everybody(desk.database)) == 2
    assert counts(desk.bring(path.read_bytes())) == {"unchanged": 2, "added": 2}


def test_a_file_that_changes_meanwhile_changes_nothing(desk: Desk) -> None:
    path = desk.folder / "people.csv"
    path.write_text("email\na@example.com\n")
    with open_table(path) as table:
        with path.open("a") as file:
            file.write("b@example.com\n")
        with pytest.raises(InputError, match="was changed while it was read"):
            Importer(desk.database, SEGMENTS, FIELDS).run(
                table, desk.rejects, source="import:people.csv"
            )
    assert everybody(desk.database) == []
