"""Rules about who sends, and by which way."""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.checks.rule import SendingRule
from newsletter.checks.subjects import SendingSubject
from newsletter.config import find_line
from newsletter.findings import Finding, Position

#: Free mail providers that publish a DMARC policy against others sending in their name.
_FREE = frozenset(
    (
        "aol.com", "gmail.com", "gmx.de", "gmx.net", "googlemail.com", "hotmail.com", "icloud.com",
        "laposte.net", "live.com", "mail.ru", "me.com", "msn.com", "orange.fr", "outlook.com",
        "proton.me", "protonmail.com", "t-online.de", "web.de", "yahoo.com", "yahoo.de", "yahoo.fr",
        "ymail.com",
    )
)  # fmt: skip
_RESERVED = (
    ".example",
    ".test",
    ".invalid",
    ".localhost",
    "example.com",
    "example.net",
    "example.org",
)


class _SettingRule(SendingRule):
    def at_key(self, subject: SendingSubject, message: str, *keys: str) -> Finding:
        line = find_line(subject.text, list(keys)) or 1
        return self.finding(message, file=subject.file, at=Position(line, 1))


class SenderIdentity(_SettingRule):
    """The sender's address is at a free mail provider, whose DMARC policy makes receivers refuse what others
    send in its name; or on a domain that is reserved for examples, where no answer can arrive."""

    code = "SD201"
    title = "an address that mail can't be sent from"
    remedy = "Send from a domain of your own."
    example = '[sender]\nemail = "signal.brief@gmail.com"'

    def check(self, subject: SendingSubject) -> Iterator[Finding]:
        domain = subject.settings.sender.domain.lower()
        if subject.transport == "outbox":  # nothing leaves
            return
        if domain in _FREE:
            message = f"{domain} lets nobody send in its name: receivers refuse it"
            yield self.at_key(subject, message, "sender", "email")
        elif domain.endswith(_RESERVED):
            message = f"{domain} is reserved for examples: no answer and no bounce arrives there"
            yield self.at_key(subject, message, "sender", "email")
