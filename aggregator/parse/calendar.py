"""Names of months and days in every language that CLDR has."""

import json
from bisect import bisect_left
from functools import cache
from typing import Any

SHORTEST = 3  # letters that are enough of a name, where they mean one month only
_IN_HEBREW = "ב"  # is written together with the month


def months(name: str) -> tuple[int, ...]:
    """Return the months that a folded name means, the likeliest first; an unambiguous prefix is enough."""
    known = _meanings()
    if found := known.get(name):
        return found
    if name.startswith(_IN_HEBREW) and (found := known.get(name[1:])):
        return found
    if len(name) < SHORTEST or any(content.isdecimal() for content in name):
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
    """Return the days of the week that a folded name means, 0 for Monday."""
    return frozenset(number for number, names in enumerate(_days()) if name in names)


def zone(abbreviation: str) -> int | None:
    """Return the minutes east of UTC of a zone's folded abbreviation."""
    found: int | None = _table()["zones"].get(abbreviation)
    return found


@cache
def _table() -> dict[str, Any]:
    """Load what scripts/calendar-names made of CLDR and of the time zone database."""
    from importlib.resources import files  # most workers never see a date that needs it

    table: dict[str, Any] = json.loads(files("aggregator.parse").joinpath("calendar.json").read_text("utf-8"))
    return table


@cache
def _meanings() -> dict[str, tuple[int, ...]]:
    plain = {name: (number,) for number, names in enumerate(_table()["months"], 1) for name in names}
    return plain | {name: tuple(meanings) for name, meanings in _table()["contested"].items()}


@cache
def _sorted() -> list[str]:
    return sorted(_meanings())


@cache
def _days() -> tuple[frozenset[str], ...]:
    return tuple(map(frozenset, _table()["days"]))
