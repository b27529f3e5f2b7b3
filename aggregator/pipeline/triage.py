"""What pages, API and commands have in common where people change something by hand."""

import secrets
from collections.abc import Iterable
from datetime import datetime

from aggregator.core.model import Undo

UNDO_BYTES = 12
MAX_LABEL_CHARS = 40
MAX_NOTE_CHARS = 10_000


def new_undo(kind: str, now: datetime) -> Undo:
    """Return what an action records itself under, so that it can be taken back: an id that nobody guesses.

    It is in hexadecimal digits: no command takes one that begins with a hyphen for an option.
    """
    return Undo(id=secrets.token_hex(UNDO_BYTES), kind=kind, made_at=now)


def labels_of(texts: Iterable[str]) -> list[str]:
    """Return labels as they are kept: in lower case, each once, without empty ones."""
    return list(dict.fromkeys(label for one in texts if (label := " ".join(one.split()).lower())))
