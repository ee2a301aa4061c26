"""An SMTP sink that writes down every message at the moment at which it becomes its own.

A process of its own, so that it outlives the senders that are killed:
`python -m tests.reliability.sink RECORD [--port N] [--seed N] [--<fault> SHARE]…` prints its port. A line
of RECORD is `<recipient>\t<Message-ID>\t<name in EHLO>\t<remark>`, written before the last answer leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import zlib
from pathlib import Path

_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.MULTILINE | re.IGNORECASE)
UNANSWERED = "unanswered"  #: remark: taken, and the sender can't know it
MISDIRECTED = "misdirected"  #: remark: the message's To is somebody else
FAULTS = {
    "cut-before-data": "close the connection at RCPT",
    "cut-in-data": "close it in the middle of a message",
    "cut-after-dot": "take the message, and close without answering",
    "drop-after-dot": "close without answering and without having taken it",
    "later-at-rcpt": "450 at RCPT",
    "later-after-dot": "451 after the final dot",
    "busy": "421 at MAIL, and close",
    "refuse": "550 at RCPT, each time for the same people",
}


def refused(recipient: str, share: float) -> bool:
    """Whether these people are among those who are refused: by name, so that both sides know."""
    return zlib.crc32(recipient.encode()) % 1000 < share * 1000


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.buffer = bytearray()
        self.body = False
        self.recipient = ""
        self.client = ""
        self.cut_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while not self.transport.is_closing():
            if self.body:
                if self.cut_in and len(self.buffer) > 2000:
                    self.transport.abort()
                    return
                end = self.buffer.find(b"\r\n.\r\n")
                if end < 0:
                    return
                message = bytes(self.buffer[:end])
                del self.buffer[: end + 5]
                self.body = False
                self.dot(message)
                continue
            end = self.buffer.find(b"\r\n")
            if end < 0:
                return
            line = bytes(self.buffer[:end])
            del self.buffer[: end + 2]
            self.command(line)

    def command(self, line: bytes) -> None:
        verb = line[:4].upper()
        draw = self.record.draws
        if verb in (b"EHLO", b"HELO"):
            self.client = line[5:].decode("ascii", "replace").strip()
            self.transport.write(b"250-sink\r\n250 PIPELINING\r\n")
        elif verb == b"MAIL":
            if draw("busy"):
                self.transport.write(b"421 4.3.2 busy\r\n")
                self.transport.close()
                return
            self.transport.write(b"250 ok\r\n")
        elif verb == b"RCPT":
            self.recipient = line.split(b"<", 1)[1].split(b">", 1)[0].decode()
            if refused(self.recipient, self.record.shares.get("refuse", 0)):
                self.recipient = ""
                self.transport.write(b"550 5.1.1 no such user\r\n")
            elif draw("cut-before-data"):
                self.transport.abort()
            elif draw("later-at-rcpt"):
                self.recipient = ""
                self.transport.write(b"450 4.2.0 later\r\n")
            else:
                self.transport.write(b"250 ok\r\n")
        elif verb == b"DATA":
            if not self.recipient:
                self.transport.write(b"503 5.5.1 nobody\r\n")
                return
            self.body = True
            self.cut_in = draw("cut-in-data")
            self.transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 ok\r\n")

    def dot(self, message: bytes) -> None:
        draw = self.record.draws
        if draw("drop-after-dot"):
            self.transport.abort()
            return
        if draw("later-after-dot"):
            self.transport.write(b"451 4.3.0 later\r\n")
            return
        found = _ID.search(message)
        head = message[: message.find(b"\r\n\r\n")]
        cut = draw("cut-after-dot")
        remark = UNANSWERED if cut else ""
        if self.recipient.encode() not in head:
            remark = MISDIRECTED
        self.record.write(self.recipient, found[1].decode() if found else "", self.client, remark)
        if cut:
            self.transport.abort()
            return
        self.transport.write(b"250 2.0.0 taken\r\n")


class Record:
    """What was taken, and the dice."""

    def __init__(self, path: Path, seed: int, shares: dict[str, float]) -> None:
        self.file = path.open("ab", buffering=0)
        self.random = random.Random(seed)
        self.shares = {name: share for name, share in shares.items() if share}

    def draws(self, fault: str) -> bool:
        share = self.shares.get(fault)
        return share is not None and self.random.random() < share

    def write(self, *fields: str) -> None:
        self.file.write(("\t".join(fields) + "\n").encode())


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("record", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    for name, what in FAULTS.items():
        parser.add_argument(f"--{name}", type=float, default=0, help=what)
    given = vars(parser.parse_args())
    shares = {name: given[name.replace("-", "_")] for name in FAULTS}
    record = Record(given["record"], given["seed"], shares)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Sink(record), "127.0.0.1", given["port"], backlog=200, reuse_address=True
    )
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
