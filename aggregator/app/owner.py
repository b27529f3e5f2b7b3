"""Under which name this process holds leases, and whose leases nobody will ever end."""

import os
import socket
from collections.abc import Iterable
from secrets import token_hex


def new_owner() -> str:
    """`host:pid:token`: names this run of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"


def dead_owners(owners: Iterable[str]) -> tuple[str, ...]:
    """Those of `owners` that ran on this machine and do not live any more.

    A number that another program took over meanwhile counts as alive: its leases run out by
    themselves. In a container every run may be process 1; there, only its own number is dead.
    """
    return tuple(owner for owner in owners if _is_dead(owner))


def _is_dead(owner: str) -> bool:
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    pid = int(rest)
    if pid == os.getpid():
        return True  # an earlier run had our number; we have claimed nothing yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
