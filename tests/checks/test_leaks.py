"""The proof that no block leaked: right for every issue and reader, and seen to fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.briefs import Action, Brief, ParsedBrief, Section, action_id
from newsletter.checks import EditionSubject, IssueSubject
from newsletter.checks.leaks import leaks
from newsletter.editions import Composer, Edition, fill
from newsletter.issues import Issue
from newsletter.issues.manifest import Manifest, ManifestFile, Override
from newsletter.workspace import Workspace

KEYS = ("execs", "procurement", "security", "ai-teams", "product")  #: by priority
some_keys = st.sets(st.sampled_from(KEYS), max_size=3).map(lambda keys: tuple(sorted(keys)))
readers = st.sets(st.sampled_from(KEYS)).map(lambda keys: tuple(k for k in KEYS if k in keys))
_OWN = st.integers(0, 999)


def said(*numbers: object) -> str:
    """A sentence that stands nowhere else."""
    mark = "x".join(map(str, numbers))
    return f"Do the quite {mark}x thing of {mark}y and keep {mark}z"


@st.composite
def briefs(draw: st.DrawFn, n: int) -> Brief:
    slug = f"brief-{n}"
    free = list(draw(st.permutations(KEYS)))
    actions: list[Action] = []
    for size in draw(st.lists(st.integers(1, 2), max_size=4)):
        keys = tuple(sorted(free[:size]))
        del free[:size]
        if keys:
            actions.append(Action(action_id(slug, keys), keys, said(n, "a", len(actions))))
    if draw(st.booleans()):
        actions.append(Action(f"{slug}/all", (), said(n, "all")))
    sections = tuple(
        Section(
            f"Heading {n} {m}" if m else None,
            (draw(st.sampled_from(["", "> ", "- "])) * (m > 0) + said(n, "s", m),),
            segments=keys if m else (),
        )
        for m, keys in enumerate(draw(st.lists(some_keys, min_size=1, max_size=3)))
    )
    return Brief(
        slug,
        f"The headline of the brief number {n}x",
        take=said(n, "take"),
        why=said(n, "why"),
        actions=tuple(actions),
        body=sections,
        segments=draw(st.one_of(st.just(()), some_keys)),
    )


@st.composite
def issues(draw: st.DrawFn) -> Issue:
    count = draw(st.integers(1, 4))
    overrides = {
        key: Override(intro=said("intro", key), preheader=said("preheader", key))
        for key in draw(some_keys)
    }
    blocks = [
        {"kind": kind, "text": said("block", n), "segments": keys, "after": after}
        for n, (kind, keys, after) in enumerate(
            draw(
                st.lists(
                    st.tuples(
                        st.sampled_from(["sponsor", "note", "quote", "fact"]),
                        some_keys,
                        st.sampled_from(["digest", "end"]),
                    ),
                    max_size=3,
                )
            )
        )
    ]
    manifest = Manifest(
        block=blocks,
        subject="A subject",
        preheader=said("preheader"),
        intro=said("intro"),
        text=draw(st.sampled_from(["lead", "full"])),
        policy={"resolution": draw(st.sampled_from(["first", "all"])), "digest": 2},
        segments=overrides,
    )  # type: ignore[arg-type]
    return an_issue(manifest, *(draw(briefs(n)) for n in range(count)))


def an_issue(manifest: Manifest, *stories: Brief) -> Issue:
    parsed = tuple(ParsedBrief(one, file=f"{one.slug}.md") for one in stories)
    return Issue("2026-W48", ManifestFile(manifest, "", "issue.toml"), parsed, Path("2026-W48"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    from newsletter import init

    with Workspace(init(tmp_path_factory.mktemp("leaks") / "publication")) as opened:
        yield opened


def rendered(workspace: Workspace, issue: Issue, reader: tuple[str, ...]) -> EditionSubject:
    composer = Composer(issue, workspace.settings, workspace.names, workspace.templates)
    signature = composer.signature(reader)
    edition = workspace.renderer.edition(composer, reader, signature)
    return subject_of(workspace, issue, edition, reader)


def subject_of(
    workspace: Workspace, issue: Issue, edition: Edition, reader: tuple[str, ...]
) -> EditionSubject:
    values = workspace.proofs.values(edition.id)
    return EditionSubject(
        edition,
        fill(edition.html, edition.nonce, values, "html"),
        fill(edition.text, edition.nonce, values, "text"),
        IssueSubject(issue, workspace.segments, (), workspace.settings, ()),
        1,
        reader,
    )


def bare(paragraph: str) -> str:
    """The words of a quote or of a list's item."""
    return paragraph.removeprefix("> ").removeprefix("- ")


def naive(issue: Issue, reader: tuple[str, ...]) -> set[str]:
    """The sentences that a reader gets, by the words of the design and none of its code."""
    want: set[str] = set()
    for brief in issue.briefs:
        if brief.segments and not set(brief.segments) & set(reader):
            continue
        fitting = [[one.text for one in brief.actions if key in one.segments] for key in reader]
        chosen = [text for texts in fitting for text in texts]
        if issue.manifest.policy.resolution == "first":
            chosen = chosen[:1]
        want |= set(chosen or [one.text for one in brief.actions if not one.segments])
        for n, section in enumerate(brief.body):
            seen = not section.segments or set(section.segments) & set(reader)
            if seen and (issue.manifest.text == "full" or n == 0 or _limited(brief, reader)):
                want |= {bare(text) for text in section.paragraphs}
    for block in issue.manifest.block:
        if not block.segments or set(block.segments) & set(reader):
            want.add(block.text)
    return want


def _limited(brief: Brief, reader: tuple[str, ...]) -> bool:
    """A brief of which the public page lacks something is in the mail as a whole."""
    seen = [one for one in brief.body if not one.segments or set(one.segments) & set(reader)]
    return bool(brief.segments) or any(one.segments for one in seen)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(issue=issues(), reader=readers)
def test_every_edition_holds_exactly_what_its_reader_should_get(
    workspace: Workspace, issue: Issue, reader: tuple[str, ...]
) -> None:
    subject = rendered(workspace, issue, reader)
    assert list(leaks(subject)) == []
    everything = {one.text for brief in issue.briefs for one in brief.actions}
    everything |= {block.text for block in issue.manifest.block}
    everything |= {text for b in issue.briefs for s in b.body for text in map(bare, s.paragraphs)}
    page = " ".join(subject.document.getroot().text_content().split()).lower()
    text = " ".join(subject.text.split()).lower()
    want = naive(issue, reader)
    for sentence in everything:
        assert (sentence.lower() in page) is (sentence in want), sentence
        assert (sentence.lower() in text) is (sentence in want), sentence


# -- seen to fail ------------------------------------------------------------------------------

EXECS = Action("story/execs", ("execs",), "decide about the price before the winter ends")
SECURITY = Action("story/security", ("security",), "change the keys of all the old pipelines")
PROCUREMENT = Action("story/procurement", ("procurement",), "sign it today.")
AI_TEAMS = Action("story/ai-teams", ("ai-teams",), "契約を確認してください。")
STORY = Brief(
    "story",
    "A headline of some words",
    take="A take that is long enough.",
    actions=(EXECS, SECURITY, PROCUREMENT, AI_TEAMS),
    body=(
        Section(None, ("A lead that everybody may read here.",)),
        Section("Costs of it", ("What only the execs may read here.",), segments=("execs",)),
    ),
)
SECRET = Brief("secret", "What only product may know", segments=("product",))
MANIFEST = Manifest(
    subject="S",
    intro="The words at the top of it.",
    segments={
        "product": Override(
            intro="Words that only product people read.", subject="The subject of product people"
        )
    },
    split={
        "arm": [
            {
                "name": "b",
                "share": 0.5,
                "actions": {"story/execs": "What the other arm says of it."},
            }
        ]
    },
)  # type: ignore[arg-type]


@pytest.fixture
def good(workspace: Workspace) -> EditionSubject:
    return rendered(workspace, an_issue(MANIFEST, STORY, SECRET), ("execs",))


def kinds(subject: EditionSubject) -> set[tuple[str, str]]:
    return {(kind, text.brief) for kind, text, _ in leaks(subject)}


def test_a_good_edition_has_no_leak(good: EditionSubject) -> None:
    assert kinds(good) == set()


@pytest.mark.parametrize(
    ("words", "slug"),
    [
        (SECURITY.text, "story"),
        (f"<!-- {SECURITY.text} -->", "story"),
        ("Change the keys\n of ALL the\u00a0old pipe\u00adlines", "story"),
        ("change the <b>keys</b> of all the old pipelines", "story"),
        ("What only product may know", "secret"),
        ("Words that only product people read.", ""),
        ("change the keys of all the old pipe", "story"),  # cut
        ("Change<br/>the keys<br/>of all the<br/>old pipelines", "story"),
        (
            "<table><tr><td>change the</td><td>keys of</td><td>all the old</td></tr></table>",
            "story",
        ),
        ('<img alt="change the keys of all the old pipelines"/>', "story"),
        ('<a href="mailto:?body=change%20the%20keys%20of%20all%20the%20old">Tell</a>', "story"),
        ("change\u202e the keys of all\u2066 the old pipelines", "story"),
        ("Sign it today.", "story"),
        ("契約を確認してください", "story"),
        ("What the other arm says of it", "story"),
        ("The subject of product people", ""),
    ],
)
def test_what_is_for_others_is_found_by_its_words(
    good: EditionSubject, words: str, slug: str
) -> None:
    leaked = replace(good, html=good.html.replace("</body>", f"<p>{words}</p></body>"))
    assert kinds(leaked) == {("leaked", slug)}


def test_the_head_is_looked_at_too(good: EditionSubject) -> None:
    title = "<title>change the keys of all the old pipelines</title></head>"
    leaked = replace(good, html=good.html.replace("</head>", title))
    assert kinds(leaked) == {("leaked", "story")}


@pytest.mark.parametrize(
    ("shared", "where"),
    [
        ("A take that both of the two stories have.", "take"),
        ("A sentence that stands in both of the bodies.", "body"),
        ("What we do not know yet", "heading"),
    ],
)
def test_what_the_edition_may_say_itself_is_no_leak(
    workspace: Workspace, shared: str, where: str
) -> None:
    """The same words in a story for all and in one for others, and in another segment's texts."""
    parts = {
        "take": {"take": shared},
        "body": {"body": (Section(None, ("A lead.",)), Section("H", (shared,)))},
        "heading": {"body": (Section(None, ("A lead.",)), Section(shared, ("Text of it.",)))},
    }[where]
    open_story = Brief("open", "A headline for everybody", actions=(), **parts)  # type: ignore[arg-type]
    limited = Brief("limited", "A headline for some", segments=("product",), **parts)  # type: ignore[arg-type]
    manifest = Manifest(
        subject="S", text="full", segments={"security": Override(intro=shared, preheader=shared)}
    )
    assert kinds(rendered(workspace, an_issue(manifest, open_story, limited), ("execs",))) == set()


def test_it_is_found_in_the_text_part_too(good: EditionSubject) -> None:
    leaked = replace(good, text=f"{good.text}\nchange the keys of\nall the old pipelines\n")
    assert kinds(leaked) == {("leaked", "story")}


@pytest.mark.parametrize(
    "mark", ['data-action="story/security"', 'data-brief="secret"', 'data-block="0"']
)
def test_a_block_that_is_not_allowed_is_found_by_its_mark(good: EditionSubject, mark: str) -> None:
    leaked = replace(good, html=good.html.replace("</body>", f"<div {mark}></div></body>"))
    assert [kind for kind, _, _ in leaks(leaked)] == ["leaked"]


def test_what_is_lost_is_missing(good: EditionSubject) -> None:
    lost = replace(good, text=good.text.replace("decide", "ponder").replace("Decide", "Ponder"))
    assert kinds(lost) == {("missing", "story")}
    bare = replace(good, html=good.html.replace('data-action="story/execs"', ""))
    assert kinds(bare) == {("missing", "story")}


def test_a_template_that_prints_too_much_is_caught(workspace: Workspace, tmp_path: Path) -> None:
    """End to end: a template that knows more than it should keeps the issue from being planned."""
    from newsletter import init

    root = init(tmp_path / "publication")
    path = root / "templates" / "blocks" / "brief.mjml.j2"
    sentence = "compare your own uptime promises with your cloud provider's credits"
    text = path.read_text("utf-8")
    path.write_text(
        text.replace(
            "<h2>", f"<p>{sentence} by 4 December 2026, and put a figure on the gap.</p><h2>", 1
        )
    )
    with Workspace(root) as leaky:
        found = leaky.check("2026-W48")
    told = [one for one in found if one.code == "ED601"]
    assert told
    assert all(one.blocks and one.brief == "northmere-outage" for one in told)
    assert all("northmere-outage.txt" in (one.file or "") for one in told)
