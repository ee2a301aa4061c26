"""Tokens: opaque, unforgeable names of deliveries in addresses and local parts.

`base32(key id, mailing, delivery number, 64-bit HMAC-SHA-256)`, lower case, no padding: they survive
servers that fold case, fit a local part, and hold no personal data. The MAC covers a purpose, so that
a token from a click can't unsubscribe anybody.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
from base64 import b32decode, b32encode
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from newsletter.errors import RefusedError
from newsletter.files import make_once

Purpose = Literal["click", "open", "view", "bounce", "manage", "act", "confirm"]
#: What every mail carries; `confirm` stands in those alone that ask for it.
PURPOSES: tuple[Purpose, ...] = ("click", "open", "view", "bounce", "manage", "act")

_MAC = 8  # bytes
# Ten bits at a time: two characters of base32. The standard library's encoder takes three times as long.
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _BASE32 for second in _BASE32]
#: By number of bytes: how far to shift for each pair, the first one first.
_SHIFTS = [(), *(tuple(range((-(-n * 8 // 10) - 1) * 10, -1, -10)) for n in range(1, 64))]
_LONGEST = 64  # characters; longer input is no token and is not decoded
TEST = 0  #: mailing number of test mails and previews; their delivery number is the edition's id


@dataclass(frozen=True, slots=True)
class Ref:
    """What a token names."""

    mailing: int
    n: int

    @property
    def test(self) -> bool:
        """From a test mail or a preview: links work, nothing is counted or changed."""
        return self.mailing == TEST

    @property
    def test_edition(self) -> str:
        """The edition's id that a test token carries."""
        return f"{self.n:016x}"


class Keyring:
    """The keys that sign and verify. The first key signs, all verify: rotating never breaks a link."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        """`keys` by id (0 to 255), the signing key first."""
        if not keys:
            raise ValueError("a keyring needs a key")
        self._signing = next(iter(keys))
        self._keys = {
            number: {purpose: _Keyed(_derived(key, purpose)) for purpose in (*PURPOSES, "confirm")}
            for number, key in keys.items()
        }
        self._sent = [(name, self._keys[self._signing][name]) for name in PURPOSES]
        #: one short hash for each key: all machines must have the keys that signed before
        self.fingerprints = frozenset(
            hashlib.sha256(bytes([number]) + key).hexdigest()[:16] for number, key in keys.items()
        )

    @classmethod
    def at(cls, path: Path) -> Keyring:
        """The keys of a file (mode 0600, made on first use): lines `id hex`, the signing key first."""
        make_once(path, f"1 {secrets.token_hex(32)}\n")
        try:
            lines = [line.split() for line in path.read_text("ascii").splitlines() if line.strip()]
            return cls({int(number): bytes.fromhex(key) for number, key in lines})
        except ValueError as error:
            raise RefusedError(f"the secret {path} is damaged; restore it from a backup") from error

    def token(self, mailing: int, n: int, purpose: Purpose) -> str:
        """A token for one delivery and purpose, 20 to 36 characters."""
        payload = _varint(self._signing) + _varint(mailing) + _varint(n)
        return base32(payload + self._mac(self._signing, purpose, payload))

    def tokens(self, mailing: int, n: int) -> dict[str, str]:
        """The tokens of one delivery for every purpose. A hot path of sending: about 10 µs."""
        payload = _varint(self._signing) + _varint(mailing) + _varint(n)
        size = len(payload) + _MAC
        length, shifts = -(-size * 8 // 5), _SHIFTS[size]
        spare = shifts[0] + 10 - size * 8
        head = int.from_bytes(payload, "big") << (8 * _MAC + spare)
        pairs = _PAIRS
        found: dict[str, str] = {}
        for purpose, keyed in self._sent:
            number = head | int.from_bytes(keyed.mac(payload)[:_MAC], "big") << spare
            found[purpose] = "".join([pairs[number >> shift & 1023] for shift in shifts])[:length]
        return found

    def test_tokens(self, edition: str) -> dict[str, str]:
        """Tokens for a test mail or preview of an edition."""
        return self.tokens(TEST, int(edition, 16))

    def verify(self, token: str, purpose: Purpose) -> Ref | None:
        """What the token names, or None for anything that this keyring did not sign for that purpose."""
        if len(token) > _LONGEST:
            return None
        text = token.upper()
        try:
            raw = b32decode(text + "=" * (-len(text) % 8))
        except (binascii.Error, ValueError):
            return None
        payload, mac = raw[:-_MAC], raw[-_MAC:]
        try:
            key, rest = _read_varint(payload)
            mailing, rest = _read_varint(rest)
            n, rest = _read_varint(rest)
        except ValueError:
            return None
        if rest or key not in self._keys:
            return None
        if not hmac.compare_digest(mac, self._mac(key, purpose, payload)):
            return None
        # base32 of an odd length leaves spare bits; only one spelling of a token is the token
        if b32encode(raw).rstrip(b"=").decode() != text:
            return None
        return Ref(mailing, n)

    def _mac(self, key: int, purpose: Purpose, payload: bytes) -> bytes:
        return self._keys[key][purpose].mac(payload)[:_MAC]


class _Keyed:
    """HMAC-SHA-256 with the key taken in beforehand (RFC 2104): a copy of both states costs a third
    of `hmac.digest`, which begins from the key each time."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        """`key` is 32 bytes, less than a block."""
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def base32(raw: bytes) -> str:
    """RFC 4648 base32, lower case, without padding."""
    shifts = _SHIFTS[len(raw)]
    number = int.from_bytes(raw, "big") << (shifts[0] + 10 - len(raw) * 8)
    text = "".join([_PAIRS[number >> shift & 1023] for shift in shifts])
    return text[: -(-len(raw) * 8 // 5)]


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, purpose.encode(), "sha256")


def _varint(number: int) -> bytes:
    """LEB128, seven bits a byte."""
    if number < 128:
        return number.to_bytes(1, "big")
    out = bytearray()
    while True:
        low, number = number & 0x7F, number >> 7
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def _read_varint(raw: bytes) -> tuple[int, bytes]:
    number = 0
    for i, byte in enumerate(raw):
        if i > 9:
            break
        number |= (byte & 0x7F) << (7 * i)
        if not byte & 0x80:
            return number, raw[i + 1 :]
    raise ValueError("truncated")
