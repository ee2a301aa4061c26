"""An HTTP sink that reads each request and answers 202: `python -m bench.http_sink PORT`."""

from __future__ import annotations

import asyncio
import re
import sys

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: sink\r\nContent-Length: 0\r\n\r\n"


class Sink(asyncio.Protocol):
    """One connection; a request's body is counted, not kept."""

    def __init__(self) -> None:
        self.head = b""
        self.left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if not self.left:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(self.head[:end])
            self.left = int(found[1]) if found else 0
            data, self.head = self.head[end + 4 :], b""
        self.left -= len(data)
        if self.left <= 0:
            self.left = 0
            self.transport.write(_ANSWER)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
