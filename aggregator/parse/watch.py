"""Pages whose text is watched: an entry whenever it changes, with the difference as its content.

Compared are lines of text, wherever they stand: what only moved is no change. Boilerplate (a clock, a counter, a
quotation of the day) is learnt: what was replaced at each of three visits in a row is no change until it has kept
still for as long. A visit that finds the page unchanged starts the count anew, so that news is never learnt away.
"""

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from aggregator.core.rules.regex import pattern
from aggregator.core.text.html import visible_text
from aggregator.core.text.opening import opening
from aggregator.core.text.sanitize import clean_text
from aggregator.parse import html, sniff
from aggregator.parse.normalize import Found, RawEntry, RawFeed
from aggregator.parse.payload import Payload
from aggregator.parse.workers.protocol import How

LEARNT = 3  # visits in a row
MAX_LINES = 5000
MAX_LINE = 5000  # characters
MAX_SUMMARY = 280  # characters, as many as an alert quotes
MAX_SHOWN = 100_000  # characters of a difference
MAX_MEMORY = 8 * 2**20  # bytes, unpacked
ADDED, REMOVED = "+ ", "− "

_DIGITS = re.compile(r"\d+")
_WHOLE = "main, [role=main]"


class _Memory(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The last visit: its number, the quiet polls before it, its lines, and what changes at each visit.

    `learning` maps what was replaced to (visits in a row at which it was, visits in a row at which it was not).
    """

    version: int
    number: int
    quiet: int
    lines: tuple[str, ...]
    learning: dict[str, tuple[int, int]]


_VERSION = 1
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Memory).decode


def read(source: Payload, how: How, memory: bytes | None) -> Found:
    """Return one entry with what changed since the last visit, or none. Raises Rejected."""
    sniff.check_kind(source.body)
    feed = RawFeed()
    page = html.tree(source)
    named, root = page.css_first("title"), page.css_first("html")
    feed.title = (named.text().strip() if named else "", "text/plain")
    feed.lang = root.attributes.get("lang") if root else None
    selector = dict(how.select).get("content")
    nodes = html.selected(page, selector) if selector else page.css(_WHOLE)[:1] or page.css("body")
    text = "\n".join(visible_text(node.html or "") for node in nodes)
    lines = tuple(line[:MAX_LINE] for line in text.split("\n") if line.strip())
    if len(lines) > MAX_LINES:
        lines = lines[:MAX_LINES]
        feed.warnings.append(f"The text has more than {MAX_LINES:,} lines; only the first were read.")
    if not lines:
        if refusal := sniff.refusal(source.body):
            raise refusal
        what = f"`{selector}` finds nothing" if selector and not nodes else "there is no text in it"
        return Found(feed, 0, nothing=f"The page answers, but {what}.")
    before = _remembered(memory)
    if before is None:
        return Found(feed, len(lines), memory=_packed(_Memory(_VERSION, 0, how.quiet, lines, {})))
    ignored = _Ignored(how.ignore)
    change = difference(ignored.keys(before.lines), ignored.keys(lines))
    learning = learnt(before.learning, change.replaced, how.quiet - before.quiet)
    noise = {name for name, (changed, _) in learning.items() if changed >= LEARNT}
    added = [lines[at] for at, name in change.added if name not in noise]
    removed = [before.lines[at] for at, name in change.removed if name not in noise]
    number = before.number
    if added or removed:
        number += 1
        feed.entries = [_entry(feed.title[0], number, added, removed)]
    after = _Memory(_VERSION, number, how.quiet, lines, learning)
    memory = _packed(after) if after != before else None
    return Found(feed, len(lines), memory=memory)


class Change(NamedTuple):
    """Places of new lines and of lines that are gone, each with what it replaces or is replaced as ("": nothing).

    `replaced` are the names of everything that was replaced.
    """

    added: list[tuple[int, str]]
    removed: list[tuple[int, str]]
    replaced: frozenset[str]


def difference(old: Sequence[str], new: Sequence[str]) -> Change:
    """Compare two texts by their lines, in linear time; an empty line is never a change."""
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    removed, added = _places(old, gone), _places(new, come)
    names_old, names_new = dict.fromkeys(removed, ""), dict.fromkeys(added, "")
    # First lines that differ in their numbers only, then runs of lines between the same neighbours.
    shapes: dict[str, list[int]] = {}
    for at in removed:
        if (shape := _DIGITS.sub("0", old[at])) != old[at] or "0" in shape:
            shapes.setdefault(shape, []).append(at)
    for at in added:
        if waiting := shapes.get(_DIGITS.sub("0", new[at])):
            name = f"shape {_short(_DIGITS.sub('0', new[at]))}"
            names_old[waiting.pop(0)] = names_new[at] = name
    runs_old, runs_new = _runs(old, names_old), _runs(new, names_new)
    for slot, places in runs_new.items():
        if len(places) == len(runs_old.get(slot, ())):
            names_new |= dict.fromkeys(places, slot)
            names_old |= dict.fromkeys(runs_old[slot], slot)
    named = frozenset(filter(None, names_new.values()))
    return Change([*names_new.items()], [*names_old.items()], named)


def learnt(before: Mapping[str, tuple[int, int]], replaced: frozenset[str], quiet: int) -> dict[str, tuple[int, int]]:
    """Return what is known of replaced lines after a visit, before which `quiet` ones found nothing changed at all."""
    after: dict[str, tuple[int, int]] = {}
    for name in (*before, *replaced):
        changed, still = before.get(name, (0, 0))
        if changed < LEARNT:
            changed = 0 if quiet else changed
            if name in replaced:
                after[name] = changed + 1, 0
        else:
            still = 0 if name in replaced else still + quiet + 1
            if still < LEARNT:
                after[name] = changed, still
    return after


def _places(lines: Sequence[str], wanted: Counter[str]) -> list[int]:
    """Return the places of the last occurrences of lines, as many of each as are wanted."""
    left, found = Counter(wanted), []
    for at in range(len(lines) - 1, -1, -1):
        if lines[at] and left[lines[at]] > 0:
            left[lines[at]] -= 1
            found.append(at)
    return found[::-1]


def _runs(lines: Sequence[str], names: Mapping[int, str]) -> dict[str, list[int]]:
    """Return runs of changed lines without a name, by the lines before and after them."""
    runs: dict[str, list[int]] = {}
    run: list[int] = []
    last = ""
    for at, line in enumerate((*lines, "")):
        if names.get(at) == "":
            run.append(at)
        elif at not in names:
            if run:
                runs.setdefault(f"slot {_short(f'{last} | {line}')}", []).extend(run)
                run = []
            last = line
    return runs


def _entry(page: str, number: int, added: Sequence[str], removed: Sequence[str]) -> RawEntry:
    raw = RawEntry()
    lines = (*(ADDED + line for line in added), *(REMOVED + line for line in removed))
    text = "\n".join(lines)[:MAX_SHOWN]
    raw.guid = f"change {number} {_short(text)}"
    first = opening(added[0]) if added else f"removed: {opening(removed[0])}"
    raw.title = f"{clean_text(page, 100)}: {first}" if page else first, "text/plain"
    raw.contents = [(text, "text/plain")]
    if len(lines) > 1 and len(text) <= MAX_SUMMARY:  # an alert shows a line of text: this one says it all
        raw.summary = " ".join(lines), "text/plain"
    return raw


class _Ignored:
    """What the configuration says is no change: matches of its patterns are left out where lines are compared."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(map(pattern, patterns))

    def keys(self, lines: Sequence[str]) -> list[str]:
        """Return the lines as they are compared; one of which nothing is left is empty."""
        return [self._key(line) for line in lines] if self._patterns else list(lines)

    def _key(self, line: str) -> str:
        for one in self._patterns:
            spans = list(one.find(line))
            for start, end in reversed(spans):
                line = line[:start] + line[end:]
        return " ".join(line.split())


def _remembered(memory: bytes | None) -> _Memory | None:
    if not memory:
        return None
    try:
        stream = zlib.decompressobj()
        found = _unpack(stream.decompress(memory, MAX_MEMORY))
    except (zlib.error, msgspec.DecodeError):
        return None
    return found if found.version == _VERSION else None


def _packed(memory: _Memory) -> bytes:
    return zlib.compress(_pack(memory), 6)


def _short(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
