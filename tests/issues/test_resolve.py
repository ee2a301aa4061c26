"""Who gets which action: true for every brief and every reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.briefs import Action, Brief, Section, action_id
from newsletter.issues import resolve

KEYS = ("a", "b", "c", "d", "e")  #: in order of priority

subsets = st.sets(st.sampled_from(KEYS)).map(lambda keys: tuple(sorted(keys)))
readers = st.sets(st.sampled_from(KEYS)).map(lambda keys: tuple(key for key in KEYS if key in keys))


@st.composite
def briefs(draw: st.DrawFn) -> Brief:
    """Briefs as the parser gives them: each segment has at most one action."""
    free = list(draw(st.permutations(KEYS)))
    actions: list[Action] = []
    for size in draw(st.lists(st.integers(1, 3), max_size=4)):
        keys = tuple(sorted(free[:size]))
        del free[:size]
        if keys:
            actions.append(Action(action_id("x", keys), keys, f"do {'+'.join(keys)}"))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(actions)))
        actions.insert(place, Action("x/all", (), "do"))
    sections = draw(
        st.lists(subsets.map(lambda keys: Section("H", ("T.",), segments=keys)), max_size=3)
    )
    return Brief("x", "H", actions=tuple(actions), body=tuple(sections), segments=draw(subsets))


policies = st.sampled_from(["first", "all"])


@given(briefs(), readers, policies)
def test_an_action_reaches_only_everybody_or_a_reader_of_one_of_its_segments(
    brief: Brief, reader: tuple[str, ...], policy: str
) -> None:
    found = resolve(brief, reader, policy=policy)
    for action in found.actions:
        assert not action.segments or set(action.segments) & set(reader)
        assert found.shown


@given(briefs(), readers, policies)
def test_the_trace_names_every_action_just_once_as_chosen_or_rejected(
    brief: Brief, reader: tuple[str, ...], policy: str
) -> None:
    found = resolve(brief, reader, policy=policy)
    named = [action.id for action in found.actions] + [one.action for one in found.rejected]
    assert sorted(named) == sorted(action.id for action in brief.actions)
    assert found.because
    assert all(one.why for one in found.rejected)


@given(briefs(), readers)
def test_the_segment_of_highest_priority_that_has_an_action_wins(
    brief: Brief, reader: tuple[str, ...]
) -> None:
    found = resolve(brief, reader, policy="first")
    if not found.shown:
        return
    having = [key for key in reader if any(key in action.segments for action in brief.actions)]
    general = [action for action in brief.actions if not action.segments]
    if having:
        (action,) = found.actions
        assert having[0] in action.segments
        assert (found.how, found.lens) == ("own", (having[0],))
    else:
        assert list(found.actions) == general
        assert found.how == ("general" if general else "none")
        assert found.lens == ()


@given(briefs(), readers)
def test_policy_all_gives_each_of_the_readers_actions_once_in_order_of_priority(
    brief: Brief, reader: tuple[str, ...]
) -> None:
    found = resolve(brief, reader, policy="all")
    if not found.shown:
        return
    own = [action for action in brief.actions if set(action.segments) & set(reader)]
    if own:
        first = [
            min(reader.index(k) for k in action.segments if k in reader) for action in found.actions
        ]
        assert first == sorted(first)
        assert sorted(action.id for action in found.actions) == sorted(action.id for action in own)
    else:
        assert all(not action.segments for action in found.actions)


@given(briefs(), readers, policies)
def test_a_limited_brief_or_section_is_seen_by_its_segments_only(
    brief: Brief, reader: tuple[str, ...], policy: str
) -> None:
    found = resolve(brief, reader, policy=policy)
    assert found.shown == (not brief.segments or bool(set(brief.segments) & set(reader)))
    seen = [
        section
        for section in brief.body
        if found.shown and (not section.segments or set(section.segments) & set(reader))
    ]
    assert list(found.sections) == seen


@given(briefs(), readers, policies)
def test_other_readers_and_names_change_nothing_but_the_words(
    brief: Brief, reader: tuple[str, ...], policy: str
) -> None:
    plain = resolve(brief, reader, policy=policy)
    named = resolve(brief, reader, policy=policy, names={key: f"The {key}s" for key in KEYS})
    assert (named.actions, named.how, named.lens) == (plain.actions, plain.how, plain.lens)


EXECS = Action("x/execs", ("execs",), "decide")
TEAMS = Action("x/ai-teams", ("ai-teams",), "test")
ALL = Action("x/all", (), "read")
NAMES = {"execs": "Execs", "ai-teams": "AI teams"}


@pytest.mark.parametrize(
    ("reader", "chosen", "because", "rejected"),
    [
        (("execs",), "x/execs", "the reader is in Execs",
         ["not for a segment of this reader", "for everybody, and Execs has an action of its own"]),
        (("execs", "ai-teams"), "x/execs",
         "Execs has the highest priority of the reader's segments Execs, AI teams that has an action",
         ["Execs comes first", "for everybody, and Execs has an action of its own"]),
        (("other",), "x/all", "no action for the reader's segments, so everybody's",
         ["not for a segment of this reader"] * 2),
        ((), "x/all", "the reader is in no segment, so everybody's",
         ["not for a segment of this reader"] * 2),
    ],
)  # fmt: skip
def test_the_trace_can_be_read(
    reader: tuple[str, ...], chosen: str, because: str, rejected: list[str]
) -> None:
    found = resolve(Brief("x", "H", actions=(EXECS, TEAMS, ALL)), reader, names=NAMES)
    assert [action.id for action in found.actions] == [chosen]
    assert found.because == because
    assert [one.why for one in found.rejected] == rejected


def test_a_brief_for_others_says_for_whom_it_is() -> None:
    found = resolve(Brief("x", "H", actions=(ALL,), segments=("execs",)), (), names=NAMES)
    assert found.because == "the brief is only for Execs"
    assert [one.action for one in found.rejected] == ["x/all"]
