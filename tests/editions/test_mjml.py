"""MJML that the compiler would take in silence is found, at its place in the template that printed it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import mjml
import pytest

from newsletter.audience import ReaderKind
from newsletter.editions import TemplateProblem
from newsletter.editions.mjml import TAGS, problems, style_problems
from newsletter.errors import TemplateError
from newsletter.workspace import Workspace
from tests.conftest import ROOT

ISSUE = "2026-W48"
TEXT = "<mj-text>x</mj-text>"
SECTION = f"<mj-section><mj-column>{TEXT}</mj-column></mj-section>"


def mail(body: str = SECTION, head: str = "") -> str:
    return f'<mjml lang="en" dir="ltr">\n<mj-head>{head}</mj-head>\n<mj-body>\n{body}\n</mj-body>\n</mjml>'


def column(inside: str) -> str:
    return mail(f"<mj-section><mj-column>\n{inside}\n</mj-column></mj-section>")


def told(source: str) -> list[tuple[int, str, str]]:
    return [(one.line, one.kind, one.message) for one in problems(source)]


# -- the table -------------------------------------------------------------------------------------

#: Around each tag what it needs to be rendered, and to show its attributes; `%s` is where they stand.
_HREF, _SRC = 'href="https://x.example"', 'src="https://x.example/a.png"'
_ICON = f"<mj-carousel-image {_SRC} alt=''/>"
_PANE = "<mj-accordion-title%s>t</mj-accordion-title><mj-accordion-text%s>x</mj-accordion-text>"
_NAVBAR = "<mj-navbar%s><mj-navbar-link href='/a'>x</mj-navbar-link></mj-navbar>"
_NETWORKS = "".join(f"<mj-social-element name='{n}' href='u'>x</mj-social-element>" for n in "xy")
SAMPLES: dict[str, list[str]] = {
    "mjml": [f"<mjml%s><mj-body>{SECTION}</mj-body></mjml>"],
    "mj-body": [f"<mjml><mj-body%s>{SECTION}</mj-body></mjml>"],
    "mj-section": [
        mail(f"<mj-section{more}%s><mj-column>{TEXT}</mj-column></mj-section>")
        for more in ("", ' background-url="b.png"')
    ],
    "mj-wrapper": [
        mail(f"<mj-wrapper{more}%s>{SECTION}</mj-wrapper>")
        for more in ("", ' background-url="b.png"')
    ],
    "mj-group": [
        mail(f"<mj-section><mj-group%s><mj-column>{TEXT}</mj-column></mj-group></mj-section>")
    ],
    "mj-column": [
        mail(f"<mj-section><mj-column{more}%s>{TEXT}</mj-column></mj-section>")
        for more in ("", ' padding="3px"')
    ],
    "mj-hero": [
        mail(
            f"<mj-hero{more} background-url='b.png' background-width='600px'"
            f" background-height='300px' height='300px'%s>{TEXT}</mj-hero>"
        )
        for more in ("", " mode='fixed-height'")
    ],
    "mj-text": [column("<mj-text%s>x</mj-text>")],
    "mj-button": [
        column(f"<mj-button {_HREF}%s>x</mj-button>"),
        column("<mj-button%s>x</mj-button>"),
    ],
    "mj-image": [column(f"<mj-image{more}%s/>") for more in ("", f" {_SRC}", f" {_SRC} {_HREF}")],
    "mj-divider": [column("<mj-divider%s/>")],
    "mj-spacer": [column("<mj-spacer%s/>")],
    "mj-table": [column("<mj-table%s><tr><td>x</td></tr></mj-table>")],
    "mj-navbar": [column(_NAVBAR), column(_NAVBAR.replace("%s", " hamburger='hamburger'%s"))],
    "mj-navbar-link": [
        column(f"<mj-navbar><mj-navbar-link{more}%s>x</mj-navbar-link></mj-navbar>")
        for more in ("", " href='/a'")
    ],
    "mj-social": [
        column(f"<mj-social{more}%s>{_NETWORKS}</mj-social>") for more in ("", " mode='vertical'")
    ],
    "mj-social-element": [
        column(f"<mj-social><mj-social-element{more}%s>x</mj-social-element></mj-social>")
        for more in ("", " href='u' src='i.png'")
    ],
    "mj-accordion": [
        column(
            "<mj-accordion%s><mj-accordion-element>"
            + _PANE.replace("%s", "")
            + "</mj-accordion-element></mj-accordion>"
        )
    ],
    "mj-accordion-element": [
        column(
            "<mj-accordion><mj-accordion-element%s>"
            + _PANE.replace("%s", "")
            + "</mj-accordion-element></mj-accordion>"
        )
    ],
    "mj-accordion-title": [
        column(
            "<mj-accordion><mj-accordion-element><mj-accordion-title%s>t</mj-accordion-title>"
            "</mj-accordion-element></mj-accordion>"
        )
    ],
    "mj-accordion-text": [
        column(
            "<mj-accordion><mj-accordion-element><mj-accordion-text%s>t</mj-accordion-text>"
            "</mj-accordion-element></mj-accordion>"
        )
    ],
    "mj-carousel": [column(f"<mj-carousel%s>{_ICON}{_ICON}</mj-carousel>")],
    "mj-carousel-image": [
        column(f"<mj-carousel><mj-carousel-image{more}%s/>{_ICON}</mj-carousel>")
        for more in ("", f" {_SRC} {_HREF}")
    ],
}
_VALUES = (
    "7px", "9px 3px", "left", "right", "center", "bottom", "full-width", "true", "hamburger",
    "vertical", "fixed-height", "hidden", "fixed", "rtl", "#123456", "http://x", "ab", "facebook",
)  # fmt: skip


@pytest.mark.parametrize("tag", SAMPLES)
def test_every_attribute_of_the_table_changes_what_the_compiler_makes(tag: str) -> None:
    silent = [
        name
        for name in TAGS[tag].attributes
        if not any(
            _html(sample % f' {name}="{value}"') != _html(sample % "")
            for sample in SAMPLES[tag]
            for value in _VALUES
        )
    ]
    assert silent == []


def _html(source: str) -> str:
    html = mjml.mjml2html(source, fonts={}, disable_comments=False)
    return re.sub(r"[0-9a-f]{16}", "id", html)


def test_the_table_knows_every_tag_that_has_a_sample_and_no_head_is_forgotten() -> None:
    head = {tag for tag, one in TAGS.items() if set(one.within) & {"mj-head", "mj-attributes"}}
    assert {*SAMPLES, *head, "mj-head", "mj-raw"} == set(TAGS)


# -- what is found ---------------------------------------------------------------------------------

FOUND: dict[str, tuple[str, int, str, str]] = {
    "an unknown tag": (
        column("<mj-txt>x</mj-txt>").replace("mj-column", "mj-colum"),
        4, "tag", '<mj-colum> is no tag of MJML. Did you mean "mj-column"?',
    ),
    "an unknown attribute": (
        column('<mj-text\n backgroud-color="#fff">x</mj-text>'),
        6, "attribute", "<mj-text> has no attribute backgroud-color",
    ),
    "a near miss of an attribute": (
        mail(SECTION.replace("<mj-column", '<mj-column backgroud-color="#fff"')),
        4, "attribute", 'Did you mean "background-color"?',
    ),
    "an attribute without effect": (
        mail('<mj-section vertical-align="top"><mj-column><mj-text>x</mj-text></mj-column></mj-section>'),
        4, "attribute", "this compiler does nothing with it",
    ),
    "text in the body": (mail(TEXT), 4, "place", "<mj-text> stands in <mj-body>; its place is <mj-column>"),
    "a section in a column": (column(SECTION), 5, "place", "<mj-section> stands in <mj-column>"),
    "a column in the body": (
        mail(f"<mj-column>{TEXT}</mj-column>"), 4, "place", "its place is <mj-section> and <mj-group>",
    ),
    "MJML in text": (
        column("<mj-text><mj-button>x</mj-button></mj-text>"), 5, "place", "which holds HTML only",
    ),
    "HTML in a column": (column("<p>x</p>"), 5, "place", "HTML goes into mj-text"),
    "words in a section": (
        mail(f"<mj-section>loose words<mj-column>{TEXT}</mj-column></mj-section>"),
        4, "place", 'the text "loose words" stands in <mj-section>',
    ),
    "an open tag": (column("<mj-text>x"), 5, "syntax", "<mj-text> is not closed before </mj-column>"),
    "an open tag at the end": ("<mjml lang='en'><mj-body>", 1, "syntax", "<mjml> is never closed"),
    "an open paragraph": (
        column("<mj-text>\n<p>x</mj-text>"), 6, "syntax", "<p> is not closed before </mj-text>",
    ),
    "a tag that closes nothing": (column(f"{TEXT}</mj-text>"), 5, "syntax", "</mj-text> closes nothing"),
    "a loose <": (column("<mj-text>a < b</mj-text>"), 5, "syntax", "write &lt;"),
    "an open comment": (column("<!-- x"), 5, "syntax", "--> is missing"),
    "a comment for Outlook": (
        mail(f"<!--[if mso]>x<![endif]-->{SECTION}"), 4, "syntax", "mj-raw and mj-text hold HTML",
    ),
    "a doctype": ("<!doctype html>" + mail(), 1, "syntax", "can't stand here"),
    "CDATA": (column("<mj-text><![CDATA[ x ]]></mj-text>"), 5, "syntax", "CDATA"),
    "a value without quotes": (column("<mj-text align=left>x</mj-text>"), 5, "syntax", 'align="left"'),
    "no value": (column("<mj-text align>x</mj-text>"), 5, "syntax", "align has no value"),
    "twice": (
        column('<mj-text align="left" align="right">x</mj-text>'), 5, "attribute", "given twice",
    ),
    "no colour": (column('<mj-text color="#12345">x</mj-text>'), 5, "value", 'color="#12345" is no colour'),
    "nearly a colour": (
        column('<mj-text color="darkbleu">x</mj-text>'), 5, "value", 'Did you mean "darkblue"?',
    ),
    "no unit": (column('<mj-text padding="20">x</mj-text>'), 5, "value", "Did you mean 20px?"),
    "no alignment": (
        column('<mj-text align="centre">x</mj-text>'), 5, "value", 'Did you mean "center"?',
    ),
    "no mode": (column('<mj-social mode="upright"></mj-social>'), 5, "value", "horizontal and vertical"),
    "no alt": (column('<mj-image src="a.png"/>'), 5, "alt", "<mj-image> has no alt"),
    "no alt in HTML": (column('<mj-text><img src="a.png"/></mj-text>'), 5, "alt", "<img> has no alt"),
    "no src": (column('<mj-image alt=""/>'), 5, "attribute", "<mj-image> has no src"),
    "an include": (mail('<mj-include path="x.mjml"/>'), 4, "tag", "mj-include is refused"),
    "attributes of HTML": (
        mail(head="<mj-html-attributes></mj-html-attributes>"), 2, "tag", "not supported here",
    ),
    "inline styles": (
        mail(head='<mj-style inline="inline">p { color: red }</mj-style>'), 2, "ignored", "no effect",
    ),
    "a web font": (mail(head='<mj-font name="A" href="https://x.example"/>'), 2, "ignored", "no effect"),
    "no language": (mail().replace(' lang="en"', ""), 1, "attribute", "<mjml> has no lang"),
    "an attribute of mjml": (mail().replace("dir=", "id="), 1, "attribute", "<mjml> has no attribute id"),
    "a wrong default": (
        mail(head='<mj-attributes><mj-text colour="red"/></mj-attributes>'),
        2, "attribute", 'Did you mean "color"?',
    ),
    "a wrong default for all": (
        mail(head='<mj-attributes><mj-all fnt-family="x"/></mj-attributes>'),
        2, "attribute", 'Did you mean "font-family"?',
    ),
    "a second body": (mail() .replace("</mjml>", "<mj-body></mj-body></mjml>"), 6, "tag", "second <mj-body>"),
    "no body": ("<mjml lang='en'></mjml>", 1, "tag", "there is no <mj-body>"),
    "no MJML": ("<html></html>", 1, "tag", "there is no <mjml>"),
    "a style sheet with <": (mail(head="<mj-style>a < b {}</mj-style>"), 2, "syntax", '"<" in mj-style'),
    "an open rule": (
        mail(head="<mj-style>\np { color: red\n</mj-style>"), 3, "style", "the { is never closed",
    ),
    "a missing semicolon": (
        mail(head="<mj-style>\np { color: red\n margin: 0; }\n</mj-style>"), 3, "style", "a ; is missing",
    ),
    "a brace too many": (mail(head="<mj-style>p { color: red } }</mj-style>"), 2, "style", "closes nothing"),
    "no declaration": (mail(head="<mj-style>p { color red; }</mj-style>"), 2, "style", "`property: value`"),
    "a sheet from elsewhere": (
        mail(head="<mj-style>@import url(https://x.example/a.css);</mj-style>"), 2, "style", "refused",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_is_found_at_its_line(case: str) -> None:
    source, line, kind, message = FOUND[case]
    assert any(
        (one.line, one.kind) == (line, kind) and message in one.message for one in problems(source)
    ), told(source)


def test_a_problem_knows_its_column_and_its_offset() -> None:
    source = column('<mj-text  color="bleu">x</mj-text>')
    (found,) = problems(source)
    assert (found.line, found.column) == (5, 11)
    assert source[found.offset :].startswith('color="bleu"')


GOOD = {
    "defaults and classes": mail(
        SECTION.replace("<mj-text", '<mj-text mj-class="a"'),
        '<mj-attributes><mj-all font-family="serif"/><mj-class name="a" color="RebeccaPurple"/>'
        '<mj-text padding="0 5% 1.5px"/></mj-attributes><mj-breakpoint width="480px"/>'
        "<mj-title>A &amp; B</mj-title><mj-preview>x</mj-preview><mj-raw><meta name='a'/></mj-raw>",
    ),
    "comments": mail(
        f"<!-- < <p> --><mj-raw><!--[if mso]><table></table><![endif]--></mj-raw>{SECTION}"
    ),
    "HTML": column("<mj-text><p>a<br>b<img src='x' alt=''><b>c</b></p><svg:a>x</svg:a></mj-text>"),
    "a quoted >": column('<mj-text css-class="a > b">x</mj-text>'),
    "styles": mail(
        head="<mj-style>@media (min-width: 1px) { a > b, c { color: red; } /* } */ }\n"
        "@font-face { src: url('a;b{c'); }\np::before { content: \"}\"; margin: 0 }</mj-style>"
    ),
    "raw": mail(f"<mj-raw><div>x</div></mj-raw><mj-wrapper>{SECTION}</mj-wrapper>"),
    "social": column(
        f"<mj-social mode='vertical'>{_NETWORKS}</mj-social>"
        f"<mj-carousel>{_ICON}</mj-carousel><mj-spacer height='10px'/>"
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_is_right_is_left_alone(case: str) -> None:
    assert told(GOOD[case]) == []
    assert mjml.mjml2html(GOOD[case], fonts={}, disable_comments=False)


@pytest.mark.parametrize(
    "piece", ["<", "<a", '<a "', "<!--", "</", "<mj-text>", "<a b='", "{", "/*", '"', "<mj-style>"]
)
def test_reading_takes_linear_time_whatever_is_open(piece: str) -> None:
    begun = time.monotonic()
    problems(mail(piece * 50_000))
    style_problems(piece * 50_000)
    assert time.monotonic() - begun < 5


# -- at the template's line --------------------------------------------------------------------------


@pytest.fixture
def workspace(workspace_dir: Path) -> Iterator[Workspace]:
    with Workspace(workspace_dir) as opened:
        yield opened


def changed(workspace: Workspace, name: str, old: str, new: str) -> None:
    path = workspace.root / "templates" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def found(workspace: Workspace, *reader: str) -> list[TemplateProblem]:
    composer = workspace.composer(workspace.issue(ISSUE))
    return workspace.renderer.problems(composer, reader, composer.signature(reader))


def line_of(workspace: Workspace, name: str, text: str) -> int:
    lines = (workspace.root / "templates" / name).read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_the_sample_mail_has_no_problems(workspace: Workspace) -> None:
    for reader in [("ai-teams",), ("execs", "security"), ()]:
        assert found(workspace, *reader) == []


SLIPS = [
    ("blocks/brief.mjml.j2", "<mj-text>", '<mj-text\n     colr="red">', 'colr="red"', "color"),
    ("blocks/brief.mjml.j2", "<mj-section>", "<mj-sektion>", "<mj-sektion>", "is no tag"),
    ("blocks/footer.mjml.j2", "<mj-text ", '<mj-text color="{{ e.title }}" ', "e.title", "no colour"),
    ("blocks/footer.mjml.j2", ' alt=""', "", "e.open_url }}", "has no alt"),
    ("blocks/action.mjml.j2", '"answer">', '"answer"><img src="x"/>', "<img", "has no alt"),
    (
        "blocks/sheet.css.j2", "margin: {{ space.paragraph }} 0 0; }", "margin 12px; }", "margin 12px",
        "property: value",
    ),
    ("issue.mjml.j2", "<mj-style>", '<mj-style inline="inline">', "inline=", "no effect"),
    (
        "blocks/masthead.mjml.j2", "<mj-raw>", "<mj-raw>{% filter upper %}<img/>{% endfilter %}",
        "<img/>", "<img> has no alt",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "at", "says"), SLIPS, ids=[s[2] for s in SLIPS])
def test_a_slip_is_told_once_at_its_template_and_line(
    workspace: Workspace, name: str, old: str, new: str, at: str, says: str
) -> None:
    changed(workspace, name, old, new)
    mine = [one for one in found(workspace, "ai-teams") if says in one.message]
    assert [(one.file, one.line) for one in mine] == [
        (f"templates/{name}", line_of(workspace, name, at))
    ]
    assert not mine[0].broken


def test_mjml_that_cannot_be_compiled_is_refused_at_its_template_and_line(
    workspace: Workspace,
) -> None:
    changed(
        workspace,
        "blocks/brief.mjml.j2",
        "<h2>{{ b.headline | inline }}</h2>",
        "<h2>{{ b.headline }}",
    )
    line = line_of(workspace, "blocks/brief.mjml.j2", "<h2>{{ b.headline }}")
    with pytest.raises(TemplateError, match="<h2> is not closed") as refusal:
        workspace.editions(workspace.issue(ISSUE), [ReaderKind(("ai-teams",), "en")])
    assert (refusal.value.file, refusal.value.line) == ("templates/blocks/brief.mjml.j2", line)


def test_what_only_the_compiler_sees_has_its_line_too(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(
        workspace, "blocks/footer.mjml.j2", '<div class="small muted">', '<div class="ü"><mj-&x/>'
    )
    monkeypatch.setattr("newsletter.editions.proofread.problems", lambda source: [])
    with pytest.raises(TemplateError, match=r"^templates/") as refusal:
        workspace.editions(workspace.issue(ISSUE), [ReaderKind((), "en")])
    assert refusal.value.file is not None


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("blocks/action.mjml.j2", "{{ a.text | inline }}", "{{ a.txt }}"),
        ("blocks/footer.mjml.j2", "{% endmacro %}", ""),
        ("issue.txt.j2", "{{ rule }}", "{{ e.nothing }}"),
    ],
)
def test_what_jinja_refuses_is_a_problem_with_its_place(
    workspace: Workspace, name: str, old: str, new: str
) -> None:
    changed(workspace, name, old, new)
    problem = next(one for one in found(workspace, "ai-teams") if one.kind == "template")
    assert problem.file == f"templates/{name}"
    assert problem.line
    assert problem.broken


def test_marks_leave_the_text_as_it_is_through_macros_filters_and_languages(
    workspace: Workspace,
) -> None:
    composer = workspace.composer(workspace.issue(ISSUE))
    for language in ("en", "de"):
        signature = composer.signature(("execs",), language=language)
        view = composer.view(signature, ("execs",), "html")
        plain = workspace.templates.render("issue.mjml.j2", language=language, e=view)
        text, places = workspace.templates.traced("issue.mjml.j2", language=language, e=view)
        assert text == plain
        assert places.at(text.index("</mjml>")) == (
            "issue.mjml.j2",
            line_of(workspace, "issue.mjml.j2", "</mjml>"),
        )
        at = text.index('<td class="done">')
        assert places.at(at) == (
            "blocks/action.mjml.j2",
            line_of(workspace, "blocks/action.mjml.j2", '<td class="done">'),
        )


def test_private_characters_of_an_editor_and_lost_marks_do_no_harm(tmp_path: Path) -> None:
    from newsletter.editions import Templates

    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "theme.toml").write_text("")
    copytree(ROOT / "templates" / "looks", folder / "looks")
    (folder / "a.txt.j2").write_text(
        "one {{ x }}\n{% set s %}two{% endset %}{{ s[1:] }}{{ s | upper | replace('T', 't') }}\nthree"
    )
    text, places = Templates(tmp_path).traced("a.txt.j2", x="\U000f0000\U0010fffdy")
    assert text == "one y\ntwotWO\nthree"
    assert places.at(0) == ("a.txt.j2", 1)
    assert places.at(text.index("three")) == ("a.txt.j2", 3)
