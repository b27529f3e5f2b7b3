"""Registry of running processes: each leaves a note beside the database and keeps it locked while it lives.

The lock holds across containers and PID namespaces, where a process number says nothing: a note without a lock
belongs to a process that is dead.
"""

import json
import logging
import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from aggregator.app.paths import database_url
from aggregator.config import state_directory
from aggregator.core.model import Process

if TYPE_CHECKING:
    from aggregator.core.settings import Config

try:
    import fcntl
except ImportError:  # not on Windows: there, nothing is known
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

REPLY_TIMEOUT_S = 3.0
_REGISTRY = "service-*.json"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask, not where to listen


def registry_folder(config: "Config") -> Path:
    """Return the folder of notes: beside the database's file, else in the state folder."""
    backend, _, path = database_url(config).partition(":///")
    return Path(path.partition("?")[0]).parent if backend == "sqlite" else state_directory()


@contextmanager
def register(folder: Path, process: Process, owner: str = "") -> Iterator[None]:
    """Leave a note while the context lasts; the kernel unlocks it however we end. `owner`: of this process's leases."""
    path = folder / f"service-{process.pid}-{token_hex(4)}.json"
    unready = path.with_suffix(".new")  # nobody looks at it before it is locked and whole
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # with PostgreSQL nothing else may be kept there
        _tidy(folder)
        mine_only = os.open(unready, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        file = os.fdopen(mine_only, "w", encoding="utf-8")
    except OSError as error:
        log.warning("this process will not appear in `aggregator status`: %s: %s", path, error.strerror)
        yield
        return
    with file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        from aggregator.core.schemas import process_json

        json.dump(process_json(process) | {"owner": owner}, file)
        file.flush()
        unready.rename(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running_processes(folder: Path) -> tuple[Process, ...]:
    """Return the processes of the service on this machine, the oldest first."""
    found = []
    for path in folder.glob(_REGISTRY):
        with suppress(OSError, ValueError, KeyError, TypeError), path.open(encoding="utf-8") as file:
            if not _is_held(file):
                continue
            said = json.load(file)
            started_at = datetime.fromisoformat(said["started_at"])
            roles = tuple(map(str, said["roles"]))
            found.append(Process(pid=int(said["pid"]), started_at=started_at, roles=roles, page=said["page"]))
    return tuple(sorted(found, key=lambda process: process.started_at))


def loops_of(process: Process) -> Mapping[str, bool] | None:
    """Return which loops of a process are healthy, by its own report; None if it has no page, or says nothing."""
    address = urlsplit(process.page or "")
    if not address.hostname or not address.port:
        return None
    with suppress(OSError):
        return loops_at(address.hostname, address.port)
    return None


def loops_at(host: str, port: int) -> Mapping[str, bool] | None:
    """Return which loops are healthy at an address; None if something else answers. Raises ConnectionRefusedError."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(_ANYWHERE.get(host, host), port, timeout=REPLY_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        answer = json.loads(connection.getresponse().read(65_536))
        return {str(name): bool(well) for name, well in answer["loops"].items()}
    except ConnectionRefusedError:
        raise
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return None
    finally:
        connection.close()


def this_process(started_at: datetime, roles: frozenset[str], page: str | None) -> Process:
    """Return this process."""
    return Process(pid=os.getpid(), started_at=started_at, roles=tuple(sorted(roles)), page=page)


def _tidy(folder: Path) -> None:
    """Remove the notes of dead processes."""
    for path in folder.glob(_REGISTRY):
        with suppress(OSError):
            with path.open(encoding="utf-8") as file:
                held = _is_held(file)
            if not held:
                path.unlink(missing_ok=True)


def _is_held(file: IO[str]) -> bool:
    if not fcntl:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def new_owner() -> str:
    """Return `host:boot:namespace:pid:token`: names this run of this process, on any machine and in any container.

    `boot` and `namespace` are the kernel's; empty if it tells neither (macOS, Windows).
    """
    return ":".join((*_here(), str(os.getpid()), token_hex(4)))


def dead_owners(owners: Iterable[str], folder: Path) -> tuple[str, ...]:
    """Return those of `owners` that are no longer alive, as far as that can be known.

    Known are those of this PID namespace since this boot, by their number, and those that left a note in `folder`
    without its lock. A number that another program took over meanwhile counts as alive. Leases of all others run out
    by themselves.
    """
    wanted = frozenset(owners)
    left = _owners_that_left(folder) if wanted else ()
    return tuple(sorted(owner for owner in wanted if owner in left or _is_dead(owner)))


def _owners_that_left(folder: Path) -> Collection[str]:
    """Return the owners whose notes are no longer locked."""
    found = set()
    for path in folder.glob(_REGISTRY):
        with suppress(OSError, ValueError, KeyError, TypeError), path.open(encoding="utf-8") as file:
            if fcntl and not _is_held(file):
                found.add(str(json.load(file)["owner"]))
    return found


def _here() -> tuple[str, str, str]:
    """Return the scope of a process number: the machine's name, its boot, the PID namespace."""
    boot = namespace = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:8]
        namespace = str(os.stat("/proc/self/ns/pid").st_ino)
    return socket.gethostname().replace(":", "."), boot, namespace


def _is_dead(owner: str) -> bool:
    parts = owner.split(":")
    number = parts[3] if len(parts) == 5 else ""
    if tuple(parts[:3]) != _here() or not number.isdigit():
        return False
    pid = int(number)
    if pid == os.getpid():
        return True  # an earlier run had our number; we have claimed nothing yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
