"""What is no text is refused with the place and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.briefs import Vocabulary, read_brief, read_text
from newsletter.briefs.files import LARGEST
from newsletter.errors import InputError


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_text(path)
    assert str(path) in str(caught.value)
    return caught.value


def written(tmp_path: Path, raw: bytes) -> Path:
    path = tmp_path / "brief.txt"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    "raw",
    ["Größe".encode(), "\ufeffGröße".encode(), "Größe".encode("utf-16")],
)
def test_utf8_with_and_without_bom_and_utf16_with_one_are_read(tmp_path: Path, raw: bytes) -> None:
    assert read_text(written(tmp_path, raw)) == "Größe"


@pytest.mark.parametrize(
    ("raw", "says", "line"),
    [
        ("one\ntwo\nGröße".encode("latin-1"), "byte 0xf6", 3),
        (b"one\n\x89PNG\0\0", "binary", 2),
        (b"", "empty", 1),
        (b" \n\t\r\n", "empty", 1),
        (b"\xef\xbb\xbf", "empty", 1),
        (b"\xff\xfe\x00", "UTF-16", None),
        (b"\xff\xfe", "empty", 1),
        (b"x" * (LARGEST + 1), "larger than 250 kB", None),
    ],
    ids=["latin-1", "png", "empty", "blank", "only-bom", "half-utf-16", "empty-utf-16", "too-big"],
)
def test_what_is_no_text_is_refused_at_its_line(
    tmp_path: Path, raw: bytes, says: str, line: int | None
) -> None:
    error = refusal(written(tmp_path, raw))
    assert says in error.message
    assert error.line == line


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path).message
    assert "no such file" in refusal(tmp_path / "none.txt").message


def test_the_largest_brief_is_still_read(tmp_path: Path) -> None:
    assert len(read_text(written(tmp_path, b"x" * LARGEST))) == LARGEST


def test_a_brief_from_a_file_has_its_slug_and_its_findings_the_name_shown(tmp_path: Path) -> None:
    path = tmp_path / "Mein Brief № 1.txt"
    path.write_text("Our Take\nLead.\n", "utf-8")
    parsed = read_brief(path, vocabulary=Vocabulary(), shown_as="inbox/one.txt")
    assert parsed.brief.slug == "mein-brief-no-1"
    assert {finding.place.partition(":")[0] for finding in parsed.findings} == {"inbox/one.txt"}


def test_a_stem_without_latin_letters_still_gets_a_stable_slug(tmp_path: Path) -> None:
    slugs = set()
    for name in ("快讯.txt", "快讯.md", "新闻.txt"):
        (tmp_path / name).write_text("Head\nLead.\n", "utf-8")
        slugs.add(read_brief(tmp_path / name, vocabulary=Vocabulary()).brief.slug)
    assert len(slugs) == 2
    assert all(slug.startswith("brief-") for slug in slugs)
