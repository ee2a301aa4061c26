"""A small name server on loopback, UDP and TCP, that says what a test wants, or keeps silent."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

#: What a name does instead of answering; stands for every type.
SILENT = "silent"
Zone = Mapping[
    str, Mapping[str, Sequence[str]] | str
]  #: name → type → records, or SILENT, or an RCODE
_MOST = 512  # bytes of an answer over UDP


def text(value: str) -> str:
    """A TXT record in strings of at most 255 bytes, as zone files have it."""
    return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))


class NameServer:
    """`asked` are the questions so far, as (name, type). Knows the root unless the zone has another one."""

    def __init__(self, zone: Zone) -> None:
        self.asked: list[tuple[str, str]] = []
        self.tcp = 0  #: questions that came over TCP
        root: Zone = {".": {"NS": ["a.root-servers.net."]}}
        self._zone = {name.lower(): records for name, records in {**root, **zone}.items()}
        self._servers, self.port = _bound(self)
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,)) for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def resolver(self) -> dns.resolver.Resolver:
        """One that asks here and nowhere else."""
        made = dns.resolver.Resolver(configure=False)
        made.nameservers = ["127.0.0.1"]
        made.port = self.port
        return made

    def answer(self, wire: bytes, most: int) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query, recursion_available=True)
        seen = 0
        while True:
            here = self._zone.get(name)
            if here == SILENT:
                return None
            if isinstance(here, str):
                response.set_rcode(dns.rcode.from_text(here))
                break
            if here is None:
                if not any(known.endswith("." + name) for known in self._zone):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                break
            found = kind if kind in here else "CNAME"
            if here.get(found) == SILENT:
                return None
            if records := here.get(found):
                quoted = [text(one) for one in records] if found == "TXT" else records
                owner = name.rstrip(".") + "."
                response.answer.append(dns.rrset.from_text(owner, 60, "IN", found, *quoted))
            if found == kind or not records or seen > 8:
                break
            name, seen = records[0].rstrip(".").lower(), seen + 1
        try:
            return response.to_wire(max_size=most)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, sock = self.request
        if answer := self.server.owner.answer(wire, _MOST):  # type: ignore[attr-defined]
            sock.sendto(answer, self.client_address)


class _Tcp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(5)
        file = self.request.makefile("rb")
        while len(head := file.read(2)) == 2:
            wire = file.read(struct.unpack("!H", head)[0])
            self.server.owner.tcp += 1  # type: ignore[attr-defined]
            if answer := self.server.owner.answer(wire, 65535):  # type: ignore[attr-defined]
                self.request.sendall(struct.pack("!H", len(answer)) + answer)
        file.close()


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


def _bound(owner: NameServer) -> tuple[list[Any], int]:
    """Both servers on one free port."""
    for _ in range(20):
        tcp = _TcpServer(("127.0.0.1", 0), _Tcp)
        port = tcp.server_address[1]
        try:
            udp = socketserver.UDPServer(("127.0.0.1", port), _Udp)
        except OSError:
            tcp.server_close()
            continue
        for server in (tcp, udp):
            server.owner = owner  # type: ignore[attr-defined]
        return [tcp, udp], port
    raise OSError("no port is free for both UDP and TCP")


@contextlib.contextmanager
def serving(zone: Zone) -> Iterator[NameServer]:
    server = NameServer(zone)
    try:
        yield server
    finally:
        server.close()


def closed_port() -> int:
    """A UDP port that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
