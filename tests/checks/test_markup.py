"""Each function sees its own kind of flaw, and is silent about the sample mails."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.checks import markup
from newsletter.checks.markup import Flaw, valid_language, well_formed
from newsletter.editions import Skeleton
from tests.checks.mails import mail, parsed, sample_mails

NONCE = "abc123"
WORDS = st.lists(st.from_regex(r"[a-zäöüß]{1,12}('s)?", fullmatch=True), min_size=1, max_size=30)


def kinds(flaws: Sequence[Flaw]) -> list[str]:
    return [one.kind for one in flaws]


def test_the_sample_mails_are_well_made() -> None:
    for name, edition in sample_mails().items():
        document = parsed(edition.html)
        slots = {slot for slot, _ in Skeleton.cut(edition.message, edition.nonce).keys}
        assert slots
        flaws = [
            *markup.headings(document),
            *markup.tables(document),
            *markup.language(document),
            *markup.images(document, loopback=True),
            *markup.links(document, loopback=True),
            *markup.forbidden(document),
            *markup.unfilled(document, edition.nonce, slots),
            *markup.unfilled_text(edition.text, edition.nonce, slots),
        ]
        assert flaws == [], name
        assert markup.missing_from_text(document, edition.text) == [], name
        assert markup.wide_words(edition.text) == [], name


def test_the_sample_is_not_silent_because_nothing_is_looked_at() -> None:
    edition = sample_mails()["lead 2026-W48 en "]
    document = parsed(edition.html)
    assert {"image-insecure"} == set(kinds(markup.images(document)))
    assert {"link-insecure"} == set(kinds(markup.links(document)))
    assert len(markup.unfilled(document, "another")) > 20
    assert len(markup.missing_from_text(document, "")) > 30


# ---- Structure -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("<p>x</p>", ["heading-none"]),
        ("<h1>a</h1><h2>b</h2><h3>c</h3><h2>d</h2><h1>e</h1>", []),
        ("<h2>a</h2><h1>b</h1>", ["heading-first"]),
        ("<h1>a</h1><h3>b</h3>", ["heading-skip"]),
        ("<h1>a</h1><h2> &#160; </h2>", ["heading-empty"]),
        ('<h1><img src="x" alt="The Brief"></h1>', []),
        ('<h1><img src="x" alt=""></h1>', ["heading-empty"]),
        ('<h1>a</h1><div role="heading" aria-level="3">b</div>', ["heading-skip"]),
        ('<h1>a</h1><h3 style="display:none">b</h3><h2>c</h2>', []),
        ('<h1 role="presentation">a</h1>', ["heading-none"]),
    ],
)
def test_headings(body: str, wanted: list[str]) -> None:
    assert kinds(markup.headings(mail(body))) == wanted


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12))
def test_headings_are_right_when_no_step_down_is_more_than_one(levels: list[int]) -> None:
    body = "".join(f"<h{level}>{level}</h{level}>" for level in levels)
    right = levels[0] == 1 and all(later <= before + 1 for before, later in pairwise(levels))
    assert (markup.headings(mail(body)) == []) == right


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ('<table role="presentation"><tr><td>x</table>', []),
        ('<table role="none"><tr><td>x</table>', []),
        ("<table><tr><td>x</table>", ["table-role"]),
        ("<table><tr><th>x<td>y</table>", []),
        ("<table><caption>x</caption><tr><td>y</table>", ["table-no-header"]),
        ('<table role="table"><tr><td>y</table>', ["table-no-header"]),
        ('<table role="presentation"><tr><th>x</table>', ["table-presented-data"]),
        ('<table role="none"><tr><td><table><tr><th>x</table></table>', []),
        ('<table><tr><td><table role="none"><tr><td>x</table></table>', ["table-role"]),
        ("<!--[if mso]><table><tr><td><![endif]-->x", []),
    ],
)
def test_tables(body: str, wanted: list[str]) -> None:
    assert kinds(markup.tables(mail(body))) == wanted


@pytest.mark.parametrize(
    ("start", "wanted"),
    [
        ('<html lang="en" dir="ltr">', []),
        ('<html lang="pt-BR" dir="ltr">', []),
        ('<html lang="ar" dir="rtl">', []),
        ('<html lang="az-Arab" dir="rtl">', []),
        ('<html lang="ar" dir="ltr">', ["dir-wrong"]),
        ('<html lang="en" dir="rtl">', ["dir-wrong"]),
        ('<html lang="en">', ["dir-missing"]),
        ('<html lang="en" dir="auto">', ["dir-missing"]),
        ('<html dir="ltr">', ["lang-missing"]),
        ('<html lang="und" dir="ltr">', ["lang-invalid"]),
        ('<html lang="en_GB" dir="ltr">', ["lang-invalid"]),
        ('<html lang="english" dir="ltr">', ["lang-invalid"]),
        ('<html lang="qq" dir="ltr">', ["lang-invalid"]),
    ],
)
def test_language(start: str, wanted: list[str]) -> None:
    assert kinds(markup.language(mail("<p>x</p>", start=start))) == wanted


def test_a_title_is_asked_for_and_a_part_in_another_language_is_looked_at() -> None:
    assert kinds(markup.language(parsed('<html lang="en" dir="ltr"><p>x'))) == ["title-missing"]
    assert kinds(markup.language(mail('<p lang="xx-bad_tag">x</p>'))) == ["lang-invalid"]


@pytest.mark.parametrize(
    "code", ["de", "de-CH-1996", "zh-Hant-TW", "es-419", "sl-rozaj-biske", "en-x-ours", "gsw"]
)
def test_language_tags_of_rfc_5646_are_valid(code: str) -> None:
    assert valid_language(code)


# ---- Images and links ----------------------------------------------------------------------------

SRC = "https://x.example/a-photo.png"


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (f'<img src="{SRC}" alt="A bridge in fog" width="600">', []),
        (f'<img src="{SRC}" alt="" style="width:300px">', []),
        (f'<img src="{SRC}" width="600">', ["image-no-alt"]),
        (f'<img src="{SRC}" alt="a-photo.png" width="600">', ["image-alt-file"]),
        (f'<img src="{SRC}" alt="a-photo" width="600">', ["image-alt-file"]),
        (f'<img src="{SRC}" alt="IMG_2041" width="600">', ["image-alt-file"]),
        (f'<img src="{SRC}" alt="Screenshot 2" width="600">', ["image-alt-file"]),
        ('<img src="https://x.example/logo.png" alt="Logo" width="60">', []),
        (f'<img src="{SRC}" alt="x">', ["image-no-width"]),
        (f'<img src="{SRC}" alt="x" width="100%">', ["image-no-width"]),
        (f'<img src="{SRC}" alt="x" width="601">', ["image-wide"]),
        (f'<img src="{SRC}" alt="x" style="width:900px">', ["image-wide"]),
        ('<img alt="x" width="1">', ["image-no-source"]),
        ('<img src="http://x.example/a.png" alt="x" width="1">', ["image-insecure"]),
        ('<img src="data:image/png;base64,AA" alt="x" width="1">', ["image-insecure"]),
        ('<img src="/a.png" alt="x" width="1">', ["image-insecure"]),
        ('<img src="http://127.0.0.1:8000/a.png" alt="x" width="1">', ["image-insecure"]),
    ],
)
def test_images(image: str, wanted: list[str]) -> None:
    assert kinds(markup.images(mail(image))) == wanted


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:80"])
def test_loopback_is_let_through_when_asked(host: str) -> None:
    body = f'<img src="http://{host}/a.png" alt="x" width="1"><a href="http://{host}/">Issues</a>'
    assert markup.images(mail(body), loopback=True) == []
    assert markup.links(mail(body), loopback=True) == []
    assert kinds(markup.links(mail(body))) == ["link-insecure"]
    for other in ("127.0.0.1.x.example", "10.0.0.1", "localhost.x.example"):
        elsewhere = mail(body.replace(host, other))
        assert kinds(markup.images(elsewhere, loopback=True)) == ["image-insecure"]


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ('<a href="https://x.example/a?b=[1]&amp;c=ü|d#Ä">The terms</a>', []),
        ('<a href="https://bücher.example/">Books</a>', []),
        ('<a href="https://x.example/@@abc123.click.html@@">Report</a>', []),
        ('<a href="mailto:desk@x.example?subject=Hi%20you">Write</a>', []),
        ('<a href="tel:+49-40-123">Call</a>', []),
        ('<a id="x">Not a link</a>', []),
        ('<a href="#there">Below</a><p id="there">', []),
        ('<a href="#nowhere">Below</a>', ["link-malformed"]),
        ('<a href="">Report</a>', ["link-malformed"]),
        ('<a href="#">Report</a>', ["link-malformed"]),
        ('<a href="/issues">Report</a>', ["link-malformed"]),
        ('<a href="www.x.example">Report</a>', ["link-malformed"]),
        ('<a href="https://">Report</a>', ["link-malformed"]),
        ('<a href="https:///x">Report</a>', ["link-malformed"]),
        ('<a href="https://x.example/a b">Report</a>', ["link-malformed"]),
        ('<a href="https://x y.example/">Report</a>', ["link-malformed"]),
        ('<a href="https://https://x.example/">Report</a>', ["link-malformed"]),
        ('<a href="https://x.example:port/">Report</a>', ["link-malformed"]),
        ('<a href="https://[::1/">Report</a>', ["link-malformed"]),
        ('<a href="https://@@abc123.click.html@@/">Report</a>', ["link-malformed"]),
        ('<a href="mailto:nobody">Write</a>', ["link-malformed"]),
        ('<a href="http://x.example/">Report</a>', ["link-insecure"]),
        ('<a href="ftp://x.example/">Report</a>', ["link-scheme"]),
        ('<a href="sms:+4940123">Report</a>', ["link-scheme"]),
        ('<a href="javascript:alert(1)">Report</a>', ["link-dangerous"]),
        ('<a href=" JaVa\nScript:alert(1)">Report</a>', ["link-dangerous"]),
        ('<a href="data:text/html,x">Report</a>', ["link-dangerous"]),
        ('<a href="https://x.example/"></a>', ["link-empty"]),
        ('<a href="https://x.example/"><img src="x" alt=""></a>', ["link-empty"]),
        ('<a href="https://x.example/"><img src="x" alt="Report"></a>', []),
        ('<a href="https://x.example/" aria-label="Report"></a>', []),
        ('<a href="https://x.example/">Click here!</a>', ["link-vague"]),
        ('<a href="https://x.example/">Read  more …</a>', ["link-vague"]),
        ('<a href="https://x.example/">Hier</a>', ["link-vague"]),
        ('<a href="https://x.example/">Mehr erfahren</a>', ["link-vague"]),
        ('<a href="https://x.example/">En savoir plus</a>', ["link-vague"]),
        ('<a href="https://x.example/">Here is the report</a>', []),
        ('<a href="https://x.example/a">Report</a><a href="https://x.example/a">Report</a>', []),
    ],
)
def test_links(link: str, wanted: list[str]) -> None:
    assert kinds(markup.links(mail(link))) == wanted


def test_the_same_words_lead_to_the_same_place_within_a_brief() -> None:
    first, second = (f'<a href="https://x.example/{n}">Done</a>' for n in (1, 2))
    apart = f'<p data-brief="a">{first}</p><p data-brief="b">{second}</p>'
    assert kinds(markup.links(mail(apart))) == []
    together = f'<p data-brief="a">{first}, <b>{second.replace("Done", "done.")}</b></p>'
    assert kinds(markup.links(mail(together))) == ["link-same-text"]
    assert kinds(markup.links(mail(first + second))) == ["link-same-text"]


def test_a_flaw_says_where_it_is_and_what_it_is_about() -> None:
    (one,) = markup.links(mail('\n\n<a class="more" href="http://x.example/y">The report</a>'))
    assert one == Flaw(
        "link-insecure",
        '<a class="more" href="http://x.example/y">The report',
        "http://x.example/y",
        3,
    )


@given(st.text(max_size=40) | st.from_regex(r"(https?:|mailto:|//)[\S\s]{0,30}"))
@example("https://[")
@example("http://a:99999999/")
@example("https://\u2100.example/")
def test_no_address_is_too_broken(address: str) -> None:
    document = mail("<a>Report</a>")
    link = document.find(".//a")
    assert link is not None
    clean = "".join(one for one in address if one.isprintable())
    link.set("href", clean)
    flaws = kinds(markup.links(document))
    if well_formed(clean):
        assert "link-malformed" not in flaws


# ---- Forbidden and unfilled ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("<script>x</script>", ["element"]),
        ('<iframe src="https://x.example/"></iframe>', ["element"]),
        ('<object data="x"></object>', ["element"]),
        ("<embed>", ["element"]),
        ('<form action="https://x.example/"><input><button>x</button></form>', ["element"] * 3),
        ("<select></select><textarea></textarea>", ["element"] * 2),
        ('<p onclick="x()">x</p>', ["handler"]),
        ('<img src="x" ONERROR="x()">', ["handler"]),
        ("<!-- to do: ask Ann -->", ["comment"]),
        ("<!--[if mso]><table><tr><td><![endif]-->", []),
        ("<!--[if !mso]><!-->x<!--<![endif]-->", []),
        ("<!--[if mso]><script>x</script><![endif]-->", ["element"]),
        ('<p style="width:expression(alert(1))">x</p>', ["css"]),
        ('<p style="behavior:url(x.htc)">x</p>', ["css"]),
        ('<p style="-moz-binding:url(x)">x</p>', ["css"]),
        ("<p style=\"background:url('javascript:alert(1)')\">x</p>", ["css"]),
        ('<td background="javascript:x">x</td>', ["address"]),
        ('<p style="color:red" data-brief="on" class="only">x</p>', []),
    ],
)
def test_forbidden(body: str, wanted: list[str]) -> None:
    assert kinds(markup.forbidden(mail(body))) == wanted


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        ('<meta http-equiv="Refresh" content="0;url=https://x.example/">', ["meta-refresh"]),
        ('<base href="https://x.example/">', ["element"]),
        ('<link rel="stylesheet" href="https://x.example/a.css">', ["style-sheet"]),
        ("<style>@import url(https://x.example/a.css);</style>", ["style-sheet"]),
        ("<style>p { behavior: url(x) }</style>", ["css"]),
        ("<style>@media screen { p { width: expression(1) } }</style>", ["css"]),
        ('<meta http-equiv="X-UA-Compatible" content="IE=edge">', []),
    ],
)
def test_forbidden_in_the_head(head: str, wanted: list[str]) -> None:
    assert kinds(markup.forbidden(mail("<p>x</p>", head=head))) == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("<p>Hello {{ name }}</p>", ["template"]),
        ("<p>x</p>{% if y %}", ["template"]),
        ('<a href="{{ url }}">x</a>', ["template"]),
        ("<p>Write <code>{{ name }}</code> there</p>", []),
        ("<pre><b>{% raw %}</b></pre>", []),
        ("<p>@@abc123.reason.html@@</p>", []),
        ("<p>@@abc123.reason.text@@</p>", ["marker"]),
        ("<p>@@other.reason.html@@</p>", ["marker"]),
        ("<p>@@abc123.unheard.html@@</p>", ["marker"]),
        ("<p>@@name@@</p>", ["marker"]),
        ("<p>None</p>", ["nothing"]),
        ("<p>x<br>undefined</p>", ["nothing"]),
        ('<img src="x" alt="None">', ["nothing"]),
        ('<p style="display:none">x</p>', []),
        ("<p>None of them</p>", []),
        ("<p>Lorem  Ipsum dolor</p>", ["placeholder"]),
        ("<!-- {{ x }} -->", ["template"]),
        ("<style>@media print{#a{color:red}}</style>", []),
        ("<style>p { color: {{ theme.text }} }</style>", ["template"]),
        ("<!--[if mso]><style>@media print{p{color:red}}</style><![endif]-->", []),
    ],
)
def test_unfilled(body: str, wanted: list[str]) -> None:
    assert kinds(markup.unfilled(mail(body), NONCE, {"reason"})) == wanted


def test_unfilled_text() -> None:
    text = "Hello\n@@abc123.reason.text@@\n@@abc123.reason.html@@\n{{ code }}\nNone\nlorem ipsum"
    assert [(one.kind, one.line) for one in markup.unfilled_text(text, NONCE)] == [
        ("marker", 3),
        ("nothing", 5),
        ("placeholder", 6),
    ]


# ---- The text part -------------------------------------------------------------------------------


def test_what_the_text_part_does_not_say_is_found() -> None:
    document = mail(
        "<h2>Quillon halves its prices</h2><p>It is a test. <b>Sign nothing</b> yet.</p>"
        '<p>Week 48 · Tue 24 Nov</p><p><a href="https://x.example/">Full brief</a></p>'
        '<div style="display:none">Also: an outage.</div><p>See https://y.example/z now.</p>'
        '<p><a href="https://x.example/">Read in the browser</a></p>'
    )
    text = (
        "QUILLON HALVES\nITS PRICES\n\nIt is a test. Tue 24 Nov, week 48\nFull brief:\n"
        "  https://x.example/yet\n\nSee y.example now.\n"
    )
    assert markup.missing_from_text(document, text) == ["Sign nothing yet."]
    gone = text.replace("HALVES", "").replace("Full brief", "")
    assert markup.missing_from_text(document, gone) == [
        "Quillon halves its prices",
        "Sign nothing yet.",
        "Full brief",
    ]


def test_words_in_another_order_are_not_the_same_words() -> None:
    document = mail("<p>Not for everybody</p>")
    assert markup.missing_from_text(document, "everybody, not for")
    assert markup.missing_from_text(document, "Knot for everybody")
    assert markup.missing_from_text(document, "It is\nNOT for “everybody”!") == []


def test_a_bare_address_may_stand_elsewhere_in_the_text() -> None:
    document = mail("<p>The terms: https://y.example/z are new</p>")
    assert markup.missing_from_text(document, "The terms: y.example are new") == []
    assert markup.missing_from_text(document, "The terms:\nhttps://y.example/z\nare new") == []
    assert markup.missing_from_text(document, "The terms are old") != []


@given(st.lists(WORDS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_wrapping_and_case_hide_nothing_and_a_lost_sentence_is_seen(
    sentences: list[list[str]], chance: Callable[[], float]
) -> None:
    marked = [[f"mark{chr(97 + number)}", *words] for number, words in enumerate(sentences)]
    said = [f"{' '.join(words)}." for words in marked]
    document = mail("".join(f"<p>{one}</p>" for one in said))
    wrapped = [textwrap.fill(one.upper().replace("ẞ", "ß"), 20) for one in said]
    assert markup.missing_from_text(document, "\n\n".join(wrapped)) == []
    for number, one in enumerate(said):
        rest = "\n\n".join(wrapped[:number] + wrapped[number + 1 :])
        assert markup.missing_from_text(document, rest) == [one]


def test_words_wider_than_a_line_are_found_and_addresses_are_not() -> None:
    long, wide, joined = "x" * 79, "漢" * 40, "e\u0301" * 78
    text = f"short\n{long} y\nhttps://x.example/{long}\n{'y ' * 60}\n{wide}\n{joined}"
    assert markup.wide_words(text) == [(2, long)]
    assert markup.columns_of(wide) == 80
    assert markup.columns_of(joined) == 78


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_is_too_broken(html: str, text: str) -> None:
    body = "".join(one for one in html if one.isprintable() and one not in "<>&")
    document = mail(f"<p>{body}</p>")
    markup.missing_from_text(document, text)
    markup.unfilled(document, NONCE)
    markup.unfilled_text(text, NONCE)
    markup.wide_words(text)
