"""Who may enter: password, token, sessions, and the limit on guessing. Nothing here is written to disk."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from aggregator.core.errors import AggregatorError
from aggregator.core.settings import Web, weak_spot
from aggregator.web.hosts import is_loopback, split_listen

SESSION_IDLE = timedelta(days=7)
SESSION_LIFE = timedelta(days=30)
MAX_SESSIONS = 1000
MAX_PASSWORD_BYTES = 4096  # argon2id reads every byte; a cap only bounds the work of a hostile form
ATTEMPTS, ATTEMPTS_WINDOW = 5, timedelta(minutes=5)
ATTEMPTS_OF_ALL = 30
HASHED = "$argon2id$"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Secrets:
    """The credentials as configured; `password` may be an argon2id hash instead of the words."""

    password: str | None
    token: str | None

    @classmethod
    def of(cls, web: Web) -> "Secrets":
        return cls(
            web.password.get_secret_value() or None if web.password else None,
            web.token.get_secret_value() or None if web.token else None,
        )

    @property
    def any(self) -> bool:
        return bool(self.password or self.token)


class Doorkeeper:
    """Checks credentials against the running configuration; a changed password ends all sessions."""

    def __init__(self, web: Callable[[], Web]) -> None:
        self._web = web
        self._hasher = PasswordHasher()
        self._hashed: tuple[str, str] | None = None
        self._one_at_a_time = asyncio.Lock()

    def secrets(self) -> Secrets:
        return Secrets.of(self._web())

    def closed(self) -> bool:
        """Whether anybody must show a credential."""
        return self.secrets().any

    def require_for(self, listen: str) -> None:
        """Raises AggregatorError where a site that others can reach would ask for nothing, or for a guess."""
        known = self.secrets()
        if not is_loopback(split_listen(listen)[0]) and (weak := weak_spot(known.password, known.token)):
            raise AggregatorError(f"{listen} can be reached by others, and {weak.wrong}; {weak.hint}")

    def era(self) -> bytes:
        """Changes with the credentials; sessions of another era are dead."""
        known = self.secrets()
        return _digest(f"{known.password}\0{known.token}")

    def knows_token(self, shown: str) -> bool:
        """In constant time, by equal-length digests."""
        token = self.secrets().token
        return token is not None and hmac.compare_digest(_digest(shown), _digest(token))

    async def knows_password(self, shown: str) -> bool:
        """argon2id in a thread, one at a time: each check costs 64 MiB for its moment.

        Where only a token is configured, people log in with it.
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
class _Session:
    era: bytes
    began_at: datetime
    seen_at: datetime


class Sessions:
    """Sessions live here and die here; the cookie is a random name of 256 bits, kept only as a digest."""

    def __init__(self) -> None:
        self._live: OrderedDict[bytes, _Session] = OrderedDict()

    def begin(self, now: datetime, era: bytes) -> str:
        """A new session; gives the cookie's value. The oldest is dropped where there are too many."""
        name = secrets.token_urlsafe(32)
        self._live[_digest(name)] = _Session(era, now, now)
        while len(self._live) > MAX_SESSIONS:
            self._live.popitem(last=False)
        return name

    def alive(self, name: str, now: datetime, era: bytes) -> bool:
        session = self._live.get(_digest(name))
        if session is None:
            return False
        if session.era != era or now - session.seen_at > SESSION_IDLE or now - session.began_at > SESSION_LIFE:
            self.end(name)
            return False
        session.seen_at = now
        return True

    def end(self, name: str) -> None:
        self._live.pop(_digest(name), None)


class Throttle:
    """Counts failed logins by address and in all; a right password is refused too while the limit holds."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[datetime]] = {}

    def wait_s(self, address: str, now: datetime) -> float:
        """Seconds until this address may try again; 0: now."""
        self._forget(now)
        mine = self._failures.get(address, deque())
        everyone = sorted(at for failures in self._failures.values() for at in failures)
        waits = [mine[0] + ATTEMPTS_WINDOW - now] if len(mine) >= ATTEMPTS else []
        if len(everyone) >= ATTEMPTS_OF_ALL:
            waits.append(everyone[-ATTEMPTS_OF_ALL] + ATTEMPTS_WINDOW - now)
        return max((wait.total_seconds() for wait in waits), default=0.0)

    def failed(self, address: str, now: datetime) -> None:
        self._failures.setdefault(address, deque(maxlen=ATTEMPTS)).append(now)

    def succeeded(self, address: str) -> None:
        self._failures.pop(address, None)

    def _forget(self, now: datetime) -> None:
        for address, failures in list(self._failures.items()):
            while failures and now - failures[0] >= ATTEMPTS_WINDOW:
                failures.popleft()
            if not failures:
                del self._failures[address]
