"""The MIME skeleton of an edition: RFC 5322 header, text and HTML part, slots left open."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from email.header import Header
from functools import lru_cache
from urllib.parse import urlsplit

from newsletter.editions.slots import marker
from newsletter.errors import InputError
from newsletter.text import tidy

_SPECIALS = re.compile(r'[()<>@,;:\\".\[\]]')
_LOOSE_BREAK = re.compile(r"\r(?!\n )|(?<!\r)\n|\n(?! )")
_ANY_MARKER = re.compile(rb"(@@[a-z2-7]{10}\.[a-z_]+\.(?:html|text|header)@@)")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all mails of a publication say in their headers."""

    sender_name: str
    sender_email: str
    reply_to: str | None
    list_name: str
    base_url: str
    unsubscribe: str = ""  #: who reads mails that want to leave; `sender_email` if empty


def skeleton(
    envelope: Envelope,
    *,
    nonce: str,
    subject: str,
    language: str,
    html: str,
    text: str,
    campaign: str = "newsletter",
) -> bytes:
    """The whole message with CRLF line ends. Slots: to, date, message, manage (header), and what
    `html` and `text` hold. `campaign` is what complaints are counted under (Feedback-ID)."""
    host = envelope.sender_email.rpartition("@")[2]
    boundary = f"=_{nonce}"
    headers = [
        ("From", mailbox(envelope.sender_name, envelope.sender_email)),
        ("To", marker(nonce, "to", "header")),
        ("Subject", encoded(subject, "Subject")),
        ("Date", marker(nonce, "date", "header")),
        ("Message-ID", f"<{marker(nonce, 'message', 'header')}@{host}>"),
        ("List-Id", mailbox(envelope.list_name, f"list.{host}", "List-Id")),
        ("Feedback-ID", f"{campaign}:issue:{_feedback_sender(host)}"),
        ("Precedence", "bulk"),
        ("Content-Language", language),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative; boundary="{boundary}"'),
    ]
    if envelope.reply_to:
        headers.insert(1, ("Reply-To", envelope.reply_to))
    if one_click_allowed(envelope.base_url):
        token = marker(nonce, "manage", "header")
        reader = envelope.unsubscribe or envelope.sender_email
        addresses = (
            f"<{envelope.base_url}/u/{token}>,\r\n <mailto:{reader}?subject=unsubscribe%20{token}>"
        )
        headers.insert(6, ("List-Unsubscribe", addresses))
        headers.insert(7, ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    for name, value in headers:
        if not value.isascii() or _LOOSE_BREAK.search(value):
            raise InputError(
                f"the header {name} can't hold {value!r}: a line break or other letters"
            )
    lines = [f"{name}: {value}".encode() for name, value in headers]
    for kind, body in (("plain", text), ("html", html)):
        lines += [
            b"",
            f"--{boundary}".encode(),
            f"Content-Type: text/{kind}; charset=utf-8".encode(),
            b"Content-Transfer-Encoding: quoted-printable",
            b"",
            quoted_body(body).removesuffix(b"\r\n"),
        ]
    lines += [b"", f"--{boundary}--".encode(), b""]
    return b"\r\n".join(lines)


def _feedback_sender(host: str) -> str:
    """The last field of Feedback-ID, which Gmail wants to be 5 to 15 characters and always the same."""
    return re.sub(r"[^a-z0-9]", "", host.lower())[:15].ljust(5, "0")


def one_click_allowed(base_url: str) -> bool:
    """RFC 8058 wants https; a loopback address is for trying out."""
    parts = urlsplit(base_url)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")


def quoted_body(text: str) -> bytes:
    """Quoted-printable; each marker stands on a line of its own between soft line breaks, so that a
    value of any length fits the line."""
    pieces = _ANY_MARKER.split(text.replace("\r\n", "\n").encode("utf-8"))
    encoded_pieces = [
        piece if n % 2 else binascii.b2a_qp(piece, istext=True).replace(b"\n", b"\r\n")
        for n, piece in enumerate(pieces)
    ]
    return b"=\r\n".join(encoded_pieces)


def encoded(text: str, header: str) -> str:
    """A header's text: as it is when ASCII and short, else RFC 2047 words, folded."""
    text = tidy(text)
    if text.isascii() and len(text) + len(header) < 76 and "=?" not in text:
        return text
    unfoldable = any(len(word) > 60 for word in text.split())
    charset = "us-ascii" if text.isascii() and not unfoldable and "=?" not in text else "utf-8"
    return Header(text, charset, header_name=header).encode(linesep="\r\n")


def mailbox(name: str, address: str, header: str = "From") -> str:
    """`Name <address>`, the name quoted or RFC 2047 encoded where it must be."""
    if not name:
        return address
    phrase = _phrase(name, header)
    return f"{phrase} <{address}>" if phrase else address


@lru_cache(maxsize=8192)  # many people share a first name, and the publication has one
def _phrase(name: str, header: str) -> str:
    name = tidy(name)
    if not name.isascii() or "=?" in name or any(len(word) > 60 for word in name.split()):
        return Header(name, "utf-8", header_name=header).encode(linesep="\r\n")
    if _SPECIALS.search(name):
        quoted_name = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted_name}"'
    return name
