"""What the DNS says of a sender's domain: SPF, DMARC, DKIM, and where bounces arrive.

Owns look-ups and what they mean; must not know findings or publications. Records are judged by checkdmarc,
whose every question goes through the one resolver here. «There is none», said by a name server, and «nobody
could tell» are different states: a time-out or a SERVFAIL never becomes a missing record.

Sources: SPF RFC 7208, DKIM RFC 6376, 8301 (sizes of keys) and 8463 (Ed25519), DMARC RFC 7489 (checkdmarc
checks syntax against its successor, RFC 9989), null MX RFC 7505. Gmail's and Yahoo's rules for senders
of 5,000 mails a day ask for SPF and DKIM that pass, a DMARC record of at least p=none, and the From
domain aligned with one of the two.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from newsletter.errors import InputError

# checkdmarc and dnspython take a third of a second to import: whoever asks pays, not every start.
if TYPE_CHECKING:
    import dns.resolver

#: `unknown`: nobody could tell, `reason` says why; everything else of the record then means nothing.
State = Literal["present", "absent", "unknown"]
Mode = Literal["relaxed", "strict"]
Policy = Literal["none", "quarantine", "reject"]
All = Literal["pass", "neutral", "softfail", "fail"]

_TOTAL = 4  # times `timeout`: how long all questions together may take
_SPF = re.compile(r"v=spf1( |$)", re.IGNORECASE)  # RFC 7208 §4.5
_DMARC = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(;|$)")  # RFC 7489 §6.4
_MODES: Mapping[str, Mode] = {"r": "relaxed", "s": "strict"}
_ALL: Mapping[str, All] = {"": "pass", "+": "pass", "?": "neutral", "~": "softfail", "-": "fail"}
# checkdmarc keeps answers for the whole process, whichever resolver they came from.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Selector:
    """A DKIM key: `<name>._domainkey.<domain>`."""

    name: str
    domain: str


@dataclass(frozen=True, slots=True)
class Spf:
    """The SPF record of a domain (RFC 7208). Receivers ask for the one of the *bounce* domain (§2.4)."""

    domain: str
    state: State
    reason: str = ""  #: why there is none, why nobody could tell, or why `valid` is None
    record: str = ""
    valid: bool | None = None  #: None also when something that it includes could not be looked at
    all: All | None = None  #: what it says of every other server; `neutral` if it says nothing
    lookups: int | None = None  #: questions that a receiver needs; 10 are allowed (§4.6.4)
    error: str = ""  #: why `valid` is False
    notes: tuple[str, ...] = ()  #: what receivers may stumble over, in checkdmarc's words


@dataclass(frozen=True, slots=True)
class Dmarc:
    """The DMARC record that applies to a domain (RFC 7489), its own or its organisation's (§6.6.3)."""

    domain: str
    state: State
    reason: str = ""
    location: str = ""  #: the domain whose `_dmarc` it is
    record: str = ""
    valid: bool | None = None
    policy: Policy | None = None  #: `p`
    subdomain_policy: Policy | None = None  #: `sp`; `p` if it is not given
    adkim: Mode = "relaxed"
    aspf: Mode = "relaxed"
    rua: tuple[str, ...] = ()  #: where aggregate reports go: addresses without `mailto:`
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def applied(self) -> Policy | None:
        """The policy for mails from this domain: `sp` when the record is its organisation's."""
        return self.policy if self.location == self.domain else self.subdomain_policy


@dataclass(frozen=True, slots=True)
class Dkim:
    """The public key of a selector (RFC 6376 §3.6.1)."""

    selector: Selector
    state: State
    reason: str = ""
    record: str = ""
    valid: bool | None = None  #: False for a revoked key, too
    key_type: Literal["rsa", "ed25519"] | None = None
    bits: int | None = None  #: of RSA keys: verifiers want 1024, signers 2048 (RFC 8301 §3.2)
    key: str = ""  #: the value of `p`, base64 without spaces
    revoked: bool = False  #: `p` is empty
    testing: bool = False  #: `t=y`: verifiers treat a failure like a mail without a signature
    alias: str = ""  #: the name that holds it when the selector is a CNAME
    error: str = ""

    @property
    def name(self) -> str:
        """Where the record stands."""
        return f"{self.selector.name}._domainkey.{self.selector.domain}"

    def same_key(self, record: str) -> bool:
        """Whether the TXT record of a signer (`delivery.dkim.Signer.dns_record`) has this key."""
        return bool(self.key) and _tags(record).get("p") == self.key


@dataclass(frozen=True, slots=True)
class Mx:
    """Where mail to a domain goes (RFC 5321 §5.1)."""

    domain: str
    state: State  #: `absent`: mail to the domain can't be delivered
    reason: str = ""
    hosts: tuple[str, ...] = ()  #: the most preferred first
    null: bool = False  #: says that it takes no mail (RFC 7505)
    implicit: bool = False  #: has no MX, but an address, which then counts as one


@dataclass(frozen=True, slots=True)
class Alignment:
    """Whether what is authenticated belongs to the sender's domain (RFC 7489 §3.1)."""

    domain: str  #: that signs, or that bounces go to
    mode: Mode
    aligned: bool | None  #: None when it depends on a DMARC record that could not be looked at


@dataclass(frozen=True, slots=True)
class DomainReport:
    """Everything that was asked. One of the DKIM or SPF alignments is enough for DMARC, both are safer."""

    domain: str
    organisation: str  #: by the public suffix list that checkdmarc carries
    spf: Spf
    bounce_spf: (
        Spf  #: that of the bounce domain, the one that counts; `spf` itself if it is the same
    )
    dmarc: Dmarc
    dkim: tuple[Dkim, ...]  #: in the order of the selectors
    mx: Mx  #: of the bounce domain
    dkim_alignment: tuple[Alignment, ...]  #: one for each selector
    spf_alignment: Alignment

    @property
    def not_looked_at(self) -> tuple[str, ...]:
        """What nobody could tell, as `SPF of example.com: why`. Empty when everything was answered."""
        named: list[tuple[str, Spf | Dmarc | Dkim | Mx]] = [(f"SPF of {self.domain}", self.spf)]
        if self.bounce_spf is not self.spf:
            named.append((f"SPF of {self.bounce_spf.domain}", self.bounce_spf))
        named.append((f"DMARC of {self.domain}", self.dmarc))
        named += [(f"DKIM key {key.name}", key) for key in self.dkim]
        named.append((f"MX of {self.mx.domain}", self.mx))
        return tuple(f"{name}: {one.reason}" for name, one in named if one.state == "unknown")


def look_up(
    domain: str,
    *,
    selectors: Sequence[Selector | str] = (),
    bounces: str | None = None,
    resolver: dns.resolver.Resolver | None = None,
    timeout: float = 5.0,
) -> DomainReport:
    """What the DNS says of the domain of a From address.

    `selectors`: DKIM keys that mails are signed with; a plain name is one of `domain`. `bounces`: the domain
    of the envelope's sender, `domain` itself if not given. `resolver`: whom to ask; the system's name servers
    if not given. `timeout`: seconds for one question; all of them together take at most four times as long,
    and when nobody answers the first one, none of the others is asked.

    Raises InputError for a domain that can't be one. The world outside never raises: see `State`.
    """
    import dns.resolver

    domain = _plain(domain)
    bounce = _plain(bounces) if bounces else domain
    keys = [
        Selector(one, domain) if isinstance(one, str) else Selector(one.name, _plain(one.domain))
        for one in selectors
    ]
    for key in keys:
        _plain(f"{key.name}._domainkey.{key.domain}")
    nowhere = ""
    if resolver is None:
        try:
            resolver = dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            resolver, nowhere = dns.resolver.Resolver(configure=False), "no name server is set up"
    ask = _Asked(resolver, timeout, nowhere)
    with _one_at_a_time:
        from checkdmarc.utils import (  # type: ignore[import-untyped]
            DNS_CACHE,
            get_base_domain,
        )

        DNS_CACHE.clear()
        spf = _look_at_spf(ask, domain)
        bounce_spf = spf if bounce == domain else _look_at_spf(ask, bounce)
        organisation = get_base_domain(domain)
        dmarc = _look_at_dmarc(ask, domain, organisation)

    def aligned(other: str, mode: Mode) -> Alignment:
        strictly = other == domain
        loosely = get_base_domain(other) == organisation
        verdict: bool | None = strictly if mode == "strict" else loosely
        if dmarc.state == "unknown" and strictly != loosely:
            verdict = None
        return Alignment(other, mode, verdict)

    return DomainReport(
        domain=domain,
        organisation=organisation,
        spf=spf,
        bounce_spf=bounce_spf,
        dmarc=dmarc,
        dkim=tuple(_look_at_dkim(ask, key) for key in keys),
        mx=_look_at_mx(ask, bounce),
        dkim_alignment=tuple(aligned(key.domain, dmarc.adkim) for key in keys),
        spf_alignment=aligned(bounce, dmarc.aspf),
    )


def _plain(domain: str) -> str:
    """In lower case, in its xn-- form, without a dot at the end."""
    import dns.exception
    import dns.name

    try:
        name = dns.name.from_text(domain.strip().lower()).to_text(omit_final_dot=True)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise InputError(f"{domain[:80]!r} is no domain: {error}") from error
    if name in {"", ".", "@"} or "\\" in name:
        raise InputError(f"{domain[:80]!r} is no domain")
    return name


@dataclass(frozen=True, slots=True)
class _Texts:
    """TXT records of a name."""

    state: State
    reason: str = ""
    texts: tuple[str, ...] = ()
    alias: str = ""


class _Asked:
    """A resolver in checkdmarc's eyes: asks the real one, each question once, and keeps in mind what stayed
    without an answer, which checkdmarc reports like a record that does not exist."""

    def __init__(self, resolver: dns.resolver.Resolver, timeout: float, silent: str) -> None:
        self.lifetime = timeout
        self.unanswered: dict[tuple[str, str], str] = {}  #: (name, type) → why
        self._resolver = resolver
        self._until = time.monotonic() + _TOTAL * timeout
        self._heard = False
        self._silent = silent
        self._knows: bool | None = None  #: whether it knows names of the internet at all
        self._known: dict[tuple[str, str], dns.resolver.Answer | Exception] = {}

    def resolve(
        self,
        name: str,
        kind: str,
        lifetime: float | None = None,  # noqa: ARG002  (checkdmarc hands ours back)
    ) -> dns.resolver.Answer:
        """Like dns.resolver.Resolver.resolve, the same exceptions. Called by checkdmarc as well."""
        import dns.resolver

        if kind == "SPF":  # a type of its own that receivers must not ask for (RFC 7208 §3.1)
            raise dns.resolver.NoAnswer
        asked = name.lower().rstrip("."), kind
        if asked not in self._known:
            self._known[asked] = self._ask(*asked)
        known = self._known[asked]
        if isinstance(known, Exception):
            raise known
        return known

    def _ask(self, name: str, kind: str) -> dns.resolver.Answer | Exception:
        import dns.exception
        import dns.resolver

        left = self._until - time.monotonic()
        if self._silent or left <= 0:
            self.unanswered[name, kind] = self._silent or "there was no time left to ask"
            return dns.resolver.LifetimeTimeout(  # type: ignore[no-untyped-call]
                timeout=0.0, errors=[]
            )
        try:
            answer = self._resolver.resolve(name, kind, lifetime=min(self.lifetime, left))
        except dns.resolver.NXDOMAIN as no:
            self._heard = True
            if self._knows_names():
                return no
            self.unanswered[name, kind] = "the name server knows no names of the internet"
            return dns.resolver.NoNameservers()  # type: ignore[no-untyped-call]
        except dns.resolver.NoAnswer as no:
            self._heard = self._knows = True
            return no
        except (dns.exception.Timeout, dns.resolver.NoNameservers, OSError) as error:
            why, heard = _why(error, self.lifetime)
            self._heard = self._heard or heard
            self._silent = "" if self._heard else why
            self.unanswered[name, kind] = why
            if isinstance(error, OSError):  # checkdmarc would let it pass
                return dns.resolver.NoNameservers()  # type: ignore[no-untyped-call]
            return error
        except dns.exception.DNSException as error:  # a name that can't be one, inside a record
            return error
        self._heard = self._knows = True
        return answer

    def _knows_names(self) -> bool:
        """Whether «does not exist» may be believed. Name servers of closed networks say it of every name of
        the outside, and of the root as well, which every other one knows."""
        import dns.exception

        if self._knows is None:
            try:
                self._resolver.resolve(".", "NS", lifetime=self.lifetime)
                self._knows = True
            except (dns.exception.DNSException, OSError):
                self._knows = False
        return self._knows

    def texts(self, name: str) -> _Texts:
        """The TXT records of a name, each in one piece."""
        import dns.exception
        import dns.resolver

        try:
            answer = self.resolve(name, "TXT")
        except dns.resolver.NXDOMAIN:
            return _Texts("absent", f"{name} does not exist")
        except dns.resolver.NoAnswer:
            return _Texts("absent", f"{name} has no TXT record")
        except dns.exception.DNSException as error:
            return _Texts("unknown", self.unanswered.get((name.lower(), "TXT"), str(error)))
        texts = tuple(b"".join(one.strings).decode("utf-8", "replace") for one in answer)
        canonical = answer.canonical_name.to_text(omit_final_dot=True)
        return _Texts("present", "", texts, "" if canonical.lower() == name.lower() else canonical)


def _why(error: Exception, timeout: float) -> tuple[str, bool]:
    """What a person is told, and whether some name server answered at all."""
    import dns.exception
    import dns.rcode

    if isinstance(error, dns.exception.Timeout):
        return f"no name server answered within {timeout:g} seconds", False
    tries = getattr(error, "kwargs", {}).get("errors", [])
    for *_, response in tries:
        if response is not None:
            code = dns.rcode.to_text(response.rcode())
            return f"the name server could not tell ({code})", True
    return "no name server can be reached", False


def _judge(asked: _Asked) -> dict[str, Any]:
    """How checkdmarc is to ask. It looks at the text behind an SPF record's `exp` with a resolver of its own
    making (6.0.4), for which alone it needs `nameservers`: one that asks nobody."""
    import dns.nameserver

    class Nobody(dns.nameserver.Nameserver):
        def __init__(self) -> None:
            pass

        def __str__(self) -> str:
            return "nobody"

        def kind(self) -> str:
            return "none"

        def is_always_max_size(self) -> bool:
            return False

        def answer_nameserver(self) -> str:
            return "nobody"

        def answer_port(self) -> int:
            return 0

        def query(self, *_: Any, **__: Any) -> Any:
            raise OSError("not asked")

    return {"resolver": asked, "nameservers": [Nobody()], "timeout": asked.lifetime, "retries": 0}


def _look_at_spf(ask: _Asked, domain: str) -> Spf:
    found = ask.texts(domain)
    if found.state == "unknown":
        return Spf(domain, "unknown", found.reason)
    records = [text for text in found.texts if _SPF.match(text)]
    if not records:
        return Spf(domain, "absent", found.reason or f"{domain} has no SPF record")
    if len(records) > 1:
        error = f"{domain} has {len(records)} SPF records; receivers then use none (RFC 7208 §4.5)"
        return Spf(domain, "present", record=records[0], valid=False, error=error)
    return _judged_spf(ask, domain, records[0])


def _judged_spf(ask: _Asked, domain: str, record: str) -> Spf:
    from checkdmarc import spf  # type: ignore[import-untyped]

    own = re.findall(r"(?i)(?:^|\s)([-+?~]?)all(?=\s|$)", record)
    before = len(ask.unanswered)
    valid: bool | None = True
    lookups, error, notes, uncertain = None, "", (), True
    every: All | None = _ALL[own[0]] if own else None
    try:
        parsed = spf.parse_spf_record(record, domain, **_judge(ask))
        lookups, every = parsed["dns_lookups"], parsed["parsed"]["all"]
        notes = tuple(note for note in parsed["warnings"] if "exp value" not in note)
        if "error" in parsed:
            valid, error = False, str(parsed["error"])
    except spf.SPFError as problem:
        valid, error = False, str(problem)
        lookups = (problem.data or {}).get("dns_lookups")
        # Whatever was not answered can't make a wrong word right, or eleven questions ten.
        uncertain = isinstance(problem, spf.SPFRecordNotFound | spf.SPFTooManyVoidDNSLookups)
    reason = ""
    if uncertain and (missing := _missing(ask, before)):
        valid, error, reason = None, "", missing
    return Spf(
        domain,
        "present",
        reason=reason,
        record=record,
        valid=valid,
        all=every,
        lookups=lookups,
        error=error,
        notes=notes,
    )


def _missing(ask: _Asked, before: int) -> str:
    """What stayed without an answer since then. Whether a record stands beside an alias (CNAME) is only
    asked for a note."""
    for (name, kind), why in list(ask.unanswered.items())[before:]:
        if kind != "CNAME":
            return f"{name} ({kind}): {why}"
    return ""


def _look_at_dmarc(ask: _Asked, domain: str, organisation: str) -> Dmarc:
    odd: list[str] = []
    for location in dict.fromkeys((domain, organisation)):
        found = ask.texts(f"_dmarc.{location}")
        if found.state == "unknown":
            return Dmarc(domain, "unknown", found.reason, notes=tuple(odd))
        records = [text for text in found.texts if _DMARC.match(text)]
        # Somebody meant it, though no receiver will read it so.
        meant = [text for text in found.texts if text not in records and "dmarc1" in text.lower()]
        if len(records) > 1:
            error = (
                f"_dmarc.{location} has {len(records)} DMARC records; receivers then use none "
                "(RFC 7489 §6.6.3)"
            )
        elif records:
            return _judged_dmarc(ask, domain, location, records[0])
        elif meant:
            error = "a DMARC record begins with v=DMARC1; in capitals, with nothing before it"
        else:
            odd += [
                f"_dmarc.{location} has a text that is no DMARC record" for _ in found.texts[:1]
            ]
            continue
        record = (records or meant)[0]
        return Dmarc(domain, "present", location=location, record=record, valid=False, error=error)
    where = " or ".join(f"_dmarc.{one}" for one in dict.fromkeys((domain, organisation)))
    return Dmarc(domain, "absent", f"there is no DMARC record at {where}", notes=tuple(odd))


def _judged_dmarc(ask: _Asked, domain: str, location: str, record: str) -> Dmarc:
    from checkdmarc import dmarc

    before = len(ask.unanswered)
    try:
        parsed = dmarc.parse_dmarc_record(record, location, **_judge(ask))
    except dmarc.DMARCError as error:
        return Dmarc(
            domain, "present", location=location, record=record, valid=False, error=str(error)
        )
    tags = {name: tag["value"] for name, tag in parsed["tags"].items()}
    notes = tuple(parsed["warnings"])
    if missing := _missing(ask, before):  # then some of the notes on rua and ruf are guesses
        notes = (f"whether reports arrive could not be looked at: {missing}",)
    return Dmarc(
        domain,
        "present",
        location=location,
        record=record,
        valid=True,
        policy=tags["p"],
        subdomain_policy=tags["sp"],
        adkim=_MODES[tags["adkim"]],
        aspf=_MODES[tags["aspf"]],
        rua=tuple(one["address"] for one in tags.get("rua", ())),
        notes=notes,
    )


def _tags(record: str) -> dict[str, str]:
    """A tag list (RFC 6376 §3.2), values without spaces. A tag that is there twice counts once, as the
    empty name: the whole list is invalid then."""
    tags: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if not part.strip():
            continue
        name = name.strip()
        tags["" if not equals or not name or name in tags else name] = re.sub(r"\s+", "", value)
    return tags


def _look_at_dkim(ask: _Asked, selector: Selector) -> Dkim:
    name = f"{selector.name}._domainkey.{selector.domain}"
    found = ask.texts(name)
    if found.state != "present":
        return Dkim(selector, found.state, found.reason)
    if len(found.texts) > 1:  # RFC 6376 §3.6.2.2: which of them counts is nowhere defined
        error = f"{name} has {len(found.texts)} TXT records; there must be one"
        return Dkim(
            selector, "present", record=found.texts[0], valid=False, alias=found.alias, error=error
        )
    return _judged_dkim(selector, found.texts[0], found.alias)


def _judged_dkim(selector: Selector, record: str, alias: str) -> Dkim:
    """RFC 6376 §3.6.1, with `cryptography` for the key."""
    tags = _tags(record)
    kind: Literal["rsa", "ed25519"] | None = None
    bits, error = None, ""
    match tags.get("k", "rsa"):
        case "rsa":
            kind = "rsa"
        case "ed25519":
            kind = "ed25519"
        case other:
            error = f"k={other} is no key type that receivers know"
    key = tags.get("p", "")
    revoked = "p" in tags and not key
    if "" in tags:
        error = "it is no list of tags, such as v=DKIM1; p=…"
    elif tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        error = "it must begin with v=DKIM1"
    elif "p" not in tags:
        error = "it has no p=, the key"
    elif revoked:
        error = "p= is empty: the key is revoked"
    elif "h" in tags and "sha256" not in tags["h"].split(":"):
        error = f"h={tags['h']} does not allow sha256, the only hash in use (RFC 8301)"
    elif "s" in tags and not {"*", "email"} & set(tags["s"].split(":")):
        error = f"s={tags['s']} does not allow mail"
    elif kind:
        bits, error = _size(kind, key)
    return Dkim(
        selector,
        "present",
        record=record,
        valid=not error,
        key_type=kind,
        bits=bits,
        key=key,
        revoked=revoked,
        testing="y" in tags.get("t", "").split(":"),
        alias=alias,
        error=error,
    )


def _size(kind: Literal["rsa", "ed25519"], key: str) -> tuple[int | None, str]:
    """Bits of a public key, and what is wrong with it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error:
        return None, "p= is no base64: a part of the key is missing"
    if kind == "ed25519":  # RFC 8463 §4: the bare key
        return (256, "") if len(raw) == 32 else (None, "p= is no Ed25519 key of 32 bytes")
    try:
        public = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None, "p= is no RSA key: a part of it is missing, or it is another key's"
    if not isinstance(public, rsa.RSAPublicKey):
        return None, "p= is no RSA key"
    return public.key_size, ""


def _look_at_mx(ask: _Asked, domain: str) -> Mx:
    import dns.exception
    import dns.resolver

    try:
        answer = ask.resolve(domain, "MX")
    except dns.resolver.NXDOMAIN:
        return Mx(domain, "absent", f"{domain} does not exist")
    except dns.resolver.NoAnswer:
        return _address_as_mx(ask, domain)
    except dns.exception.DNSException as error:
        return Mx(domain, "unknown", ask.unanswered.get((domain, "MX"), str(error)))
    hosts = sorted((one.preference, one.exchange.to_text(omit_final_dot=True)) for one in answer)
    names = tuple(host.lower() for _, host in hosts if host not in {"", "."})
    if not names:
        return Mx(domain, "absent", f"{domain} says that it takes no mail (MX 0 .)", null=True)
    return Mx(domain, "present", hosts=names)


def _address_as_mx(ask: _Asked, domain: str) -> Mx:
    """RFC 5321 §5.1: without an MX record, the domain's own address takes its mail."""
    import dns.exception
    import dns.resolver

    unknown = ""
    for kind in ("A", "AAAA"):
        try:
            ask.resolve(domain, kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            continue
        except dns.exception.DNSException as error:
            unknown = ask.unanswered.get((domain, kind), str(error))
        else:
            return Mx(domain, "present", hosts=(domain,), implicit=True)
    if unknown:
        return Mx(domain, "unknown", unknown)
    return Mx(domain, "absent", f"{domain} has neither an MX record nor an address")
