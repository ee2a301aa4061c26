"""Splicing: whatever a value holds, the mail stays one that every parser reads."""

from __future__ import annotations

import email
import email.policy
import email.utils
import html
import unicodedata
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editions import Envelope, Skeleton, encode, mailbox, normalise
from newsletter.editions.mime import quoted_body, skeleton
from newsletter.editions.slots import fill, marker, quoted
from newsletter.text import tidy

NONCE = "abcdefgh23"
ENVELOPE = Envelope(
    "Signal Brief", "desk@letter.example", None, "Signal Brief", "https://l.example"
)


def message(text_before: str = "before ", text_after: str = " after\n") -> bytes:
    slots = {context: marker(NONCE, "reason", context) for context in ("html", "text")}
    return skeleton(
        ENVELOPE,
        nonce=NONCE,
        subject="A subject",
        language="en",
        html=f"<!doctype html>\n<p>{html.escape(text_before)}{slots['html']}{html.escape(text_after)}</p>\n",
        text=f"{text_before}{slots['text']}{text_after}",
    )


def spliced(raw: bytes, value: str, to: str = "a@b.example") -> bytes:
    cut = Skeleton.cut(raw, NONCE)
    values = {"reason": value, "to": to, "date": "Mon, 23 Nov 2026 10:00:00 +0000"}
    return cut.splice(
        {(name, ctx): encode(values.get(name, "tok3n"), ctx) for name, ctx in cut.keys}
    )


def parsed(raw: bytes) -> email.message.EmailMessage:
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    assert not found.defects
    return found


@given(st.text(max_size=200))
def test_any_value_comes_back_as_it_was_normalised(value: str) -> None:
    raw = spliced(message(), value)
    mail = parsed(raw)
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert text.split("before ", 1)[1].rsplit(" after", 1)[0] == normalise(value)
    shown = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    inner = shown.split("before ", 1)[1].rsplit(" after", 1)[0]
    assert html.unescape(inner) == html.unescape(html.escape(normalise(value)))
    assert "<" not in inner


@given(st.text(max_size=200), st.text(max_size=80), st.text(max_size=80))
def test_no_line_is_too_long_or_begins_with_a_dot_that_a_value_brought(
    value: str, before: str, after: str
) -> None:
    body = encode(value, "text")
    for line in body.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith(b".")
        assert b"\n" not in line
    raw = spliced(message(tidy(before) + " ", tidy(after) + "\n"), value)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@given(st.text(alphabet=".a= \r\n", max_size=60), st.text(alphabet=".a \n", max_size=300))
def test_a_skeleton_that_says_it_has_no_dots_at_line_starts_has_none(
    value: str, around: str
) -> None:
    """A transport that trusts it doesn't look at the lines again."""
    cut = Skeleton.cut(message(around, around + "\n"), NONCE)
    if not cut.dotted:
        assert b"\r\n." not in spliced(message(around, around + "\n"), value)


@given(st.text(max_size=300))
def test_a_normalised_value_is_one_short_clean_line(value: str) -> None:
    short = normalise(value)
    assert len(short) <= 64
    assert short == tidy(short)
    assert unicodedata.is_normalized("NFC", short)


@given(st.text(max_size=120))
def test_names_in_headers_survive(name: str) -> None:
    name = normalise(name)
    raw = spliced(message(), "x", to=mailbox(name, "ada@example.com", "To"))
    # the standard library's modern parser keeps the space between encoded words (RFC 2047 §6.2
    # says that it is not displayed); its older one is right
    header = str(email.message_from_bytes(raw)["To"])
    shown, address = email.utils.parseaddr(" ".join(header.split()))
    assert address == "ada@example.com"
    assert str(make_header(decode_header(shown))).split() == name.split()


def test_a_header_value_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="line break"):
        encode("a@b.example\r\nBcc: c@d.example", "header")


def test_a_leading_dot_and_a_trailing_space_are_encoded() -> None:
    assert quoted(".dot").startswith(b"=2E")
    assert quoted("end ").endswith(b"=20")


def test_markers_of_another_edition_stay_text() -> None:
    raw = message("@@zzzzzzzz22.click.text@@ ")
    assert b"@@zzzzzzzz22.click.text@@" in spliced(raw, "v").replace(b"=\r\n", b"")


def test_every_marker_stands_between_soft_line_breaks() -> None:
    body = quoted_body("x" * 70 + marker(NONCE, "click", "text") + "y" * 70)
    assert b"=\r\n@@abcdefgh23.click.text@@=\r\n" in body


def test_filling_for_a_browser_escapes_for_html_only() -> None:
    text = f"<p>{marker(NONCE, 'reason', 'html')}</p>"
    assert fill(text, NONCE, {"reason": "<b>&"}, "html") == "<p>&lt;b&gt;&amp;</p>"
