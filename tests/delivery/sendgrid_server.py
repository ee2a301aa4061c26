"""A strict stand-in for SendGrid's `POST /v3/mail/send`, with its documented limits and its faults.

What it takes it keeps as the recipient would see it: substitutions put in, headers merged.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_ADDRESS = re.compile(r"[^@\s<>\"(),:;\[\]]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_RESERVED = {
    *("x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "to", "from", "subject"),
    *("content-transfer-encoding", "reply-to", "cc", "bcc"),
}
_TOP = {
    *("personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments"),
    *("template_id", "headers", "categories", "custom_args", "send_at", "batch_id", "asm"),
    *("ip_pool_name", "mail_settings", "tracking_settings"),
}


@dataclass
class Faults:
    """What goes wrong, how many times each."""

    busy: int = 0  # 429 with X-RateLimit-Reset in a second
    answers: list[int] = field(default_factory=list)  # these statuses first, with an empty list
    unnamed: set[str] = field(default_factory=set)  # addresses refused without saying which
    stall: int = 0
    vanish: int = 0  # read the request and close without an answer
    keeps: bool = False  # take the mail before `vanish` or `stall`
    cut: int = 0  # close in the middle of the request
    flood: int = 0  # endless header fields
    close_after: bool = False  # every answer ends its connection, without saying so
    most_bytes: int = 30_000_000


@dataclass(frozen=True)
class Mail:
    """What one person would have got."""

    delivery: str
    email: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]


class _Refusal(Exception):  # noqa: N818
    def __init__(self, message: str, where: str | None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where


class Server:
    """`with Server() as server:` answers at `server.host` for the key `server.key`."""

    key = "SG.test-key-4711"

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.taken: list[Mail] = []
        self.checked: list[Mail] = []  # in sandbox mode
        self.requests = 0
        self.connections = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                with outer._lock:
                    outer.connections += 1

            def do_POST(self) -> None:
                with contextlib.suppress(OSError):
                    outer._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Threads(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Threads(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _happens(self, name: str) -> bool:
        with self._lock:
            left: int = getattr(self.faults, name)
            setattr(self.faults, name, max(0, left - 1))
            return left > 0

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.requests += 1
        length = int(handler.headers["Content-Length"])
        if self._happens("cut"):
            handler.rfile.read(1000)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            handler.close_connection = True
            return
        body = handler.rfile.read(length)
        loses = "vanish" if self._happens("vanish") else "stall" if self._happens("stall") else ""
        if not loses or self.faults.keeps:
            status, document, headers = self._judge(handler, body)
        if loses:
            if loses == "stall":
                self.stopping.wait(60)
            handler.close_connection = True
            return
        if self._happens("flood"):
            headers |= {f"X-Flood-{n}": "x" * 60_000 for n in range(180)}
        data = b"" if document is None else json.dumps(document).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        if self.faults.close_after:
            handler.close_connection = True

    def _judge(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        if self._happens("busy"):
            reset = {"X-RateLimit-Reset": str(int(time.time()) + 1), "X-RateLimit-Limit": "1"}
            return 429, _errors("too many requests", None), reset
        if self.faults.answers:
            return self.faults.answers.pop(0), _errors("as it was told", None), {}
        if handler.headers["Authorization"] != f"Bearer {self.key}":
            return 401, _errors("The provided authorization grant is invalid", None), {}
        if handler.path != "/v3/mail/send":
            return 404, _errors("not found", None), {}
        if len(body) > self.faults.most_bytes:
            return 413, _errors("Request Entity Too Large", None), {}
        try:
            mails, sandbox = _mails(json.loads(body), self.faults.unnamed)
        except _Refusal as refusal:
            return 400, _errors(refusal.message, refusal.where), {}
        with self._lock:
            (self.checked if sandbox else self.taken).extend(mails)
        return 200 if sandbox else 202, None, {"X-Message-Id": f"msg-{self.requests}"}


def _errors(message: str, where: str | None) -> dict[str, Any]:
    return {"errors": [{"message": message, "field": where, "help": None}]}


def _mails(request: dict[str, Any], unnamed: set[str]) -> tuple[list[Mail], bool]:
    """What a request sends, and whether it is only to be checked. Raises _Refusal."""
    if unknown := set(request) - _TOP:
        raise _Refusal(f"Additional property {min(unknown)} is not allowed", min(unknown))
    people = request.get("personalizations")
    if not isinstance(people, list) or not 1 <= len(people) <= 1000:
        raise _Refusal("The personalizations field is required, up to 1000", "personalizations")
    if not _ADDRESS.fullmatch(request.get("from", {}).get("email", "")):
        raise _Refusal("The from email does not contain a valid address.", "from.email")
    content = request.get("content") or []
    if [part["type"] for part in content] != ["text/plain", "text/html"]:
        raise _Refusal("text/plain, if used, must be first", "content")
    if not all(part["value"] for part in content):
        raise _Refusal("The content value must be a string at least one character", "content")
    if not request.get("subject"):
        raise _Refusal("The subject is required", "subject")
    _check_headers(request.get("headers", {}), "headers")
    mails = [_mail(request, n, person) for n, person in enumerate(people)]
    if unnamed & {mail.email for mail in mails}:
        raise _Refusal("Bad Request", None)
    sandbox = request.get("mail_settings", {}).get("sandbox_mode", {}).get("enable", False)
    return mails, sandbox


def _mail(request: dict[str, Any], n: int, person: dict[str, Any]) -> Mail:
    where = f"personalizations.{n}"
    if len(person.get("to", [])) != 1:
        raise _Refusal("The to array is required", f"{where}.to")
    email = person["to"][0]["email"]
    if not _ADDRESS.fullmatch(email) or not email.isascii():
        raise _Refusal("Does not contain a valid address.", f"{where}.to.0.email")
    substitutions = person.get("substitutions", {})
    if sum(len(k) + len(v.encode()) for k, v in substitutions.items()) > 10_000:
        raise _Refusal("substitutions are more than 10000 bytes", f"{where}.substitutions")
    if len(json.dumps(person.get("custom_args", {}))) > 10_000:
        raise _Refusal("custom_args are more than 10000 bytes", f"{where}.custom_args")
    _check_headers(person.get("headers", {}), f"{where}.headers")

    def put_in(text: str) -> str:
        for key, value in substitutions.items():
            text = text.replace(key, value)
        return text

    return Mail(
        delivery=person["custom_args"]["delivery"],
        email=email,
        subject=put_in(request["subject"]),
        text=put_in(request["content"][0]["value"]),
        html=put_in(request["content"][1]["value"]),
        headers={**request.get("headers", {}), **person.get("headers", {})},
    )


def _check_headers(headers: dict[str, str], where: str) -> None:
    for name, value in headers.items():
        if name.lower() in _RESERVED:
            raise _Refusal(f"{name} is reserved", where)
        if not re.fullmatch(r"[!-9;-~]+", name) or not isinstance(value, str) or "\n" in value:
            raise _Refusal(f"{name} is no header", where)
