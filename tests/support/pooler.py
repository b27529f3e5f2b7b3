"""What stands between a program and PostgreSQL: a pooler in transaction mode, as far as it can be felt.

As PgBouncer does, it gives each client a process number of its own, and no client ever hears a notification. A
prepared statement would be looked for in another server process; here it ends the connection at once. With `refusing`,
LISTEN is an error, as with other poolers.
"""

import asyncio
import struct
import threading
from urllib.parse import parse_qs, urlsplit


class Pooler:
    """Listens on the loopback until it is closed."""

    def __init__(self, url: str, *, refusing: bool = False) -> None:
        self._server, self._refusing = urlsplit(url), refusing
        self.prepared = 0
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event
        self._port = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        name = self._server.path.strip("/")
        user = self._server.netloc.rpartition("@")[0]
        return f"{self._server.scheme}://{user}@127.0.0.1:{self._port}/{name}?sslmode=disable&gssencmode=disable"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)

    async def _listen(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if folder := parse_qs(self._server.query).get("host"):
            (port,) = parse_qs(self._server.query)["port"]
            return await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.{port}")
        return await asyncio.open_connection(self._server.hostname, self._server.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self._connect()
        try:
            (size,) = struct.unpack("!I", head := await reader.readexactly(4))
            back.write(head + await reader.readexactly(size - 4))
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, back, self._asked))
                both.create_task(self._pass_on(there, writer, self._answered))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            back.close()

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, change: object) -> None:
        assert callable(change)
        while True:
            kind = await source.readexactly(1)
            (size,) = struct.unpack("!I", await source.readexactly(4))
            body = change(kind, await source.readexactly(size - 4))
            if body is not None:
                target.write(kind + struct.pack("!I", len(body) + 4) + body)
                await target.drain()

    def _asked(self, kind: bytes, body: bytes) -> bytes | None:
        if kind == b"P" and body[0] != 0:
            self.prepared += 1
            raise ConnectionError
        if kind == b"Q" and body.startswith(b"LISTEN") and self._refusing:
            return b"SELECT listen_is_not_supported()\0"
        return body

    @staticmethod
    def _answered(kind: bytes, body: bytes) -> bytes | None:
        if kind == b"A":
            return None
        return struct.pack("!I", 1) + body[4:] if kind == b"K" else body
