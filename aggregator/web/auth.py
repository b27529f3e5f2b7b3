"""Authentication: password, token, sessions, and the limit on guessing. Nothing here is written to disk."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from aggregator.core.errors import AggregatorError
from aggregator.core.settings import Web
from aggregator.core.values import WeakSpot, weak_spot
from aggregator.web.origins import is_loopback, split_listen

SESSION_IDLE = timedelta(days=7)
SESSION_LIFE = timedelta(days=30)
MAX_SESSIONS = 1000
MAX_PASSWORD_BYTES = 4096  # argon2id reads every byte; a cap only bounds the work of a hostile form
ATTEMPTS, ATTEMPTS_WINDOW = 5, timedelta(minutes=5)
FIRST_WAIT_S, MAX_WAIT_S = 2.0, 60.0
ATTEMPTS_OF_ALL, QUEUE_S = 30, 0.5
# A wrong token costs no argon2: after this many, a source gets at most one response in this many seconds.
GUESSES_FREE, GUESS_S, GUESSES_COUNTED = 20, 0.05, 1000
TELL_EVERY = timedelta(minutes=1)
MAX_SOURCES = 10_000
HASHED = "$argon2id$"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials as configured; `password` may be an argon2id hash instead of the words."""

    password: str | None
    token: str | None

    @classmethod
    def of(cls, web: Web) -> "Credentials":
        return cls(
            web.password.get_secret_value() or None if web.password else None,
            web.token.get_secret_value() or None if web.token else None,
        )

    @property
    def any(self) -> bool:
        return bool(self.password or self.token)


class Authenticator:
    """Checks credentials against the running configuration; a changed password ends all sessions."""

    def __init__(self, web: Callable[[], Web]) -> None:
        self._web = web
        self._hasher = PasswordHasher()
        self._hashed: tuple[str, str] | None = None
        self._one_at_a_time = asyncio.Lock()

    def secrets(self) -> Credentials:
        return Credentials.of(self._web())

    def closed(self) -> bool:
        """Tell whether a credential is required."""
        return self.secrets().any

    def require_for(self, listen: str) -> None:
        """Check credentials; raises AggregatorError if a reachable site would have none, or a weak one."""
        if weak := self.weak_for(listen):
            raise AggregatorError(f"{listen} is not a loopback address, and {weak.wrong}; {weak.hint}")

    def weak_for(self, listen: str) -> WeakSpot | None:
        """Return why this address may not be served with the present credentials."""
        known = self.secrets()
        return None if is_loopback(split_listen(listen)[0]) else weak_spot(known.password, known.token)

    def era(self) -> bytes:
        """Return a value that changes with the credentials; sessions of another era are dead."""
        known = self.secrets()
        return _digest(f"{known.password}\0{known.token}")

    def knows_token(self, shown: str) -> bool:
        """Compare in constant time, by equal-length digests."""
        token = self.secrets().token
        return token is not None and hmac.compare_digest(_digest(shown), _digest(token))

    async def knows_password(self, shown: str) -> bool:
        """Check argon2id in a thread, one at a time: each check costs 64 MiB for its moment.

        If only a token is configured, people log in with it.
        """
        known = self.secrets()
        if len(shown.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES or not known.any:
            return False
        if known.password is None:
            return self.knows_token(shown)
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._verify, known.password, shown)

    def _verify(self, password: str, shown: str) -> bool:
        if password.startswith(HASHED):
            hashed = password
        else:
            if self._hashed is None or self._hashed[0] != password:
                self._hashed = (password, self._hasher.hash(password))
            hashed = self._hashed[1]
        try:
            return self._hasher.verify(hashed, shown)
        except (VerificationError, InvalidHashError):
            return False


@dataclass(slots=True)
class _LoginSession:
    era: bytes
    began_at: datetime
    seen_at: datetime


class Sessions:
    """Sessions, in memory only; the cookie is a random name of 256 bits, kept only as a digest."""

    def __init__(self) -> None:
        self._live: OrderedDict[bytes, _LoginSession] = OrderedDict()

    def begin(self, now: datetime, era: bytes) -> str:
        """Begin a session; return the cookie's value. The oldest is dropped if there are too many."""
        name = secrets.token_urlsafe(32)
        self._live[_digest(name)] = _LoginSession(era, now, now)
        while len(self._live) > MAX_SESSIONS:
            self._live.popitem(last=False)
        return name

    def alive(self, name: str, now: datetime, era: bytes, *, used: bool = True) -> bool:
        """Tell whether a session goes on; `used`: and that it is used now."""
        session = self._live.get(_digest(name))
        if session is None:
            return False
        if session.era != era or now - session.seen_at > SESSION_IDLE or now - session.began_at > SESSION_LIFE:
            self.end(name)
            return False
        if used:
            session.seen_at = now
        return True

    def end(self, name: str) -> None:
        self._live.pop(_digest(name), None)


class Guesses:
    """Count recent wrong credentials by source, log them now and then, and slow the source down.

    Nobody is turned away here; a right credential is not counted.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._detail: dict[str, tuple[datetime, int]] = {}
        self._lane = asyncio.Lock()

    def failed(self, source: str, now: datetime) -> int:
        """Count a wrong one; return how many there were in the last minutes."""
        key = neighbourhood(source)
        failures = self._failures.setdefault(key, deque(maxlen=GUESSES_COUNTED))
        self._failures.move_to_end(key)
        failures.append(now)
        while len(self._failures) > MAX_SOURCES:
            forgotten, _ = self._failures.popitem(last=False)
            self._detail.pop(forgotten, None)
        return self.count(source, now)

    def count(self, source: str, now: datetime) -> int:
        """Return how many there were in the last minutes."""
        failures = self._failures.get(neighbourhood(source), deque())
        while failures and now - failures[0] >= ATTEMPTS_WINDOW:
            failures.popleft()
        return len(failures)

    def last_at(self, source: str) -> datetime:
        """Return when the last one was shown; only if `count` is not 0."""
        return self._failures[neighbourhood(source)][-1]

    def to_tell(self, source: str, now: datetime) -> int:
        """Return how many to log; 0: this source was logged a moment ago, with more than a tenth of them."""
        key, count = neighbourhood(source), self.count(source, now)
        if (detail := self._detail.get(key)) is not None and now - detail[0] < TELL_EVERY and count < 10 * detail[1]:
            return 0
        self._detail[key] = now, count
        return count

    def forget(self, source: str) -> None:
        self._failures.pop(neighbourhood(source), None)

    def everywhere(self, now: datetime) -> int:
        """Return how many there were from everywhere."""
        for key in list(self._failures):
            if not self.count(key, now):
                del self._failures[key]
                self._detail.pop(key, None)
        return sum(map(len, self._failures.values()))

    async def slow_down(self, count: int) -> None:
        """Delay a source with many wrong ones, one request after the other, in order of arrival."""
        if count > GUESSES_FREE:
            async with self._lane:
                await asyncio.sleep(GUESS_S)


def neighbourhood(source: str) -> str:
    """Return the unit of counting: an address, or the /64 network that a single IPv6 host may have for itself."""
    address = as_address(source)
    if address is None or address.version == 4:
        return str(address or source)
    return str(ip_network((address, 64), strict=False))


def as_address(source: str) -> IPv4Address | IPv6Address | None:
    """Return an address as it is meant: a socket for both families shows those of IPv4 inside of IPv6."""
    try:
        address = ip_address(source)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if address.version == 6 else address


class LoginLimiter:
    """The limit on guessing passwords, of one address or one browser: five wrong ones in five minutes are free.

    From then on each wrong one doubles the wait, up to LONGEST_WAIT_S: who knows the password waits for seconds,
    and who tries a word list for years.

    A browser that somebody logged in with before has a count of its own, so that guesses of others behind the same
    address do not lock its owner out. Guesses from many addresses lock nobody out: they only slow each other down.
    """

    def __init__(self) -> None:
        self._guesses = Guesses()
        self._browsers: OrderedDict[bytes, None] = OrderedDict()
        self._lane = asyncio.Lock()

    def wait_s(self, source: str, now: datetime) -> float:
        """Return the seconds until this source may try again; 0: now."""
        over = self._guesses.count(source, now) - ATTEMPTS
        if over < 0:
            return 0.0
        waited_s = (now - self._guesses.last_at(source)).total_seconds()
        return max(0.0, min(FIRST_WAIT_S * 2.0**over, MAX_WAIT_S) - waited_s)

    def failed(self, source: str, now: datetime) -> None:
        self._guesses.failed(source, now)

    def to_tell(self, source: str, now: datetime) -> int:
        return self._guesses.to_tell(source, now)

    def succeeded(self, source: str) -> None:
        self._guesses.forget(source)

    def source(self, address: str, browser: str | None) -> str:
        """Return the source whose attempts are counted together."""
        known = browser is not None and _digest(browser) in self._browsers
        return f"browser {_digest(browser or '').hex()}" if known else address

    def remember_browser(self) -> str:
        """Name a browser that has logged in. The oldest is forgotten if there are too many."""
        name = secrets.token_urlsafe(32)
        self._browsers[_digest(name)] = None
        while len(self._browsers) > MAX_SESSIONS:
            self._browsers.popitem(last=False)
        return name

    async def queue(self, source: str, now: datetime) -> None:
        """Queue attempts of unknown browsers if many are guessing."""
        if self._guesses.everywhere(now) > ATTEMPTS_OF_ALL and not source.startswith("browser "):
            async with self._lane:
                await asyncio.sleep(QUEUE_S)
