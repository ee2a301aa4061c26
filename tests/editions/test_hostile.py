"""Whatever editors, feeds or people who paste bring along: in no mail, page or header does it do harm."""

from __future__ import annotations

import email
import email.policy
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import lxml.html
import pytest

from newsletter.audience import ReaderKind
from newsletter.briefs import inline_tokens
from newsletter.editions.words import inline_html
from newsletter.errors import NewsletterError
from newsletter.workspace import Workspace

ISSUE = "2026-W48"
SLUG = "quillon-price-cut"
PATIENCE = 20.0  #: seconds for a whole issue; busy machines included


@pytest.fixture
def workspace(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("NEWSLETTER_ISSUES__TEXT", "full")
    for path in (workspace_dir / "issues" / ISSUE / "briefs").iterdir():
        if path.stem not in {SLUG, "northmere-outage"}:
            path.unlink()
    with Workspace(workspace_dir) as opened:
        yield opened


@dataclass(frozen=True)
class Parts:
    """Everything that one issue becomes."""

    html: str
    text: str
    page: str
    message: bytes
    links: tuple[str, ...]

    @property
    def documents(self) -> tuple[str, str]:
        return self.html, self.page


def brief(text: str = "Words.", **own: str) -> str:
    """A brief with a text in each place that takes one; `own` overrides a place."""
    place = {
        "headline": text, "lead": text, "heading": text, "body": text, "take": text, "why": text,
        "action": text, "source": text, "tag": text, **own,
    }  # fmt: skip
    return "\n".join(
        [
            "---",
            f"slug: {SLUG}",
            f"headline: {json.dumps(place['headline'])}",
            f"tags: [{json.dumps(place['tag'])}]",
            f"sources: [{{name: {json.dumps(place['source'])}, url: 'https://x.example/'}}]",
            "---",
            place["lead"], "",
            f"## {place['heading']} {{}}", "", place["body"], "",
            "## Our Take", "", place["take"], "",
            "## Why it matters", "", place["why"], "",
            "## Do this week", "", f"- Everyone: {place['action']}", f"- Execs: {place['action']}", "",
        ]
    )  # fmt: skip


def put(workspace: Workspace, source: str) -> None:
    path = workspace.root / "issues" / ISSUE / "briefs" / f"{SLUG}.md"
    path.write_text(source, "utf-8")


def parts(workspace: Workspace, *reader: str) -> Parts:
    issue = workspace.issue(ISSUE)
    made = workspace.editions(issue, [ReaderKind(reader or ("execs",), "en")])[0].edition
    page = workspace.renderer.page(workspace.composer(issue), "/")
    return Parts(made.html, made.text, page, made.message, tuple(link.url for link in made.links))


def harm(document: str) -> list[str]:
    """What a mail program or browser would run, fetch or be led astray by."""
    root = lxml.html.document_fromstring(document)
    found = []
    for element in root.iter(lxml.etree.Element):
        tag = str(element.tag).lower()
        if tag in {"script", "iframe", "object", "embed", "svg", "math", "base", "applet", "frame"}:
            found.append(f"<{tag}>")
        for key, given in element.attrib.items():
            name, value = str(key).lower(), str(given)
            plain = re.sub(r"[\x00-\x20\x7f-\xa0\u200b-\u200f]", "", value).lower()
            if name.startswith("on"):
                found.append(f"{tag} {name}")
            elif name in {"href", "src", "action", "formaction", "background"}:
                scheme = urlsplit(plain).scheme
                if scheme not in {"", "http", "https", "mailto"} or plain.startswith("//"):
                    found.append(f"{tag} {name}={value[:40]}")
                own = re.fullmatch(
                    r"http://127\.0\.0\.1:8000/media/[0-9a-f]{32}\.(?:png|jpg)", value
                )
                if tag == "img" and "@@" not in value and not own:
                    found.append(f"a picture from {value[:40]}")
            elif name == "style" and re.search(
                r"expression|javascript|url\(|@import|behavior", plain
            ):
                found.append(f"{tag} style={value[:40]}")
    return found


def styles(document: str) -> list[str]:
    root = lxml.html.document_fromstring(document)
    return [str(style.text) for style in root.iter("style")]


# -- markup -------------------------------------------------------------------------------------------

MARKUP = {
    "a script": "<script>alert(1)</script>",
    "a script in capitals": "<ScRiPt src=//x.example/a.js></sCrIpT>",
    "a script that is cut": "<script/x>alert(1)//<",
    "an event handler": '<b onclick="alert(1)" onmouseover=alert(1)>x</b>',
    "a picture that fails": '<img src=x onerror="alert(1)">',
    "a picture from elsewhere": "Look: ![x](https://spy.example/pixel.gif)",
    "an SVG": "<svg><script>alert(1)</script><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "a frame": "<iframe src='https://x.example'></iframe><object data='x'></object>",
    "a form": "<form action='https://x.example'><input name='password'></form>",
    "a base": "<base href='https://x.example/'>",
    "a style sheet": "<style>*{display:none}</style><link rel=stylesheet href=//x.example>",
    "a style with expression": '<p style="width:expression(alert(1))">x</p>',
    "a style with an address": '<p style="background:url(https://x.example/a.png)">x</p>',
    "the end of the style sheet": "} </style> * { color: red } <style>",
    "an HTML comment": "before <!-- <b>hidden</b> --> after",
    "a comment for Outlook": "<!--[if mso]><p>only here</p><![endif]-->",
    "an open comment": "<!-- everything below is gone",
    "MJML": "</mj-text></mj-column><mj-raw><b>x</b></mj-raw><mj-include path='/etc/passwd'/>",
    "CDATA": "]]> <![CDATA[ x ]]>",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b onclick=1&#62;",
    "a template": "{{ 7*7 }} {% include 'theme.toml' %} {# x #} {{ ''.__class__ }}",
    "a quoted attribute": "\"' onmouseover='alert(1)' x=\"",
    "code that closes": "`</code><script>alert(1)</script>`",
    "a link text that closes": "[</a><script>alert(1)</script>](https://x.example)",
    "an address that closes": '[x](https://x.example/"onmouseover="alert(1))',
    "an address with a tag": "[x](<https://x.example/><script>alert(1)</script>>)",
    "an automatic link": "<javascript:alert(1)> <https://x.example/?a=<script>>",
}


@pytest.mark.parametrize("attack", MARKUP)
def test_markup_becomes_text_wherever_it_stands(workspace: Workspace, attack: str) -> None:
    put(workspace, brief("Words."))
    clean = parts(workspace)
    put(workspace, brief(MARKUP[attack]))
    made = parts(workspace)
    for before, document in zip(clean.documents, made.documents, strict=True):
        assert harm(document) == []
        assert styles(document) == styles(before)
        assert lxml.html.document_fromstring(document).xpath("count(//form)") == (
            lxml.html.document_fromstring(before).xpath("count(//form)")
        )
    assert "49" not in re.sub(r"@@\S+?@@|#\w+", "", made.text)


def test_what_follows_hostile_markup_is_still_there(workspace: Workspace) -> None:
    put(workspace, brief(" ".join(MARKUP.values()), why="The reason stands."))
    made = parts(workspace)
    for document in made.documents:
        words = " ".join(lxml.html.document_fromstring(document).text_content().split())
        assert "The reason stands." in words
        assert "Northmere" in words  # the next brief
        assert "<script>alert(1)</script>" in words


# -- links ---------------------------------------------------------------------------------------------

LINKS = {
    "javascript": "javascript:alert(1)",
    "javascript in capitals": "JaVaScRiPt:alert(1)",
    "javascript with a tab": "java\tscript:alert(1)",
    "javascript with a line break": "java\nscript:alert(1)",
    "javascript with an entity": "javascript&colon;alert(1)",
    "javascript with numbers": "&#106;avascript:alert(1)",
    "javascript with hex numbers": "&#x6A;avascript&#x3a;alert(1)",
    "javascript with a percent sign": "javascript%3Aalert(1)",
    "javascript with a leading blank": "%20javascript:alert(1)",
    "javascript with a control character": "\x01javascript:alert(1)",
    "javascript with a zero-width space": "java\u200bscript:alert(1)",
    "javascript with a soft hyphen": "java\u00adscript:alert(1)",
    "javascript with a backslash": "java\\script:alert(1)",
    "javascript in full width": "\uff4aavascript:alert(1)",
    "vbscript": "vbscript:msgbox(1)",
    "data": "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "data in capitals": "DATA:text/html,<script>alert(1)</script>",
    "a file": "file:///etc/passwd",
    "a blob": "blob:https://x.example/1",
    "no scheme": "//x.example/a",
    "view-source": "view-source:https://x.example",
    "a path": "../../admin",
}


@pytest.mark.parametrize("attack", LINKS)
def test_an_address_that_is_none_becomes_text(workspace: Workspace, attack: str) -> None:
    link = LINKS[attack]
    forms = (f"[x]({link})", f"[x](<{link}>)", f"<{link}>", f"[x][1]\n\n[1]: {link}", link)
    put(workspace, brief("Words.", body="\n\n".join(forms), action=f"x {forms[0]} {forms[1]}"))
    made = parts(workspace)
    for document in made.documents:
        assert harm(document) == []
    assert all(url.startswith(("https://", "http://", "mailto:")) for url in made.links)
    assert re.search(r"\bWords\b", made.text)


@pytest.mark.parametrize("attack", LINKS)
def test_a_source_with_such_an_address_is_refused_with_its_line(
    workspace: Workspace, attack: str
) -> None:
    source = brief("Words.").replace("'https://x.example/'", json.dumps(LINKS[attack]))
    put(workspace, source)
    made = parts(workspace)
    for document in made.documents:
        assert harm(document) == []
    codes = {(one.code, one.line) for one in workspace.check(ISSUE)}
    assert ("BR403", 5) in codes


# -- what can't be seen -------------------------------------------------------------------------------

UNSEEN = {
    "a bidirectional override": "invoice\u202efdp.exe",
    "bidirectional isolates": "a\u2066b\u2067c\u2068d\u2069",
    "bidirectional embeddings": "a\u202ab\u202bc\u202cd\u202d",
    "control characters": "a\x01b\x02c\x08d\x0ee\x1bf\x7f",
    "a bell and a terminal's escape": "\x07\x1b[31mred\x1b]0;title\x07",
    "a byte order mark": "a\ufeffb",
    "annotations": "a\ufff9b\ufffac\ufffb",
    "C1 controls": "a\x80b\x9bc",
}


@pytest.mark.parametrize("attack", UNSEEN)
def test_characters_that_deceive_are_taken_out(workspace: Workspace, attack: str) -> None:
    put(workspace, brief(UNSEEN[attack]))
    manifest(workspace, subject=UNSEEN[attack], preheader=UNSEEN[attack], intro=UNSEEN[attack])
    made = parts(workspace, "ai-teams")
    unwanted = re.compile(
        "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"
    )
    for part in (made.html, made.text, made.page, header(made, "Subject")):
        assert unwanted.findall(part) == []


def test_a_zero_width_character_in_a_link_leaves_its_text_and_target(workspace: Workspace) -> None:
    put(workspace, brief("Words.", body="[pay\u200bpal.example](https://x.example/\u200ba)"))
    made = parts(workspace)
    for document in made.documents:
        assert harm(document) == []
    assert any("x.example" in url for url in made.links)


# -- our own marks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mark", ["@@%s.manage.html@@", "@@%s.reason.text@@", "@@%s", "@@", "@@x@@ @@.@@ %%s @@@@@@"]
)
def test_a_slots_mark_in_a_text_opens_no_slot(workspace: Workspace, mark: str) -> None:
    """The nonce of the edition as it was before is known; that of the edition with it is another."""
    put(workspace, brief("Words."))
    issue = workspace.issue(ISSUE)
    known = workspace.editions(issue, [ReaderKind(("execs",), "en")])[0].edition
    slots = known.html.count(f"@@{known.nonce}.")
    put(workspace, brief(mark.replace("%s", known.nonce)))
    made = workspace.editions(workspace.issue(ISSUE), [ReaderKind(("execs",), "en")])[0].edition
    assert made.nonce != known.nonce
    assert made.html.count(f"@@{made.nonce}.") == slots


# -- issue.toml and segments ----------------------------------------------------------------------------


def manifest(workspace: Workspace, **texts: str) -> None:
    path = workspace.root / "issues" / ISSUE / "issue.toml"
    source = path.read_text("utf-8")
    for key, text in texts.items():
        value = json.dumps(text).replace("\\/", "/").replace("\x7f", "\\u007f")
        source = re.sub(
            rf"^{key} = .*$",
            lambda _, k=key, v=value: f"{k} = {v}",
            source,
            count=1,
            flags=re.MULTILINE,
        )
    path.write_text(source, "utf-8")


def header(made: Parts, name: str) -> str:
    message = email.message_from_bytes(made.message, policy=email.policy.default)
    return str(message[name])


@pytest.mark.parametrize("attack", MARKUP)
def test_markup_in_the_issues_texts_becomes_text(workspace: Workspace, attack: str) -> None:
    text = MARKUP[attack]
    manifest(workspace, subject=text, preheader=text, intro=text, title=text)
    made = parts(workspace, "ai-teams")
    for document in made.documents:
        assert harm(document) == []


@pytest.mark.parametrize(
    "text",
    [
        "Hello\r\nBcc: victim@x.example",
        "Hello\nContent-Type: text/html\n\n<script>",
        "Hello\x0bBcc: victim@x.example",
        "Hello\u2028Bcc: victim@x.example",
        "=?utf-8?q?Hello=0D=0ABcc=3A_victim=40x=2Eexample?=",
        "x" * 5000,
    ],
)
def test_a_subject_adds_no_header(workspace: Workspace, text: str) -> None:
    clean = parts(workspace, "ai-teams").message
    manifest(workspace, subject=text)
    message = parts(workspace, "ai-teams").message
    names = [email.message_from_bytes(one).keys() for one in (clean, message)]
    assert names[0] == names[1]
    assert b"\nBcc" not in message
    head = message.split(b"\r\n\r\n", 1)[0]
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))


@pytest.mark.parametrize("attack", MARKUP)
def test_markup_in_a_segments_name_becomes_text(workspace: Workspace, attack: str) -> None:
    path = workspace.root / "subscribers" / "segments.toml"
    name = MARKUP[attack].replace(":", "").replace("{", "").replace("#", "")
    source = path.read_text("utf-8").replace('name = "Execs"', f"name = {json.dumps(name)}")
    path.write_text(source, "utf-8")
    try:
        with Workspace(workspace.root) as fresh:
            made = parts(fresh, "execs")
    except NewsletterError as error:
        assert "segments.toml" in str(error)  # noqa: PT017  (either is right)
        return
    for document in made.documents:
        assert harm(document) == []


# -- size ------------------------------------------------------------------------------------------------

BULK = {
    "brackets": "[", "pictures": "![", "stars": "*", "stars and words": "*a ", "underscores": "_a ",
    "backticks": "`a`b`c", "open tags": "<a", "open links": "[a](", "links in links": "[a ",
    "closing brackets": "]", "ampersands": "&", "backslashes": "\\", "addresses": "http://a",
    "quotes": '"', "words": "word ", "braces": "{{ ", "one word": "x",
}  # fmt: skip


@pytest.mark.parametrize("attack", BULK)
def test_a_paragraph_of_200_kb_takes_seconds(workspace: Workspace, attack: str) -> None:
    put(workspace, brief("Words.", body=(BULK[attack] * 200_000)[:200_000]))
    begun = time.monotonic()
    made = parts(workspace)
    assert time.monotonic() - begun < PATIENCE
    for document in made.documents:
        assert harm(document) == []


@pytest.mark.parametrize("attack", BULK)
def test_inline_marks_are_read_in_a_moment(attack: str) -> None:
    text = (BULK[attack] * 1_000_000)[:1_000_000]
    begun = time.monotonic()
    inline_tokens(text)
    inline_html(text[:20_000])
    assert time.monotonic() - begun < 5


def test_a_brief_with_a_null_is_refused_with_its_line(workspace: Workspace) -> None:
    put(workspace, brief("Words.", body="[x](java\x00script:alert(1))"))
    with pytest.raises(NewsletterError, match=r"\.md:11: is a binary file"):
        parts(workspace)


def test_a_brief_of_a_megabyte_is_refused(workspace: Workspace) -> None:
    put(workspace, brief("Words.", body="word " * 200_000))
    with pytest.raises(NewsletterError, match=r"larger than 250 kB, which no brief is"):
        parts(workspace)


@pytest.mark.parametrize(
    ("what", "source"),
    [
        (
            "sections",
            brief("Words.", body="\n\n".join(f"## Part {n} {{}}\n\nx" for n in range(10_000))),
        ),
        ("paragraphs", brief("Words.", body="\n\n".join("x" for _ in range(10_000)))),
        ("actions", brief("Words.") + "\n".join(f"- Execs: do {n}." for n in range(10_000))),
        ("sources", brief("Words.", body=" ".join(f"https://x{n}.example/" for n in range(8_000)))),
    ],
)
def test_ten_thousand_of_anything_end_in_time(workspace: Workspace, what: str, source: str) -> None:
    put(workspace, source)
    begun = time.monotonic()
    try:
        made = parts(workspace)
    except NewsletterError as error:
        assert any(says in str(error) for says in ("characters", "larger", "too much text")), error  # noqa: PT017
    else:
        assert harm(made.page) == []
    assert time.monotonic() - begun < 3 * PATIENCE, what


# -- the network -----------------------------------------------------------------------------------------


def test_hostile_texts_and_styles_open_no_socket(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(workspace, brief("Words.", body=" ".join([*MARKUP.values(), *LINKS.values()])))
    path = workspace.root / "templates" / "issue.mjml.j2"
    source = path.read_text("utf-8").replace(
        "<mj-style>",
        "<mj-style>p { background: url(https://spy.example/a.png); src: url(//spy.example/b); }\n"
        "@font-face { font-family: x; src: url(https://spy.example/c.woff); }\n",
        1,
    )
    path.write_text(source, "utf-8")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("rendering wanted a socket")

    with monkeypatch.context() as patch:
        for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
            patch.setattr(socket, name, refuse)
        made = parts(workspace)
    assert made.html
