"""Names to addresses, and addresses past the address policy: what is found here is all that may be dialled.

The system's name resolution cannot be interrupted, so it runs in threads. They are daemons, unlike those of
concurrent.futures: a resolver that hangs must not keep the process from ending.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from queue import SimpleQueue
from threading import Thread
from typing import Generic, NamedTuple, TypeVar

from aggregator.core.errors import Forbidden
from aggregator.core.text.urls import is_ip_address
from aggregator.fetch import ssrf
from aggregator.fetch.ssrf import AddressPolicy
from aggregator.fetch.url import ParsedUrl

RESOLVERS = 32
NAME_TTL_S = 60.0
MAX_CACHED_NAMES = 4096

Given = frozenset[ssrf.Entry]
Resolved = TypeVar("Resolved")


class _Lookup(NamedTuple, Generic[Resolved]):
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Resolved]
    host: str
    port: int


class ResolverPool(Generic[Resolved]):
    """Up to `most` threads that call `look_up`, started as they are needed."""

    def __init__(self, most: int, look_up: Callable[[str, int], Resolved]) -> None:
        self._most = most
        self._look_up = look_up
        self._questions: SimpleQueue[_Lookup[Resolved] | None] = SimpleQueue()
        self._threads = self._open = 0

    async def ask(self, host: str, port: int) -> Resolved:
        """Return the result of `look_up`, or raise its exception."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Resolved] = loop.create_future()
        self._open += 1
        if self._threads < min(self._open, self._most):
            self._threads += 1
            Thread(target=self._work, name=f"dns {self._threads}", daemon=True).start()
        self._questions.put(_Lookup(loop, answer, host, port))
        return await answer

    def close(self) -> None:
        """Let idle threads end; nobody waits for the others."""
        while not self._questions.empty():
            self._questions.get()
        for _ in range(self._threads):
            self._questions.put(None)

    def _work(self) -> None:
        while question := self._questions.get():
            answer = question.answer
            settle: Callable[[], object] = answer.cancel
            if not answer.cancelled():
                try:
                    settle = partial(answer.set_result, self._look_up(question.host, question.port))
                except Exception as error:  # noqa: BLE001 -- raised again where the answer is awaited
                    settle = partial(answer.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed, so nothing waits for the result
                question.loop.call_soon_threadsafe(self._settle, answer, settle)

    def _settle(self, answer: asyncio.Future[Resolved], settle: Callable[[], object]) -> None:
        self._open -= 1
        if not answer.cancelled():
            settle()


class Resolver:
    """Finds the addresses that may be dialled; resolved names are kept for a minute.

    What it returns is what sockets are opened to: a name that resolves differently the next time cannot slip by,
    because there is no next time between the check and the connection.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self.policy = policy
        self._names: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._threads = ResolverPool(RESOLVERS, lambda host, port: _look_up(host, port))

    def close(self) -> None:
        self._threads.close()

    async def given_to(self, home: ParsedUrl, deadline: float) -> Given:
        """Return what `http.allow` opens to a feed that is configured at `home`."""
        if not self.policy.all_entries:
            return frozenset()
        try:
            found = await self.trusted(home, deadline)
        except OSError:
            found = ()
        return self.policy.given_to(home.host, home.port, found)

    async def permitted(self, address: ParsedUrl, given: Given, deadline: float) -> tuple[str, ...]:
        """Return the addresses of `address` that may be dialled with what `allow` opens.

        Raises Forbidden, OSError (socket.gaierror if there is no such name), TimeoutError.
        """
        return self._passed(await self.trusted(address, deadline), address, given)

    async def trusted(self, address: ParsedUrl, deadline: float) -> tuple[str, ...]:
        """Return all addresses, as for the operator's own proxy, which needs no check. Raises OSError, TimeoutError."""
        found = numeric(address.host)
        return (found,) if found else await self._resolve(address.host, address.port, deadline)

    def check_name(self, address: ParsedUrl, given: Given) -> tuple[str, ...]:
        """Check what can be checked of an address that a proxy will resolve; return it if numeric. Raises Forbidden."""
        if address.host.rstrip(".").rpartition(".")[2] == "localhost":
            raise Forbidden(f"{address.host}: this is the proxy itself", url=address.text, transient=False)
        found = numeric(address.host)
        return self._passed((found,), address, given) if found else ()

    def _passed(self, found: Sequence[str], address: ParsedUrl, given: Given) -> tuple[str, ...]:
        if len(found) == 1 and self.policy.refusal(found[0], address.port, address.host, given) is None:  # nearly all
            return (found[0],)
        refusals = [self.policy.refusal(one, address.port, address.host, given) for one in found]
        passed = tuple(one for one, refusal in zip(found, refusals, strict=True) if refusal is None)
        if not passed:
            raise Forbidden(f"{address.host}: {refusals[0]}", url=address.text, transient=False)
        return passed

    async def _resolve(self, host: str, port: int, deadline: float) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        until, found = self._names.get(host, (0.0, ()))
        if until < loop.time():
            async with asyncio.timeout_at(deadline):
                found = tuple(dict.fromkeys(await self._threads.ask(host, port)))
            if len(self._names) >= MAX_CACHED_NAMES:
                self._names.clear()
            self._names[host] = (loop.time() + NAME_TTL_S, found)
        return found


@lru_cache(maxsize=16_384)
def numeric(host: str) -> str | None:
    """Return the address meant by `127.1`, `0x7f000001`, `::1` …, as the system's own functions read it.

    A dot at its end is dropped, as a proxy may drop it (WHATWG URL, "ends in a number").
    """
    host = host.rstrip(".")
    if is_ip_address(host) and ":" not in host:
        return host
    try:
        return str(ssrf.parse_ip(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(place[0]) for *_, place in found]
