"""The files of an SQLite database, private because they hold feeds' addresses with their keys in clear text."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

PRIVATE = 0o600  # whatever the umask; SQLite gives its log and index the mode of the database
PRIVATE_FOLDER = 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO
BEFORE_UPGRADE, BEFORE_RESTORE = ".before-upgrade", ".before-restore"


def create_private(path: Path) -> None:
    """Make an empty file that only its owner may read. Raises OSError, FileExistsError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))


def family(path: Path) -> Iterator[Path]:
    """Return the database, what SQLite keeps beside it, and the copies that were kept: those that exist."""
    for ending in ("", "-wal", "-shm", "-journal", ".sent", BEFORE_UPGRADE, BEFORE_RESTORE):
        member = path.with_name(path.name + ending)
        if member.exists():
            yield member


def tighten(path: Path) -> None:
    """Close the files of a database to others if they are ours; doctor reports the rest."""
    if os.name != "posix":
        return
    for member in family(path):
        try:
            found = member.stat()
            if found.st_mode & OTHERS and found.st_uid == os.geteuid():
                member.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
                log.info("%s was readable by other users (mode %o); fixed", member, stat.S_IMODE(found.st_mode))
        except OSError as error:
            log.warning("%s may be readable by other users, and its mode cannot be changed: %s", member, error.strerror)
