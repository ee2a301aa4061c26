"""Rules about who sends, and by which way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from newsletter.checks.rule import SendingRule
from newsletter.checks.spam import SpamScore
from newsletter.checks.subjects import SendingSubject
from newsletter.config import find_line
from newsletter.editions import one_click_allowed
from newsletter.findings import Finding, Position, Severity

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
    ".example", ".test", ".invalid", ".localhost", "example.com", "example.net", "example.org",
)  # fmt: skip
_WEAK = 2048  # bits of an RSA key (RFC 8301 §3.2)


class _Setting(SendingRule):
    """Base of the rules that tell a setting. By the outbox nothing leaves, so nothing can be wrong."""

    def check(self, subject: SendingSubject) -> Iterator[Finding]:
        if subject.transport != "outbox":
            yield from self.look(subject)

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        """What is wrong, for a way out by which mails leave."""
        raise NotImplementedError

    def at_key(self, subject: SendingSubject, message: str, *keys: str) -> Finding:
        line = find_line(subject.text, list(keys)) or 1
        return self.finding(message, file=subject.file, at=Position(line, 1))


class NotLookedAt(_Setting):
    """What the DNS says of the sender's domain was not asked: the check ran off line, or nobody
    answered. It is said here, and never guessed."""

    code = "SD100"
    severity: ClassVar[Severity] = "info"
    title = "the sender's DNS was not looked at"
    remedy = "Run the check with `--online`, where the DNS can be reached."

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        domain = subject.settings.sender.domain
        if subject.domain is None:
            message = f"SPF, DKIM and DMARC of {domain} were not looked at; --online asks the DNS"
            yield self.at_key(subject, message, "sender", "email")
            return
        for what in subject.domain.not_looked_at:
            yield self.at_key(subject, f"could not be looked at: {what}", "sender", "email")


class Spf(_Setting):
    """The SPF record of the domain to which bounces go says which servers may send for it (RFC 7208). Without
    one, with two, with more than ten look-ups or with `+all`, receivers trust nobody."""

    code = "SD101"
    title = "SPF that does not hold"
    remedy = "Publish one TXT record `v=spf1 … -all` that names your mail servers."
    online = True

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        if subject.domain is None:
            return
        spf = subject.domain.bounce_spf
        if spf.state == "absent":
            message = f"{spf.domain} has no SPF record ({spf.reason})"
            yield self.at_key(subject, message, "sender", "email")
        elif spf.state == "present" and spf.valid is False:
            message = f"the SPF record of {spf.domain} does not hold: {spf.error}"
            yield self.at_key(subject, message, "sender", "email")
        elif spf.all == "pass":
            message = f"the SPF record of {spf.domain} lets everybody send (+all)"
            yield self.at_key(subject, message, "sender", "email")


class Dkim(_Setting):
    """The public key with which receivers verify our signature (RFC 6376): it must be there, be
    no shorter than 2048 bits, and not be revoked."""

    code = "SD102"
    title = "a DKIM key that does not hold"
    remedy = "Publish the record that `newsletter doctor` prints."
    online = True

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        for key in subject.domain.dkim if subject.domain else ():
            place = ("transports", "smtp", "dkim")
            if key.state == "absent":
                yield self.at_key(subject, f"there is no DKIM key at {key.name}", *place)
            elif key.revoked:
                yield self.at_key(subject, f"the DKIM key at {key.name} is revoked", *place)
            elif key.state == "present" and key.valid is False:
                message = f"the DKIM key at {key.name} does not hold: {key.error}"
                yield self.at_key(subject, message, *place)
            elif key.key_type == "rsa" and (key.bits or _WEAK) < _WEAK:
                message = f"the DKIM key at {key.name} has {key.bits} bits; {_WEAK} are asked for"
                yield self.at_key(subject, message, *place)


class Dmarc(_Setting):
    """What receivers are to do with mails in our name that are not ours (RFC 7489). Gmail,
    Yahoo and Outlook.com want a record of everybody who sends 5,000 mails a day, `p=none` at
    least."""

    code = "SD103"
    title = "DMARC that does not hold"
    remedy = (
        "Publish a TXT record at `_dmarc.<domain>`: `v=DMARC1; p=none; rua=mailto:…` to begin with."
    )
    online = True

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        if subject.domain is None:
            return
        dmarc = subject.domain.dmarc
        if dmarc.state == "absent":
            message = f"{dmarc.domain} has no DMARC record ({dmarc.reason})"
            yield self.at_key(subject, message, "sender", "email")
        elif dmarc.state == "present" and dmarc.valid is False:
            message = f"the DMARC record of {dmarc.domain} does not hold: {dmarc.error}"
            yield self.at_key(subject, message, "sender", "email")


class Alignment(_Setting):
    """DMARC counts SPF and DKIM only for a domain that belongs to the one in From (RFC 7489 §3.1). With none
    aligned, every mail fails it, however good each of them is."""

    code = "SD104"
    severity: ClassVar[Severity] = "error"
    title = "neither SPF nor DKIM is aligned with the sender"
    remedy = "Let bounces go to, or sign with, the domain of `[sender] email`."
    online = True

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        report = subject.domain
        if report is None:
            return
        signers = report.dkim_alignment
        relayed = subject.transport != "smtp" or subject.settings.transports.smtp.relay_signs
        if report.spf_alignment.aligned is False and all(one.aligned is False for one in signers):
            if relayed and not signers:  # who signs for us is not known here
                return
            message = (
                f"bounces go to {report.spf_alignment.domain}, and no signature is of "
                f"{report.organisation}: every mail fails DMARC"
            )
            yield self.at_key(subject, message, "sender", "bounces")


class SenderIdentity(_Setting):
    """The sender's address is at a free mail provider, whose DMARC policy makes receivers refuse what others
    send in its name; or on a domain that is reserved for examples, where no answer can arrive."""

    code = "SD201"
    title = "an address that mail can't be sent from"
    remedy = "Send from a domain of your own."
    example = '[sender]\nemail = "signal.brief@gmail.com"'

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        domain = subject.settings.sender.domain.lower()
        if domain in _FREE:
            message = f"{domain} lets nobody send in its name: receivers refuse it"
            yield self.at_key(subject, message, "sender", "email")
        elif domain.endswith(_RESERVED):
            message = f"{domain} is reserved for examples: no answer and no bounce arrives there"
            yield self.at_key(subject, message, "sender", "email")


class NoOneClick(_Setting):
    """Gmail, Yahoo and Outlook.com want a header by which a mail program unsubscribes with one
    click (RFC 8058), and it needs an https address. A `base_url` of this machine can be reached
    by no reader at all."""

    code = "SD202"
    title = "no one-click unsubscribing"
    remedy = (
        "Set `publication.base_url` to the https address under which `newsletter serve` is reached."
    )
    example = '[publication]\nbase_url = "http://news.example.com"'

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        base = subject.settings.publication.base_url
        if not one_click_allowed(base):
            message = f"{base} is not https, so no mail can offer one-click unsubscribing"
            yield self.at_key(subject, message, "publication", "base_url")
        elif not base.startswith("https:"):
            message = f"{base} is an address of this machine: no link of the mail works for others"
            yield self.at_key(subject, message, "publication", "base_url")


class NobodySigns(_Setting):
    """No DKIM key is set, and no relay is said to sign: mails arrive without a signature, which the large
    receivers refuse from everybody who sends many."""

    code = "SD203"
    title = "nobody signs with DKIM"
    remedy = (
        "Give a key in `[[transports.smtp.dkim]]`, or say `relay_signs = true` if the server does."
    )
    example = '[transports.smtp]\nurl = "smtp://mail.example.com:587"'

    def look(self, subject: SendingSubject) -> Iterator[Finding]:
        smtp = subject.settings.transports.smtp
        if subject.transport == "smtp" and not smtp.dkim and not smtp.relay_signs:
            message = f"nobody signs mails of {subject.settings.sender.domain} with DKIM"
            yield self.at_key(subject, message, "transports", "smtp")


class SpamPoints(SendingRule):
    """SpamAssassin gives the mail more points than `[checks] spam_score`. Asked is a `spamd` on this machine
    through `spamc`, where there is one; without it nothing is told, and nothing guessed."""

    code = "SD301"
    title = "a spam filter's points"
    remedy = "Mend what the named rules find; newsletter issue check prints the costliest."

    def check(self, subject: SendingSubject) -> Iterator[Finding]:
        found = subject.spam
        most = subject.settings.checks.spam_score
        if isinstance(found, SpamScore) and found.score >= most:
            costly = ", ".join(f"{one.name} {one.points:g}" for one in found.rules[:3])
            message = f"SpamAssassin gives {found.score:g} points, {most:g} is the most: {costly}"
            yield self.finding(message, file=subject.file, at=Position(1, 1))
