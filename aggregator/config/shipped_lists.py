"""Term lists shipped with the program: countries, organisations, weapons, sanctions, topics, in twelve languages.

`shipped/KIND.yaml` holds what was written by hand, `shipped/countries.json` the names of countries from CLDR
(`scripts/country-names`). A list is named KIND/ENTRY (`country/turkey`); KIND/GROUP joins a group of weapons
(`weapon/air-defence`), KIND/all everything of a kind.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from aggregator.core.text.inflection import CYRILLIC, forms_in

KINDS = {
    "country": "names, adjectives, capitals and governments of countries; names from Unicode CLDR",
    "organisation": "organisations, ministries, makers, armed groups",
    "sanctions": "the vocabulary of sanctions and export controls",
    "topic": "subjects of defence and security news",
    "weapon": "weapon systems with aliases and NATO reporting names",
}
LANGUAGES = ("en", "no", "sv", "de", "fr", "es", "ru", "uk", "tr", "ar", "fa", "zh")
NEUTRAL = "any"  # terms of every language
ALL = "all"
_NOTE = {"group", "code", "tests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedList:
    """One list: its terms by language (`any`: in all), where they come from, and headlines that it finds."""

    name: str
    by_language: tuple[tuple[str, tuple[str, ...]], ...]
    source: str
    headlines: tuple[tuple[str, str], ...] = ()
    group: str = ""

    @property
    def terms(self) -> tuple[str, ...]:
        """Return every term, with the case endings of those languages that have them."""
        found: dict[str, None] = {}
        for lang, terms in self.by_language:
            for term in terms:
                found[term] = None
                if term[-1:] not in "*'":
                    of = lang if lang != NEUTRAL else "ru" if CYRILLIC.search(term.lower()) else "no"
                    found.update(dict.fromkeys(forms_in(term, of)))
        return tuple(found)


def names() -> Iterator[str]:
    """Yield the names of all lists, by kind."""
    for kind in KINDS:
        yield from (f"{kind}/{entry}" for entry in _entries(kind))
        yield from (f"{kind}/{group}" for group in _groups(kind))


def terms(name: str) -> tuple[str, ...]:
    """Return the terms of a list. Raises KeyError."""
    return tuple(dict.fromkeys(term for one in members(name) for term in one.terms))


def members(name: str) -> Sequence[ShippedList]:
    """Return the lists behind a name: one, or those of a group. Raises KeyError."""
    kind, _, entry = name.partition("/")
    if kind not in KINDS:
        raise KeyError(name)
    entries = _entries(kind)
    if entry in entries:
        return (entries[entry],)
    return [entries[one] for one in _groups(kind)[entry]]


def search(text: str) -> tuple[tuple[ShippedList, tuple[str, ...]], ...]:
    """Return the lists that have a term with `text` in it, those with an equal one first, and these terms."""
    wanted = _plain(text)
    found = []
    for kind in KINDS:
        for one in _entries(kind).values():
            near = tuple(term for _, terms in one.by_language for term in terms if wanted in _plain(term))
            if near or wanted in _plain(one.name):
                found.append((one, near))
    return tuple(sorted(found, key=lambda pair: (wanted not in map(_plain, pair[1]), pair[0].name)))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[^\w]+", "", "".join(c for c in folded if not unicodedata.combining(c)))


@lru_cache(maxsize=len(KINDS))
def _entries(kind: str) -> Mapping[str, ShippedList]:
    written = yaml.load(_read(f"{kind}.yaml"), Loader=yaml.CBaseLoader)  # noqa: S506 -- texts only: `no` is Norwegian
    if kind == "country":
        return dict(sorted(_countries(written)))
    source = _source(_read(f"{kind}.yaml"))
    return {name: _list(f"{kind}/{name}", entry, source) for name, entry in sorted(written.items())}


def _countries(written: Mapping[str, Any]) -> Iterator[tuple[str, ShippedList]]:
    table = json.loads(_read("countries.json"))
    by_code = {entry["code"]: (name, entry) for name, entry in written.items()}
    by_hand = _source(_read("country.yaml"))
    for code, official in table["countries"].items():
        name, entry = by_code.get(code, (_slug(official["en"][0]), {}))
        joined = {lang: [*official.get(lang, ()), *entry.get(lang, ())] for lang in LANGUAGES}
        source = f"{table['source']}; {by_hand}" if entry else table["source"]
        yield name, _list(f"country/{name}", {**entry, **joined}, source)


def _list(name: str, entry: Mapping[str, Any], source: str) -> ShippedList:
    return ShippedList(
        name=name,
        by_language=tuple((lang, tuple(entry[lang])) for lang in (NEUTRAL, *LANGUAGES) if entry.get(lang)),
        source=source,
        headlines=tuple(entry.get("tests", {}).items()),
        group=entry.get("group", ""),
    )


@lru_cache(maxsize=len(KINDS))
def _groups(kind: str) -> Mapping[str, tuple[str, ...]]:
    entries = _entries(kind)
    found: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if entry.group:
            found.setdefault(entry.group, []).append(name)
    return {**{group: tuple(listed) for group, listed in sorted(found.items())}, ALL: tuple(entries)}


def _source(text: str) -> str:
    """Return what the head of a file says about its source."""
    head = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    return re.sub(r"^[^:]*:\s*", "", head.partition("Source")[2]).strip().rstrip(".")


def _slug(name: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "-", plain.casefold()).strip("-")


def _read(name: str) -> str:
    return (files("aggregator.config") / "shipped" / name).read_text(encoding="utf-8")
