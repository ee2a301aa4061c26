"""The composition root: one publication with its files, database, secrets and ways out.

What the command line and the web do is a call of this class. Nothing connects, reads settings or
opens files before it is needed.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property, partial
from itertools import combinations
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import escape

from newsletter.audience import AddressError as _AddressError
from newsletter.audience import (
    Audience,
    Departures,
    Group,
    ImportResult,
    ReaderKind,
    Segments,
    add_memberships,
    count,
    count_sendable,
    find,
    keep_indexes,
    load_segments,
    log,
    muted_by,
    parse_address,
    reason_against,
    remove_members,
    segments_of,
    sendable_groups,
)
from newsletter.briefs import (
    Audiences,
    ParsedBrief,
    TakenBrief,
    Vocabulary,
    format_brief,
    take_brief,
)
from newsletter.checking import Checking, Shown
from newsletter.config import TRANSPORT_PLUGINS, DkimSettings, Settings, load
from newsletter.contact_sheet import MOST_TILES, photographed
from newsletter.db import (
    PATIENCE,
    Database,
    backup,
    check_backup,
    numbers,
    problems,
    raise_numbers,
    restore,
)
from newsletter.db.schema import edition, mailing, mailing_edition
from newsletter.delivery import (
    DATES_KNOWN,
    MOST_EDITIONS,
    ArchivePage,
    Arm,
    Engine,
    Envelope,
    Fence,
    Options,
    OutboxTransport,
    Plan,
    PlannedEdition,
    Planner,
    Progress,
    Recipient,
    Stop,
    Transport,
    Unreachable,
    approve,
    audit_issue,
    cancel,
    due_issues,
    hold,
    mailings_of,
    pause,
    planned_groups,
    refuse_tampered,
    regular_mailing,
    resolve_uncertain,
    resume,
    status_issue,
    store_editions,
    to_header,
)
from newsletter.delivery.dkim import Signer
from newsletter.doctor import Check, looked_at
from newsletter.editions import (
    Composer,
    Edition,
    Renderer,
    Signature,
    TemplateProblem,
    Templates,
    labels_view,
    one_click_allowed,
    pictures_of,
    publication_view,
    render_all,
    what_multiplies,
)
from newsletter.editions import Envelope as MailHeaders
from newsletter.errors import (
    ConfigError,
    InputError,
    NewsletterError,
    NotFoundError,
    RefusedError,
    TemplateError,
    TransportError,
)
from newsletter.files import new_private_file, replace_file
from newsletter.findings import Finding, blocking
from newsletter.forget import BACKUPS, Erasure, forget_files
from newsletter.issues import (
    FOLDER,
    INBOX,
    NOBODY,
    Candidate,
    Choice,
    Coverage,
    Issue,
    assemble,
    coverage,
    form,
    inbox,
    load_issue,
    put_into_inbox,
)
from newsletter.joining import Joining
from newsletter.languages import SOURCE
from newsletter.proofs import SCRIPT, Drafts, Media, Preview, Proofs
from newsletter.reports import is_kept, issue_report
from newsletter.retention import Deleted, claim_round, delete_old
from newsletter.text import did_you_mean, slugify, tidy
from newsletter.tracking import Keyring, Lookup, Spool, Stamper, load_spool

_PROOFREAD = 48  # editions whose templates are read for what MJML takes in silence
_FAR = 1_000_000  # numbers that are passed over when nobody knows which were given
TRANSPORTS = ("outbox", "smtp", "sendgrid", "faulty")  #: plug-ins beside them


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    before: Path  #: the backup of what was there
    erased: int  #: people who were erased again
    left: int  #: people who left, or were kept out, since the backup, and do so again


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a reader gets which actions."""

    segments: tuple[str, ...]
    actions: tuple[dict[str, Any], ...]
    edition: str
    not_mailed: str | None  #: why they get no mail at all, or None


class Workspace:
    """A publication in a folder. Use as a context manager, or call `close`."""

    def __init__(self, root: Path | str, *, actor: str | None = None) -> None:
        """`actor` is who acts, for the audit log: the name of the system's user if None."""
        self.root = Path(root).resolve()
        self.actor = actor or _user()
        self.patience = (
            PATIENCE  #: seconds that a change waits for another one; set it before the first
        )
        self._spoken: tuple[int, dict[int, str]] = (0, {})

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back connections and write what is queued."""
        for name in ("database", "spool"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    # -- parts -----------------------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        return load(self.root)

    @cached_property
    def database(self) -> Database:
        """Raises RefusedError after a restore that was cut off: who was erased may be in it again."""
        opened = self._open_database()
        opened.shut = self._restoring
        opened.refuse_shut()
        return opened

    def _open_database(self) -> Database:
        return Database(self.settings.database.url, self.root, patience=self.patience)

    @cached_property
    def segments(self) -> Segments:
        return load_segments(self.root, self.settings.fields)

    @cached_property
    def audiences(self) -> Audiences:
        return Audiences(self.segments.names())

    @cached_property
    def vocabulary(self) -> Vocabulary:
        briefs = self.settings.briefs
        return Vocabulary(
            briefs.labels,
            more_labels=briefs.more_labels,
            not_audiences=briefs.not_audiences,
            everyone=briefs.everyone,
            language=self.settings.publication.language,
        )

    @cached_property
    def templates(self) -> Templates:
        return Templates(self.root, self.settings.publication.base_url)

    @cached_property
    def renderer(self) -> Renderer:
        publication, sender = self.settings.publication, self.settings.sender
        headers = MailHeaders(
            sender_name=sender.name or publication.name,
            sender_email=sender.email,
            reply_to=sender.reply_to,
            list_name=publication.name,
            base_url=publication.base_url,
            unsubscribe=sender.unsubscribe or "",
        )
        return Renderer(self.templates, headers)

    @cached_property
    def keyring(self) -> Keyring:
        """The keys of this publication's tokens. Raises RefusedError when they are not the ones that
        signed what was sent: with other keys every link that is out there would be dead."""
        path = self.root / "var" / "secrets" / "tokens"
        keyring = Keyring.at(path)
        if missing := self.database.remember("keys", keyring.fingerprints):
            raise RefusedError(
                f"{path} lacks {len(missing)} of the keys that this database's tokens were signed "
                "with; restore the file from a backup"
            )
        return keyring

    @cached_property
    def spool(self) -> Spool:
        return Spool(self.root / "var" / "intake.db")

    @cached_property
    def lookup(self) -> Lookup:
        return Lookup(self.database)

    @cached_property
    def stamper(self) -> Stamper:
        settings = self.settings
        return Stamper(
            self.keyring,
            settings.publication.zone,
            settings.sender.bounce_address,
            self.templates.language,
        )

    @cached_property
    def proofs(self) -> Proofs:
        return Proofs(self.stamper, Media(self.root, self.settings.publication.base_url))

    @property
    def names(self) -> dict[str, str]:
        """Segment keys to names."""
        return {segment.key: segment.name for segment in self.segments}

    @property
    def consent_required(self) -> bool:
        return self.settings.audience.import_consent == "required"

    def transport(self, name: str | None = None) -> Transport:
        """A way out by name; the publication's default if None."""
        name = name or self.settings.transports.default
        ways = self.settings.transports
        if name == "outbox":
            return OutboxTransport(self.root / ways.outbox.path)
        if name == "faulty":
            from newsletter.delivery.transports.faulty import FaultyTransport

            return FaultyTransport(ways.faulty, self.root)
        if name == "smtp":
            from newsletter.delivery.transports.smtp import SmtpTransport

            return SmtpTransport(ways.smtp, self.root)
        if name == "sendgrid":
            from newsletter.delivery.transports.sendgrid import SendGridTransport

            sender = self.settings.sender
            return SendGridTransport(
                ways.sendgrid,
                sender_email=sender.email,
                sender_name=sender.name or self.settings.publication.name,
                reply_to=sender.reply_to,
            )
        return self._plugin(name)

    def _plugin(self, name: str) -> Transport:
        """A way out that somebody else wrote; see docs/adding-a-transport.md."""
        from importlib.metadata import entry_points

        plugins = entry_points(group=TRANSPORT_PLUGINS)
        if name not in plugins.names:
            known = [*TRANSPORTS, *plugins.names]
            hint = did_you_mean(name, known) or f" There are: {', '.join(known)}."
            raise ConfigError(f'there is no transport "{name}".{hint}')
        make = plugins[name].load()
        options = (self.settings.transports.model_extra or {}).get(name, {})
        made: Transport = make(options, self.root)
        return made

    # -- briefs ----------------------------------------------------------------------------------

    def brief(self, path: Path) -> ParsedBrief:
        """Read, parse and check a brief file. Raises InputError for what is no brief."""
        return self.take_brief(path).parsed

    def format_brief(self, path: Path) -> str:
        """The canonical text of a brief file. Raises RefusedError when the brief has errors: what
        they hold back would be lost."""
        return self._canonical(self.brief(path))

    def _canonical(self, parsed: ParsedBrief) -> str:
        _refuse_errors(parsed)
        return format_brief(parsed.brief, vocabulary=self.vocabulary, audiences=self.audiences)

    def rewrite_brief(self, path: Path) -> Path:
        """Write a brief in its canonical form; returns the file, for plain text a .md in its place.

        Raises RefusedError when anything that an editor wrote would be lost.
        """
        taken = self.take_brief(path)
        if taken.document:
            raise RefusedError(
                f"is a document, which stays as it is; take it in with: newsletter brief add {path}",
                file=str(path),
            )
        parsed = taken.parsed
        text = self._canonical(parsed)
        for finding in parsed.findings:
            if finding.code == "BR402":
                raise RefusedError(
                    f"{finding.message} Formatting would lose it",
                    file=finding.file,
                    line=finding.line,
                )
        target = path.with_suffix(".md")
        if target != path and target.exists():
            raise RefusedError(f"{target} is there already; move it away first")
        replace_file(target, text)
        if target != path:
            path.unlink()
        return target

    def take_brief(self, path: Path, stdin: IO[bytes] | None = None) -> TakenBrief:
        """Read and check a brief that may be text, DOCX or HTML, from `stdin` for the path `-`. Raises
        InputError for what is none of them."""
        taken = take_brief(
            path,
            vocabulary=self.vocabulary,
            audiences=self.audiences,
            shown_as=os.path.relpath(path, Path.cwd()) if path.is_absolute() else str(path),
            stdin=stdin,
        )
        return replace(
            taken, parsed=self.checking.brief(taken.parsed, self.today, self._issue_of(path))
        )

    def _issue_of(self, path: Path) -> Issue | None:
        """The issue in whose folder a brief lies; None for one of the inbox, and from elsewhere."""
        try:
            place = path.resolve().relative_to(self.root / FOLDER)
        except ValueError:
            return None
        if len(place.parts) < 3 or place.parts[0] == INBOX:
            return None
        try:
            return self.issue(place.parts[0])
        except NewsletterError:
            return None

    def add_brief(self, brief: Path | TakenBrief) -> Path:
        """Put a brief into the inbox: a text as it is, what came out of a document in the canonical
        form. Returns where it lies. Raises RefusedError when its slug is taken or it has errors."""
        taken = self.take_brief(brief) if isinstance(brief, Path) else brief
        if not taken.document and taken.ending not in ("", ".md", ".markdown", ".txt"):
            raise InputError(
                "is no brief; save it as .docx, .html, .txt or .md", file=taken.parsed.file
            )
        _refuse_errors(taken.parsed)
        text = taken.text
        unknown = any(finding.code == "BR402" for finding in taken.parsed.findings)
        if taken.document and not unknown:  # a key that we don't know would be lost
            text = self._canonical(taken.parsed)
        return put_into_inbox(self.root, taken.parsed.brief.slug, taken.suffix, text)

    def new_brief(self, headline: str) -> Path:
        """Write a form for a new brief into the inbox; returns its path."""
        headline = tidy(headline)
        slug = slugify(headline)
        text = form(
            headline,
            slug,
            datetime.now(self.settings.publication.zone).date(),
            labels={role: self.vocabulary.labels[role][0] for role in ("take", "why", "action")},
            audiences=[segment.name for segment in self.segments][:2]
            or [self.vocabulary.everyone[0]],
        )
        return put_into_inbox(self.root, slug, ".md", text)

    # -- issues ----------------------------------------------------------------------------------

    @cached_property
    def checking(self) -> Checking:
        return self._checking()

    def _checking(self, *, online: bool = False) -> Checking:
        def message(edition: Edition) -> bytes:
            return self.proofs.message(edition, self.settings.sender.email).message()

        return Checking(
            self.root,
            self.settings,
            self.segments,
            self.issue,
            values=self.proofs.values,
            message=message,
            picture_problem=self.templates.pictures.problem,
            looks=self.looks,
            online=online,
        )

    @property
    def today(self) -> date:
        """The day in the publication's zone."""
        return datetime.now(self.settings.publication.zone).date()

    def issue(self, issue: str) -> Issue:
        return load_issue(
            self.root,
            issue,
            vocabulary=self.vocabulary,
            audiences=self.audiences,
            zone=self.settings.publication.zone,
        )

    def assemble(self, issue: str, choice: Choice, *, add: bool = False) -> list[Candidate]:
        """Take briefs from the inbox into an issue; see `issues.assemble`."""
        candidates = [Candidate(path, self.brief(path)) for path in inbox(self.root)]
        zone = self.settings.publication.zone
        return assemble(self.root, issue, candidates, choice, add=add, zone=zone)

    def groups(self, topics: Sequence[str] = (), *, loaded: bool = True) -> list[Group]:
        """Everybody who may be mailed now, by what their edition depends on; `topics` are those that
        some may not have chosen. Without `loaded`, what came back since the last look is left out, and
        nothing is written."""
        if loaded:
            self.load_events()
        with self.database.read() as connection:
            return sendable_groups(
                connection,
                self.segments,
                now=datetime.now(UTC),
                consent_required=self.consent_required,
                languages=self.settings.publication.all_languages,
                topics=topics,
            )

    def check(self, issue: str, *, online: bool = False) -> list[Finding]:
        """Everything that is wrong with an issue, its editions and their sending. `online` asks the
        network, too: whether links answer, and what the DNS says of the sender."""
        try:
            loaded = self.issue(issue)
        except InputError as error:
            return [self.checking.unreadable(error)]
        groups = self.groups(loaded.topics(self.settings.audience.topics))
        kinds = [group.reader for group in groups] or [
            ReaderKind(keys, self.settings.publication.language)
            for keys in ((), *((key,) for key in self.segments.keys))
        ]
        arms = [name for name, _ in loaded.manifest.split.shares] or [""]
        try:
            planned = self.editions(loaded, self._not_empty(loaded, kinds), arms=arms)
        except (TemplateError, InputError, ConfigError) as error:
            return self._check(loaded, groups, [], online=online, broken=error)
        return self._check(loaded, groups, planned, online=online)

    def _check(
        self,
        issue: Issue,
        groups: Sequence[Group],
        planned: Sequence[PlannedEdition],
        *,
        transport: str | None = None,
        online: bool = False,
        errors_only: bool = False,
        broken: NewsletterError | None = None,
        day: date | None = None,
    ) -> list[Finding]:
        people = {group.reader: group.people for group in groups}
        composer = self.composer(issue) if planned and not errors_only else None
        shown = [
            Shown(
                one.edition,
                sum(people.get(reader, 0) for reader in one.readers),
                one.readers[0].segments,
                # after some dozens nothing new comes
                self._problems(composer, one) if composer and n < _PROOFREAD else (),
            )
            for n, one in enumerate(planned)
        ]
        checking = self._checking(online=True) if online else self.checking
        return checking.issue(
            issue,
            groups,
            shown,
            transport=transport or self.settings.transports.default,
            today=self.today,
            errors_only=errors_only,
            broken=broken,
            day=day,
        )

    def _problems(self, composer: Composer, planned: PlannedEdition) -> tuple[TemplateProblem, ...]:
        """What is wrong with the templates, as far as this edition shows it."""
        reader, signature = planned.readers[0].segments, planned.edition.signature
        return tuple(self.renderer.problems(composer, reader, signature))

    def _not_empty(self, issue: Issue, kinds: Sequence[ReaderKind]) -> list[ReaderKind]:
        """Those of these readers to whom the issue says anything."""
        composer = self.composer(issue)
        return [one for one in kinds if composer.signature(one.segments, muted=one.muted).blocks]

    def coverage(self, issue: str) -> Coverage:
        return coverage(self.issue(issue), self.segments, self.groups())

    def coverage_page(self, issue: str) -> str:
        """The same as one self-contained HTML page."""
        loaded = self.issue(issue)
        matrix = coverage(loaded, self.segments, self.groups())
        reasons = [
            (row.headline, cell.reason)
            for row in matrix.rows
            for cell in row.cells.values()
            if cell.reason
        ]
        return self.page(
            "coverage.html.j2",
            issue=loaded,
            matrix=matrix,
            names={NOBODY: "No segment", **self.names},
            notes=list(dict.fromkeys(reasons)),
        )

    # -- audience --------------------------------------------------------------------------------

    @cached_property
    def joining(self) -> Joining:
        """Signing up, confirming, and the mails that belong to it."""
        return Joining(
            self.database,
            self.settings,
            self.segments,
            self.renderer,
            self.audience.erased,
            root=self.root,
            latest=self._welcome_edition,
            send=self._send_service,
        )

    def _send_service(self, mailing: int) -> None:
        transport = self.transport()
        engine = Engine(
            self.database,
            transport,
            partial(self._stamp, confirms=True),
            settings=self.settings.sending,
            consent_required=False,
            actor="service",
            fence=self.fence,
        )
        try:
            engine.run(mailing)
        finally:
            transport.close()

    def _welcome_edition(self, segments: tuple[str, ...], language: str) -> Edition | None:
        """The latest published issue with a word of welcome, for readers in these segments; None when
        there is none, or its files are gone."""
        issues = self.lookup.issues(self.settings.publication.base_url)
        if not issues:
            return None
        try:
            composer = self.composer(self.issue(issues[0].id))
            words = {
                name: self.templates.render(
                    f"welcome.{name}.txt.j2",
                    language=language,
                    publication=publication_view(self.settings),
                ).strip()
                for name in ("subject", "intro")
            }
            signature = replace(
                composer.signature(segments, language=language),
                subject=words["subject"],
                intro=words["intro"],
            )
            return self.renderer.edition(composer, segments, signature)
        except NewsletterError:
            return None

    @cached_property
    def audience(self) -> Audience:
        """The people: asking about them, getting them in and out, their rights."""
        return Audience(
            self.database, self.settings, self.segments, root=self.root, actor=self.actor
        )

    def import_people(self, path: Path) -> ImportResult:
        """Import a table of people as it is; see `Audience.import_file` for more."""
        return self.audience.import_file(path)

    def erase(self, email: str) -> Erasure:
        """Forget somebody: in every table, in the outbox and in rejects files. Raises NotFoundError."""
        self.load_events()
        deliveries = self.audience.deliveries_of(email)
        ways = self.settings.transports
        outboxes = [self.root / ways.outbox.path, self.root / ways.faulty.path]
        # files first: cut off in between, the same command goes on
        done = forget_files(self.root, outboxes, email, deliveries)
        self.audience.erase(email)
        return done

    # -- the database as a whole -----------------------------------------------------------------

    def upgrade(self) -> list[str]:
        """Bring the schema to the newest version, and indexes of fields to what the settings ask for;
        returns the fields whose index was made or dropped."""
        self.database.upgrade()
        with self.database.write() as connection:
            return keep_indexes(connection, self.settings.fields)

    def delete_old(self, *, now: datetime | None = None) -> Deleted:
        """Delete what is past its time; see `retention`. Figures of issues stay."""
        self.load_events()
        return delete_old(
            self.database, self.settings, names=self.names, now=now or datetime.now(UTC)
        )

    def delete_old_daily(self, now: datetime) -> Deleted | None:
        """The same, once a day whoever asks how often; None when it was done already."""
        with self.database.write() as connection:
            if not claim_round(connection, now):
                return None
        return self.delete_old(now=now)

    def check_database(self) -> list[str]:
        """What is wrong with it, each as a sentence."""
        return problems(self.database)

    def backup(self, path: Path | None = None) -> tuple[Path, int]:
        """Write a backup; returns where, and its bytes. Raises RefusedError for a file that exists."""
        ending = "db" if self.database.sqlite else "dump"
        path = path or self.root / BACKUPS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.{ending}"
        return path, backup(self.database, path)

    def restore(self, path: Path) -> Restored:
        """Put a backup into the place of the database. Who was erased since is erased again, who left
        since has left, who was kept out is kept out. Cut off anywhere, nothing else works until it was
        run again."""
        ending = "db" if self.database_of_restore.sqlite else "dump"
        name = f"before-restore-{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}.{ending}"
        before = self.root / BACKUPS / name
        check_backup(self.database, path)
        gone, counted = Departures(), dict.fromkeys(("subscriber", "mailing"), 0)
        with suppress(NewsletterError):  # a database that can't be read tells nothing
            self.load_events()
            gone = self.audience.departures()
            with self.database.read() as connection:
                counted = numbers(connection)
        again = self._restoring.exists()
        if again:
            earlier = json.loads(self._restoring.read_text("utf-8"))
            gone = gone.and_earlier(Departures.from_dict(earlier["departures"]))
            counted = {one: max(n, earlier["numbers"][one]) for one, n in counted.items()}
        with new_private_file(self._restoring) as file:
            said = {"departures": gone.as_dict(), "numbers": counted}
            file.write(json.dumps(said).encode())
        try:
            restore(self.database, path, before)
        except NewsletterError:  # all of it or nothing
            if not again:
                self._restoring.unlink()
            raise
        with self.database.write() as connection:
            if not any(counted.values()):  # nobody knows what was given: far beyond
                counted = {one: n + _FAR for one, n in numbers(connection).items()}
            raise_numbers(connection, counted)
            keep_indexes(connection, self.settings.fields)
        done = Restored(before, self.audience.erase_again(), self.audience.leave_again(gone))
        self._restoring.unlink()
        self.database.shut = self._restoring
        return done

    @property
    def _restoring(self) -> Path:
        """There while a restore is under way: who left and who is kept out."""
        return self.root / "var" / "restoring.json"

    @property
    def database_of_restore(self) -> Database:
        """The database, also after a restore that was cut off."""
        if "database" not in self.__dict__:
            self.__dict__["database"] = self._open_database()
        self.database.shut = None
        return self.database

    def count(self, rule: str, *, sendable: bool = False) -> int:
        """How many subscribers a rule finds, or of those who may be mailed now. Raises RuleError."""
        self.load_events()
        checked, asked = self.audience.rule(rule), self.audience.asked()
        with self.database.read() as connection:
            if sendable:
                required = self.consent_required
                return count_sendable(connection, checked, asked, consent_required=required)
            return count(connection, checked, asked)

    def never_sent(self, rule: str) -> list[str]:
        """Issues that a rule names and that were never sent: most likely slips."""
        named = self.audience.rule(rule).issues
        with self.database.read() as connection:
            sent = set(
                connection.scalars(sa.select(mailing.c.issue).where(mailing.c.issue.in_(named)))
            )
        return sorted(named - sent)

    def segment_counts(self) -> dict[str | None, int]:
        """Sendable members by segment key; None for those in no segment."""
        people: dict[str | None, int] = dict.fromkeys([*self.segments.keys, None], 0)
        for group in self.groups():
            for key in group.segments or (None,):
                people[key] += group.people
        return people

    def segment_report(self, since: str | None = None) -> dict[str, Any]:
        """Members of each segment who may be mailed, how many of them are in no other, and how many
        were planned for in the issue `since` (the last one planned if None); every pair that
        overlaps. The key None is for those in no segment."""
        groups = self.groups()
        with self.database.read() as connection:
            planned = planned_groups(connection, since)
        keys: list[str | None] = [*self.segments.keys, None]
        people: Counter[str | None] = Counter()
        alone: Counter[str | None] = Counter()
        overlaps: Counter[tuple[str, str]] = Counter()
        before: Counter[str | None] = Counter()
        for group in groups:
            people.update(dict.fromkeys(group.segments or (None,), group.people))
            if len(group.segments) < 2:
                alone[(*group.segments, None)[0]] += group.people
            overlaps.update(dict.fromkeys(combinations(group.segments, 2), group.people))
        issue, known, then = planned or (None, (), [])
        for segments, number in then:
            before.update(dict.fromkeys(segments or (None,), number))
        return {
            "since": issue,
            "segments": [
                {
                    "key": key,
                    "people": people[key],
                    "alone": alone[key],
                    "before": before[key] if issue and (key is None or key in known) else None,
                }
                for key in keys
            ],
            "overlaps": [[a, b, number] for (a, b), number in overlaps.most_common()],
        }

    def change_members(self, segment: str, emails: Sequence[str], *, join: bool) -> int:
        """Put people into a manual segment, or take them out; returns how many changed."""
        if not self.segments.get(segment).manual:
            raise RefusedError(f'"{segment}" has a rule, which decides who is in it')
        with self.database.write() as connection:
            people = [find(connection, email).id for email in emails]
            if join:
                changed = add_memberships(connection, [(segment, person) for person in people])
            else:
                changed = remove_members(connection, segment, people)
            verb = "segment add" if join else "segment remove"
            log(connection, self.actor, verb, segment, {"people": people})
        return changed

    def segments_of_person(self, subscriber_id: int) -> tuple[str, ...]:
        """Keys of the segments a person is in, in order of priority."""
        with self.database.read() as connection:
            return segments_of(connection, self.segments, subscriber_id)

    def explain(self, email: str, issue: str) -> Explanation:
        """Which action of each brief this reader gets, and why."""
        loaded = self.issue(issue)
        self.load_events()
        with self.database.read() as connection:
            person = find(connection, email)
            against = reason_against(connection, person.id, consent_required=self.consent_required)
        kind = self._kind_of(email, loaded.topics(self.settings.audience.topics))
        segments, composer = kind.segments, self.composer(loaded)
        actions = tuple(
            {
                "brief": one.brief.slug,
                "action": action.id if action else None,
                "text": action.text if action else None,
                "because": one.because,
                "rejected": [{"action": no.action, "why": no.why} for no in one.rejected],
            }
            for one in composer.resolved(segments, kind.muted)
            for action in one.actions or (None,)
        )
        signature = composer.signature(segments, language=kind.language, muted=kind.muted)
        edition = self.renderer.edition(composer, segments, signature)
        return Explanation(segments, actions, edition.id, against)

    # -- editions --------------------------------------------------------------------------------

    def composer(self, issue: Issue) -> Composer:
        return Composer(issue, self.settings, self.names, self.templates)

    def signatures(
        self, composer: Composer, readers: Sequence[ReaderKind], *, arms: Sequence[str] = ("",)
    ) -> dict[Signature, list[ReaderKind]]:
        """What the editions for these readers in these arms of the split test would say, and who shares
        each. Raises RefusedError when there are too many."""
        shared: dict[Signature, list[ReaderKind]] = {}
        for arm in arms:
            for one in readers:
                signature = composer.signature(
                    one.segments, arm=arm, language=one.language, muted=one.muted
                )
                shared.setdefault(signature, []).append(one)
        if len(shared) > MOST_EDITIONS:
            raise RefusedError(
                f"{len(shared)} editions would come of this, {MOST_EDITIONS} is the most. "
                f"What multiplies them: {what_multiplies(list(shared))}. "
                "Join segments, or give fewer actions or texts of their own"
            )
        return shared

    def editions(
        self, issue: Issue, readers: Sequence[ReaderKind], *, arms: Sequence[str] = ("",)
    ) -> list[PlannedEdition]:
        """The editions for these readers in these arms of the split test, each rendered once; readers
        who share one are joined."""
        composer = self.composer(issue)
        shared = self.signatures(composer, readers, arms=arms)
        jobs = [(signature, kinds[0].segments) for signature, kinds in shared.items()]
        made = render_all(self.renderer, composer, jobs)
        return [
            PlannedEdition(edition, tuple(kinds), signature.arm)
            for edition, (signature, kinds) in zip(made, shared.items(), strict=True)
        ]

    def preview(
        self, issue: str, *, segments: Sequence[str] | None = None, email: str | None = None
    ) -> list[Path]:
        """Write the editions of an issue as files to look at; returns them, an index page first. See
        `write_preview`."""
        written = self.write_preview(issue, segments=segments, email=email)
        return [written.index, *written.files]

    def write_preview(
        self,
        issue: str,
        *,
        segments: Sequence[str] | None = None,
        email: str | None = None,
        look: str = "",
    ) -> Preview:
        """Write the editions of an issue as files to look at, and a page that shows them.

        Everybody's by default; with `segments` that of readers in just these, with `email` the
        person's; in each arm of a split test. `look` tries another look than the issue's. Links work and
        nothing is counted. Raises NotFoundError for a look that is not there.
        """
        loaded = self._looking(self.issue(issue), look)
        topics = loaded.topics(self.settings.audience.topics)
        groups = {group.reader: group.people for group in self.groups(topics)}
        own = ReaderKind((), self.settings.publication.language)
        if email is not None:
            groups = {self._kind_of(email, topics): 1}
        elif segments is not None:
            keys = tuple(key for key in self.segments.keys if key in segments)
            kind = own._replace(segments=keys)
            groups = {kind: groups.get(kind, 0)}
        shares = _reaches(loaded)
        planned = self.editions(loaded, list(groups) or [own], arms=list(shares) or [""])
        self.keep_editions([one.edition for one in planned])
        return self.proofs.write(
            self.root / "var" / "preview" / loaded.id,
            planned,
            people=groups,
            names=self.names,
            shares=shares,
            look=look,
            page=lambda data: self.preview_page(loaded.id, data),
            script=self.preview_script(),
        )

    def keep_editions(self, editions: Sequence[Edition]) -> None:
        """Put editions into the database, so that the links of proofs lead somewhere."""
        with self.database.write() as connection:
            store_editions(connection, editions, datetime.now(UTC))

    def preview_page(self, issue: str, data: Mapping[str, Any], *, script: str = SCRIPT) -> str:
        """The page that shows editions, from `proofs.page_data`; `script` is where its script lies."""
        # Put in afterwards: what hundreds of editions say is longer than a text that a template makes.
        mark = secrets.token_hex()
        html = self.page("preview.html.j2", issue_id=issue, preview=data, script=script, data=mark)
        return html.replace(mark, htmlsafe_json_dumps(data))

    def preview_script(self) -> bytes:
        """The script of that page. Raises TemplateError when the workspace has none."""
        try:
            return (self.templates.folder / SCRIPT).read_bytes()
        except OSError as error:
            raise TemplateError(
                f"can't be read: {error.strerror}; newsletter init DIR makes a folder with one",
                file=f"{self.templates.folder.name}/{SCRIPT}",
            ) from error

    def picture(self, preview: Preview, file: Path) -> int:
        """Write one PNG of a preview's editions, as phones show them; returns how many are on it.
        Raises RefusedError without Chromium."""
        tiles = [{**one, "html": secrets.token_hex()} for one in preview.editions[:MOST_TILES]]
        issue = preview.index.parent.name
        html = self.page("contact_sheet.html.j2", issue_id=issue, editions=tiles)
        for tile in tiles:
            mail = (preview.index.parent / tile["html_file"]).read_text("utf-8")
            html = html.replace(tile["html"], escape(self.proofs.media.inlined(mail)))
        replace_file(file, photographed(html, len(tiles)))
        return len(tiles)

    @property
    def looks(self) -> list[str]:
        """Names of the looks that an issue can have."""
        return sorted(path.stem for path in (self.templates.folder / "looks").glob("*.toml"))

    def _looking(self, issue: Issue, look: str) -> Issue:
        """The issue in another look; as it is with ""."""
        if not look:
            return issue
        if look not in self.looks:
            hint = did_you_mean(look, self.looks) or f" There are: {', '.join(self.looks)}."
            raise NotFoundError(f'there is no look "{tidy(look)[:40]}".{hint}')
        manifest = issue.manifest.model_copy(update={"look": look})
        return replace(issue, source=replace(issue.source, manifest=manifest))

    def drafts(self, issue: Issue, groups: Sequence[Group], *, look: str = "") -> Drafts:
        """The editions of an issue for these readers in each arm of its split test, not rendered yet;
        `look` is as for `write_preview`."""
        issue, shares = self._looking(issue, look), _reaches(issue)
        composer = self.composer(issue)
        people = {group.reader: group.people for group in groups}
        readers = list(people) or [ReaderKind((), self.settings.publication.language)]
        signatures = self.signatures(composer, readers, arms=list(shares) or [""])
        return Drafts(composer, self.renderer, signatures, people, names=self.names, shares=shares)

    def _kind_of(self, email: str, topics: Sequence[str]) -> ReaderKind:
        """What one reader's edition depends on. Raises NotFoundError."""
        with self.database.read() as connection:
            person = find(connection, email)
            return ReaderKind(
                segments_of(connection, self.segments, person.id),
                self.joining.language(person.language),
                muted_by(person.topics, topics),
            )

    def page(self, name: str, *, language: str = "", **values: Any) -> str:
        """A web page from the workspace's templates, in the publication's language if none is given."""
        speaks = self.templates.language(language or self.settings.publication.language)
        return self.templates.render(
            name,
            publication=publication_view(self.settings),
            labels=labels_view(self.settings, speaks),
            language=speaks.code,
            **values,
        )

    def latest_edition(self, segment: str, language: str) -> Edition | None:
        """The latest published issue as readers in just this segment get it; None without one."""
        issues = self.lookup.issues(self.settings.publication.base_url)
        try:
            composer = self.composer(self.issue(issues[0].id))
            signature = composer.signature((segment,), language=language)
            made = self.renderer.edition(composer, (segment,), signature)
        except (NewsletterError, IndexError):
            return None
        with self.database.read() as connection:
            known = sa.exists().where(edition.c.id == made.id)
            stored = connection.scalar(sa.select(known))
        if not stored:  # its links lead somewhere
            with self.database.write() as connection:
                store_editions(connection, [made], datetime.now(UTC))
        return made

    # -- sending ---------------------------------------------------------------------------------

    def fingerprint(self, issue: Issue) -> str:
        """A hash over what a plan is made from: the issue's files, templates, segments, settings."""
        settings = self.settings.model_dump(
            mode="json", exclude={"database", "transports", "sending"}
        )
        segments = [
            [one.key, one.name, one.priority, one.rule.text if one.rule else None]
            for one in self.segments
        ]
        parts = [
            issue.id,
            issue.source.text,
            [repr(brief) for brief in issue.briefs],
            segments,
            settings,
            self.templates.fingerprint,
            [self.templates.pictures.digest(path) for path in pictures_of(issue)],
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def plan(
        self,
        issue: str,
        *,
        transport: str | None = None,
        kind: str = "issue",
        to: str | None = None,
        exclude: str | None = None,
        send_at: datetime | None = None,
        not_after: datetime | None = None,
        canary: float = 0.0,
    ) -> Plan:
        """Render the editions and freeze who gets which.

        `to` and `exclude` are segment rules, `canary` a share from 0 to 1. Raises RefusedError on
        blocking findings, RuleError for a rule that can't be read.
        """
        self.load_events()
        loaded = self.issue(issue)
        name = transport or self.settings.transports.default
        self.transport(name).close()  # an unknown name is refused before any work
        if send_at and not_after and not_after <= send_at:
            raise InputError("--not-after must be later than --at")
        if kind == "missed":
            self._refuse_unsent(issue)
        split = loaded.manifest.split
        options = Options(
            to=self.audience.rule(to) if to is not None else None,
            exclude=self.audience.rule(exclude) if exclude is not None else None,
            send_at=send_at,
            not_after=not_after,
            canary=canary,
            arms=tuple(Arm(arm, share) for arm, share in split.shares),
            seed=split.seed,
        )
        topics = loaded.topics(self.settings.audience.topics)
        if is_kept(self.database, loaded.id):
            raise RefusedError(
                f"the figures of {issue} are closed: its events were deleted after "
                f"{self.settings.tracking.keep_days} days, and a new mailing would be in no figure"
            )
        groups = self.groups(topics)
        composer = self.composer(loaded)
        kinds = [group.reader for group in groups]
        saying = self._not_empty(loaded, kinds)
        empty = [one for one in kinds if one not in saying]
        planned = self.editions(loaded, saying, arms=[arm.name for arm in options.arms] or [""])
        day = send_at.astimezone(self.settings.publication.zone).date() if send_at else None
        findings = self._check(loaded, groups, planned, transport=name, errors_only=True, day=day)
        if blocking(findings):
            first = next(finding for finding in findings if finding.blocks)
            others = sum(finding.blocks for finding in findings) - 1
            more = f" (and {others} more; see: newsletter issue check {issue})" if others else ""
            raise RefusedError(f"{first.message}{more}", file=first.file, line=first.line)
        index = f"{self.settings.publication.base_url}/issues/"
        page = ArchivePage(
            title=loaded.title,
            subject=loaded.manifest.subject,
            day=composer.day,
            html=self.renderer.page(composer, index),
        )
        planner = Planner(
            self.database,
            self.segments,
            consent_required=self.consent_required,
            actor=self.actor,
            languages=self.settings.publication.all_languages,
            topics=topics,
            empty=empty,
        )
        return planner.plan(
            loaded.id,
            planned,
            page=page,
            transport=name,
            fingerprint=self.fingerprint(loaded),
            kind=kind,
            options=options,
        )

    def _refuse_unsent(self, issue: str) -> None:
        with self.database.read() as connection:
            rows = mailings_of(connection, issue)
        if all(row.started_at is None for row in rows):
            raise RefusedError(
                f"issue {issue} was not sent yet, so nobody missed it: newsletter send plan {issue}"
            )

    def check_plan(self, issue: str) -> None:
        """Let the provider validate one message of each edition of the newest plan; nothing is
        delivered. Raises RefusedError for a transport that can't, TransportError when it refuses."""
        with self.database.read() as connection:
            row = regular_mailing(connection, issue)
            editions = connection.execute(
                sa.select(edition)
                .join(mailing_edition, mailing_edition.c.edition == edition.c.id)
                .where(mailing_edition.c.mailing == row.id)
            ).all()
        transport = self.transport(row.transport)
        try:
            validate = getattr(transport, "validate", None)
            if validate is None:
                raise RefusedError(f"the transport {row.transport} can't check a plan beforehand")
            transport.check()
            for one in editions:
                validate(self.proofs.message(one, self.settings.sender.email))
        finally:
            transport.close()

    def approve(self, issue: str, *, plan: str | None = None) -> str:
        """Approve the plan of an issue; returns its hash."""
        return approve(self.database, issue, plan=plan, actor=self.actor)

    def start(
        self,
        issue: str,
        *,
        progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> dict[str, Any]:
        """Send the approved mailing of an issue; returns its status. Calling it again sends nothing
        twice. Waits for the time of a scheduled one, and until temporary failures are tried again;
        `stop` ends it early. Raises RefusedError when files, templates, rules or the plan's rows
        differ from the approved ones."""
        self.load_events()
        with self.database.read() as connection:
            row = regular_mailing(connection, issue)
        if row.state == "planned":
            raise RefusedError(
                f"the plan of {issue} is not approved; look at it, then: newsletter send approve {issue}"
            )
        if row.state in ("paused", "held"):
            why = f" ({row.note})" if row.note else ""
            raise RefusedError(
                f"the mailing of {issue} is {row.state}{why}; let it go on with: "
                f"newsletter send resume {issue}"
            )
        if row.state == "approved":
            self._refuse_changed(issue, row.fingerprint)
            refuse_tampered(self.database, row.id)
            if not sum(self.status(issue)["mailings"][-1]["states"].values()):
                raise RefusedError(f"the plan of {issue} has nobody to mail")
        if row.state in ("approved", "running"):
            self._hold_stale(issue, row)
            transport = self.transport(row.transport)
            engine = Engine(
                self.database,
                transport,
                self._stamp,
                settings=self.settings.sending,
                consent_required=self.consent_required,
                actor=self.actor,
                fence=self.fence,
                progress=progress,
                stop=stop,
            )
            try:
                engine.run(row.id)
            finally:
                transport.close()
        return self.status(issue)

    @property
    def fence(self) -> Fence:
        return Fence(self.root)

    def pause(self, issue: str) -> str:
        """Ask a running send to wait; returns the state."""
        return pause(self.database, issue, actor=self.actor)

    def resume(self, issue: str, *, i_know: bool = False) -> tuple[str, bool]:
        """Let a paused or held mailing go on; returns its state, and whether a process is at it."""
        return resume(self.database, issue, fence=self.fence, i_know=i_know, actor=self.actor)

    def cancel(self, issue: str) -> int:
        """Take back what has not left; returns how many messages."""
        return cancel(self.database, issue, actor=self.actor)

    def resolve(self, issue: str, *, resend: bool) -> int:
        """Decide about deliveries in doubt; returns how many."""
        return resolve_uncertain(self.database, issue, resend=resend, actor=self.actor)

    def sends_early(self, issue: str) -> str | None:
        """What to say when an issue is sent by hand before the time that its manifest names."""
        try:
            due = self.issue(issue).sends_at
        except NotFoundError:
            return None
        if due is None or due <= datetime.now(UTC):
            return None
        return f"send_at of {issue} is {due:%a %d %b %Y, %H:%M}; this sends now"

    def due(self, now: datetime) -> list[str]:
        """Issues whose scheduled mailing should be under way at `now` (aware), and that nobody
        sends."""
        return due_issues(self.database, now)

    def _refuse_changed(self, issue: str, fingerprint: str) -> None:
        try:
            same = self.fingerprint(self.issue(issue)) == fingerprint
        except NotFoundError:
            same = False
        if not same:
            raise RefusedError(
                f"briefs, templates, segments or settings of {issue} changed after it was planned. "
                f"Plan and approve it again: newsletter send plan {issue}"
            )

    def _hold_stale(self, issue: str, row: sa.Row[Any]) -> None:
        """Hold a mailing whose actions can't be done any more when it arrives. Raises RefusedError."""
        due = row.options.get("send_at")
        zone = self.settings.publication.zone
        day = datetime.fromisoformat(due).astimezone(zone).date() if due else self.today
        try:
            loaded = self.issue(issue)
        except NotFoundError:  # begun elsewhere, or its files are gone: what was planned is sent
            return
        known = row.options.get(DATES_KNOWN, [])
        stale = {
            f"{one.code} {one.file}:{one.line}": one
            for one in self.checking.stale(loaded, max(self.today, day))
        }
        new = [key for key in stale if key not in known]
        if not new:
            return
        first = stale[new[0]]
        if not hold(self.database, row.id, first.message, dates=new, actor=self.actor):
            return
        more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
        raise RefusedError(
            f"{first.message}{more}. The mailing is held: correct it and plan again, or, if it is "
            f"meant: newsletter send resume {issue} --i-know",
            file=first.file,
            line=first.line,
        )

    def _stamp(
        self, mailing: int, recipient: Recipient, *, confirms: bool = False
    ) -> tuple[dict[str, str], str]:
        values = self.stamper.values(
            mailing,
            recipient.n,
            to=to_header(recipient.name, recipient.address),
            consent_at=recipient.consent_at,
            consent_source=recipient.consent_source,
            created_at=recipient.created_at,
            confirms=confirms,
            speaks=self._languages_of(mailing).get(recipient.edition, SOURCE),
        )
        return values, self.stamper.sender(values["bounce"])

    def _languages_of(self, mailing: int) -> dict[int, str]:
        """The language of each edition of the mailing that is being sent, by its number."""
        if self._spoken[0] != mailing:
            with self.database.read() as connection:
                rows = connection.execute(
                    sa.select(mailing_edition.c.n, edition.c.language)
                    .join(edition, edition.c.id == mailing_edition.c.edition)
                    .where(mailing_edition.c.mailing == mailing)
                )
                self._spoken = mailing, {row.n: row.language for row in rows}
        return self._spoken[1]

    def send_test(
        self,
        issue: str,
        to: str,
        *,
        segments: Sequence[str] = (),
        email: str | None = None,
        transport_name: str | None = None,
    ) -> Envelope:
        """Send one edition to `to`, for looking at: nothing is counted, nobody is unsubscribed."""
        try:
            address = parse_address(to)
        except _AddressError as error:
            raise InputError(f'"{to}" is no e-mail address: {error}') from None
        loaded = self.issue(issue)
        for key in segments:
            self.segments.get(key)
        keys = tuple(key for key in self.segments.keys if key in segments)
        kind = ReaderKind(keys, self.settings.publication.language)
        if email is not None:
            kind = self._kind_of(email, loaded.topics(self.settings.audience.topics))
        edition = self.editions(loaded, [kind])[0].edition
        with self.database.write() as connection:
            store_editions(connection, [edition], datetime.now(UTC))
        envelope = self.proofs.message(edition, address.mailbox)
        transport = self.transport(transport_name)
        lane = transport.lane()
        try:
            transport.check()
            outcome = next(iter(lane.send([envelope])))
        except Unreachable as error:
            raise TransportError(str(error)) from error
        finally:
            lane.close()
            transport.close()
        if outcome.state != "accepted":
            raise RefusedError(f"{to} was not taken: {outcome.code} {outcome.answer}".strip())
        return envelope

    def signing_notes(self, transport: str | None = None) -> list[str]:
        """What to say when nobody signs our mail with DKIM, as far as we can know."""
        name = transport or self.settings.transports.default
        smtp = self.settings.transports.smtp
        if name != "smtp" or smtp.dkim or smtp.relay_signs:
            return []
        note = (
            "nobody signs with DKIM: give a key in [[transports.smtp.dkim]], or, if the mail server "
            f"signs for {self.settings.sender.domain}, say so with transports.smtp.relay_signs"
        )
        return [note]

    def examine(self, transport: str | None = None) -> list[Check]:
        """Settings, database, secrets and a way out, each looked at; nothing is sent."""
        name = transport or self.settings.transports.default

        def database() -> str:
            with self.database.read():
                return self.database.engine.url.render_as_string()

        def secrets() -> str:
            return f"{len(self.keyring.fingerprints)} signing key, the one that this database knows"

        def fence() -> str:
            with self.database.read() as connection:
                if breach := self.fence.breach(connection):
                    raise RefusedError(
                        f"{breach}; a send is refused until: send resume ID --i-know"
                    )
            return "this folder and this database belong together"

        def way() -> str:
            opened = self.transport(name)
            try:
                opened.check()
            finally:
                opened.close()
            return f"{name} can be used"

        def links() -> str:
            base = self.settings.publication.base_url
            if not one_click_allowed(base):
                raise RefusedError(
                    f"publication.base_url is {base}: without https no mail can offer one-click "
                    "unsubscribing (RFC 8058)"
                )
            return base

        looks = {
            "database": database,
            "secrets": secrets,
            "fence": fence,
            "links": links,
            "way out": way,
        }
        checks = [looked_at(label, look) for label, look in looks.items()]
        checks += [Check("signature", "note", note) for note in self.signing_notes(name)]
        if name == "smtp":
            checks += [self._public_key(one) for one in self.settings.transports.smtp.dkim]
        return checks

    def _public_key(self, settings: DkimSettings) -> Check:
        """The DNS record that a signing key needs, for comparing."""
        place = f"{settings.selector}._domainkey.{settings.domain}"
        return looked_at(
            "signature",
            lambda: f"the DNS needs {place} TXT {Signer.load(settings, self.root).dns_record}",
        )

    def status(self, issue: str, *, domains: bool = False) -> dict[str, Any]:
        return status_issue(self.database, issue, domains=domains)

    def audit(self, issue: str) -> dict[str, Any]:
        return audit_issue(self.database, issue)

    # -- what comes back -------------------------------------------------------------------------

    def report(self, issue: str) -> dict[str, Any]:
        """The figures of an issue, all events taken in first."""
        self.load_events()
        return issue_report(
            self.database, issue, names=self.names, zone=self.settings.publication.zone
        )

    def report_page(self, issue: str) -> str:
        """The same as one self-contained HTML page."""
        return self.page("web/report.html.j2", report=self.report(issue))

    def load_events(self) -> int:
        """Move what came back from the spool into the database; returns how many were new."""
        return load_spool(self.database, self.spool)


def _reaches(issue: Issue) -> dict[str, tuple[float, float]]:
    """From where to where, between 0 and 1, each arm of an issue's split test reaches; empty without one."""
    found: dict[str, tuple[float, float]] = {}
    end = 0.0
    for name, share in issue.manifest.split.shares:
        found[name], end = (end, end + share), end + share
    return found


def _refuse_errors(parsed: ParsedBrief) -> None:
    for finding in parsed.findings:
        if finding.blocks:
            raise RefusedError(finding.message, file=finding.file, line=finding.line)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
