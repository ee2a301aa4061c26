"""Settings of a publication: newsletter.toml, overridden by `NEWSLETTER_<TABLE>__<KEY>`.

Every key has its type, default and meaning here, and nowhere else. Wrong keys are refused with the
line on which they stand, since a misspelt setting that is silently ignored is worse than none.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from newsletter.errors import ConfigError
from newsletter.languages import spoken
from newsletter.text import did_you_mean, tidy

FILE = "newsletter.toml"
CATALOGS = Path("templates/locale")  #: a workspace's own words
ENV_PREFIX = "NEWSLETTER_"
TRANSPORT_PLUGINS = "newsletter.transports"  #: entry points of ways out that others wrote
_ENV_OF_COMMAND_LINE = {"NEWSLETTER_WORKSPACE"}

FieldType = Literal["text", "number", "date", "boolean", "choice", "list"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        """No text of the settings holds a line break: most of them stand in headers of mails."""
        return tidy(value) if isinstance(value, str) else value


class Publication(_Table):
    """Who publishes; name and postal address stand in every mail."""

    name: str = Field(min_length=1)
    tagline: str = ""
    base_url: str = Field(description="where `newsletter serve` is reached from outside")
    postal_address: str = Field(min_length=1, description="required by law in most countries")
    language: str = "en"
    languages: list[str] = Field(
        default_factory=list,
        description="further ones that readers can choose for pages and the mail's own words",
    )
    timezone: str = "UTC"

    @field_validator("base_url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+/?", value):
            raise ValueError(
                "must be an address such as https://news.example.com: no path, and other letters "
                "than a-z in their xn-- form"
            )
        return value.rstrip("/")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f'"{value}" is no time zone; write one such as Europe/Berlin'
            ) from error
        return value

    @property
    def all_languages(self) -> list[str]:
        """The publication's own first."""
        return list(dict.fromkeys((self.language, *self.languages)))

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class Sender(_Table):
    """From whom the mail comes."""

    email: str
    name: str = ""
    reply_to: str | None = None
    bounces: str | None = Field(
        None,
        description="where undeliverable mail comes back, as `bounce+<token>@…`; "
        "`bounce@` and the domain of `email` if not given",
    )
    unsubscribe: str | None = Field(
        None,
        description="where mail programs that unsubscribe by mail write to; `email` if not given",
    )

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2]

    @property
    def bounce_address(self) -> str:
        return self.bounces or f"bounce@{self.domain}"

    @field_validator("email", "reply_to", "bounces", "unsubscribe")
    @classmethod
    def _one_address(cls, value: str | None) -> str | None:
        pattern = r"[!-~]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+"
        if value is not None and (not re.fullmatch(pattern, value) or set(value) & set('<>,"')):
            raise ValueError("must be one e-mail address; a domain in its xn-- form")
        return value


class PrintedLabels(_Table):
    """The words that a mail prints for the parts of a brief."""

    take: str = "Our take"
    why: str = "Why it matters"
    action: str = "Do this week"


class BriefSettings(_Table):
    """What editors may write; see docs/briefs.md."""

    labels: dict[str, list[str]] = Field(default_factory=dict)
    more_labels: dict[str, list[str]] = Field(
        default_factory=dict, description="labels of a part, besides those it has"
    )
    not_audiences: list[str] = Field(default=["Deadline", "Note", "Tip", "Update"])
    everyone: list[str] = Field(
        default=[
            "Everyone", "Everybody", "All", "All readers", "All teams",
            "Everyone else", "Everybody else",
        ]
    )  # fmt: skip

    @field_validator("labels", "more_labels")
    @classmethod
    def _roles(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        roles = ("headline", "take", "why", "action", "body", "fact", "note")
        for role in value:
            if role not in roles:
                raise ValueError(
                    f'"{role}" is no part of a brief.{did_you_mean(role, roles)} '
                    f"Parts: {', '.join(roles)}"
                )
        return value


class IssueSettings(_Table):
    """Defaults for every issue; its own issue.toml wins."""

    text: Literal["lead", "full"] = Field(
        "lead", description="how much of a brief the mail carries"
    )


class CheckSettings(_Table):
    """What the checks ask for; see docs/checks.md."""

    off: dict[str, str] = Field(
        default_factory=dict, description="checks that are not made: code = the reason"
    )
    severity: dict[str, Literal["error", "warning", "info"]] = Field(
        default_factory=dict, description="how bad a finding is here: code = severity"
    )
    names: list[str] = Field(
        default_factory=list, description="names that must be spelled just so (BR117)"
    )
    avoid: dict[str, str] = Field(
        default_factory=dict, description="phrase = what the house style says instead (BR118)"
    )
    verbs: list[str] = Field(
        default_factory=list, description="further verbs with which an action may begin (BR206)"
    )
    holidays: str = Field(
        "",
        description="whose public holidays count: a country or its part, e.g. `DE` or `DE-HH`",
        pattern=r"^([A-Z]{2,3}(-[A-Za-z0-9]{1,6})?)?$",
    )
    take_words: int = Field(90, ge=1, description="words of a take or a reason")
    paragraph_words: int = Field(120, ge=1, description="words of a paragraph")
    sentence_words: int = Field(38, ge=5, description="words of a sentence")
    grade: int = Field(
        12,
        ge=1,
        le=13,
        description="school years to read a brief; 13 is college, so 13 never tells",
    )
    brief_minutes: int = Field(5, ge=1, description="reading time of a brief")
    issue_minutes: int = Field(12, ge=1, description="reading time of what a mail carries")
    subject_length: int = Field(60, ge=10, description="characters of a subject")
    preheader_length: int = Field(110, ge=40, description="characters of a preheader")
    smallest_edition: int = Field(
        5, ge=1, description="readers; an edition of fewer can tell who they are (ED603)"
    )
    past_issues: int = Field(8, ge=0, description="earlier issues that repeats are looked for in")
    spamc: list[str] = Field(
        default_factory=list, description='arguments of `spamc`, e.g. `["-d", "mail.example.com"]`'
    )
    spam_score: float = Field(
        3.0, allow_inf_nan=False, description="SpamAssassin's points, from which they are told"
    )

    @field_validator("off")
    @classmethod
    def _with_reasons(cls, value: dict[str, str]) -> dict[str, str]:
        for code, reason in value.items():
            if len(reason.strip()) < 3:
                raise ValueError(f"{code} needs a reason, for those who come after")
        return value

    @field_validator("holidays")
    @classmethod
    def _known_place(cls, value: str) -> str:
        if value:
            from holidays import list_supported_countries

            country, _, part = value.partition("-")
            known = list_supported_countries()
            if country not in known:
                hint = did_you_mean(country, known)
                raise ValueError(f'the holidays of "{country}" are not known.{hint}')
            if part and part not in known[country]:
                parts = ", ".join(known[country]) or "none"
                raise ValueError(f'{country} has no part "{part}"; its parts: {parts}')
        return value


class FieldSettings(_Table):
    """A declared field of subscribers."""

    type: FieldType = "text"
    choices: list[str] = Field(default_factory=list)
    index: bool = Field(
        False, description="makes rules that find few people by `=`, `in` or a number quick"
    )

    @model_validator(mode="after")
    def _choices(self) -> FieldSettings:
        if self.type == "choice" and not self.choices:
            raise ValueError('type = "choice" needs `choices`')
        if self.choices and self.type not in ("choice", "list"):
            raise ValueError('`choices` belongs to type = "choice" or "list"')
        if self.index and self.type in ("boolean", "list"):
            raise ValueError(f"a {self.type} can have no index: rules find too many by it")
        return self


class AudienceSettings(_Table):
    """How people come in."""

    import_consent: Literal["assumed", "required"] = "assumed"
    topics: dict[str, str] = Field(
        default_factory=dict, description="what readers can choose among: tag of briefs = its name"
    )


class SignupSettings(_Table):
    """How people sign up by themselves."""

    enabled: bool = Field(True, description="whether there is a public form")
    confirm_days: int = Field(
        30, ge=1, le=365, description="then an unconfirmed address is forgotten"
    )
    mails_a_day: int = Field(3, ge=1, description="to one address that somebody typed in")
    client_limit: str = Field(
        "20/hour", description="requests of one client; its address is not kept"
    )
    total_limit: str = Field("2000/hour", description="requests of everybody together")
    blocked_domains: list[str] = Field(
        default_factory=list, description="whose addresses may not sign up; subdomains, too"
    )
    blocked_domains_file: Path | None = Field(
        None, description="more of them, one a line, e.g. of disposable addresses"
    )

    @field_validator("client_limit", "total_limit")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_limit(value)
        return value


class TrackingSettings(_Table):
    """What is counted: `person` by reader, `none` not at all (links stay as they are)."""

    level: Literal["person", "none"] = "person"
    keep_days: int = Field(
        400,
        ge=0,
        description="after a mailing ended, until its events are deleted; its figures stay. 0: for ever",
    )


class OutboxSettings(_Table):
    """Mails as files."""

    path: Path = Path("var/outbox")


class DkimSettings(_Table):
    """A key that signs what we send, and where receivers find its public half."""

    domain: str = Field(min_length=3, description="the signing domain (`d=`)")
    selector: str = Field(min_length=1, description="`<selector>._domainkey.<domain>` in the DNS")
    key_file: Path = Field(description="private key, PEM, RSA (2048 bits or more) or Ed25519")


class SmtpSettings(_Table):
    """A mail server; see docs/sending.md."""

    url: str = Field(
        "smtp://127.0.0.1:25",
        description="smtp://host:port, or smtps:// for TLS from the first byte",
    )
    fallbacks: list[str] = Field(
        default_factory=list, description="more servers, tried in order when one can't be reached"
    )
    username: str = ""
    password: SecretStr = Field(SecretStr(""), description="better from the environment")
    security: Literal["auto", "starttls", "tls", "none"] = Field(
        "auto", description="auto: STARTTLS is required, but not of a loopback address"
    )
    verify: bool = Field(True, description="whether the server's certificate must be valid")
    ca_file: Path | None = Field(None, description="certificates to trust instead of the system's")
    helo: str = Field("", description="the name in EHLO; this machine's if empty")
    connections: int = Field(10, ge=1, le=200)
    messages_per_connection: int = Field(1000, ge=1, description="then it is opened anew")
    seconds_per_connection: float = Field(600, gt=0)
    connect_timeout: float = Field(30, gt=0, description="seconds")
    command_timeout: float = Field(300, gt=0, description="seconds, for every answer but the last")
    final_timeout: float = Field(
        600, gt=0, description="seconds, for the answer to a message (RFC 5321 §4.5.3.2.6)"
    )
    in_doubt: Literal["resend", "hold"] = Field(
        "resend", description="what becomes of a message whose final answer was lost"
    )
    dkim: list[DkimSettings] = Field(default_factory=list)
    relay_signs: bool = Field(False, description="whether the mail server signs with DKIM for us")

    @field_validator("url", "fallbacks")
    @classmethod
    def _servers(cls, value: str | list[str]) -> str | list[str]:
        for url in [value] if isinstance(value, str) else value:
            if not re.fullmatch(r"smtps?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?/?", url):
                raise ValueError(
                    "must be an address such as smtp://mail.example.com:587; name and password "
                    "stand in username and password"
                )
        return value


class SendGridSettings(_Table):
    """Twilio SendGrid, API v3."""

    api_key: SecretStr = Field(SecretStr(""), description="better from the environment")
    host: str = Field("https://api.sendgrid.com", pattern=r"https?://[^/]+")
    connections: int = Field(4, ge=1, le=50)
    batch: int = Field(1000, ge=1, le=1000, description="people in one request")
    timeout: float = Field(60, gt=0, description="seconds for one request")
    sandbox: bool = Field(False, description="checked by SendGrid, delivered to nobody")
    in_doubt: Literal["resend", "hold"] = Field(
        "hold", description="what becomes of messages whose answer was lost"
    )


class FaultySettings(_Table):
    """Writes an outbox and fails on purpose: for trying out what happens then."""

    path: Path = Path("var/faulty")
    seed: int = 1
    lanes: int = Field(4, ge=1)
    rejected: float = Field(0, ge=0, le=1, description="share of messages")
    deferred: float = Field(0, ge=0, le=1, description="share of attempts")
    uncertain: float = Field(0, ge=0, le=1, description="share of attempts; taken every other time")
    unreachable: float = Field(0, ge=0, le=1, description="share of batches")
    delay: float = Field(0, ge=0, description="seconds for a batch")


class TransportSettings(BaseModel):
    """The ways out; `default` is used when a plan names none. A plug-in's table is its own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    default: str = "outbox"
    outbox: OutboxSettings = OutboxSettings()
    smtp: SmtpSettings = SmtpSettings()  # type: ignore[call-arg]
    sendgrid: SendGridSettings = SendGridSettings()  # type: ignore[call-arg]
    faulty: FaultySettings = FaultySettings()  # type: ignore[call-arg]

    @model_validator(mode="after")
    def _known(self) -> TransportSettings:
        from importlib.metadata import entry_points

        if self.model_extra:
            plugins = entry_points(group=TRANSPORT_PLUGINS).names
            known = [*type(self).model_fields, *plugins]
            for name in self.model_extra:
                if name not in plugins:
                    hint = did_you_mean(name, known) or f" There are: {', '.join(known[1:])}."
                    raise ValueError(f'there is no transport "{name}".{hint}')
        return self


#: Seconds of the units in which limits are written.
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


def parse_limit(text: str) -> tuple[int, int]:
    """`14/second` as (14, 1): how many in how many seconds. Raises ValueError."""
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(second|minute|hour|day)s?\s*", text)
    if not found or not int(found[1]):
        raise ValueError(f'"{text}" is no limit; write one such as 14/second or 50000/day')
    return int(found[1]), UNITS[found[2]]


def _checked_limits(value: list[str]) -> list[str]:
    for limit in value:
        parse_limit(limit)
    return value


class DomainSettings(_Table):
    """What holds for the recipients of one domain."""

    limits: list[str] = Field(default_factory=list, description='e.g. ["20/second"]')
    connections: int | None = Field(None, ge=1, description="messages on their way at a time")

    _limits = field_validator("limits")(_checked_limits)


class SendingSettings(_Table):
    """How fast, how often again, and when to stop; holds for every way out."""

    limits: list[str] = Field(
        default_factory=list, description='e.g. ["14/second", "50000/day"]; none by default'
    )
    domains: dict[str, DomainSettings] = Field(default_factory=dict)
    warm_up: list[int] = Field(
        default_factory=list, description="messages on the first day, the second, …; then no limit"
    )
    warm_up_from: date | None = Field(None, description="the first day of `warm_up`")
    retry_first: float = Field(
        30, gt=0, description="seconds before the second attempt; each later wait is twice as long"
    )
    retry_most: float = Field(900, gt=0, description="seconds; the longest wait")
    retry_for: float = Field(
        86_400, ge=0, description="seconds after the first attempt; then it counts as rejected"
    )
    unreachable_for: float = Field(
        300, ge=0, description="seconds without any server before a send gives up"
    )
    pause_at: float = Field(
        0.1, gt=0, le=1, description="share of rejections among the last 500 that pauses a send"
    )
    pause_after: int = Field(100, ge=1, description="messages before `pause_at` is looked at")
    canary_wait: float = Field(600, ge=0, description="seconds between a canary and the rest")
    canary_limit: float = Field(
        0.02, ge=0, le=1, description="share of rejections and bounces that holds the rest back"
    )

    _limits = field_validator("limits")(_checked_limits)

    @model_validator(mode="after")
    def _has_a_first_day(self) -> SendingSettings:
        if self.warm_up and self.warm_up_from is None:
            raise ValueError("`warm_up` needs `warm_up_from`, the day on which it begins")
        return self


class DatabaseSettings(_Table):
    url: str = "sqlite:///var/newsletter.db"

    @field_validator("url")
    @classmethod
    def _supported(cls, value: str) -> str:
        if not re.match(r"sqlite:///|postgresql\+psycopg://", value):
            raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
        return value


class Settings(BaseSettings):
    """newsletter.toml, typed."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        case_sensitive=False,
    )

    publication: Publication
    sender: Sender
    labels: PrintedLabels = PrintedLabels()
    briefs: BriefSettings = BriefSettings()
    issues: IssueSettings = IssueSettings()  # type: ignore[call-arg]
    checks: CheckSettings = CheckSettings()  # type: ignore[call-arg]
    fields: dict[str, FieldSettings] = Field(default_factory=dict)
    audience: AudienceSettings = AudienceSettings()
    signup: SignupSettings = SignupSettings()  # type: ignore[call-arg]
    tracking: TrackingSettings = TrackingSettings()  # type: ignore[call-arg]
    transports: TransportSettings = TransportSettings()
    sending: SendingSettings = SendingSettings()  # type: ignore[call-arg]
    database: DatabaseSettings = DatabaseSettings()

    @field_validator("fields", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, dict):  # `role = "text"` means `role = { type = "text" }`
            return {k: {"type": v} if isinstance(v, str) else v for k, v in value.items()}
        return value

    @field_validator("fields")
    @classmethod
    def _field_names(cls, value: dict[str, FieldSettings]) -> dict[str, FieldSettings]:
        for name in value:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
                raise ValueError(
                    f'"{name}" can be no field: a-z, 0-9 and _, beginning with a letter'
                )
            if name in RESERVED_FIELDS:
                raise ValueError(f'"{name}" is a field that every subscriber has; choose another')
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


#: Fields that every subscriber has; rules and imports know them, newsletter.toml may not redeclare them.
RESERVED_FIELDS = (
    "email", "domain", "name", "first_name", "last_name", "status", "language", "segments", "lens",
    "topics", "frequency", "paused_until", "left_at", "attributes", "subscribed_days",
    "consent_at", "consent_source", "created_at",
)  # fmt: skip


def load(root: Path) -> Settings:
    """Settings of the workspace at `root`. Raises ConfigError with file, line and remedy."""
    path = root / FILE
    try:
        text = path.read_text("utf-8-sig")
        values = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {FILE} in {root}. Go to the publication's folder, name it with "
            "--workspace DIR, or make a new one with: newsletter init DIR"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8; save it with the encoding UTF-8", file=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(error, text)
        raise ConfigError(f"is not valid TOML: {error}", file=str(path), line=line) from None
    _refuse_unknown_environment(os.environ)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _explain(error, text, path) from None
    except SettingsError as error:
        raise ConfigError(
            f"an environment variable can't be read: {tidy(str(error))}. "
            'Write lists and tables as JSON, e.g. ["one", "two"]'
        ) from None
    for code in settings.publication.languages:
        if not spoken(code, root / CATALOGS):
            raise ConfigError(
                f'"publication.languages": there are no words of the language "{code}"; put them into '
                f"{CATALOGS.as_posix()}/{code}.po, as docs/languages.md says, or leave it out",
                file=str(path),
                line=find_line(text, ["publication", "languages"]),
            )
    return settings


def _refuse_unknown_environment(environment: Mapping[str, str]) -> None:
    tables = list(Settings.model_fields)
    for name in map(str.upper, environment):
        if not name.startswith(ENV_PREFIX) or name in _ENV_OF_COMMAND_LINE:
            continue
        table, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if table not in tables:
            hint = did_you_mean(table, tables) or f" Tables: {', '.join(tables)}."
            raise ConfigError(f"the environment variable {name} sets no known table.{hint}")
        if not key:
            raise ConfigError(
                f"the environment variable {name} names a table; write {name}__<KEY>=…"
            )


def _explain(error: ValidationError, text: str, path: Path) -> ConfigError:
    problems: list[str] = []
    first_line: int | None = None
    in_file = False
    variables = {name.upper() for name in os.environ}
    for problem in error.errors():
        keys = [str(part) for part in problem["loc"]]
        name = ".".join(keys)
        variable = ENV_PREFIX + "__".join(keys).upper()
        if variable in variables:
            where = f" (in the environment variable {variable})"
        else:
            in_file = True
            line = find_line(text, keys)
            first_line = first_line or line
            where = f" (line {line})" if line and line != first_line else ""
        if problem["type"] == "missing":
            table, key = ".".join(keys[:-1]) or "", keys[-1]
            put = f"add it under [{table}]" if table else f"add a table [{key}]"
            problems.append(f'the key "{name}" is missing: {put}')
        elif problem["type"] == "extra_forbidden":
            known = _known_keys(keys[:-1])
            hint = did_you_mean(keys[-1], known) or f" Keys there: {', '.join(known)}."
            problems.append(f'there is no key "{name}".{hint}{where}')
        else:
            message = tidy(problem["msg"].removeprefix("Value error, "))
            problems.append(f'"{name}": {message}{where}')
    message = "; ".join(problems)
    return (
        ConfigError(message, file=str(path), line=first_line) if in_file else ConfigError(message)
    )


def _known_keys(tables: Iterable[str]) -> list[str]:
    model: Any = Settings
    for table in tables:
        field = model.model_fields.get(table) if hasattr(model, "model_fields") else None
        model = field.annotation if field else None
    return list(getattr(model, "model_fields", {}))


def line_of_error(error: tomllib.TOMLDecodeError, toml: str) -> int:
    """The line (from 1) that the parser names; the last one where it names the document's end."""
    place = re.search(r"at line (\d+)", str(error))
    return int(place[1]) if place else max(1, len(toml.splitlines()))


def find_line(toml: str, keys: list[str]) -> int | None:
    """The line (from 1) where a dotted key stands in a TOML text, or its table, or None.

    In an array of tables the number of one, from 0, follows its name: `waiver`, `0`, `reason`.
    """
    table: list[str] = []
    best: int | None = None
    seen: Counter[str] = Counter()
    for number, line in enumerate(toml.splitlines(), 1):
        if header := re.match(r"\s*(\[+)\s*([^\]]+?)\s*\]", line):
            table = [part.strip().strip("\"'") for part in header[2].split(".")]
            if header[1] == "[[":
                name_of_array = ".".join(table)
                table.append(str(seen[name_of_array]))
                seen[name_of_array] += 1
            if table == keys[: len(table)]:
                best = number
        elif entry := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            name = [*table, *(part.strip("\"'") for part in entry[1].split("."))]
            if name == keys[: len(name)] and len(name) > len(table):
                return number
    return best
