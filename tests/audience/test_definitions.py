"""Segments are changed as an editor would: what was there stays, and nonsense is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.audience import load_segments
from newsletter.audience.definitions import Definitions
from newsletter.errors import NotFoundError, RefusedError
from tests.audience.people import FIELDS

FILE = """# Ours.

[[segment]]
key = "execs"  # whoever decides
name = "Execs"
priority = 10
rule = "level = 'senior'"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "subscribers").mkdir()
    (tmp_path / "subscribers" / "segments.toml").write_text(FILE)
    return tmp_path


def text(root: Path) -> str:
    return (root / "subscribers" / "segments.toml").read_text()


def test_a_new_segment_is_added_and_everything_else_stays(root: Path) -> None:
    made = Definitions(root, FIELDS).add(
        {"key": "fans", "name": "Fans", "rule": "vip", "choosable": True, "manual": None}
    )
    assert made.keys == ("execs", "fans")
    assert text(root).startswith(FILE)
    assert "\n\n[[segment]]\n" in text(root).removeprefix(FILE[:-1])
    assert load_segments(root, FIELDS).get("fans").choosable


def test_the_first_segment_needs_no_file(tmp_path: Path) -> None:
    assert Definitions(tmp_path, FIELDS).add({"key": "vips", "manual": True}).keys == ("vips",)


def test_a_segment_is_changed_where_it_stands(root: Path) -> None:
    Definitions(root, FIELDS).edit("execs", {"name": "Leaders", "manual": True})
    assert "# whoever decides" in text(root)
    changed = load_segments(root, FIELDS).get("execs")
    assert (changed.name, changed.manual, changed.priority) == ("Leaders", True, 10)
    Definitions(root, FIELDS).edit("execs", {"rule": "vip"})
    assert not load_segments(root, FIELDS).get("execs").manual


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("execs", {"manual": True}),
        ("Fans!", {"manual": True}),
        ("fans", {"rule": "nofield = 'x'"}),
        ("fans", {"rule": "segment('fans')"}),
        ("fans", {"name": "execs", "manual": True}),
    ],
)
def test_what_makes_no_sense_leaves_the_file_as_it_was(
    root: Path, key: str, values: dict[str, object]
) -> None:
    with pytest.raises(RefusedError) as caught:
        Definitions(root, FIELDS).add({"key": key, **values})
    assert caught.value.line is None  # it would be one of a file that is not there
    assert text(root) == FILE


def test_a_segment_is_taken_out_unless_another_asks_for_it(root: Path) -> None:
    definitions = Definitions(root, FIELDS)
    definitions.add({"key": "a", "rule": "segment('execs')"})
    with pytest.raises(RefusedError, match='no segment "execs"'):
        definitions.delete("execs")
    assert definitions.delete("a").keys == load_segments(root, FIELDS).keys
    assert text(root).strip() == FILE.strip()


def test_an_unknown_segment_is_named_with_the_closest(root: Path) -> None:
    with pytest.raises(NotFoundError, match='Did you mean "execs"'):
        Definitions(root, FIELDS).edit("exces", {"name": "x"})


def test_rules_that_ask_for_each_other_in_a_ring_are_refused(root: Path) -> None:
    definitions = Definitions(root, FIELDS)
    definitions.add({"key": "a", "rule": "segment('execs')"})
    definitions.add({"key": "b", "rule": "segment('a') and not segment('execs')"})
    with pytest.raises(RefusedError, match=r"ask for each other: a → b → a"):
        definitions.edit("a", {"rule": "segment('b')"})
