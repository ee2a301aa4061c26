"""segments.toml: read as a whole, every complaint at its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience import Segments, load_segments
from newsletter.audience.segments import MOST
from newsletter.briefs import Audiences
from newsletter.errors import ConfigError, NotFoundError
from tests.audience.people import FIELDS, segment, segments


def load(tmp_path: Path, text: str | bytes) -> Segments:
    (tmp_path / "subscribers").mkdir(exist_ok=True)
    raw = text if isinstance(text, bytes) else text.encode("utf-8")
    (tmp_path / "subscribers" / "segments.toml").write_bytes(raw)
    return load_segments(tmp_path, FIELDS)


GOOD = """\
[[segment]]
key = "board"
name = "Board"
aliases = ["Directors", "C-level"]
priority = 20
manual = true

[[segment]]
key = "cto"
name = "CTOs"
priority = 10
rule = "role = 'CTO'"
"""


def test_segments_are_in_order_of_priority(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert found.keys == ("cto", "board")
    assert [one.manual for one in found] == [False, True]
    assert found.get("board").aliases == ("Directors", "C-level")
    assert Audiences(found.names()).key("c level") == "board"


def test_equal_priorities_go_by_key() -> None:
    assert segments(segment("b"), segment("a"), segment("z", priority=1)).keys == ("z", "a", "b")


def test_a_publication_may_have_no_segments(tmp_path: Path) -> None:
    assert load_segments(tmp_path, FIELDS).keys == ()
    assert load(tmp_path, "# none yet\n").keys == ()


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[[segment]]\nkey = ", 2, "not valid TOML"),
        ("[segments]\n", None, "[[segment]]"),
        ("[segment]\nkey = 'a'\nmanual = true\n", None, "[[segment]]"),
        ("segment = ['a']\n", None, "[[segment]]"),
        ("[[segment]]\nname = 'A'\nmanual = true\n", 1, "key"),
        ("[[segment]]\nname = 'A'\nkey = 'Not A Key'\nmanual = true\n", 3, "hyphens"),
        ("[[segment]]\nkey = 5\nmanual = true\n", 2, "hyphens"),
        ("[[segment]]\nkey = 'all'\nmanual = true\n", 2, "reserved"),
        ("[[segment]]\nkey = 'a'\nname = ''\nmanual = true\n", 3, "name"),
        ("[[segment]]\nkey = 'a'\naliases = 'A'\nmanual = true\n", 3, "list of texts"),
        ("[[segment]]\nkey = 'a'\npriority = 'high'\nmanual = true\n", 3, "whole number"),
        ("[[segment]]\nkey = 'a'\npriority = true\nmanual = true\n", 3, "whole number"),
        ("[[segment]]\nkey = 'a'\nmanual = 'yes'\n", 3, "true or false"),
        ("[[segment]]\nkey = 'a'\nmanual = 1\n", 3, "true or false"),
        ("[[segment]]\nkey = 'a'\n", 1, "either"),
        ("[[segment]]\nkey = 'a'\nmanual = false\n", 1, "either"),
        ("[[segment]]\nkey = 'a'\nmanual = true\nrule = 'vip'\n", 4, "either"),
        ("[[segment]]\nkey = 'a'\nrule = 5\n", 3, "must be a text"),
        ("[[segment]]\nkey = 'a'\nruel = 'vip'\n", 3, 'Did you mean "rule"?'),
        (GOOD + "\n[[segment]]\nkey = 'x'\nrule = \"rolle = 'CTO'\"\n", 16, 'Did you mean "role"?'),
        (GOOD + "\n[[segment]]\nkey = 'x'\nrule = '''\nvip and\n'''\n", 16, "can't be read"),
        (GOOD + "\n[[segment]]\nkey = 'cto'\nmanual = true\n", 14, 'a second segment "cto"'),
        (GOOD + "\n[[segment]]\nkey = 'x'\nname = 'board'\nmanual = true\n", 14, "board and x"),
        (GOOD + "\n[[segment]]\nkey = 'x'\naliases = ['directors']\nmanual = true\n", 14, "two"),
        ("name = 'Gr\xf6\xdfe'\n".encode("latin-1"), None, "UTF-8"),
        ("".join(f"[[segment]]\nkey = 's{n}'\nmanual = true\n" for n in range(MOST + 1)), None,
         "60 is the most"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_line(
    tmp_path: Path, text: str | bytes, line: int | None, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert says in caught.value.message
    assert caught.value.file == str(Path("subscribers", "segments.toml"))
    assert caught.value.line == line


def test_sixty_segments_fit_into_a_membership_number() -> None:
    many = segments(*(segment(f"s{n:02}") for n in range(MOST)))
    assert many.from_bits(many.to_bits(many.keys)) == many.keys
    assert many.to_bits(many.keys) < 2**63


@given(st.sets(st.integers(0, MOST - 1)))
def test_a_membership_number_gives_back_its_segments(chosen: set[int]) -> None:
    many = segments(*(segment(f"s{n:02}") for n in range(MOST)))
    keys = tuple(many.keys[n] for n in sorted(chosen))
    assert many.from_bits(many.to_bits(keys)) == keys


def test_an_unknown_key_is_told_the_closest_or_all() -> None:
    known = segments(segment("ai-teams"), segment("board"))
    with pytest.raises(NotFoundError, match='Did you mean "ai-teams"'):
        known.get("ai-taems")
    with pytest.raises(NotFoundError, match="There are: ai-teams, board"):
        known.get("zzz")


def chain(number: int, rule: str) -> str:
    """Segments s0, s1 … of which each asks for the one before; `rule` has its key for {}."""
    first = "[[segment]]\nkey = 's0'\nrule = \"role = 'a' or role = 'b'\"\n"
    return first + "".join(
        f"[[segment]]\nkey = 's{n}'\nrule = \"{rule.format(f's{n - 1}')}\"\n"
        for n in range(1, number)
    )


def test_segments_that_ask_for_each_other_are_bounded(tmp_path: Path) -> None:
    load(tmp_path, chain(11, "segment('{0}')"))
    with pytest.raises(ConfigError, match="11 deep; 10 is the most"):
        load(tmp_path, chain(12, "segment('{0}')"))
    with pytest.raises(ConfigError, match="conditions; 1,000 is the most"):
        load(tmp_path, chain(10, "segment('{0}') or not segment('{0}')"))
