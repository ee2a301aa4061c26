"""What clients lose is found wherever it stands; what does no harm is not held against a mail."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given

from newsletter.checks import clients
from newsletter.checks.clients import HARMLESS, Unsupported, client_names, unsupported
from newsletter.editions.render import inlined
from tests.checks.mails import mail, parsed, sample_mails
from tests.checks.test_styles import STYLES
from tests.conftest import ROOT

FACTS = Path(clients.__file__).with_name("clients.json")
SCRIPT = ROOT / "docs" / "clients.py"
OUTLOOK = "outlook-windows"


def found(body: str, *, head: str = "", harmless: bool = False) -> dict[str, Unsupported]:
    return {one.feature: one for one in unsupported(mail(body, head=head), harmless=harmless)}


def test_the_sample_mails_lose_nothing_that_matters() -> None:
    for name, edition in sample_mails().items():
        assert unsupported(parsed(edition.html)) == [], name


def test_every_use_in_a_sample_mail_is_spared_for_a_reason() -> None:
    edition = next(iter(sample_mails().values()))
    spared = {one.feature: one for one in unsupported(parsed(edition.html), harmless=True)}
    for feature in ("css-border-radius", "css-max-width", "css-at-media", "css-display-none"):
        assert len(spared[feature].harmless) > 10
    assert spared["css-border-radius"].clients == (OUTLOOK,)


@pytest.mark.parametrize(
    ("feature", "body", "some"),
    [
        ("css-display-flex", '<div style="display:flex">x</div>', {OUTLOOK, "gmail-basic"}),
        ("css-display-flex", '<div style="display:inline-flex">x</div>', {OUTLOOK}),
        ("css-display-grid", '<div style="display:grid">x</div>', {OUTLOOK}),
        ("css-position", '<p style="position:absolute">x</p>', {OUTLOOK, "gmail-web"}),
        ("css-float", '<div style="float:left;width:50%">x</div>', {OUTLOOK}),
        ("css-background-image", '<td style="background-image:url(a.png)">x</td>', {OUTLOOK}),
        ("css-background", '<td style="background:#fff url(a.png)">x</td>', {OUTLOOK}),
        ("html-background", '<table background="a.png"><tr><td>x</table>', {OUTLOOK}),
        ("html-video", '<video src="a.mp4"></video>', {OUTLOOK, "gmail-web"}),
        ("html-audio", '<audio src="a.mp3"></audio>', {OUTLOOK}),
        ("html-form", '<form action="/"></form>', {OUTLOOK}),
        ("html-input-text", "<input>", {OUTLOOK}),
        ("html-button-submit", "<button>x</button>", {OUTLOOK}),
        ("html-svg", "<svg><circle/></svg>", {OUTLOOK, "gmail-web"}),
        ("html-object", '<object data="x"></object>', {OUTLOOK}),
        ("html-link", '<link rel="stylesheet" href="a.css">', {"gmail-web"}),
        ("html-hidden", "<p hidden>x</p>", {OUTLOOK, "gmail-web"}),
        ("html-anchor-links", '<a href="#x">x</a>', {"gmail-ios"}),
        ("html-semantics", "<details><summary>x</summary>y</details>", {OUTLOOK, "gmail-web"}),
        ("html-semantics", '<section style="color:#123">x</section>', {OUTLOOK}),
        ("css-gap", '<div style="gap:8px">x</div>', {OUTLOOK, "gmail-web"}),
        ("css-object-fit", '<img alt="" src="a.png" style="object-fit:cover">', {OUTLOOK}),
        ("css-variables", '<p style="color:var(--x)">x</p>', {OUTLOOK, "gmail-web"}),
        ("css-variables", '<p style="--x:#fff">x</p>', {OUTLOOK}),
        ("css-unit-calc", '<p style="width:calc(100% - 8px)">x</p>', {OUTLOOK}),
        ("css-unit-rem", '<p style="font-size:1.2rem">x</p>', {OUTLOOK}),
        ("css-unit-rem", '<p style="font-size:2rem;font-size:16px">x</p>', {OUTLOOK}),
        ("css-unit-vw", '<p style="width:50vw">x</p>', {OUTLOOK}),
        ("css-rgba", '<p style="color:rgba(0,0,0,.5)">x</p>', {OUTLOOK}),
        ("css-rgb", '<p style="color:rgb(0 0 0 / 50%)">x</p>', {OUTLOOK, "gmail-web"}),
        ("css-modern-color", '<p style="color:#000;color:oklch(40% .2 20)">x</p>', {"gmail-web"}),
        ("css-linear-gradient", '<p style="background:linear-gradient(red,tan)">x</p>', {OUTLOOK}),
        ("css-opacity", '<p style="opacity:.5">x</p>', {OUTLOOK, "gmail-basic"}),
        ("css-important", '<p style="color:red!important">x</p>', {OUTLOOK}),
        ("css-white-space", '<p style="white-space:pre-wrap">x</p>', {OUTLOOK}),
        ("css-margin", '<p style="margin-top:-8px">x</p>', {OUTLOOK, "gmail-web"}),
        ("css-max-width", '<div style="max-width:600px">x</div>', {OUTLOOK}),
        ("css-width", '<div style="width:300px">x</div>', {OUTLOOK}),
        ("css-padding", '<a style="background:#000;padding:9px 20px">x</a>', {OUTLOOK}),
        ("css-display-none", '<p style="display:none">x</p>', {"gmail-basic"}),
        ("css-display-none", '<table style="display:none;height:0"><tr><td>x</table>', {OUTLOOK}),
        ("css-overflow", '<p style="overflow:auto">x</p>', {OUTLOOK}),
        ("css-text-align", '<p style="text-align:start">x</p>', {OUTLOOK}),
        ("css-transform", '<p style="transform:rotate(9deg)">x</p>', {OUTLOOK, "gmail-web"}),
        ("css-animation", '<p style="opacity:0;animation:in 1s">x</p>', {OUTLOOK}),
        ("image-webp", '<img alt="" src="https://x.example/a.webp?b=1">', {OUTLOOK}),
        ("image-svg", '<img alt="" src="https://x.example/a.SVG">', {"gmail-web"}),
        ("image-base64", '<img alt="" src="data:image/png;base64,AAAA">', {"gmail-web"}),
        ("image-avif", '<td style="background:url(a.avif)">x</td>', {OUTLOOK}),
    ],
)
def test_what_a_mail_should_not_rest_on_is_reported(
    feature: str, body: str, some: set[str]
) -> None:
    one = found(body)[feature]
    assert some <= {*one.clients, *one.partial}
    assert one.where
    assert one.line == 1
    assert one.times >= 1
    assert not one.harmless


@pytest.mark.parametrize(
    ("feature", "head", "body"),
    [
        ("css-at-font-face", "@font-face { font-family: X; src: url(x.woff2) }", ""),
        ("css-at-import", "@import url(https://fonts.example/x.css);", ""),
        ("css-pseudo-class-hover", ".a:hover .b { display: block }", '<p class="a"><b class="b">'),
        ("css-pseudo-class-checked", "i:checked ~ b { max-height: 9em }", "<i>x</i><b>y</b>"),
        ("css-pseudo-element-before", "p::before { content: '!' }", "<p>x</p>"),
        ("css-pseudo-element-before", "p:before { content: '!' }", "<p>x</p>"),
        ("css-pseudo-class-nth-child", "p:nth-child(2) { color: red }", "<p>x</p><p>y</p>"),
        ("css-selector-child", "td > b { color: red }", "<table><tr><td><b>x</b></table>"),
        ("css-selector-universal", "* { color: red }", "<p>x</p>"),
        ("css-nesting", "p { color: red; & b { color: tan } }", "<p>x</p>"),
        ("html-style", "p { color: red }", "<p>x</p>"),
        ("html-style", f"/*{'x' * 17_000}*/", ""),
        ("css-display-flex", "p { display: flex }", "<p>x</p>"),
        ("css-variables", ":root { --x: red }", "<p>x</p>"),
    ],
)
def test_what_only_a_style_sheet_says_is_reported(feature: str, head: str, body: str) -> None:
    one = found(body, head=f"<style>{head}</style>")[feature]
    assert one.clients or one.partial


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("@media (min-width: 600px) { p { display: flex; gap: 8px } }", "<p>x</p>"),
        ("@media (prefers-color-scheme: dark) { p { color: rgb(0 0 0 / 50%) } }", "<p>x</p>"),
        ("@supports (display: grid) { p { display: grid } }", "<p>x</p>"),
        (":root { color-scheme: light dark; -webkit-text-size-adjust: none }", ""),
        ("#outlook a { padding: 0 } .ExternalClass { width: 100% }", "<p>x</p>"),
        ("[data-ogsc] p { color: red !important }", "<p>x</p>"),
        ("a:hover { color: red; text-decoration: none }", '<a href="x">x</a>'),
        ("a:hover { visibility: visible }", "<p>x</p>"),
        ("p { color: red }", '<p style="color:red">x</p>'),
        ("p { margin-top: 3px }", '<p style="margin:3px 0 0">x</p>'),
        ("", '<td style="border-radius:4px;box-shadow:0 0 4px #000">x</td>'),
        ("", '<p style="color:#777;color:rgba(0,0,0,.5)">x</p>'),
        ("", '<td style="background:#eee;background:linear-gradient(red,tan)">x</td>'),
        ("", '<td bgcolor="#eee" style="background:#eee;background:linear-gradient(red,tan)">x</td>'),
        ("", '<td style="width:300px;width:calc(100% - 8px)">x</td>'),
        ("", '<img alt="" width="300" style="max-width:100%;width:300px;height:auto" src="a.png">'),
        ("", '<table align="left" style="float:left"><tr><td>x</table>'),
        ("", '<code style="font-family:ui-monospace, Menlo, monospace">x</code>'),
        ("", '<p style="white-space:nowrap;line-height:1.4;word-break:break-word">x</p>'),
        ("", '<td style="mso-padding-alt:9px 20px;background:#000"><a style="padding:9px">x</a></td>'),
        ("", '<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">x</div>'),
        ("", '<div style="display:none;max-height:0;max-width:0;opacity:0;overflow:hidden">x</div>'),
        ("", '<p style="position:static;float:none;transform:none;clip-path:none">x</p>'),
        ("p { cursor: pointer; user-select: none }", "<p>x</p>"),
        ("", "<p style='font-family:\"calc(10vw) var(--x)\", serif'>x</p>"),
        ("", '<section lang="de"><h2>x</h2><abbr title="y">z</abbr></section>'),
        ("", '<img alt="" src="a.png" srcset="a.webp 2x" loading="lazy">'),
        ("", '<picture><source srcset="a.webp"><img alt="" src="a.png"></picture>'),
        ("", '<p style="position:relative">x</p><p data-brief="y" aria-label="z" role="note">x</p>'),
    ],
)  # fmt: skip
def test_what_does_no_harm_is_not_reported(head: str, body: str) -> None:
    assert found(body, head=f"<style>{head}</style>") == {}


def test_a_width_that_a_table_for_outlook_alone_says_too_is_harmless() -> None:
    ghost = '<!--[if mso]><table width="600"><tr><td><![endif]-->'
    assert found(f'{ghost}<div style="max-width:600px">x</div>') == {}


def test_a_background_that_outlook_draws_itself_is_harmless() -> None:
    drawn = '<!--[if mso]><v:rect><v:fill type="frame" src="a.png"/></v:rect><![endif]-->'
    assert found(f'{drawn}<td style="background:url(a.png)">x</td>') == {}


def test_what_outlook_does_not_see_is_not_held_against_it() -> None:
    one = found('<!--[if !mso]><!--><div style="display:flex">x</div><!--<![endif]-->')
    assert OUTLOOK not in one["css-display-flex"].clients
    assert "gmail-basic" in one["css-display-flex"].clients
    assert found('<!--[if mso]><div style="display:flex">x</div><![endif]-->') == {}


def test_support_in_part_is_told_from_none_and_explained() -> None:
    one = found('<div style="gap:8px">x</div>')["css-gap"]
    assert "gmail-web" in one.partial
    assert OUTLOOK in one.clients
    assert "Partial. Supports column-gap for flexbox." in one.notes
    sticky = found('<div style="position:sticky">x</div>')["css-position"]
    assert "outlook-com" not in {*sticky.clients, *sticky.partial}
    assert "apple-ios" in sticky.partial
    absolute = found('<div style="position:absolute">x</div>')["css-position"]
    assert not {"apple-ios", "apple-macos"} & {*absolute.clients, *absolute.partial}


def test_uses_are_counted_and_the_first_one_named() -> None:
    body = '<div class="b" style="display:flex">Hello you</div>' + '<div style="display:flex">' * 2
    one = found(body)["css-display-flex"]
    assert one.times == 3
    assert one.where == 'display: flex in <div class="b">Hello you'


def test_a_rule_that_could_not_be_written_into_attributes_is_reported_after_inlining() -> None:
    document = inlined(
        "<html><head><style>p { color: red } p:nth-of-type(1) { color: tan }</style></head>"
        "<body><p>x</p></body></html>"
    )
    assert {"css-pseudo-class-nth-of-type"} <= {one.feature for one in unsupported(document)}
    assert "css-selector-type" not in {one.feature for one in unsupported(document)}


def test_names_of_clients_are_joined() -> None:
    everybody = client_names(clients.clients())
    assert everybody == [
        "Outlook for Windows",
        "new Outlook and Outlook.com",
        "Gmail",
        "Apple Mail",
    ]
    assert client_names(["gmail-ios", "gmail-web"]) == ["Gmail in a browser", "Gmail on iOS"]


def test_the_facts_say_whose_they_are_and_are_small() -> None:
    facts = json.loads(FACTS.read_text("utf-8"))
    assert FACTS.stat().st_size < 150_000
    assert re.findall(r'PACKAGE = "(.+)"', SCRIPT.read_text("utf-8")) == [
        facts["source"].rpartition(" ")[2]
    ]
    assert "Copyright (c) 2019 HTeuMeuLeu" in facts["copyright"]
    assert "Permission is hereby granted" in facts["licence"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", clients.tested())


def test_what_is_called_harmless_is_a_feature_and_has_a_reason() -> None:
    known = {one["slug"] for one in json.loads(FACTS.read_text("utf-8"))["features"]}
    assert set(HARMLESS) - {"css-comments"} <= known
    assert all(len(reason) > 10 for reason, _ in HARMLESS.values())


@given(STYLES, STYLES)
def test_no_style_is_too_broken(style: str, head: str) -> None:
    document = mail("<p>x</p>", head="<style></style>")
    for element, text in (("p", style), ("style", head)):
        node = document.find(f".//{element}")
        assert node is not None
        clean = re.sub(r"[^\x20-\U0010ffff]", " ", text)
        if element == "p":
            node.set("style", clean)
        else:
            node.text = clean
    unsupported(document, harmless=True)
