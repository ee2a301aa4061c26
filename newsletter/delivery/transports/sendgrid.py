"""Mail by Twilio SendGrid's API v3: one request carries one edition to up to a thousand people.

A request is all or nothing, and its body holds everything once: the edition with open slots, and for
each person the values that SendGrid puts in.
"""

from __future__ import annotations

import contextlib
import html
import http.client
import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any
from urllib.parse import urlsplit

import python_http_client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from newsletter.config import SendGridSettings
from newsletter.delivery.transports.base import (
    Envelope,
    InDoubt,
    Letter,
    Outcome,
    UnmakeableError,
    Unreachable,
)
from newsletter.delivery.transports.smtp_session import is_loopback
from newsletter.editions import normalise
from newsletter.errors import TransportError

_MOST_BYTES = 20_000_000  # of a request; SendGrid documents 30 MB for a mail with everything
_MOST_SUBSTITUTED = 10_000  # bytes of substitutions for one person
_MOST_ANSWER = 1_000_000  # bytes; SendGrid answers with a few hundred
_LONGEST_REST = 3600.0  # seconds
_INDEX = re.compile(r"personalizations\.(\d+)\b")
#: Header fields that SendGrid makes or forbids.
_RESERVED = re.compile(
    r"(from|to|subject|reply-to|cc|bcc|content-.*|mime-version|date|message-id|received|"
    r"dkim-signature|x-sg-.*)$",
    re.IGNORECASE,
)
_OFF = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


class SendGridTransport:
    """The API with one key."""

    name = "sendgrid"
    one_edition = True
    utf8 = False

    def __init__(
        self,
        settings: SendGridSettings,
        *,
        sender_email: str,
        sender_name: str,
        reply_to: str | None,
    ) -> None:
        self.settings = settings
        self.lanes = settings.connections
        self.batch = settings.batch
        self.in_doubt: InDoubt = settings.in_doubt
        self.sender = {"email": sender_email, "name": sender_name}
        self.reply_to = {"email": reply_to} if reply_to else None
        self.host = settings.host.rstrip("/")

    def check(self) -> None:
        if not self.settings.api_key.get_secret_value():
            raise TransportError(
                "there is no key of SendGrid's API; set NEWSLETTER_TRANSPORTS__SENDGRID__API_KEY"
            )
        parts = urlsplit(self.host)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise TransportError(
                f"transports.sendgrid.host: the key would go to {self.host} in the clear; write https"
            )
        try:
            _Wire(self.host, min(10.0, self.settings.timeout)).open().close()
        except OSError as error:
            raise TransportError(f"{self.host} can't be reached: {_why(error)}") from error

    def validate(self, envelope: Envelope) -> None:
        """Let SendGrid check one message in sandbox mode: nothing is delivered.

        Raises TransportError with what SendGrid says."""
        lane = SendGridLane(self, sandbox=True)
        try:
            outcomes = list(lane.send([envelope]))
        except Unreachable as error:
            raise TransportError(str(error)) from error
        finally:
            lane.close()
        if outcomes[0].state != "accepted":
            raise TransportError(
                f"SendGrid does not take edition {envelope.letter.edition}: {outcomes[0].answer}"
            )

    def lane(self) -> SendGridLane:
        return SendGridLane(self, sandbox=self.settings.sandbox)

    def took(self, mailing: int, n: int) -> bool | None:  # noqa: ARG002
        return None  # its events carry the delivery, later

    def close(self) -> None:
        pass


class SendGridLane:
    """One connection, kept open."""

    def __init__(self, transport: SendGridTransport, *, sandbox: bool) -> None:
        self.transport = transport
        self._requests = lru_cache(maxsize=64)(self._request)
        self._sandbox = sandbox
        settings = transport.settings
        self._wire = _Wire(transport.host, settings.timeout)
        api = SendGridAPIClient(settings.api_key.get_secret_value(), host=transport.host)
        # A type that is not just `application/json` tells the client that the body is encoded.
        headers = {**api.client.request_headers, "Content-Type": "application/json; charset=utf-8"}
        key = {"Authorization": headers.pop("Authorization")}
        self._client = _Client(transport.host, headers, 3, timeout=settings.timeout)
        self._client.wire = self._wire
        self._client.secret = key

    def _request(self, letter: Letter) -> _Request:
        return _Request(letter, self.transport, sandbox=self._sandbox)

    def send(self, batch: Sequence[Envelope]) -> Iterator[Outcome]:
        """One request if all goes well; see `Lane.send`."""
        by_letter: dict[str, list[Envelope]] = {}
        for envelope in batch:
            by_letter.setdefault(envelope.letter.edition, []).append(envelope)
        for envelopes in by_letter.values():
            request = self._requests(envelopes[0].letter)
            parts: list[tuple[Envelope, str]] = []
            for envelope in envelopes:
                try:
                    part, why = request.personalization(envelope)
                except Exception as error:  # noqa: BLE001  (one person must never stop the rest)
                    part, why = "", str(UnmakeableError(envelope.n, error))
                if why:
                    yield Outcome(envelope.n, "rejected", "", why)
                else:
                    parts.append((envelope, part))
            for some in request.split(parts):
                yield from self._post(request, some)

    def _post(self, request: _Request, parts: Sequence[tuple[Envelope, str]]) -> Iterator[Outcome]:
        """Post these, and the good ones of them again when SendGrid refuses some."""
        if not parts:
            return
        try:
            answer = self._client.mail.send.post(request_body=request.body(parts))
            status, text, headers = answer.status_code, b"", answer.headers
        except HTTPError as error:
            status, text, headers = error.status_code, error.body, error.headers
        except _NotSentError as error:
            raise Unreachable(str(error)) from error
        except _LostError as error:
            state = "uncertain" if error.written else "deferred"
            yield from _all(parts, state, "", str(error))
            return
        yield from self._answered(request, parts, status, text, headers)

    def _answered(
        self,
        request: _Request,
        parts: Sequence[tuple[Envelope, str]],
        status: int,
        text: bytes,
        headers: Any,
    ) -> Iterator[Outcome]:
        if status in (200, 202):
            yield from _all(parts, "accepted", str(status), headers.get("X-Message-Id") or "")
            return
        errors = _errors(text)
        says = "; ".join(one["message"] for one in errors) or http.client.responses.get(status, "")
        if status == 429:
            raise Unreachable(f"SendGrid asks for a rest: {says}", wait=_rest(headers))
        if status in (401, 403):
            raise TransportError(
                f"SendGrid refuses the key ({status}: {says}). It must be valid and have the "
                "permission Mail Send: NEWSLETTER_TRANSPORTS__SENDGRID__API_KEY"
            )
        if status >= 500 or status == 408:
            yield from _all(parts, "deferred", str(status), says)
            return
        if status not in (400, 413):
            raise TransportError(f"SendGrid answers {status}: {says}")
        if status == 413 and len(parts) == 1:
            raise TransportError(
                f"edition {request.letter.edition} is too large for SendGrid: {says}"
            )
        yield from self._refused(request, parts, errors, says)

    def _refused(
        self,
        request: _Request,
        parts: Sequence[tuple[Envelope, str]],
        errors: Sequence[dict[str, str]],
        says: str,
    ) -> Iterator[Outcome]:
        """A 400 is about somebody it names, about everybody, or about somebody who must be found."""
        named: dict[int, str] = {}
        for one in errors:
            if found := _INDEX.match(one["field"]):
                named[int(found[1])] = one["message"]
            elif one["field"]:
                raise TransportError(f"SendGrid refuses {one['field']}: {one['message']}")
        if named and all(index < len(parts) for index in named):
            for index, message in named.items():
                yield Outcome(parts[index][0].n, "rejected", "400", message[:500])
            rest = [part for index, part in enumerate(parts) if index not in named]
            yield from self._post(request, rest)
        elif len(parts) == 1:
            yield Outcome(parts[0][0].n, "rejected", "400", says[:500])
        else:
            half = len(parts) // 2
            yield from self._post(request, parts[:half])
            yield from self._post(request, parts[half:])

    def close(self) -> None:
        self._wire.close()

    abort = close


class _Request:
    """What all requests with one edition share, encoded once."""

    def __init__(self, letter: Letter, transport: SendGridTransport, *, sandbox: bool) -> None:
        self.letter = letter
        shared: dict[str, Any] = {
            "from": transport.sender,
            "subject": letter.subject,
            "content": [
                {"type": "text/plain", "value": letter.text},
                {"type": "text/html", "value": letter.html},
            ],
            "tracking_settings": _OFF,
        }
        if transport.reply_to:
            shared["reply_to"] = transport.reply_to
        if sandbox:
            shared["mail_settings"] = {"sandbox_mode": {"enable": True}}
        constant, own = _headers(letter)
        if constant:
            shared["headers"] = constant
        self._head = json.dumps(shared)[:-1] + ', "personalizations": ['
        slots = [
            (name, context, f"@@{letter.nonce}.{name}.{context}@@")
            for name, context in sorted(letter.skeleton.keys)
            if context in ("html", "text")
            and f"@@{letter.nonce}.{name}.{context}@@"
            in (letter.html, letter.text)[context == "text"]
        ]
        #: what the form's places take, in their order
        self._places = [(name, context) for name, context, _ in slots]
        substitutions = ", ".join(f'{_constant(key)}: "%s"' for _, _, key in slots)
        headers = []
        for name, pieces in own:
            self._places += [(piece, "header") for slot, piece in pieces if slot]
            value = "".join("%s" if slot else _constant(piece)[1:-1] for slot, piece in pieces)
            headers.append(f'{_constant(name)}: "{value}"')
        self._form = (
            '{"to": [{"email": %s}], "custom_args": {"delivery": "%d.%d"}, '
            f'"substitutions": {{{substitutions}}}, "headers": {{{", ".join(headers)}}}}}'
        )

    def personalization(self, envelope: Envelope) -> tuple[str, str]:
        """One person's part as JSON, or why there can be none. A hot path: some 4 µs."""
        values = envelope.values
        if not envelope.recipient.isascii():
            return "", "SendGrid takes no address with other letters before the @"
        filled = [_encoded(values[name], context) for name, context in self._places]
        address = encode_basestring_ascii(envelope.recipient)
        part = self._form % (address, envelope.mailing, envelope.n, *filled)
        if len(part) > _MOST_SUBSTITUTED:
            substituted = json.dumps(json.loads(part)["substitutions"])
            if len(substituted) > _MOST_SUBSTITUTED:
                return "", "the values for this person are more than SendGrid takes (10,000 bytes)"
        return part, ""

    def split(
        self, parts: Sequence[tuple[Envelope, str]]
    ) -> Iterator[Sequence[tuple[Envelope, str]]]:
        """In requests of a size that SendGrid takes. Raises TransportError for an edition over it."""
        if len(self._head) > _MOST_BYTES:
            raise TransportError(
                f"edition {self.letter.edition} is {len(self._head):,} bytes; SendGrid takes "
                f"{_MOST_BYTES:,} at most"
            )
        some: list[tuple[Envelope, str]] = []
        size = len(self._head)
        for part in parts:
            if some and size + len(part[1]) > _MOST_BYTES:
                yield some
                some, size = [], len(self._head)
            some.append(part)
            size += len(part[1]) + 2
        yield some

    def body(self, parts: Sequence[tuple[Envelope, str]]) -> _Body:
        return _Body(self._head + ", ".join([part for _, part in parts]) + "]}")


def _constant(text: str) -> str:
    """A JSON string for a form."""
    return json.dumps(text).replace("%", "%%")


def _encoded(value: str, context: str) -> str:
    """A value as in a message by SMTP, for between the quotes of a JSON string; tokens, which are most
    values, need nothing."""
    return value if value.isalnum() and value.isascii() else _escaped(value, context)


@lru_cache(maxsize=1024)
def _escaped(value: str, context: str) -> str:
    if context != "header":
        value = normalise(value)
    return json.dumps(html.escape(value) if context == "html" else value)[1:-1]


def _headers(letter: Letter) -> tuple[dict[str, str], list[tuple[str, list[tuple[bool, str]]]]]:
    """The header fields of a mail that SendGrid does not make: constant ones, and those with slots
    as pieces (whether it is a slot's name, text)."""
    values = {key: f"\0{key[0]}\0".encode() for key in letter.skeleton.keys}
    head = letter.skeleton.splice(values).split(b"\r\n\r\n", 1)[0].decode()
    constant: dict[str, str] = {}
    own: list[tuple[str, list[tuple[bool, str]]]] = []
    for line in head.replace("\r\n ", " ").split("\r\n"):
        name, _, value = line.partition(": ")
        if _RESERVED.match(name):
            continue
        if "\0" in value:
            own.append((name, [(n % 2 == 1, piece) for n, piece in enumerate(value.split("\0"))]))
        else:
            constant[name] = value
    return constant, own


def _all(
    parts: Sequence[tuple[Envelope, str]], state: Any, code: str, answer: str
) -> Iterator[Outcome]:
    for envelope, _ in parts:
        yield Outcome(envelope.n, state, code, answer[:500])


def _errors(text: bytes) -> list[dict[str, str]]:
    """`errors` of an answer, with message and field as texts."""
    try:
        found = json.loads(text)["errors"]
        return [
            {"message": str(one.get("message") or ""), "field": str(one.get("field") or "")}
            for one in found
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _rest(headers: Any) -> float:
    """Seconds that a 429 asks for."""
    with contextlib.suppress(TypeError, ValueError):
        return min(_LONGEST_REST, max(0.1, float(headers.get("X-RateLimit-Reset")) - time.time()))
    with contextlib.suppress(TypeError, ValueError):
        return min(_LONGEST_REST, max(0.1, float(headers.get("Retry-After"))))
    return 1.0


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


# -- the connection under SendGrid's own client -----------------------------------------------------


class _NotSentError(Exception):
    """Nothing of the request has left."""


class _LostError(Exception):
    """The answer, or part of the request, was lost."""

    def __init__(self, message: str, *, written: bool) -> None:
        super().__init__(message)
        self.written = written  # whether all of the request had left


class _Wire:
    """One HTTP connection that is kept open, with a deadline for each request."""

    def __init__(self, host: str, timeout: float) -> None:
        parts = urlsplit(host)
        self.host = host
        self.timeout = timeout
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout)

    def open(self) -> _Wire:
        """Connect, unless that was done and the other side has not closed it meanwhile."""
        opened = self._connection.sock
        if opened is not None and select.select([opened], [], [], 0)[0]:
            self._connection.close()  # readable while idle: it was closed
        if self._connection.sock is None:
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[attr-defined]
        return self

    def exchange(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> _Answer:
        """One request, one answer. Raises _NotSentError, _LostError."""
        try:
            self.open()
        except OSError as error:
            self.close()
            raise _NotSentError(f"{self.host} can't be reached: {_why(error)}") from error
        opened = self._connection.sock
        late = threading.Timer(self.timeout, _cut, [opened])  # a time-out for all of it together
        late.daemon = True
        late.start()
        written = False
        try:
            self._connection.request(method, path, body, headers)
            written = True
            response = self._connection.getresponse()
            text = response.read(_MOST_ANSWER + 1)
            if len(text) > _MOST_ANSWER:
                raise http.client.HTTPException("its answer does not end")  # noqa: TRY301
            return _Answer(response, text)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            what = "answer" if written else "connection"
            why = f"the {what} of {self.host} was lost ({type(error).__name__})"
            raise _LostError(why, written=written) from error
        finally:
            late.cancel()

    def close(self) -> None:
        self._connection.close()


def _cut(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)


class _Answer:
    """What SendGrid's client wants to see of an answer."""

    def __init__(self, response: http.client.HTTPResponse, text: bytes) -> None:
        self.code = response.status
        self.reason = response.reason
        self.hdrs = response.headers
        self._text = text

    def getcode(self) -> int:
        return self.code

    def read(self) -> bytes:
        return self._text

    def info(self) -> Any:
        return self.hdrs


class _Body(str):
    """The body of a request, which the client encodes."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> _Payload:
        return _Payload(super().encode(encoding, errors))


class _Payload(bytes):
    """An encoded body. The client puts it into a line for its log, whether or not somebody logs:
    a megabyte of people who have no place there."""

    def __format__(self, _: str) -> str:
        return f"{len(self):,} bytes"


class _Client(python_http_client.Client):  # type: ignore[misc]
    """SendGrid's client on a connection of ours: its own opens one for each call, without time-out."""

    wire: _Wire
    secret: dict[str, str]  #: header fields that the client must not see: it logs what it has

    def _build_client(self, name: str | None = None) -> _Client:
        path = [*self._url_path, name] if name else self._url_path
        made = _Client(self.host, self.request_headers, self._version, path, timeout=self.timeout)
        made.wire, made.secret = self.wire, self.secret
        return made

    def _make_request(self, opener: Any, request: Any, timeout: Any = None) -> _Answer:  # noqa: ARG002
        headers = {**dict(request.header_items()), **self.secret}
        answer = self.wire.exchange(request.get_method(), request.selector, request.data, headers)
        if answer.code >= 400:
            raise HTTPError(answer.code, answer.reason, answer.read(), answer.hdrs)
        return answer
