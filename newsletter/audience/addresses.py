"""E-mail addresses: whether one can be mailed, and which spellings are the same person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from newsletter.text import tidy

LONGEST = 254  # characters, RFC 5321 §4.5.3.1 less the angle brackets
LONGEST_LOCAL = 64  # bytes before the @-sign, RFC 5321 §4.5.3.1.1
# The fast path: what nearly all addresses look like. Everything else goes to email-validator.
_PLAIN = re.compile(
    r"[A-Za-z0-9_+'-]+(?:\.[A-Za-z0-9_+'-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
)

_plain = _PLAIN.fullmatch


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox. Two are the same person when their keys are equal."""

    mailbox: str  #: as written, the domain in lower case; mail goes here
    key: str  #: local part in lower case, domain as IDNA; plus-addresses are kept apart
    domain: str  #: as IDNA


class AddressError(ValueError):
    """The text is no address; the message says why."""


def parse_address(text: str) -> Address:
    """Raises AddressError. Makes no look-up: whether the mailbox exists shows when mailing."""
    return Address(*address_parts(text))


def address_parts(text: str) -> tuple[str, str, str]:
    """(mailbox, key, domain) of an `Address`, for imports: half a microsecond for nearly all. Raises
    AddressError."""
    text = text.strip()
    if len(text) <= LONGEST and _plain(text):
        local, _, domain = text.rpartition("@")
        if len(local) <= LONGEST_LOCAL and "--" not in domain:
            if text.islower():
                return text, text, domain
            domain = domain.lower()
            return f"{local}@{domain}", f"{local.lower()}@{domain}", domain
    unusual = _parse_unusual(text)
    return unusual.mailbox, unusual.key, unusual.domain


def _parse_unusual(text: str) -> Address:
    if not text:
        raise AddressError("the address is empty")
    if "\ufffd" in text:
        raise AddressError("the address holds a character that could not be read")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise AddressError("the address holds a line break or a control character")
    validate, refusal = _validator()
    try:
        valid = validate(
            text, check_deliverability=False, test_environment=True, allow_smtputf8=True
        )
    except refusal as error:
        raise AddressError(tidy(str(error)).rstrip(".")) from None
    if len(valid.local_part.encode()) > LONGEST_LOCAL:
        raise AddressError(f"the part before the @-sign is longer than {LONGEST_LOCAL} bytes")
    domain = (valid.ascii_domain or valid.domain).lower()
    key = f"{valid.local_part.lower()}@{domain}"
    return Address(valid.normalized, key, domain)


@cache
def _validator() -> tuple[Any, type[Exception]]:
    import email_validator

    # Sample people live on reserved domains, and whether a domain can receive mail is not ours to
    # guess: the reserved names are refused by mail servers, not by us.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    return email_validator.validate_email, email_validator.EmailNotValidError


def masked(address: str) -> str:
    """`a***@e***.com`: enough to recognise one's own, too little to learn somebody else's."""
    local, _, domain = address.rpartition("@")
    host, dot, ending = domain.rpartition(".")
    return f"{local[:1]}***@{host[:1]}***" + (f".{ending}" if dot else "")
