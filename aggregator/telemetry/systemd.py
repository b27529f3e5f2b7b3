"""sd_notify(3): READY, WATCHDOG, STOPPING, over the socket that systemd names. Elsewhere: nothing."""

import logging
import os
import socket

log = logging.getLogger(__name__)


def notify(message: str) -> bool:
    """Send one state line; False where no supervisor listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect(address)
            sock.sendall(message.encode())
    except OSError as error:
        log.warning("the supervisor's notification socket does not respond: %s", error)
        return False
    return True


def watchdog_s() -> float | None:
    """Return how often systemd wants a WATCHDOG=1, in seconds (half of WATCHDOG_USEC), or None."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not usec or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 2_000_000
