"""What names of months and days mean, in every language that CLDR has."""

from bisect import bisect_left
from functools import cache

from aggregator.parse.calendar_names import CONTESTED, DAYS, MONTHS

SHORTEST = 3  # letters that are enough of a name, where they mean one month only
_IN_HEBREW = "ב"  # is written together with the month


def months(name: str) -> tuple[int, ...]:
    """The months that a folded name means, the likeliest first; its beginning is enough where it is certain."""
    known = _meanings()
    if found := known.get(name):
        return found
    if name.startswith(_IN_HEBREW) and (found := known.get(name[1:])):
        return found
    if len(name) < SHORTEST or any(letter.isdecimal() for letter in name):
        return ()
    names = _sorted()
    meant: set[tuple[int, ...]] = set()
    for place in range(bisect_left(names, name), len(names)):
        if not names[place].startswith(name):
            break
        meant.add(known[names[place]])
        if len(meant) > 1:
            return ()
    return meant.pop() if meant else ()


def days(name: str) -> frozenset[int]:
    """The days of the week that a folded name means, 0 for Monday."""
    return frozenset(number for number, names in enumerate(_days()) if name in names)


@cache
def _meanings() -> dict[str, tuple[int, ...]]:
    plain = {name: (number,) for number, names in enumerate(MONTHS, 1) for name in _listed(names)}
    return plain | {name: tuple(map(int, meanings.split())) for name, meanings in CONTESTED.items()}


def _listed(names: str) -> list[str]:
    return [name.replace("_", " ") for name in names.split()]


@cache
def _sorted() -> list[str]:
    return sorted(_meanings())


@cache
def _days() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(_listed(names)) for names in DAYS)
