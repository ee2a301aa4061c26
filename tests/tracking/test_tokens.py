"""Tokens: unforgeable, bound to a purpose, and at home in places that fold case."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import RefusedError
from newsletter.tracking import Keyring, Ref
from newsletter.tracking.tokens import PURPOSES, base32

KEYS = Keyring({1: b"k" * 32})
numbers = st.integers(0, 2**63 - 1)


@given(numbers, numbers, st.sampled_from(PURPOSES))
def test_a_token_verifies_for_its_purpose_alone(mailing: int, n: int, purpose: str) -> None:
    token = KEYS.token(mailing, n, purpose)  # type: ignore[arg-type]
    assert re.fullmatch(r"[a-z2-7]{1,56}", token)
    for other in PURPOSES:
        expected = Ref(mailing, n) if other == purpose else None
        assert KEYS.verify(token, other) == expected
        assert KEYS.verify(token.upper(), other) == expected


@given(numbers, numbers, st.data())
def test_any_change_makes_it_worthless(mailing: int, n: int, data: st.DataObject) -> None:
    token = KEYS.token(mailing, n, "manage")
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
    changed = token[:at] + letter + token[at + 1 :]
    if changed != token:
        assert KEYS.verify(changed, "manage") is None
    assert KEYS.verify(token[:at], "manage") is None


@given(st.text(max_size=100))
def test_anything_else_is_no_token(text: str) -> None:
    assert KEYS.verify(text, "click") is None


def test_retired_keys_verify_and_no_longer_sign() -> None:
    old = KEYS.token(7, 9, "click")
    rotated = Keyring({2: b"n" * 32, 1: b"k" * 32})
    assert rotated.verify(old, "click") == Ref(7, 9)
    assert Keyring({2: b"n" * 32}).verify(old, "click") is None
    assert KEYS.verify(rotated.token(7, 9, "click"), "click") is None


def test_the_key_is_made_once_with_mode_0600_and_refused_when_others_can_read_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "secrets" / "tokens"
    first = Keyring.at(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Keyring.at(path).fingerprints == first.fingerprints
    path.chmod(0o644)
    with pytest.raises(RefusedError, match="chmod 600"):
        Keyring.at(path)
    path.chmod(0o600)
    path.write_text("damaged", "ascii")
    with pytest.raises(RefusedError, match="damaged"):
        Keyring.at(path)


def test_test_tokens_name_their_edition() -> None:
    tokens = KEYS.test_tokens("0123456789abcdef")
    ref = KEYS.verify(tokens["click"], "click")
    assert ref is not None
    assert ref.test
    assert ref.test_edition == "0123456789abcdef"


@given(numbers, numbers)
def test_all_tokens_at_once_are_the_single_ones(mailing: int, n: int) -> None:
    assert KEYS.tokens(mailing, n) == {
        purpose: KEYS.token(mailing, n, purpose) for purpose in PURPOSES
    }


@given(st.binary(min_size=1, max_size=60))
def test_the_quick_base32_is_the_standard_one(raw: bytes) -> None:
    assert base32(raw) == base64.b32encode(raw).decode().rstrip("=").lower()
