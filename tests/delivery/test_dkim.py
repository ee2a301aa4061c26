"""Signatures that an independent implementation verifies, and that break when they should."""

from __future__ import annotations

from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from newsletter.config import DkimSettings
from newsletter.delivery.dkim import Signer, sign_all
from newsletter.errors import ConfigError, RefusedError


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


RSA = Signer("example.com", "rsa", pem(rsa.generate_private_key(65537, 2048)))
ED = Signer("example.com", "ed", pem(ed25519.Ed25519PrivateKey.generate()))
HEAD = (
    b"From: Desk <desk@example.com>\r\nTo: a@example.org\r\nSubject: One\r\n two\r\n"
    b"Date: Tue, 24 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
    b"List-Id: <list.example.com>\r\nList-Unsubscribe: <https://e.example/u/1>,\r\n"
    b" <mailto:u@example.com>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"Feedback-ID: a:b:c\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n"
)


def dns(name: bytes, timeout: int = 5) -> bytes:
    return (RSA if name.startswith(b"rsa.") else ED).dns_record.encode()


def verified(message: bytes, which: int = 0) -> bool:
    try:
        return bool(dkim.DKIM(message).verify(idx=which, dnsfunc=dns))
    except dkim.ValidationError:
        return False


def signed(message: bytes) -> bytes:
    return sign_all(message, [RSA, ED]) + message


def test_both_kinds_of_signature_on_one_message_hold() -> None:
    message = signed(HEAD + b"\r\nBody.\r\n.\r\nMore\r\n")
    assert verified(message, 0)
    assert verified(message, 1)


@given(
    body=st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=90)),
    blank=st.integers(0, 3),
    name=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
)
def test_whatever_the_message_holds(body: list[str], blank: int, name: str) -> None:
    text = "\r\n".join(body).encode() + b"\r\n" * blank
    message = signed(b"X-Own:  %b \t x\r\n" % name.encode() + HEAD + b"\r\n" + text)
    assert verified(message, 0)
    assert verified(message, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Body", b"Bodx"),
        (b"Subject: One", b"Subject: Two"),
        (b"Feedback-ID: a", b"Feedback-ID: b"),
        (b"List-Unsubscribe: <https", b"List-Unsubscribe: <http"),
        (b"To: a@", b"To: evil@"),
        (b"MIME-Version", b"Subject: another\r\nMIME-Version"),
        (b"MIME-Version", b"From: another@example.com\r\nMIME-Version"),
    ],
)
def test_a_change_on_the_way_breaks_it(old: bytes, new: bytes) -> None:
    message = signed(HEAD + b"\r\nBody.\r\n")
    begin = message.index(b"From: Desk")  # the headers, not what the signature says of them
    changed = message[:begin] + message[begin:].replace(old, new, 1)
    assert changed != message
    assert not verified(changed)


def test_refolded_headers_do_not_break_it() -> None:
    message = signed(HEAD + b"\r\nBody.\r\n")
    assert verified(message.replace(b"Subject: One\r\n two", b"subject:   One  two", 1))


def test_no_line_is_longer_than_mail_allows() -> None:
    assert max(map(len, sign_all(HEAD + b"\r\nx\r\n", [RSA, ED]).split(b"\r\n"))) <= 78


def test_keys_that_can_not_be_used_are_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    settings = DkimSettings(domain="example.com", selector="s", key_file=Path("key.pem"))
    with pytest.raises(ConfigError, match=r"key\.pem can't be read"):
        Signer.load(settings, tmp_path)
    path.write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    path.chmod(0o644)
    with pytest.raises(RefusedError, match="chmod 600"):
        Signer.load(settings, tmp_path)
    path.chmod(0o600)
    assert Signer.load(settings, tmp_path).algorithm == "ed25519-sha256"
    for bad in (b"not a key", pem(rsa.generate_private_key(65537, 1024))):
        path.write_bytes(bad)
        with pytest.raises(ConfigError, match="no usable private key"):
            Signer.load(settings, tmp_path)
