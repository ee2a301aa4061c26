"""Tables in files: every format, however it is written; and what is no table is refused unharmed."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience import tables as tables_module
from newsletter.audience.tables import (
    FORMATS,
    LONGEST_LINE,
    How,
    Table,
    harmless,
    open_table,
    original,
    table_writer,
)
from newsletter.errors import InputError

PEOPLE = [["email", "name"], ["ann@example.com", "Ann Ä"], ["bo@example.com", "Bö"]]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


_AS_FOUND = How()


def read(
    path: Path | None, how: How = _AS_FOUND, stdin: io.BytesIO | None = None
) -> tuple[list[list[str]], Table]:
    with open_table(path, stdin, how) as table:
        rows = [row for chunk in table.chunks() for row in chunk]
        assert not any(row.problem for row in rows)
        return [table.header, *(row.cells for row in rows)], table


def workbook(path: Path, rows: list[list[object]], *more: str) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for title in more:
        book.create_sheet(title).append(["email"])
    book.save(path)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_encoding_delimiter_and_line_ends_are_found_out(
    tmp_path: Path, encoding: str, delimiter: str, ends: str
) -> None:
    text = ends.join(delimiter.join(row) for row in PEOPLE) + ends
    path = written(tmp_path / "people.csv", text.encode(encoding))
    rows, table = read(path)
    assert rows == PEOPLE
    assert ("cp1252" in table.note) == (encoding == "cp1252")


def test_a_delimiter_between_quotes_is_none(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", b'"email, the address, please";name\na@example.com;x\n')
    assert read(path)[0][1] == ["a@example.com", "x"]


def test_what_is_found_out_can_be_said(tmp_path: Path) -> None:
    path = written(tmp_path / "p.dat", "email:name\nann@example.com:Ä\n".encode("cp1250"))
    how = How("csv", "cp1250", ":")
    assert read(path, how)[0] == [["email", "name"], ["ann@example.com", "Ä"]]
    with pytest.raises(InputError, match="no encoding"):
        open_table(path, how=How(encoding="klingon"))


def test_lines_of_json_name_their_columns_as_they_come(tmp_path: Path) -> None:
    lines = [
        '{"email": "a@example.com", "seats": 3, "vip": true, "likes": ["x", "y"], "none": null}',
        "",
        '{"email": "b@example.com", "seats": 2.5, "metadata": {"role": "cto"}}',
    ]
    path = written(tmp_path / "p.jsonl", "\n".join(lines).encode())
    rows, _ = read(path)
    assert rows[0] == ["email", "seats", "vip", "likes", "none", "metadata.role"]
    assert rows[1] == ["a@example.com", "3", "true", "x;y", ""]
    assert rows[2] == ["b@example.com", "2.5", "", "", "", "cto"]


@pytest.mark.parametrize("line", ["[1]", "{", "5", '{"email": ' + "[" * 5_000])
def test_a_line_that_is_no_json_object_is_one_bad_row(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "p.jsonl", f'{{"email": "a@example.com"}}\n{line}\n'.encode())
    with open_table(path) as table:
        ((first, second),) = table.chunks()
    assert not first.problem
    assert second.line == 2
    assert "no JSON" in second.problem


def test_a_workbook_is_read_as_it_is_shown(tmp_path: Path) -> None:
    import datetime as dt

    path = workbook(
        tmp_path / "people.xlsx",
        [
            ["email", "seats", "since", "vip", "at"],
            ["a@example.com", 3, dt.date(2026, 5, 3), True, dt.datetime(2026, 5, 3, 9)],
            [None, None, None, None, None],
            ["b@example.com", 2.5, None, False, None],
        ],
        "Old list",
    )
    rows, table = read(path)
    assert rows[1] == ["a@example.com", "3", "2026-05-03 00:00:00", "true", "2026-05-03 09:00:00"]
    assert rows[2] == ["b@example.com", "2.5", "", "false"]
    assert "1 more (--sheet NAME)" in table.note
    assert read(path, How(sheet="Old list"))[0] == [["email"]]
    with pytest.raises(InputError, match=r'no sheet "New".*Old list'):
        open_table(path, how=How(sheet="New"))


def test_standard_input_is_read_like_a_file() -> None:
    assert read(None, stdin=io.BytesIO(b"email\na@example.com\n"))[0] == [
        ["email"],
        ["a@example.com"],
    ]
    assert read(None, stdin=io.BytesIO(b'{"email": "a@example.com"}\n'))[1].format == "jsonl"


@pytest.mark.parametrize(
    ("content", "says", "line"),
    [
        (b"", "is empty", 1),
        (b"email\na\0@example.com\n", "NUL", 2),
        ("email\nä@example.com\n".encode() + b"\xe4@example.com\n", "not UTF-8", 3),
        (b"\xe4mail\n" + "ä@example.com\n".encode(), "two encodings", 2),
        (b"email\n" + b"x" * (LONGEST_LINE * 2), "a line of more than", 2),
        (b"email" + b",x" * 1_000, "names 1,001 columns", 1),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(
    tmp_path: Path, content: bytes, says: str, line: int
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        open_table(written(tmp_path / "p.csv", content))
    assert caught.value.line == line


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", b"email\na@example.com\n")
    with open_table(path) as table:
        list(table.chunks())
        table.refuse_changed()
        with path.open("ab") as file:
            file.write(b"b@example.com\n")
        with pytest.raises(InputError, match="was changed while it was read"):
            table.refuse_changed()


def _zip(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>"""


def test_a_workbook_of_a_billion_laughs_is_not_read(tmp_path: Path) -> None:
    good = workbook(tmp_path / "good.xlsx", [["email"], ["a@example.com"]])
    with zipfile.ZipFile(good) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name in ("xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"):
        if name not in parts:
            continue
        inner = parts[name].split(b"?>", 1)[-1].replace(b"a@example.com", b"&d;")
        bad = _zip(tmp_path / "bad.xlsx", {**parts, name: LAUGHS + inner})
        with pytest.raises(InputError, match="workbook"):
            read(bad)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    good = workbook(tmp_path / "good.xlsx", [["email"], ["a@example.com"]])
    with zipfile.ZipFile(good) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] += b" " * 50_000_000
    with pytest.raises(InputError, match=r"unpacks to 50,0.*times its size"):
        open_table(_zip(tmp_path / "bomb.xlsx", parts))


@pytest.mark.parametrize("content", [b"PK\x03\x04 and nothing else", b"email\n"])
def test_what_only_calls_itself_a_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="no workbook"):
        open_table(written(tmp_path / "people.xlsx", content))


cells = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])
    | st.sampled_from("=+-@',;\"\n\t|"),
    max_size=12,
)


@given(
    st.lists(st.tuples(cells, cells).map(list), min_size=1, max_size=6),
    st.sampled_from(FORMATS),
)
def test_what_was_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], kind: str
) -> None:
    path = tmp_path_factory.mktemp("t") / f"people.{kind}"
    # a workbook keeps no character that XML forbids, and none keeps blank rows
    rows = [
        [
            "x" + row[0].replace("\uffff", "").replace("\ufffe", ""),
            row[1].replace("\uffff", "").replace("\ufffe", ""),
        ]
        for row in rows
    ]
    with path.open("wb") as file:
        writer = table_writer(file, kind)  # type: ignore[arg-type]
        writer.write([["email", "name"], *rows])
        writer.close()
    with open_table(path) as table:
        found = [
            row.cells + [""] * (2 - len(row.cells)) for chunk in table.chunks() for row in chunk
        ]
    back = found if kind == "jsonl" else [[original(cell) for cell in row] for row in found]
    assert back == rows


@given(cells)
def test_no_cell_is_a_formula_and_each_finds_its_way_back(cell: str) -> None:
    safe = harmless(cell)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert original(safe) == cell
    assert original(cell) == cell or cell.startswith("'")


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    if not os.fork():
        with fifo.open("wb") as file:
            file.write(b"email\na@example.com\n")
        os._exit(0)
    assert read(fifo)[0] == [["email"], ["a@example.com"]]
    os.wait()


def test_a_workbook_is_read_to_its_end_whatever_it_says_of_its_size(tmp_path: Path) -> None:
    rows = [["email"], *([f"p{n}@example.com"] for n in range(50))]
    path = workbook(tmp_path / "people.xlsx", rows)
    sheet = "xl/worksheets/sheet1.xml"
    changed = tmp_path / "wrong.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == sheet:
                content = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', content)
                assert b'ref="A1"' in content
            new.writestr(name, content)
    assert len(read(changed)[0]) == 51


def test_a_workbook_with_a_row_at_the_end_of_the_world_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", [["email"], ["a@example.com"]])
    changed = tmp_path / "far.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            content = content.replace(b'<row r="2"', b'<row r="999999999"')
            new.writestr(name, content)
    with pytest.raises(InputError, match="more than"):
        read(changed)


def test_styles_that_would_fill_the_memory_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "people.xlsx", [["email"], ["a@example.com"]])
    monkeypatch.setattr(tables_module, "_MOST_OF_OTHERS", 100)
    with pytest.raises(InputError, match="unpacks to"):
        open_table(path)


def test_what_spreadsheets_and_programs_put_before_a_table(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("sep=;\nemail;name\na@example.com;Ada, Bo\n")
    assert read(path)[0] == [["email", "name"], ["a@example.com", "Ada, Bo"]]
    with open_table(path) as table:
        ((first,),) = table.chunks()
    assert first.line == 3


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("people.zip", b"PK\x03\x04 and so on", "is a zip; unpack it"),
        ("people.json", b'[{"email": "a@example.com"}]', "a JSON array; save it as JSON Lines"),
    ],
)
def test_what_is_nearly_a_table_is_refused_with_the_remedy(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        open_table(path)


@pytest.mark.parametrize("name", ["base64", "hex", "rot13", "undefined", "idna", "punycode", "x\0"])
def test_what_decodes_no_text_is_no_encoding(tmp_path: Path, name: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text("email\na@example.com\n")
    with pytest.raises(InputError, match="is no encoding"):
        open_table(path, how=How(encoding=name))


@pytest.mark.parametrize("damage", [b"deflate", b"encrypted"])
def test_a_damaged_workbook_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = workbook(tmp_path / "people.xlsx", [["email"], ["a@example.com"]])
    content = bytearray(path.read_bytes())
    if damage == b"encrypted":
        for at in [m.start() for m in re.finditer(b"PK\x03\x04", content)]:
            content[at + 6] |= 1
        for at in [m.start() for m in re.finditer(b"PK\x01\x02", content)]:
            content[at + 8] |= 1
    else:
        content[60:160] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(InputError, match="workbook"):
        open_table(path)


def test_half_letters_and_depths_are_no_end_of_a_file(tmp_path: Path) -> None:
    deep = '{"x": {"y": ' + "[" * 900 + "]" * 900 + "}}"
    path = tmp_path / "people.jsonl"
    path.write_text('{"email": "a@example.com", "name": "\\ud800x"}\n' + deep + "\n")
    with open_table(path) as table:
        ((first, _),) = table.chunks()
    assert first.cells[1] == "\ufffdx"
