"""Signing up and confirming: requests are written down at once and answered by mail from behind.

Who asks gets the same page in the same time whoever is subscribed; what there is to know is told to
the mailbox alone.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from newsletter.audience import (
    Address,
    AddressError,
    Ask,
    Confirmed,
    Erased,
    Reply,
    Segments,
    ask,
    confirm,
    holds,
    keep_text,
    language_of,
    mailed,
    may_be_taken_back,
    of_mail,
    parse_address,
    replies,
    segments_of,
)
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery import open_service_mailings, plan_service
from newsletter.editions import Edition, Renderer, ServiceKind, service_edition
from newsletter.errors import InputError
from newsletter.languages import closest
from newsletter.text import tidy

log = logging.getLogger(__name__)
CONSENT = "consent.txt.j2"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a mail asks to confirm."""

    kind: str  #: sign-up | address | moved
    address: str
    language: str
    done: bool


class Joining:
    """The way in, of one publication."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        segments: Segments,
        renderer: Renderer,
        erased: Erased,
        *,
        root: Path,
        latest: Callable[[tuple[str, ...], str], Edition | None],
        send: Callable[[int], None],
    ) -> None:
        """`latest` renders the last published issue as a welcome, for readers in these segments and a
        language; `send` runs a mailing."""
        self.database = database
        self.settings = settings
        self.segments = segments
        self.renderer = renderer
        self.erased = erased
        self.root = root
        self._latest = latest
        self._send = send

    # -- asking ----------------------------------------------------------------------------------

    def consent_text(self, language: str) -> str:
        """The words beside the button, to which people agree."""
        publication = self.settings.publication
        return tidy(
            self.renderer.templates.render(
                CONSENT,
                language=language,
                publication=publication,
                tracking=self.settings.tracking.level,
            )
        )

    def sign_up(
        self,
        email: str,
        *,
        language: str,
        method: str,
        source: str = "",
        name: str = "",
        lens: str = "",
        topics: Sequence[str] | None = None,
    ) -> None:
        """Write down that somebody wants in. Raises InputError for what is no address, or a value that
        nobody could have chosen; says nothing about who is subscribed."""
        address = self.checked(email)
        choosable = [one.key for one in self.segments if one.choosable]
        known = self.settings.audience.topics
        text = self.consent_text(language)
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        asked = Ask(
            "sign-up",
            address,
            method,
            source=tidy(source)[:100],
            name=tidy(name)[:100],
            language=closest(language, self.settings.publication.all_languages) or "",
            lens=lens if lens in choosable else "",
            topics=None if topics is None else tuple(one for one in topics if one in known),
            text=digest,
        )
        with self.database.write() as connection:
            keep_text(connection, digest, language, text)
            if not self.blocked(address.domain):
                ask(connection, asked, datetime.now(UTC))

    def move(self, person: int, email: str, *, language: str) -> None:
        """Write down that a reader wants their mail at another address. Raises InputError."""
        address = self.checked(email)
        if self.blocked(address.domain):
            return
        asked = Ask("address", address, "page", language=language, person=person)
        with self.database.write() as connection:
            ask(connection, asked, datetime.now(UTC))

    @staticmethod
    def checked(email: str) -> Address:
        """Raises InputError for what is no address."""
        try:
            return parse_address(email)
        except AddressError as error:
            raise InputError(str(error)) from None

    def blocked(self, domain: str) -> bool:
        """Whether addresses of this domain, or of one above it, may not sign up."""
        parts = domain.lower().split(".")
        return any(".".join(parts[i:]) in self._blocked for i in range(len(parts)))

    @cached_property
    def _blocked(self) -> frozenset[str]:
        domains = [one.lower() for one in self.settings.signup.blocked_domains]
        if path := self.settings.signup.blocked_domains_file:
            try:
                lines = (self.root / path).read_text("utf-8").splitlines()
            except OSError as error:
                raise InputError(f"can't be read: {error.strerror}", file=str(path)) from None
            domains += [line.strip().lower() for line in lines if line.strip()[:1] not in ("", "#")]
        return frozenset(domains)

    # -- answering -------------------------------------------------------------------------------

    def answer(self) -> int:
        """Send what requests are waiting for, and what was left behind; returns how many mails are on
        their way."""
        now = datetime.now(UTC)
        number = 0
        with self.database.write() as connection:
            decided = replies(connection, now=now, most_a_day=self.settings.signup.mails_a_day)
            for kind in ("opt-in", "known", "address"):
                some = [one for one in decided if one.answer == kind]
                if some:
                    editions = {
                        code: self._service(kind, code)
                        for code in dict.fromkeys(self._speaks(one) for one in some)
                    }
                    people = [(one.person, self._speaks(one)) for one in some]
                    mailing, numbers = plan_service(
                        connection, kind, self.settings.transports.default, people, editions
                    )
                    mailed(connection, mailing, list(zip(some, numbers, strict=True)))
                    number += len(some)
        self.send_open()
        return number

    def send_open(self) -> None:
        """Send every service mailing that is not through."""
        with self.database.read() as connection:
            waiting = open_service_mailings(connection, datetime.now(UTC))
        for mailing in waiting:
            self._send(mailing)

    def _service(self, kind: ServiceKind, language: str) -> Edition:
        return service_edition(
            self.renderer, self.settings, kind, language, days=self.settings.signup.confirm_days
        )

    def _speaks(self, reply: Reply) -> str:
        return self.language(reply.language)

    def language(self, wanted: str) -> str:
        """The language of ours that is closest to a wanted one."""
        publication = self.settings.publication
        return closest(wanted, publication.all_languages) or publication.language

    # -- confirming ------------------------------------------------------------------------------

    def asked(self, mailing: int, n: int) -> Asked | None:
        """What a mail asks to confirm; None when there is nothing any more, or what was confirmed does
        not hold any more."""
        days = timedelta(days=self.settings.signup.confirm_days)
        with self.database.read() as connection:
            row = of_mail(connection, mailing, n)
            if row is None or datetime.now(UTC) - row.at > days:
                return None
            done = row.state == "done"
            if row.state not in ("mailed", "done") or (done and not holds(connection, row)):
                return None
        kind = "moved" if row.method == "moved" else row.kind
        return Asked(kind, row.address, row.language, done)

    def confirm(self, mailing: int, n: int) -> Confirmed | None:
        """Do what a mail asked to confirm; whoever signed up gets a welcome. None when there is nothing
        to confirm any more."""
        days = self.settings.signup.confirm_days
        with self.database.write() as connection:
            done = confirm(connection, self.erased, mailing, n, now=datetime.now(UTC), days=days)
            if done is not None and done.old is not None:
                self._tell_the_old_address(connection, done, done.old)
        if done is not None and done.anew and done.kind == "sign-up":
            self._welcome(done.person)
        return done

    def _tell_the_old_address(self, connection: sa.Connection, moved: Confirmed, old: int) -> None:
        """A mail to the address that somebody had before; it leaves with the next answers."""
        speaks = self.language(language_of(connection, moved.person))
        edition = self._service("moved", speaks)
        mailing, (n,) = plan_service(
            connection,
            "moved",
            self.settings.transports.default,
            [(old, speaks)],
            {speaks: edition},
        )
        may_be_taken_back(connection, moved, mailing, n, datetime.now(UTC))

    def _welcome(self, person: int) -> None:
        """A mail with the latest issue; it leaves with the next answers."""
        with self.database.read() as connection:
            keys = segments_of(connection, self.segments, person)
            wanted = language_of(connection, person)
        speaks = self.language(wanted)
        edition = self._latest(keys, speaks) or self._service("welcome", speaks)
        with self.database.write() as connection:
            plan_service(
                connection,
                "welcome",
                self.settings.transports.default,
                [(person, speaks)],
                {speaks: edition},
            )
