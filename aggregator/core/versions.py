"""What the versions in a cluster mean: may these files replace the configuration, may this program still write?"""

from collections.abc import Iterable
from typing import Literal

from aggregator.core.model import ConfigVersion

Verdict = Literal["push", "same", "stale", "foreign"]


def verdict(
    head: ConfigVersion | None, digest: str, by: str, older: Iterable[str] = (), *, base: int | None = None
) -> Verdict:
    """Decide whether the files with this digest are put in force.

    `base` is the number that these files were when they were last in force (None: nobody knows). An edit of what is
    in force is pushed. Otherwise, files with an `older` digest are a copy that stayed behind, and if somebody else
    pushed last, this may be another installation: both are left to a person.
    """
    if head is None:
        return "push"
    if head.digest == digest:
        return "same"
    if base == head.number:
        return "push"
    if digest in older:
        return "stale"
    return "push" if pusher(head.by) == by else "foreign"


def rollback(by: str, to: int) -> str:
    """Return who put a configuration in force that had been in force before."""
    return f"{by} (rollback to {to})"


def pusher(by: str) -> str:
    """Return who pushed, without what `rollback` adds."""
    return by.partition(" (")[0]


def is_older(version: str, than: str) -> bool:
    """Tell whether a program's version is below another; an empty one is below all."""
    return _numbers(version) < _numbers(than)


def oldest_program(declared: Iterable[str], version: str, before: str = "") -> str:
    """Return the oldest program that may use a database after its upgrade by the program `version`.

    `declared`: what each migration says; `before`: what was so until now. Never more than the upgrading program
    itself, which may be on its way to the version that is declared.
    """
    newest = max(declared, key=_numbers, default="")
    return max(before, min(newest, version, key=_numbers), key=_numbers)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".") if part.isdigit())
