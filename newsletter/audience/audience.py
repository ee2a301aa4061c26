"""The audience of one publication: what a marketer does with it, each change in the audit log with who
and why. Addresses stand in no log; people are numbers there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from newsletter.audience.addresses import Address, AddressError, parse_address
from newsletter.audience.changes import (
    add_person,
    agree,
    change_address,
    leave,
    set_values,
)
from newsletter.audience.columns import FREQUENCIES, LONGEST_VALUE, Options, field_value
from newsletter.audience.conditions import Asked
from newsletter.audience.definitions import LAST, Definitions
from newsletter.audience.departures import Departures, departures, leave_again
from newsletter.audience.erased import Erased, ErasedPeople
from newsletter.audience.explain import Belonging, belongings
from newsletter.audience.exports import export
from newsletter.audience.imports import Importer, ImportResult
from newsletter.audience.indexes import keep_indexes
from newsletter.audience.people import (
    address_key,
    find,
    log,
    reason_against,
    sendable_groups,
    subscriber_of,
    suppression_holds,
)
from newsletter.audience.rights import deliveries_of, erase, erase_address, held, keys_of
from newsletter.audience.rules import Rule
from newsletter.audience.segments import Segments
from newsletter.audience.staging import Policy, Progress
from newsletter.audience.suppressions import (
    Reason,
    day,
    read_suppressions,
    suppress,
    suppressions,
    unsuppress,
)
from newsletter.audience.tables import Format, How, open_table
from newsletter.config import FieldSettings, Settings
from newsletter.db import Database
from newsletter.db.schema import consent, membership, subscriber, suppression
from newsletter.errors import InputError, RefusedError
from newsletter.languages import is_language
from newsletter.text import did_you_mean, tidy


@dataclass(frozen=True, slots=True)
class Choices:
    """What readers choose for themselves, as a form says it."""

    lens: str = ""  #: a segment's key; empty for what our rules say
    topics: tuple[str, ...] | None = None  #: None for all
    frequency: str = ""
    paused_until: str = ""  #: a day, e.g. 2026-12-24
    language: str = ""


LONGEST_PAUSE = timedelta(days=367)
_AS_FOUND = How()
_AS_WRITTEN = Options()


class Audience:
    """Everything that can be asked of and done to the people of a publication."""

    def __init__(
        self, database: Database, settings: Settings, segments: Segments, *, root: Path, actor: str
    ) -> None:
        self.database = database
        self.settings = settings
        self.segments = segments
        self.root = root
        self.actor = actor

    # -- asking ----------------------------------------------------------------------------------

    def rule(self, text: str) -> Rule:
        """A rule over this publication's fields and segments. Raises RuleError."""
        return Rule(text, self.settings.fields, self.segments.keys)

    def asked(self, person: int | None = None) -> Asked:
        """What rules are asked against now."""
        return Asked(self.segments, datetime.now(UTC), person)

    def belongings(self, email: str) -> list[Belonging]:
        """Every segment in order of priority: is this person in it, and why. Raises NotFoundError."""
        with self.database.read() as connection:
            person = find(connection, email).id
            return belongings(connection, self.asked(person))

    # -- files -----------------------------------------------------------------------------------

    def import_file(
        self,
        path: Path | None,
        stdin: IO[bytes] | None = None,
        *,
        how: How = _AS_FOUND,
        options: Options = _AS_WRITTEN,
        policy: Policy = "update",
        dry: bool = False,
        progress: Progress | None = None,
    ) -> ImportResult:
        """Import a table; see `Importer.run`. Refused rows go to var/imports/<name>.rejects.csv."""
        name = path.name if path else "standard-input"
        if not dry:
            with self.database.write() as connection:
                keep_indexes(connection, self.settings.fields)
        with self.database.read() as connection:
            erased = ErasedPeople(self.erased, connection)
        importer = Importer(
            self.database,
            self.segments,
            self.settings.fields,
            actor=self.actor,
            topics=list(self.settings.audience.topics),
            erased=erased,
            progress=progress,
        )
        with open_table(path, stdin, how) as table:
            return importer.run(
                table,
                self.root / "var" / "imports" / f"{Path(name).stem}.rejects.csv",
                source=f"import:{name}",
                options=options,
                policy=policy,
                dry=dry,
                make_segments=self._make_segments,
            )

    def _make_segments(self, names: Mapping[str, str]) -> None:
        made: list[Mapping[str, Any]] = [
            {"key": key, "name": name, "manual": True, "priority": LAST}
            for key, name in names.items()
        ]
        self.segments = self.definitions.add_all(made)

    def define(self, key: str, values: Mapping[str, Any], *, new: bool) -> int:
        """Add a segment to the file, or change one; returns how many who may be mailed are in it.
        Raises ConfigError for what makes no sense."""
        given = {name: value for name, value in values.items() if value is not None}
        if new:
            self.segments = self.definitions.add({"key": key, **given})
        else:
            self.segments = self.definitions.edit(key, given)
        with self.database.write() as connection:
            log(connection, self.actor, "segment new" if new else "segment edit", key, given)
        required = self.settings.audience.import_consent == "required"
        with self.database.read() as connection:
            groups = sendable_groups(
                connection, self.segments, now=datetime.now(UTC), consent_required=required
            )
        return sum(group.people for group in groups if key in group.segments)

    def drop_segment(self, key: str) -> int:
        """Take a segment out of the file, and its members by hand out of it; returns how many those
        were. Raises RefusedError when another one's rule asks for it."""
        self.segments = self.definitions.delete(key)
        with self.database.write() as connection:
            members = connection.execute(membership.delete().where(membership.c.segment == key))
            log(connection, self.actor, "segment delete", key, {"members": members.rowcount})
        return members.rowcount

    @property
    def definitions(self) -> Definitions:
        """The segments' file, for changing it."""
        return Definitions(self.root, self.settings.fields)

    def export(
        self,
        file: IO[bytes],
        kind: Format,
        *,
        rule: str | None = None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> int:
        """Write a table of everybody, or of those whom a rule finds; returns how many. Who took it is
        in the audit log. Raises RuleError."""
        checked = self.rule(rule) if rule is not None else None
        with self.database.read() as connection:
            number = export(
                connection,
                file,
                kind,
                self.settings.fields,
                rule=checked,
                asked=self.asked(),
                progress=progress,
            )
        with self.database.write() as connection:
            log(connection, self.actor, "export", kind, {"people": number, "rule": rule})
        return number

    # -- one person ------------------------------------------------------------------------------

    def add(
        self, email: str, values: Mapping[str, str], *, source: str, consent_at: datetime | None
    ) -> int:
        """Put somebody in; returns the number. `source` is where they agreed. Raises InputError for
        an address or value that is none, RefusedError for one that is here or kept out."""
        address = _address(email)
        columns, fields, segments = self._values(values)
        source = _said("the proof", source)
        with self.database.write() as connection:
            self._refuse_kept_out(connection, address.key)
            person = add_person(
                connection,
                {
                    "status": "subscribed",
                    **columns,
                    "address": address.mailbox,
                    "address_key": address.key,
                    "domain": address.domain,
                    "fields": fields,
                },
                segments,
            )
            if consent_at is not None:
                agree(connection, person, method="command", source=source, now=consent_at)
            log(connection, self.actor, "add", str(person), {"source": source})
        return person

    def set(self, email: str, values: Mapping[str, str], *, reason: str = "") -> list[str]:
        """Change what is known of somebody; an empty text empties a field. `reason` is kept in the log.
        Returns the names that changed. Raises InputError for a value that is none."""
        why = _said("the reason", reason)
        with self.database.write() as connection:
            person = find(connection, email).id
            given = dict(values)
            changed = []
            if new := given.pop("email", None):
                address = _address(new)
                self._refuse_kept_out(connection, address.key)
                change_address(
                    connection,
                    person,
                    mailbox=address.mailbox,
                    key=address.key,
                    domain=address.domain,
                )
                log(connection, self.actor, "address", str(person), {"reason": why} if why else {})
                changed.append("email")
            columns, fields, segments = self._values(given)
            if segments:
                raise InputError("membership is changed with: newsletter segment add|remove")
            changed += set_values(connection, person, columns, fields, actor=self.actor, reason=why)
        return changed

    def _values(self, given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        """Columns, declared fields (None for emptied ones) and segments, from texts."""
        columns: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        segments: list[str] = []
        for name, text in given.items():
            value = _said(
                name, text, most=LONGEST_VALUE * (1 if name in self.settings.fields else 4)
            )
            if name in self.settings.fields:
                fields[name] = (
                    field_checked(name, value, self.settings.fields[name]) if value else None
                )
            elif name == "name":
                columns[name] = value
            elif name == "language":
                if value and not is_language(value):
                    raise InputError(f'"{value}" is no language; write its code, e.g. en or pt-BR')
                columns[name] = value
            elif name == "lens":
                columns[name] = self._lens(value)
            elif name == "frequency":
                columns[name] = _one_of(name, value, FREQUENCIES)
            elif name == "topics":
                columns[name] = self._topics(value)
            elif name == "paused_until":
                columns[name] = self.pause_until(value)
            elif name == "segments":
                segments += [self._manual(key.strip()) for key in value.split(";") if key.strip()]
            else:
                known = [*self.settings.fields, *SETTABLE]
                hint = did_you_mean(name, known) or f" There are: {', '.join(known)}."
                raise InputError(f'"{name}" can\'t be set.{hint}')
        return columns, fields, segments

    def _lens(self, key: str) -> str:
        return _one_of("lens", key, ("", *(one.key for one in self.segments if one.choosable)))

    def _manual(self, key: str) -> str:
        if not self.segments.get(key).manual:
            raise RefusedError(f'"{key}" has a rule, which decides who is in it')
        return key

    def _topics(self, text: str) -> list[str] | None:
        known = list(self.settings.audience.topics)
        return [_one_of("topics", one.strip(), known) for one in text.split(";")] if text else None

    def _refuse_kept_out(self, connection: sa.Connection, key: str) -> None:
        digest = self.erased.hashed(key)
        reason = connection.scalar(
            sa.select(suppression.c.reason)
            .where(suppression.c.address_key.in_((key, digest)))
            .where(suppression_holds(datetime.now(UTC)))
        )
        if reason is not None:
            raise RefusedError(
                f"the address is kept out ({reason}); if its owner wants in: newsletter audience "
                f"unsuppress {key} --reason TEXT"
            )

    def unsubscribe(self, email: str, *, reason: str = "") -> bool:
        """End somebody's subscription; returns whether it was not ended before."""
        reason = _said("the reason", reason)
        with self.database.write() as connection:
            person = find(connection, email).id
            changed = leave(connection, [person], method="command", reason=reason)
            if changed:
                log(connection, self.actor, "unsubscribe", str(person), {"reason": reason})
        return bool(changed)

    def resubscribe(self, email: str, *, proof: str) -> bool:
        """Bring somebody back who left; `proof` says how they asked for it, and is kept. Returns
        whether they were away. Raises RefusedError for who is on the suppression list."""
        if not proof.strip():
            raise InputError("--proof must say how they asked to come back")
        with self.database.write() as connection:
            person = find(connection, email)
            self._refuse_kept_out(connection, address_key(email))
            back = person.status != "subscribed"
            agree(connection, person.id, method="command", source=_said("the proof", proof))
            log(connection, self.actor, "resubscribe", str(person.id), {"proof": proof})
        return back

    def suppress(
        self, email: str, *, reason: Reason = "manual", note: str = "", until: str | None = None
    ) -> bool:
        """Keep an address out, subscriber or not; returns whether it was not kept out before. `until`
        is a day, e.g. 2027-01-31."""
        expires = day(until, self.settings.publication.zone) if until else None
        note = _said("the note", note)
        key = address_key(email)
        with self.database.write() as connection:
            new = suppress(connection, key, reason, note=note, until=expires)
            person = subscriber_of(connection, key)
            detail = {"reason": reason, "note": note, "until": until}
            log(connection, self.actor, "suppress", str(person or ""), detail)
        return new

    def suppress_all(self, path: Path) -> int:
        """Keep out every address of a table, all or none; returns how many were not kept out before.
        Raises InputError with the line for one that can't be used."""
        rows = read_suppressions(path, self.settings.publication.zone)
        with self.database.write() as connection:
            new = sum(
                suppress(connection, one.key, one.reason, note=one.note, until=one.until)
                for one in rows
            )
            log(connection, self.actor, "suppress", path.name, {"rows": len(rows), "new": new})
        return new

    def suppressions(self) -> list[dict[str, str]]:
        """Every address that is kept out, but those of erased people, whom nobody knows: email, reason,
        note, since and until, as days of the publication's zone."""
        zone = self.settings.publication.zone
        with self.database.read() as connection:
            return [
                {
                    "email": row.address_key,
                    "reason": row.reason,
                    "note": row.note,
                    "since": f"{row.created_at.astimezone(zone):%Y-%m-%d}",
                    "until": f"{row.expires_at.astimezone(zone):%Y-%m-%d}"
                    if row.expires_at
                    else "",
                }
                for row in suppressions(connection)
                if row.reason != "erased"
            ]

    def unsuppress(self, email: str, *, reason: str) -> str:
        """Take an address off the suppression list; returns what it was there for. Raises
        RefusedError when it is not on it."""
        if not reason.strip():
            raise InputError("--reason must say why")
        key = address_key(email)
        with self.database.write() as connection:
            was = unsuppress(connection, (key, self.erased.hashed(key)))
            person = subscriber_of(connection, key)
            detail = {"reason": reason, "was": was}
            log(connection, self.actor, "unsuppress", str(person or ""), detail)
        return was

    def choices(self, person: int) -> Choices:
        """What a reader chose for themselves."""
        with self.database.read() as connection:
            return self._chosen(connection, person)

    def choose(self, person: int, choices: Choices) -> Choices:
        """Take over what a reader chose; returns what it replaces. Raises InputError for what can't be
        chosen."""
        publication = self.settings.publication
        language = choices.language
        if language and language not in publication.all_languages:
            raise InputError(f'the language "{language}" is not among ours')
        values = {
            "lens": self._lens(choices.lens),
            "frequency": _one_of("frequency", choices.frequency, FREQUENCIES),
            "topics": None if choices.topics is None else list(choices.topics),
            "language": language,
            "paused_until": self.pause_until(choices.paused_until),
        }
        with self.database.write() as connection:
            before = self._chosen(connection, person)
            values["language"] = language or before.language
            set_values(connection, person, values, {}, actor="reader")
        return before

    def pause_until(self, text: str) -> datetime | None:
        """The end of a pause from a day as text; None without one. Raises InputError for a day that is
        none, past, or far away."""
        if not text:
            return None
        until = day(text, self.settings.publication.zone)
        if not timedelta() < until - datetime.now(UTC) < LONGEST_PAUSE:
            raise InputError("a pause ends tomorrow or later, and within a year")
        return until

    def _chosen(self, connection: sa.Connection, person: int) -> Choices:
        row = connection.execute(sa.select(subscriber).where(subscriber.c.id == person)).one()
        paused = row.paused_until
        zone = self.settings.publication.zone
        return Choices(
            lens=row.lens,
            topics=None if row.topics is None else tuple(row.topics),
            frequency=row.frequency,
            paused_until=paused.astimezone(zone).date().isoformat()
            if paused and paused > datetime.now(UTC)
            else "",
            language=row.language,
        )

    def left_because(self, person: int, reason: str) -> None:
        """Write down why somebody left, beside their leaving."""
        with self.database.write() as connection:
            last = connection.scalar(
                sa.select(sa.func.max(consent.c.id)).where(consent.c.subscriber_id == person)
            )
            connection.execute(
                consent.update()
                .where(
                    consent.c.id == last, consent.c.given.is_(sa.false()), consent.c.reason == ""
                )
                .values(reason=tidy(reason)[:600])
            )

    def not_mailed(self, email: str) -> str | None:
        """Why somebody may not be mailed now, or None. Raises NotFoundError."""
        required = self.settings.audience.import_consent == "required"
        with self.database.read() as connection:
            person = find(connection, email).id
            return reason_against(connection, person, consent_required=required)

    def show(self, email: str) -> dict[str, Any]:
        """Everything that is held on somebody; see `rights.held`. Raises NotFoundError."""
        now = datetime.now(UTC)
        with self.database.read() as connection:
            person = find(connection, email).id
            found = held(connection, person, now=now)
            found["segments"] = [
                one.as_dict() for one in belongings(connection, self.asked(person)) if one.member
            ]
            found["not_mailed"] = reason_against(
                connection,
                person,
                consent_required=self.settings.audience.import_consent == "required",
            )
        return found

    @cached_property
    def erased(self) -> Erased:
        """Who was erased here, as hashes."""
        return Erased(self.root / "var" / "secrets")

    def deliveries_of(self, email: str) -> list[tuple[int, int]]:
        """Every delivery (mailing, n) to a person; none for an address that is only kept out. Raises
        NotFoundError for one that is not here at all."""
        key = address_key(email)
        with self.database.read() as connection:
            person = subscriber_of(connection, key)
            if person is not None:
                return deliveries_of(connection, person)
            listed = sa.exists().where(suppression.c.address_key == key)
            if not connection.scalar(sa.select(listed)):
                find(connection, email)  # says so
        return []

    def erase(self, email: str) -> None:
        """Forget somebody in the database, or an address that is only kept out. Files are the caller's,
        before: once this is done, nobody knows whose they were. Raises NotFoundError."""
        self.deliveries_of(email)
        key, now = address_key(email), datetime.now(UTC)
        digest = self.erased.hashed(key)
        with self.database.read() as connection:
            person = subscriber_of(connection, key)
            keys = {key} if person is None else keys_of(connection, person)
        # first: what is cut off behind this is gone on with by a restore
        for one in sorted(keys):
            self.erased.remember(self.erased.hashed(one), now, person)
        with self.database.write() as connection:
            person = subscriber_of(connection, key)
            if person is None:
                erase_address(connection, key, digest=digest, now=now)
            else:
                erase(connection, person, hashed=self.erased.hashed, now=now)
            log(connection, self.actor, "erase", str(person or ""), {})
        self.database.truncate_log()

    def erase_again(self) -> int:
        """After a restore: erase whom the list names, by address or number, and who is here as they were
        before; returns how many. Who came back of their own accord since was written down later than
        their erasure, and stays."""
        hashes, numbers = self.erased.listed()
        if not hashes:
            return 0
        found: list[tuple[int, datetime]] = []
        here: set[str] = set()
        never = datetime.min.replace(tzinfo=UTC)
        with self.database.read() as connection:
            people = sa.select(subscriber.c.id, subscriber.c.address_key, subscriber.c.updated_at)
            for row in connection.execution_options(yield_per=5_000).execute(people):
                digest = self.erased.hashed(row.address_key)
                at = max(hashes.get(digest, never), numbers.get(row.id, never))
                if row.updated_at <= at:
                    found.append((row.id, at))
                else:
                    here.add(digest)
        with self.database.write() as connection:
            for person, at in found:  # one of them may have gone with another
                erase(connection, person, hashed=self.erased.hashed, now=at)
                log(connection, self.actor, "erase", str(person), {"again": True})
            known = self.erased.known(connection)
            for digest in hashes.keys() - known.keys() - here:
                values = {"address_key": digest, "reason": "erased", "created_at": hashes[digest]}
                connection.execute(suppression.insert(), values)
        self.database.truncate_log()
        return len(found)

    def departures(self) -> Departures:
        """Who has left, and who is kept out: what must hold after a restore, too."""
        with self.database.read() as connection:
            return departures(connection)

    def leave_again(self, gone: Departures) -> int:
        """After a restore: end the subscriptions that were ended since the backup, and keep out who was
        kept out; returns how many of both that were not so in it."""
        with self.database.write() as connection:
            number = leave_again(connection, gone)
            log(connection, self.actor, "restore", "", {"left again": number})
        return number


#: What `audience set` knows, besides declared fields.
SETTABLE = ("email", "name", "language", "lens", "frequency", "topics", "paused_until")


def _address(email: str) -> Address:
    try:
        return parse_address(email)
    except AddressError as error:
        raise InputError(f'"{email}" is no e-mail address: {error}') from None


def _said(what: str, text: str, *, most: int = LONGEST_VALUE) -> str:
    """What somebody typed, on one line. Raises InputError when an import would not take it back."""
    said = tidy(text)
    if len(said) > most:
        raise InputError(f"{what} has {len(said)} characters; {most} is the most")
    return said


def field_checked(name: str, text: str, settings: FieldSettings) -> Any:
    """A declared field's value. Raises InputError."""
    try:
        return field_value(name, text, settings)
    except ValueError as error:
        raise InputError(str(error)) from None


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        named = [one for one in known if one]
        hint = did_you_mean(value, named) or f" There are: {', '.join(named) or 'none'}."
        hint += " Empty means every issue." if name == "frequency" else ""
        if name == "topics" and not named:
            hint = " Declare topics under [audience] in newsletter.toml."
        raise InputError(f'{name} "{value}" is not known.{hint}')
    return value
