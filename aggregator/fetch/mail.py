"""Mailboxes: over IMAP with TLS, and Maildirs. Read only: nothing is marked, moved or deleted.

A mailbox is opened with EXAMINE and read with BODY.PEEK (RFC 9051, 6.3.3 and 6.4.5), a Maildir by opening files.
What was read is remembered where the web has its validators: UIDVALIDITY and the last UID; of a Maildir the time of
its youngest file. So it is committed together with the entries that it vouches for.
"""

import asyncio
import errno
import os
import re
import socket
import stat
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aggregator.core.errors import BadStatus, Forbidden, Unreachable
from aggregator.core.model import FeedState, Fetched, NotModified, Validators
from aggregator.core.text.bundles import bundled
from aggregator.fetch.error_messages import describe_resolution
from aggregator.fetch.mail_limits import MAX_MESSAGE_BYTES, PER_POLL, Messages
from aggregator.fetch.ssrf import AddressPolicy

if TYPE_CHECKING:
    from aggregator.core.settings import Feed, Http
    from aggregator.core.values import Mailbox

OVERLAP_NS = 60 * 10**9  # files of a Maildir that may appear later than younger ones
MAX_FILES = 100_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class MailFetcher:
    """Fetches messages; see ports.Fetcher. `own_ports` are those on which this service listens."""

    def __init__(self, http: "Http", own_ports: Sequence[int] = ()) -> None:
        self._own_ports = tuple(own_ports)
        self.reconfigure(http)

    def reconfigure(self, http: "Http") -> None:
        """Apply other settings."""
        self._http = http
        self._policy = AddressPolicy(http.allow, self._own_ports)

    async def fetch(self, feed: "Feed", state: FeedState) -> Fetched | NotModified:
        """Return the messages that came since the last poll, as one bundle. Raises FetchError."""
        from aggregator.core.values import mailbox, maildir

        seen = state.validators.etag if state.validators else None
        folder, box = maildir(feed.url), mailbox(feed.url)
        if folder is not None:
            found = await asyncio.to_thread(_read_maildir, Path(folder), seen, feed.url)
        elif box is not None:
            found = await self._read(feed, box, seen)
        else:
            raise Forbidden("this is no address of mail", url=feed.url, transient=False)
        if found is None:
            return NotModified(url=state.url)
        messages, mark = found
        return Fetched(
            url=state.url,
            status=200,
            body=bundled(messages),
            validators=Validators(url=state.url, etag=mark),
            delta=True,
        )

    async def _read(self, feed: "Feed", box: "Mailbox", seen: str | None) -> tuple[Messages, str] | None:
        """Read a mailbox within the time that a request may take."""
        if feed.proxy or self._http.proxy:
            raise Forbidden("mail is not read through a proxy; remove `proxy`", url=feed.url, transient=False)
        password = feed.auth.password.get_secret_value() if feed.auth and feed.auth.password else ""
        user = box.user or (feed.auth.user if feed.auth and feed.auth.user else "")
        if _CONTROL.search(user + password + box.folder):
            raise Forbidden("user, password or folder contain control characters", url=feed.url, transient=False)
        from aggregator.fetch.imap import ImapSession  # loads a client that few services need

        session = ImapSession(box, user, password, feed, self._http)
        try:
            async with asyncio.timeout(self._http.timeout_s):
                sock = await self._connected(box, feed)
                session.sock = sock
                return await asyncio.to_thread(session.read, seen)
        except TimeoutError:
            raise Unreachable(
                f"{box.host}: no complete answer within {self._http.timeout_s:g} s", url=feed.url, connected=True
            ) from None
        finally:
            session.close()

    async def _connected(self, box: "Mailbox", feed: "Feed") -> socket.socket:
        """Connect to an address that the policy permits: the very one that was checked. Raises FetchError."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(box.host, box.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise describe_resolution(error, host=box.host, url=feed.url, hops=()) from error
        given = self._policy.given_to(box.host, box.port, tuple(str(info[4][0]) for info in found))
        refusals = [self._policy.refusal(str(info[4][0]), box.port, box.host, given) for info in found]
        permitted = [info for info, refusal in zip(found, refusals, strict=True) if refusal is None]
        if not permitted:
            raise Forbidden(f"{box.host}: {refusals[0]}", url=feed.url, transient=False)
        problem: OSError | None = None
        for family, kind, proto, _, place in permitted:
            sock = socket.socket(family, kind, proto)
            try:
                sock.setblocking(False)
                async with asyncio.timeout(self._http.connect_timeout_s):
                    await loop.sock_connect(sock, place)
            except (OSError, TimeoutError) as error:
                sock.close()
                problem = error if isinstance(error, OSError) else OSError("the connection timed out")
            except BaseException:
                sock.close()
                raise
            else:
                if box.port in self._policy.own_ports and sock.getsockname()[0] == sock.getpeername()[0]:
                    sock.close()
                    raise Forbidden(f"{box.host}: this is the service itself", url=feed.url, transient=False)
                return sock
        why = (problem and (problem.strerror or str(problem))) or "cannot be reached"
        raise Unreachable(f"{box.host}: {why.lower()}", url=feed.url) from problem


# --- Maildir -------------------------------------------------------------------------------------


class _File(NamedTuple):
    changed_ns: int
    name: str
    path: Path


def _read_maildir(folder: Path, seen: str | None, url: str) -> tuple[Messages, str] | None:
    """Return messages that came since, oldest first; None: none did. Raises FetchError."""
    try:
        files = _files(folder)
    except NotADirectoryError:
        raise BadStatus(f"{folder} is not a Maildir; it has no folder new", status=404, url=url) from None
    except OSError as error:
        raise Unreachable(f"{folder} cannot be read: {error.strerror}", url=url) from error
    mark = re.fullmatch(r"(\d+) ([0-9a-f]+)", seen or "")
    if mark is None:
        chosen = files[-PER_POLL:]
    else:
        since = int(mark[1])
        late, new = _around(files, since), [one for one in files if one.changed_ns > since]
        if not new and _digest(late) == mark[2]:
            return None
        chosen = [*late[-PER_POLL:], *new[:PER_POLL]]
    messages: Messages = []
    for one in chosen:
        try:
            data = _content(one.path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):
                continue  # moved meanwhile: it is met under its other name
            # Passed over, it would never be read: the mark is one time for all.
            raise Unreachable(f"{one.path} cannot be read: {error.strerror}", url=url) from error
        if data is not None:
            messages.append((one.name, data))
    end = max((one.changed_ns for one in chosen), default=int(mark[1]) if mark else 0)
    return messages, f"{end} {_digest(_around(files, end))}"


def _around(files: Sequence[_File], end: int) -> list[_File]:
    """Return the files that came shortly before the mark: one may have appeared there since."""
    return [one for one in files if end - OVERLAP_NS < one.changed_ns <= end]


def _files(folder: Path) -> list[_File]:
    """Return the files of a Maildir by the time at which they came there, the oldest first."""
    if not (folder / "new").is_dir():
        if not folder.exists():
            raise FileNotFoundError(2, "there is no such folder")
        raise NotADirectoryError
    found = []
    for part in ("new", "cur"):
        if not (folder / part).is_dir():
            continue
        with os.scandir(folder / part) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file(follow_symlinks=False):
                    continue
                changed = entry.stat(follow_symlinks=False).st_ctime_ns
                found.append(_File(changed, entry.name.partition(":2,")[0], Path(entry.path)))
                if len(found) > MAX_FILES:
                    raise OSError(0, f"it holds more than {MAX_FILES:,} messages")
    return sorted(found)


def _content(path: Path) -> bytes | None:
    """Return the beginning of a regular file; None for anything else that has its name by now."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        return file.read(MAX_MESSAGE_BYTES) if stat.S_ISREG(os.fstat(handle).st_mode) else None


def _digest(files: Sequence[_File]) -> str:
    names = "\0".join(sorted(one.name for one in files))
    return blake2b(names.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
