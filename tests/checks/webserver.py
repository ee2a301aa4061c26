"""A web server on loopback that answers each path as a test wants, and remembers who asked for what."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Status, headers, body; or what a handler does itself with the connection.
Page = tuple[int, Mapping[str, str], bytes] | Callable[["Handler"], None]


def page(status: int = 200, body: bytes = b"Hello.", **headers: str) -> Page:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body


def to(location: str, status: int = 302, **headers: str) -> Page:
    return page(status, b"", Location=location, **headers)


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]


class Handler(BaseHTTPRequestHandler):
    """Routes are looked up as `GET /path`, then as `/path`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle_one_request()

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers)))
        pages = self.server.pages
        found = pages.get(f"{self.command} {path}") or pages.get(path) or page(404, b"")
        if callable(found):
            found(self)
            return
        status, headers, body = found
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pages: Mapping[str, Page]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = dict(pages)
        self.asked: list[Asked] = []
        self.stopping = threading.Event()
        self.scheme = "http"

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def handle_error(self, *_: Any) -> None:
        """A client that ended the connection is no error of ours."""

    def requests(self, path: str) -> list[str]:
        """Methods with which a path was asked for."""
        return [one.method for one in self.asked if one.path == path]


@contextlib.contextmanager
def serving(
    pages: Mapping[str, Page] | None = None, *, certificate: Path | None = None
) -> Iterator[Server]:
    """`certificate`: a PEM file with the key, for https."""
    with Server(pages or {}) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            server.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()


@dataclass
class Authority:
    """Signs certificates for tests; `file` is what a client must trust."""

    file: Path
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        made = self._begun(self._name("authority"), self._key.public_key(), 1).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file.write_bytes(
            made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )

    def certificate(self, file: Path, *, name: str, days: int = 1, own: bool = False) -> Path:
        """For a host name or an address, good for so many days from yesterday on; `own`: signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            entry: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            entry = x509.DNSName(name)
        subject = self._name(name)
        begun = self._begun(subject, key.public_key(), days, subject if own else None)
        made = begun.add_extension(x509.SubjectAlternativeName([entry]), critical=False).sign(
            key if own else self._key, hashes.SHA256()
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + made.public_bytes(pem))
        return file

    @staticmethod
    def _name(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def _begun(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        days: int,
        issuer: x509.Name | None = None,
    ) -> x509.CertificateBuilder:
        begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._name("authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=days + 0.5))
        )
