"""Briefs that are made to break the reading of them: refused with a place, or read in time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from newsletter.briefs import ParsedBrief, inline_tokens, read_brief
from newsletter.briefs.inline import LONGEST
from newsletter.errors import InputError
from tests.issues.workspace import AUDIENCES, VOCABULARY, brief_text

PATIENCE = 15.0  #: seconds; a second or two on a quiet machine

#: What is repeated until there are 200 kB.
PIECES = (
    "[", "![", "*", "*a ", "**", "_a ", "`a`b`c", "`", "<a", "<!--", "[a](", "[a](<", "[a ", "]", "](", "&",
    "&#", "\\", "http://", "https://a.example/ ", "- ", "# ", "## a {", "> ", "1. ", "a: ", "Execs: ",
    "by 3 May ", "(per ", "(per [a", "(via [a](b", '"', "'", "---\n", "\t", "\u00a0", "\u200b", "\u0301", "x",
    "Our Take: ", "**Our Take** ", "{for: ", "due ", "1/2/3 ",
)  # fmt: skip


def read(folder: Path, text: str | bytes) -> ParsedBrief:
    path = folder / "brief.md"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_brief(path, vocabulary=VOCABULARY, audiences=AUDIENCES)


def bulk(piece: str) -> str:
    return (piece * 200_000)[:200_000]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("place", ["a paragraph", "lines", "an action", "a heading", "all of it"])
def test_200_kb_of_anything_are_read_in_time(tmp_path: Path, piece: str, place: str) -> None:
    text = {
        "a paragraph": brief_text().replace("Lead.", bulk(piece)),
        "lines": brief_text().replace("Lead.", bulk(f"{piece}\n")),
        "an action": brief_text("A headline", f"Everyone: {bulk(piece)}."),
        "a heading": brief_text().replace("A headline", bulk(piece)),
        "all of it": bulk(piece),
    }[place]
    begun = time.monotonic()
    try:
        read(tmp_path, text)
    except InputError as error:
        assert "empty" in str(error) or "larger" in str(error)  # noqa: PT017
    assert time.monotonic() - begun < PATIENCE


@pytest.mark.parametrize(
    "front",
    [
        "slug: " + "[" * 50_000,
        "slug: " + "{a: " * 20_000,
        "- " * 50_000,
        "? " * 50_000,
        "a: &x [b]\nb: *x",
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]",
        "a: !!python/object/apply:os.system ['true']",
        "a: !!binary AAAA",
        "<<: {slug: x}",
        "slug: !!timestamp 2026-01-01",
        "a: |\n" + " x\n" * 30_000,
        "\n".join(f"k{n}: v" for n in range(10_000)),
        "tags: [" + ",".join("t" for _ in range(50_000)) + "]",
        "'" * 50_000,
        "%YAML 9.9",
        "a: \x85\u2028b",
    ],
)
def test_front_matter_that_is_made_to_break_is_told_or_read_in_time(
    tmp_path: Path, front: str
) -> None:
    begun = time.monotonic()
    parsed = read(tmp_path, f"---\n{front}\n---\n{brief_text()}")
    assert time.monotonic() - begun < PATIENCE
    assert all(finding.line for finding in parsed.findings)
    assert parsed.brief.headline


def test_yaml_that_is_too_deep_or_calls_python_is_an_error(tmp_path: Path) -> None:
    for front in ("slug: " + "[" * 50_000, "a: !!python/object/apply:os.system ['true']"):
        parsed = read(tmp_path, f"---\n{front}\n---\n{brief_text()}")
        assert "BR401" in {one.code for one in parsed.findings if one.severity == "error"}


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"x" * 250_001, "larger than 250 kB"),
        (b"# A\n\nx\x00y", "binary"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"# A\n\n\xc3(", "not UTF-8"),
        ("\u200b\ufeff".encode() * 3, ""),
    ],
)
def test_files_that_are_no_text_are_refused(tmp_path: Path, raw: bytes, says: str) -> None:
    if not says:
        assert read(tmp_path, raw).findings
        return
    with pytest.raises(InputError, match=says):
        read(tmp_path, raw)


def test_a_paragraph_that_nobody_wrote_is_text_and_a_long_one_is_markdown() -> None:
    text = "[a](https://x.example) "
    some = text * (LONGEST // len(text))
    assert any(token.type == "link_open" for token in inline_tokens(some))
    assert [token.type for token in inline_tokens(some + text * 2)] == ["text"]


def test_overrides_and_control_characters_are_no_part_of_a_brief(tmp_path: Path) -> None:
    odd = "a\u202eb\u2066c\x1b[31md\x07e\ufefff"
    brief = read(
        tmp_path, brief_text(odd, f"Execs: {odd}.").replace("Lead.", odd).replace("T.", odd)
    ).brief
    texts = [brief.headline, brief.take, brief.actions[0].text, *brief.body[0].paragraphs]
    assert len(texts) == 4
    for text in texts:
        assert not set(text) & set("\u202e\u2066\x1b\x07\ufeff")
        assert "abc" in text
