"""What comes out of Word, Google Docs, Outlook and Gmail is the brief that its writer meant."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from newsletter import Workspace
from newsletter.briefs import Brief, Vocabulary, parse_brief, take_brief
from newsletter.briefs.paste import LARGEST_DOCUMENT
from newsletter.errors import InputError, RefusedError
from tests.docs.pages import Page

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(ROOT.glob("issues/*/briefs/*")) + sorted(ROOT.glob("issues/inbox/*"))
VOCABULARY = Vocabulary()

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_STYLES = f"""<w:styles {_W}>
<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>
<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style></w:styles>"""
_NUMBERING = f"""<w:numbering {_W}><w:abstractNum w:abstractNumId="0">
<w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl>
</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>"""


def run(text: str, properties: str = "") -> str:
    return (
        f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{html.escape(text)}</w:t></w:r>'
    )


def bold(text: str) -> str:
    return run(text, "<w:b/>")


def paragraph(*runs: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{''.join(runs)}</w:p>"


def styled(style: str, text: str) -> str:
    return paragraph(run(text), properties=f'<w:pStyle w:val="{style}"/>')


def item(text: str, level: int = 0) -> str:
    number = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="1"/></w:numPr>'
    return paragraph(run(text), properties=number)


def docx(
    *paragraphs: str, links: Iterable[tuple[str, str]] = (), more: dict[str, str] | None = None
) -> bytes:
    """A Word document; `more` are further parts, `links` relationships of the kind hyperlink."""
    related = "".join(
        f'<Relationship Id="{key}" Type="{_OFFICE}/hyperlink" Target="{html.escape(url)}" '
        'TargetMode="External"/>'
        for key, url in links
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r" '
        f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f"{related}</Relationships>",
        "word/styles.xml": _STYLES,
        "word/numbering.xml": _NUMBERING,
        "word/document.xml": f"<w:document {_W} {_R}><w:body>{''.join(paragraphs)}</w:body>"
        "</w:document>",
        **(more or {}),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()


def taken(tmp_path: Path, name: str, raw: bytes | str) -> tuple[str, tuple[str, ...]]:
    """The text that came out, and what is said of it."""
    path = tmp_path / name
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    made = take_brief(path, vocabulary=VOCABULARY)
    return made.text, made.notes


def web(tmp_path: Path, markup: str) -> str:
    return taken(tmp_path, "page.html", markup)[0].strip()


def word(tmp_path: Path, *paragraphs: str) -> str:
    return taken(tmp_path, "page.docx", docx(*paragraphs))[0].strip()


def refusal(tmp_path: Path, name: str, raw: bytes | str) -> str:
    with pytest.raises(InputError) as caught:
        taken(tmp_path, name, raw)
    assert name in str(caught.value)
    return caught.value.message


# -- the same brief ----------------------------------------------------------------------------------


def _as_docx(text: str) -> bytes:
    breaks = "<w:r><w:br/></w:r>"
    blocks = re.split(r"\n{2,}", text.strip("\n"))
    return docx(*(paragraph(breaks.join(map(run, block.split("\n")))) for block in blocks))


def _as_paragraphs(text: str) -> str:
    lines = [
        re.sub(r"^ +", lambda found: "&nbsp;" * len(found[0]), html.escape(line))
        for line in text.split("\n")
    ]
    return "<html><body>" + "\n".join(f"<p>{line}</p>" for line in lines) + "</body></html>"


def _as_divisions(text: str) -> str:
    """As Gmail writes what is typed."""
    return f'<div dir="ltr">{_as_paragraphs(text)[12:-14]}</div>'.replace("p>", "div>")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("ending", "made"),
    [(".docx", _as_docx), (".html", _as_paragraphs), (".htm", _as_divisions)],
    ids=["docx", "paragraphs", "divisions"],
)
def test_every_sample_comes_out_of_a_document_as_it_comes_out_of_its_text(
    workspace_dir: Path, tmp_path: Path, sample: Path, ending: str, made: object
) -> None:
    text = sample.read_text("utf-8")
    raw = made(text)  # type: ignore[operator]
    document = tmp_path / f"{sample.stem}-again{ending}"
    document.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    with Workspace(workspace_dir) as workspace:
        meant = parse_brief(
            re.sub(r"^slug: .*\n", "", text, flags=re.MULTILINE),
            name=document.name,
            vocabulary=workspace.vocabulary,
            audiences=workspace.audiences,
        ).brief
        if "slug:" in text:
            raw = document.read_bytes()
            with Workspace(workspace_dir) as other:
                found = other.take_brief(document).parsed.brief
            assert found.slug == sample.stem
            meant = _renamed(meant, sample.stem)
            assert found == meant
            return
        target = workspace.add_brief(document)
        assert target.name == f"{sample.stem}-again.md"
        assert workspace.brief(target).brief == meant
        assert workspace.brief(target).ok


def _renamed(brief: Brief, slug: str) -> Brief:
    actions = tuple(
        replace(one, id=one.id.replace(f"{brief.slug}/", f"{slug}/")) for one in brief.actions
    )
    return replace(brief, slug=slug, actions=actions)


# -- labels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "markup",
    [
        "<p><b>Why it matters:</b> Budgets close.</p>",
        "<p><strong>Why it matters: </strong>Budgets close.</p>",
        "<p><b>Why it matters: Budgets close.</b></p>",
        "<p><b>Why it matters</b> Budgets close.</p>",
        "<p><b>Why it</b><b>&nbsp;matters</b>: Budgets close.</p>",
        "<p><b>Why it matters</b></p><p>Budgets close.</p>",
        "<p>Why it matters</p><p>Budgets close.</p>",
        "<p>Why&nbsp;it matters:&nbsp; Budgets close.</p>",
        "<h3>Why it matters</h3><p>Budgets close.</p>",
        "<h3><b>Why it matters:</b></h3><p>Budgets close.</p>",
        "<div><b>Why it matters:</b><br>Budgets close.</div>",
        '<p><span style="font-weight: 700">Why it matters:</span><span> Budgets close.</span></p>',
        "<style>.c1{font-weight:700}</style><p><span class=c1>Why it matters:</span> Budgets close.</p>",
        "<table><tr><td>Why it matters</td><td><p>Budgets close.</p></td></tr></table>",
    ],
)
@pytest.mark.parametrize("around", ["{}", "<h1>A headline</h1><p>Its lead.</p>{}"])
def test_a_label_is_one_however_it_is_marked(tmp_path: Path, markup: str, around: str) -> None:
    brief = parse_brief(web(tmp_path, around.format(markup))).brief
    assert brief.why == "Budgets close."


def test_a_label_in_one_bold_run_of_word_with_its_text_is_parted_from_it(tmp_path: Path) -> None:
    text = word(
        tmp_path,
        paragraph(bold("Why it matters: Budgets"), bold(" close"), run(" in December.")),
        paragraph(bold("Our "), bold("Take: "), run("Fine.")),
    )
    assert text == "Why it matters: **Budgets close** in December.\n\nOur Take: Fine."


def test_labels_and_headings_mixed_are_all_found(tmp_path: Path) -> None:
    text = word(
        tmp_path,
        paragraph(bold("Our Take")),
        paragraph(run("A fair price.")),
        paragraph(run("Why it matters: It is December.")),
        styled("berschrift2", "Do this week"),
        item("Everyone: look."),
        styled("berschrift2", "Tollgate halves its prices"),
        paragraph(run("The lead.")),
        paragraph(bold("What the contract says")),
        paragraph(run("Little.")),
    )
    brief = parse_brief(text).brief
    assert (brief.take, brief.why) == ("A fair price.", "It is December.")
    assert brief.headline == "Tollgate halves its prices"
    assert [one.text for one in brief.actions] == ["look."]
    assert [one.heading for one in brief.body] == [None, "What the contract says"]


def test_the_title_of_word_is_the_headline_and_headings_are_found_in_any_language(
    tmp_path: Path,
) -> None:
    text = word(tmp_path, styled("Titel", "The headline"), styled("berschrift2", "Our Take"))
    assert text == "# The headline\n\n## Our Take"


# -- what a document has besides ---------------------------------------------------------------------


def test_lists_keep_their_order_and_their_depth(tmp_path: Path) -> None:
    markup = (
        "<ul><li>one<ul><li>inner</ul><li><p>two</p><p>more</p></ul><ol><li>first<li>second</ol>"
    )
    assert web(tmp_path, markup) == "- one\n  - inner\n- two more\n1. first\n2. second"
    assert (
        web(tmp_path, "<ol start=7><li>one<ol><li>in</ol><li>two</ol>") == "7. one\n  1. in\n8. two"
    )
    assert word(tmp_path, item("one"), item("inner", 1)) == "- one\n  - inner"


def test_the_lists_that_word_pastes_are_lists(tmp_path: Path) -> None:
    markup = """<!--[if gte mso 9]><xml><w:WordDocument/></xml><![endif]-->
    <p class=MsoListParagraphCxSpFirst style='text-indent:-.25in;mso-list:l0 level1 lfo1'>
    <![if !supportLists]>    <span style='mso-list:Ignore'>·<span>&nbsp;&nbsp;&nbsp; </span></span>
    <![endif]>AI teams: go.<o:p></o:p></p>
    <p class=MsoListParagraphCxSpLast style='mso-list:l0 level2 lfo1'><span style='mso-list:Ignore'>2.
    <span>&nbsp;</span></span>then rest.<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>"""
    assert web(tmp_path, markup) == "- AI teams: go.\n  2. then rest."


def test_links_are_kept_out_of_their_detours_and_only_safe_ones(tmp_path: Path) -> None:
    outlook = (
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fb.example%2Fy&amp;data=1"
    )
    markup = f"""<p><a href="https://a.example/(x)">one</a> <a href="javascript:alert(1)">two</a>
    <a href="data:text/html,x">three</a> <a href="https://www.google.com/url?q=https://c.example/z&amp;sa=D">four</a>
    <a href="{outlook}">five</a> <a href="https://d.example">https://d.example</a> <a href="#top">six</a>
    <a href=" JaVa&#10;script:x">seven</a> <a href="mailto:desk@example.com">eight</a></p>"""
    assert web(tmp_path, markup) == (
        "[one](https://a.example/%28x%29) two three [four](https://c.example/z) "
        "[five](https://b.example/y) https://d.example six seven [eight](mailto:desk@example.com)"
    )


def test_links_of_word_are_kept_and_none_is_fetched(tmp_path: Path) -> None:
    link = f'<w:hyperlink r:id="a">{run("one")}</w:hyperlink>'
    raw = docx(paragraph(run("See "), link), links=[("a", "https://a.example/x")])
    assert taken(tmp_path, "a.docx", raw)[0].strip() == "See [one](https://a.example/x)"


def test_of_tracked_changes_only_what_was_accepted_is_taken_and_no_hidden_text(
    tmp_path: Path,
) -> None:
    text, notes = taken(
        tmp_path,
        "a.docx",
        docx(
            paragraph(
                run("It costs "),
                "<w:del><w:r><w:delText>ten</w:delText></w:r></w:del>",
                f"<w:ins>{run('nine')}</w:ins>",
                run(" a month."),
                run(" secret", "<w:vanish/>"),
                run(" Seen.", '<w:vanish w:val="0"/>'),
                '<w:r><w:commentReference w:id="0"/></w:r>',
            ),
            more={
                "word/comments.xml": f'<w:comments {_W}><w:comment w:id="0">'
                f"{paragraph(run('Is that so?'))}</w:comment></w:comments>"
            },
        ),
    )
    assert text == "It costs nine a month. Seen.\n"
    assert notes == ("hidden text was left out",)


def test_footnotes_stand_at_the_end_as_a_note_and_never_among_actions(tmp_path: Path) -> None:
    notes = (
        f'<w:footnotes {_W}><w:footnote w:id="2">{paragraph(run("Harbor Ledger, page 4."))}'
        "</w:footnote></w:footnotes>"
    )
    reference = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    text, said = taken(
        tmp_path,
        "a.docx",
        docx(
            paragraph(run("A headline")),
            paragraph(run("Prices fell"), reference, run(".")),
            paragraph(bold("Do this week")),
            paragraph(run("Everyone: look.")),
            more={"word/footnotes.xml": notes},
        ),
    )
    brief = parse_brief(text).brief
    assert said == ("a footnote stands at the end",)
    assert [one.text for one in brief.actions] == ["look."]
    assert brief.body[0].paragraphs == ("Prices fell[1].",)
    assert (brief.body[1].heading, brief.body[1].role) == ("Note", "note")
    assert brief.body[1].paragraphs == ("- [1] Harbor Ledger, page 4.",)


def test_footnotes_that_word_and_google_paste_are_footnotes_too(tmp_path: Path) -> None:
    for there, back in (("#_ftn1", "#_ftnref1"), ("#ftnt1", "#ftnt_ref1")):
        markup = (
            f'<p>Prices fell<sup><a href="{there}">[1]</a></sup>.</p><hr>'
            f'<div><p><a href="{back}">[1]</a>&nbsp;Page 4.</p></div>'
        )
        assert web(tmp_path, markup) == "Prices fell[1].\n\nNote:\n\n- [1] Page 4."


def test_pictures_and_what_is_struck_out_are_left_out_and_said(tmp_path: Path) -> None:
    tracked = "<p>It costs <del>ten</del><ins>nine</ins>.</p>"
    assert taken(tmp_path, "b.html", tracked) == ("It costs nine.\n", ())
    markup = '<p>It costs <s>ten</s> nine.<img src="http://x.example/a.png" alt="A chart"></p>'
    text, notes = taken(tmp_path, "a.html", markup)
    assert text == "It costs nine.\n"
    assert notes == ("struck-out text was left out: “ten”", "a picture was left out: “A chart”")


def test_what_is_hidden_or_runs_is_not_taken(tmp_path: Path) -> None:
    markup = """<script>x()</script><style>p{color:red}</style><iframe src=x>a</iframe><p hidden>b</p>
    <p style="display:none">c</p><span style="mso-hide:all">d</span><!-- e --><template>f</template>
    <style>.p{display:none}</style><p class=p>g</p><style>@media print{.q{display:none}}</style>
    <p class=q onclick="x()">Seen.</p>"""
    assert web(tmp_path, markup) == "Seen."


def test_rows_of_a_table_become_items_and_a_table_of_layout_what_is_in_it(tmp_path: Path) -> None:
    data = (
        "<table><tr><th>Model<th>Old<th>New<tr><td>Lumen S<td>6<td>3</table>"
        "<table><tr><td>AI teams<td>compare <b>both</b>.<tr><td>Everyone:<td>look.</table>"
    )
    text, notes = taken(tmp_path, "a.html", data)
    assert text == (
        "- Model | Old | New\n- Lumen S | 6 | 3\n- AI teams: compare **both**.\n- Everyone: look.\n"
    )
    assert notes == ("a table of 2 rows became list items; see whether they read well",)
    layout = "<table><tr><td><table><tr><td><p>One.</p><p>Two.</p></table></table>"
    assert web(tmp_path, layout) == "One.\n\nTwo."


def test_a_mail_of_gmail_or_outlook_is_the_text_that_it_quotes(tmp_path: Path) -> None:
    gmail = """<div class="gmail_quote"><div class="gmail_attr">On Tue, Ada wrote:<br></div>
    <blockquote><div dir="ltr"><div>A headline</div><div><br></div><div>The lead.&nbsp; More.</div></div>
    </blockquote></div><div class="gmail_signature">Ada</div>"""
    text, notes = taken(tmp_path, "a.html", gmail)
    assert text == "A headline\n\nThe lead. More.\n"
    assert notes[0] == "a line of the mail program was left out: “On Tue, Ada wrote:”"
    outlook = "<div id=divRplyFwdMsg>From: Ada</div><p class=MsoNormal>A headline<o:p></o:p></p>"
    assert web(tmp_path, outlook) == "A headline"
    head = "<p><b>From:</b> Ada<br><b>Sent:</b> Tuesday<br><b>To:</b> desk<br><b>Subject:</b> Draft</p>"
    assert (
        web(tmp_path, f"<div>{head}</div><p>From: one price to two.</p>")
        == "From: one price to two."
    )


def test_google_docs_wrapper_of_bold_that_is_none_is_none(tmp_path: Path) -> None:
    markup = (
        '<b style="font-weight:normal" id="docs-internal-guid-1"><p><span style="font-weight:400">'
        'One </span><span style="font-weight:700">two</span><span style="font-style:italic"> three'
        "</span></p></b>"
    )
    assert web(tmp_path, markup) == "One **two** *three*"


def test_single_no_break_spaces_and_quotes_stay_and_padding_goes(tmp_path: Path) -> None:
    assert web(tmp_path, "<p>&nbsp; “10&nbsp;%” &nbsp; off&#8203;</p>") == "“10\u00a0%” off"


def test_front_matter_that_was_typed_is_front_matter(tmp_path: Path) -> None:
    typed = ["---", "date: 2026-11-20", "tags: [pricing]", "—", "A headline", "The lead."]
    text = word(tmp_path, *(paragraph(run(line)) for line in typed))
    brief = parse_brief(text).brief
    assert (str(brief.date), brief.tags, brief.headline) == (
        "2026-11-20",
        ("pricing",),
        "A headline",
    )


@pytest.mark.parametrize(
    "raw",
    [
        "<meta charset=windows-1252><p>Größe – 5 €</p>".encode("cp1252"),
        '<meta http-equiv=x content="text/html; charset=iso-8859-1"><p>Größe – 5 €'.encode("cp1252"),
        "\ufeff<p>Größe – 5 €</p>".encode("utf-16"),
        "\ufeff<p>Größe – 5 €</p>".encode(),
        "<p>Größe – 5 €</p>".encode("cp1252"),
        "<meta charset=utf-8><p>Größe – 5 €</p>".encode("cp1252"),
        "<meta charset=rot13><p>Größe – 5 €</p>".encode(),
        b'<?xml version="1.0" encoding="UTF-8"?><html><body><p>' + "Größe – 5 €".encode(),
    ],
)  # fmt: skip
def test_pages_are_read_in_their_encoding(tmp_path: Path, raw: bytes) -> None:
    assert taken(tmp_path, "a.html", raw)[0] == "Größe – 5 €\n"


# -- what is refused -----------------------------------------------------------------------------------

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def zipped(**parts: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("a.doc", _OLE + b"WordDocument", "of a Word before 2007"),
        ("a.docx", _OLE + "EncryptedPackage".encode("utf-16-le"), "locked with a password"),
        ("a.rtf", rb"{\rtf1 text}", "is RTF"),
        ("a.pdf", b"%PDF-1.7", "is a PDF"),
        ("a.odt", zipped(mimetype="x", content_xml="<a/>"), "is an OpenDocument file"),
        ("a.pages", zipped(Index__Document_iwa="x"), "of Apple's programs"),
        ("a.docx", zipped(xl__workbook_xml="<a/>"), "is a workbook"),
        ("a.docx", zipped(readme_md="x"), "is a zip"),
        ("a.docx", b"", "is empty"),
        ("a.docx", b"plain text", "no Word document"),
        ("a.docx", b"PK\x03\x04 and nothing else", "no Word document"),
        ("a.docx", docx(paragraph(run("x")))[:400], "no Word document"),
        ("a.docx", zipped(word__document_xml="<w:p"), "damaged Word document"),
        ("a.docx", zipped(word__other_xml="<a/>"), "can't be read as a Word document"),
        ("a.docx", docx(paragraph()), "holds no text"),
        ("a.html", b"", "holds no text"),
        ("a.html", b"<p>&nbsp;</p><img src=x>", "only pictures"),
        ("a.html", b"<div>" * 1_000 + b"deep", "nested too deeply"),
        ("a.html", b"\0\xff\xfe\x81" * 50, "binary"),
        ("a.html", b"<p>a" * 6_000, "5,000 paragraphs"),
        ("a.html", b"x" * (LARGEST_DOCUMENT + 1), "larger than 10000 kB"),
    ],
)  # fmt: skip
def test_what_can_not_be_taken_is_refused_with_what_to_do(
    tmp_path: Path, name: str, raw: bytes, says: str
) -> None:
    message = refusal(tmp_path, name, raw)
    assert says in message
    assert any(word in message for word in (";", "than a brief", "which no")), message


def test_entities_however_late_they_are_defined_are_refused(tmp_path: Path) -> None:
    entities = '<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    elsewhere = '<!DOCTYPE w SYSTEM "http://dtd.example/w.dtd">'
    late = f"<!--{'x' * 5_000}-->"
    for comment, laughs in (("", entities), (late, entities), (late, elsewhere)):
        words = run("ha") if laughs == elsewhere else "<w:r><w:t>&b;</w:t></w:r>"
        body = f"<w:document {_W}><w:body>{paragraph(words)}</w:body></w:document>"
        raw = docx(more={"word/document.xml": f'<?xml version="1.0"?>{comment}{laughs}{body}'})
        assert "defines entities" in refusal(tmp_path, "a.docx", raw)


def test_bombs_are_not_unpacked(tmp_path: Path) -> None:
    page = docx(more={"word/media/a.png": "x" * 30_000_000})
    assert "30,000,000 bytes (word/media/a.png)" in refusal(tmp_path, "a.docx", page)
    many = docx(*(f'<w:p w:rsidR="{n * n:016x}"/>' for n in range(100_001)))
    assert "larger" in refusal(tmp_path, "a.docx", many)
    deep = docx("<w:sdt><w:sdtContent>" * 200 + "</w:sdtContent></w:sdt>" * 200)
    assert "deeper" in refusal(tmp_path, "a.docx", deep)


def test_nothing_is_written_for_a_document_with_errors_and_the_error_names_its_words(
    workspace_dir: Path, tmp_path: Path
) -> None:
    document = tmp_path / "Tollgate prices.docx"
    document.write_bytes(
        docx(
            paragraph(bold("Do this week")),
            paragraph(run("Procurment: ask.")),
            paragraph(run("A headline")),
            paragraph(run("Text follows.")),
        )
    )
    inbox = workspace_dir / "issues/inbox"
    before = sorted(inbox.iterdir())
    with Workspace(workspace_dir) as workspace:
        with pytest.raises(RefusedError, match=r"“Procurment: ask\.”"):
            workspace.add_brief(document)
        with pytest.raises(RefusedError, match="stays as it is"):
            workspace.rewrite_brief(document)
    assert sorted(inbox.iterdir()) == before
    assert document.exists()


def test_a_brief_is_taken_from_standard_input_whatever_it_is(workspace_dir: Path) -> None:
    piped = {
        "<p><b>Our Take:</b> Fine.</p><p>A page of the web</p><p>Its lead.</p>": "a-page-of-the-web.md",
        "Our Take: Fine.\nA text\nIts lead.\n": "a-text.txt",
        "# A Markdown\n\nIts lead.\n\n## Our Take\n\nFine.\n": "a-markdown.md",
        "Version:0.9\r\nStartHTML:00\r\n<html><p>A copied page</p><p>Its lead.": "a-copied-page.md",
    }  # fmt: skip
    documents = {text.encode(): name for text, name in piped.items()}
    documents[docx(paragraph(run("Of Word")), paragraph(run("Its lead.")))] = "of-word.md"
    with Workspace(workspace_dir) as workspace:
        for raw, name in documents.items():
            taken_ = workspace.take_brief(Path("-"), io.BytesIO(raw))
            target = workspace.add_brief(taken_)
            assert target.name == name
            assert workspace.brief(target).brief == taken_.parsed.brief
            assert workspace.brief(target).brief.body[0].paragraphs == ("Its lead.",)


def test_an_unknown_key_of_typed_front_matter_is_not_lost(
    workspace_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.html"
    path.write_text("<p>---<p>author: Ada<p>---<p>A headline<p>Its lead.")
    with Workspace(workspace_dir) as workspace:
        assert "author: Ada" in workspace.add_brief(path).read_text("utf-8")


def test_the_document_of_the_page_becomes_what_the_page_shows(
    workspace_dir: Path, tmp_path: Path
) -> None:
    fences = Page(ROOT / "docs/briefs.md").fences
    at = next(i for i, one in enumerate(fences) if one.language == "html")
    path = tmp_path / "sundial.html"
    path.write_text(fences[at].text, "utf-8")
    with Workspace(workspace_dir) as workspace:
        made = workspace.take_brief(path)
        said = [f"sundial.html: {note}" for note in made.notes]
        target = workspace.add_brief(made)
        assert fences[at + 2].text.splitlines() == [*said, "added issues/inbox/sundial.md"]
        assert fences[at + 3].text == target.read_text("utf-8")
        assert not workspace.brief(target).findings
