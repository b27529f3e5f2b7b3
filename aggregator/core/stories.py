"""Copies of one piece of news: their traits, and when two versions are one story.

Two versions are one story if they share their canonical address, their title, or most of their
words — and do not contradict each other. The last part matters most: a daily market report or an
earthquake notice is nine tenths template, and only its numbers and names say that it is another
event. Addresses and headlines that stay (live pages, notice boards, daily reports) name a series:
an address counts only where the texts agree without the words that the rule looks for, a headline
for a day and not where its feed has used it before. A wrong "same" hides news from everybody, a
wrong "different" costs one more alert; in doubt, different.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from heapq import nlargest
from itertools import chain, islice, pairwise, repeat
from operator import eq
from struct import Struct
from typing import NamedTuple
from urllib.parse import urlsplit

from rensa import RMinHash

from aggregator.core.model import Entry, Features, Fingerprint, Report, Story
from aggregator.core.text import facts
from aggregator.core.text.fold import fold
from aggregator.core.text.language import common_words, dates, language, root
from aggregator.core.text.urls import canonical_url

HASHES = 64  # per sketch; the standard error of a likeness of one half is 0.06
ROWS = 4  # per band: 16 bands of 4 find a likeness of one half with probability 0.64, of 0.7 with 0.99
SEED = 20
MIN_WORDS, LEAD_WORDS, BODY_WORDS = 20, 30, 160
SHINGLE_WORDS, SHINGLE_SIGNS = 3, 4
SIMILARITY = 0.5  # of the shingles of two copies are the same
REPORTED_AGAIN = 0.2  # likeness below which two entries of one feed at one address are two reports
SAME_TITLE = timedelta(hours=24)  # after a story's first version, how long its headline names it
REPUBLISHED = timedelta(hours=12)  # after a story's last version: a feed that brings its text again later reports anew
AGREEMENT = 0.5  # of the words of the shorter text that two texts at one address share
MAX_GIST, MIN_GIST_SIGNS = 50, 3  # words that stand for a text, and their length
MIN_SHINGLES = 6
TITLE_WORDS, TITLE_SIGNS = 4, 16
MAX_FACTS = 40  # of each kind
OTHER_NAMES = 0.6  # of the names of one report that another one of the event lacks, at most
CANDIDATES = 50  # stories that one version is compared with, at most, as a copy and as a retelling
UNDONE_WITHIN, DISTRUSTED = timedelta(days=7), timedelta(days=30)  # two undone folds, and how long they count
LATEST = 64  # stories of one key that are looked at: so the cost of an entry does not grow with their number
LOOSE = 6  # candidates of a retelling, at most, that share one key only
RETOLD = 16  # stories that one entry is compared with as a retelling: 50 find no more (benchmarks.stories)
EVENT_KEYS = ("w:", "a:")  # how the keys of retellings begin: heavy words, and anchors in any language

_SIGNATURE = Struct(f"<{HASHES}I")
_SITE = re.compile(r"\s[|–—\-•·»]\s+[^|–—•·»]{2,40}$")
_SITE_SIGNS = 80  # of the end of a title: the site's name with what sets it apart
_NO_POST = re.compile(
    r".*[=:~].*|!.*|comments?|respond|more(?:-\d+)?|content|main|top|rss|feed|ref|read-?more|disqus_thread|0",
    re.IGNORECASE,
)  # fragments that say how a reader came, or where on the page something else is


def fingerprint(entry: Entry, terms: Iterable[str] = ()) -> Fingerprint:
    """Compute the traits by which another version of this entry's news is recognised.

    `terms` are the passages that rules found: every entry of theirs has them, so they are no sign of likeness.
    """
    body = entry.content if len(entry.content) > len(entry.summary) else entry.summary
    title, words = _title(entry.title), facts.units(body, BODY_WORDS)
    if len(words) < MIN_WORDS:
        words = facts.units(entry.title) + words
    lead, whole = words[:LEAD_WORDS], words[:BODY_WORDS]
    sketch = _sketch(_shingles(whole))
    sketches = [sketch if lead == whole else _sketch(_shingles(lead)), sketch]
    return Fingerprint(
        url_key=_url_key(entry.link),
        title_key=_digest(title) if _says_enough(title) else None,
        signature=b"".join(sketches),
        bands=tuple(_bands(sketches)),
        facts=_facts(entry.title, body, entry.lang) | _gist(entry.title, body, entry.lang, terms),
        lang=entry.lang,
    )


def keys(known: Fingerprint) -> list[str]:
    """Return the keys under which a version is looked up; a prefix says of which kind each is.

    Copies share one of them: their address, their title, or a band of their sketch (a likeness of 0.7
    does with probability 0.99).
    """
    url = [f"u:{known.url_key}"] if known.url_key else []
    title = [f"t:{known.title_key}"] if known.title_key else []
    return [*url, *title, *(f"b:{band}" for band in known.bands)]


def shortlist(lookup: Sequence[str], by_key: Mapping[str, dict[str, datetime]]) -> tuple[list[str], list[str]]:
    """Return the stories that an entry with these keys may be a copy of, and those that it may retell, nearest first.

    `by_key` has, for each key, stories and since when they have it, oldest first. However many share a key, only the
    nearest count: those that share most keys with the entry, then the latest.
    """
    # Locality-sensitive hashing: texts that share a MinHash band are probably similar (Leskovec, Rajaraman, Ullman,
    # Mining of Massive Datasets, 3.4), so only these are compared. An equal address or title outweighs any number of
    # bands. Ties are broken by time and id, never by order of arrival, so that a repeated commit decides alike.
    named: dict[str, list[dict[str, datetime]]] = {kind: [] for kind in "utbwa"}
    for key in lookup:
        if having := by_key.get(key):
            named[key[0]].append(having if len(having) <= LATEST else dict([*having.items()][-LATEST:]))
    shared = [*chain.from_iterable(named.values())]
    if not shared:
        return [], []
    words, anchors, copies = (Counter(chain.from_iterable(named[kind])) for kind in "wab")
    for name in chain.from_iterable(named["u"] + named["t"]):
        copies[name] += CANDIDATES
    several = words.keys() & anchors.keys()
    several.update(name for counts in (words, anchors) for name, count in counts.items() if count > 1)
    retold = _nearest({name: words[name] + anchors[name] for name in several}, shared, RETOLD)
    if (room := LOOSE - len(retold)) > 0:
        # One word in common says little: only the nearest of those are worth a comparison, which costs 0.1 ms. They
        # are among the last of each word, of which there are hundreds in all.
        last = (islice(reversed(having.items()), room + len(several)) for having in named["w"])
        single = [(at, name) for name, at in chain.from_iterable(last) if name not in several]
        retold += [name for _, name in nlargest(room, single)]
    return _nearest(copies, shared, CANDIDATES), retold


def _nearest(counts: Mapping[str, int], shared: Sequence[dict[str, datetime]], most: int) -> list[str]:
    ranked = [
        (count, max([having[name] for having in shared if name in having]), name) for name, count in counts.items()
    ]
    return [name for _, _, name in nlargest(most, ranked)]


def reports_of(story: Story) -> tuple[Report, ...]:
    """Return the reports of a story; one from before there were any is its own."""
    if story.reports:
        return story.reports
    feed = story.feeds[0] if story.feeds else ""
    first = Report(
        id=story.id,
        feed=feed,
        title=story.title,
        at=story.first_at,
        fingerprint=story.fingerprint,
        features=Features(),
        origin=story.id,
    )
    return (first,)


def unfolding(undone: Iterable[tuple[str, datetime]], now: datetime) -> frozenset[str]:
    """Return the rules of which people undid two folds within a week, for a month from then on.

    `undone` are a rule and an instant for each fold that was undone.
    """
    of_rule: dict[str, list[datetime]] = {}
    for rule, at in sorted(undone):
        of_rule.setdefault(rule, []).append(at)
    return frozenset(
        rule
        for rule, times in of_rule.items()
        if any(b - a <= UNDONE_WITHIN and now - b <= DISTRUSTED for a, b in pairwise(times))
    )


class Copy(NamedTuple):
    """The report that an entry is a copy of, and how like it is."""

    story: Story
    report: Report
    similarity: float


def find_copy(
    found: Fingerprint, stories: Sequence[Story], feed: str | None = None, now: datetime | None = None
) -> Copy | None:
    """Return the report that this is a copy of: the most similar one that it does not contradict.

    `feed` is the feed of a new entry (None: an edit, which stays at its address), `now` when it came (None: just
    after each of the reports).
    """
    known = [(story, report) for story in stories for report in reports_of(story)]
    standing = any(feed in story.feeds and found.title_key == r.fingerprint.title_key for story, r in known)
    ranked = [
        (score, report.at, report.id, Copy(story, report, similarity(found, report.fingerprint)))
        for story, report in known
        if (
            score := _score(
                found, report, now or report.at, edited=feed is None, own=feed in story.feeds, titled=not standing
            )
        )
    ]
    return max(ranked, key=lambda one: one[:3])[3] if ranked else None


def similarity(one: Fingerprint, other: Fingerprint) -> float:
    """Return the estimated share of shingles that two texts have in common: leads or wholes."""
    size = HASHES * 4
    pairs = [(one.signature[i : i + size], other.signature[i : i + size]) for i in (0, size)]
    return max((_agreement(a, b) for a, b in pairs if a.strip(b"\0") and b.strip(b"\0")), default=0.0)


def twin(one: Fingerprint, other: Fingerprint, *, verbatim: bool = False, lang: str = "") -> str:
    """Return in what two texts that are worded alike differ, "numbers differ (5.1 / 4.6)"; "" for nothing.

    They do if each headline has a number, or a name or designator, that the other text has nowhere: copies are
    cut short and edited, so that one of them lacks something is no sign. If the texts are `verbatim` the same for
    the most part, the same goes for any word of a headline that recurs in its text (number words, currencies), and
    for any word at all of headlines that do not show which words are names.
    """
    lang = lang or language(one.lang)
    numbers = _of(one, "#") - _of(other, "1"), _of(other, "#") - _of(one, "1")
    named = (
        facts.lacking(_of(one, "T"), said(other), lang),
        facts.lacking(_of(other, "T"), said(one), lang),
    )
    for (mine, others), what in ((numbers, "numbers"), (named, "names")):
        if mine and others:
            return f"{what} differ ({_shown(mine)} / {_shown(others)})"
    if verbatim and (hides_names(one) or hides_names(other)):
        first, second = _of(one, "H"), _of(other, "H")
        mine, others = first - second - _of(other, "W"), second - first - _of(one, "W")
        if mine and others and 2 * len(first & second) >= min(len(first), len(second)):
            return f"names differ ({_shown(mine)} / {_shown(others)})"
    if verbatim:
        mine = facts.lacking(said_in_both(one), said(other), lang)
        others = facts.lacking(said_in_both(other), said(one), lang)
        if mine and others and 3 * len(_of(one, "H") & _of(other, "H")) >= min(len(mine), len(others)):
            return f"words differ ({_shown(mine)} / {_shown(others)})"
    return ""


def strangers(one: Fingerprint, other: Fingerprint, lang: str) -> tuple[set[str], set[str]]:
    """Return the names that each of two headlines has alone, if one of the texts does not mention the other's at all.

    A report may mention the last event of its kind further down, or the one that this report is about.
    """
    mine = facts.lacking(_of(one, "T"), _of(other, "H"), lang)
    others = facts.lacking(_of(other, "T"), _of(one, "H"), lang)
    known = not facts.lacking(mine, said(other), lang) and not facts.lacking(others, said(one), lang)
    return (set(), set()) if known else (mine, others)


def said_in_both(known: Fingerprint) -> set[str]:
    """Return the words of a headline that recur in its text, and the names in it."""
    return _of(known, "R") | _of(known, "T")


def said(known: Fingerprint) -> set[str]:
    """Return the words of a headline and of what its text begins with, and the names in both."""
    return _of(known, "H") | _of(known, "W") | _of(known, "A")


def hides_names(known: Fingerprint) -> bool:
    """Tell whether a headline does not show which of its words are names."""
    return "C" in known.facts


def contradiction(one: Fingerprint, other: Fingerprint, *, alike: bool, verbatim: bool = False, lang: str = "") -> str:
    """Return in what two texts contradict each other, as `twin` does; `alike`: they are worded alike."""
    found = twin(one, other, verbatim=verbatim, lang=lang)
    if found:
        return found
    lang = lang or language(one.lang)
    if alike and _contradict(one.facts, other.facts, 0.0, lang, anywhere=True):
        for kind, what in (("#", "numbers"), ("1", "numbers"), ("T", "names"), ("A", "names")):
            mine = facts.lacking(_of(one, kind), _of(other, kind), lang)
            others = facts.lacking(_of(other, kind), _of(one, kind), lang)
            if mine and others:
                return f"{what} differ ({_shown(mine)} / {_shown(others)})"
    return ""


def names(known: Fingerprint) -> set[str]:
    """Return the folded names and designators of headline and opening."""
    return _of(known, "A")


def numbers(known: Fingerprint) -> set[str]:
    """Return the numbers of headline and opening."""
    return _of(known, "1")


def _of(known: Fingerprint, kind: str) -> set[str]:
    return {fact[1:] for fact in known.facts if fact[0] == kind}


def _shown(facts: Iterable[str]) -> str:
    return ", ".join(fact.upper() if any(map(str.isdigit, fact)) else fact.capitalize() for fact in sorted(facts)[:2])


def _score(found: Fingerprint, report: Report, now: datetime, *, edited: bool, own: bool, titled: bool) -> float:
    """Score a copy of a report; zero: it is none. The address weighs most, then the title, then the words.

    `own`: the entry's feed carries the story already; `titled`: its headline may be a sign of likeness.
    """
    known, age = report.fingerprint, abs(now - report.at)
    if own and age > REPUBLISHED:
        return 0.0
    like = similarity(found, known)
    address = bool(found.url_key) and found.url_key == known.url_key
    if address and own and like < REPORTED_AGAIN:
        return 0.0
    if address and not own and _at_one_address(found.facts, known.facts, like, edited=edited):
        return 4 + like
    title = titled and age <= SAME_TITLE and bool(found.title_key) and found.title_key == known.title_key
    if like < SIMILARITY and not title and not (own and address):
        return 0.0
    differ = _contradict(found.facts, known.facts, like, language(found.lang))
    if differ or twin(found, known, verbatim=like >= SIMILARITY):
        return 0.0
    return (4 if address else 2 if title else 0) + like


def _at_one_address(one: frozenset[str], other: frozenset[str], like: float, *, edited: bool) -> bool:
    """Tell whether two texts at one address are one piece of news, and not two of a live page or a list."""
    if edited:
        return not (like < 0.1 and min(len(one), len(other)) >= 3 and not one & other)
    first, second = ({fact for fact in facts if fact[0] == "W"} for facts in (one, other))
    smaller = min(len(first), len(second))
    return like >= REPORTED_AGAIN or not smaller or len(first & second) / smaller >= AGREEMENT


def _contradict(one: frozenset[str], other: frozenset[str], like: float, lang: str, *, anywhere: bool = False) -> bool:
    """Tell whether two texts name different facts, each where the other does.

    Copies that were cut short have fewer facts, so what counts is the share of the smaller set
    that the larger one lacks. Headlines are not cut: their numbers must agree, and so must the
    names in them unless the text is copied verbatim. A name that begins a sentence is none by its looks: with
    `anywhere`, for texts that are no copies, it is enough that the word is there.
    """
    if _differ(one, other, "#", lang, allowed=0.0) or _differ(one, other, "1", lang, allowed=0.2):
        return True
    if like > 0.9:
        return False
    named = _differ(one, other, "T", lang, allowed=0.5, anywhere=anywhere)
    return named or _differ(one, other, "A", lang, allowed=0.5)


def _differ(
    one: frozenset[str], other: frozenset[str], kind: str, lang: str, *, allowed: float, anywhere: bool = False
) -> bool:
    first, second = ({fact[1:] for fact in known if fact[0] == kind} for known in (one, other))
    fewer, more, said = (first, second, other) if len(first) <= len(second) else (second, first, one)
    if not fewer or len(lacking := facts.lacking(fewer, more, lang)) / len(fewer) <= allowed:
        return False
    if not anywhere:
        return True
    words = {fact[1:] for fact in said if fact[0] in "AHW"}
    return len(facts.lacking(lacking, words, lang)) / len(fewer) > allowed


def _facts(title: str, body: str, lang: str | None) -> frozenset[str]:
    """Extract facts: headline numbers (#) and names (T); numbers (1) and names (A) of headline and opening.

    Designators (S-400) and days count as names. Of a headline that does not show which of its words (H) are names
    (C), all may be.
    """
    opening = " ".join(body.split(None, BODY_WORDS)[:BODY_WORDS])
    lang = language(lang)
    common, dated = common_words(lang), dates(lang)
    hidden = facts.hides_names(title, common)
    headline, counted = facts.numbers(title, lang), facts.numbers(opening, lang)
    units, said = facts.words(title), facts.words(body, BODY_WORDS)
    days, all_days = ({u for u in {*found} if (u if u.isascii() else fold(u)) in dated} for found in (units, said))
    named = facts.designators(title) | days | (set() if hidden else facts.names(title) - common)
    names = facts.designators(opening) | all_days | facts.names(opening) - common
    words = {unit for unit in units if unit not in common and not unit.isdigit()}
    found = {"#": headline, "1": headline | counted, "T": named, "A": named | names, "H": words}
    if hidden:
        found["C"] = {""}
    kept = {kind: known if len(known) <= MAX_FACTS else sorted(known)[:MAX_FACTS] for kind, known in found.items()}
    return frozenset([kind + fact for kind, known in kept.items() for fact in known])


def _gist(title: str, body: str, lang: str | None, terms: Iterable[str]) -> frozenset[str]:
    """Return the words of headline and opening (W) without those of `terms`, and the headline's that recur (R).

    A headline without a text is its own text.
    """
    searched = {unit for term in terms for unit in facts.words(term)}

    def informative(text: str) -> list[str]:
        found = dict.fromkeys(facts.words(text, BODY_WORDS))
        long = [unit for unit in found if len(unit) >= MIN_GIST_SIGNS or not unit.isascii()]
        return [unit for unit in long if unit not in searched] if searched else long

    lang = language(lang)
    headline, opening = informative(title), informative(body)
    gist = [*islice(dict.fromkeys([*headline, *opening]), MAX_GIST)]
    text = {*map(root, opening, repeat(lang))}
    common = common_words(lang)
    recurring = [u for u in headline if (not text or root(u, lang) in text) and u not in common and not u.isdigit()]
    return frozenset([*["W" + unit for unit in gist], *["R" + unit for unit in recurring]])


def _title(title: str) -> str:
    """Strip the site's name from a title, fold it, and drop its punctuation."""
    title = title.strip()
    return " ".join(facts.units(title[:-_SITE_SIGNS] + _SITE.sub("", title[-_SITE_SIGNS:])))


def _says_enough(title: str) -> bool:
    """Tell whether this title is more than a heading such as “Morning briefing”."""
    return len(title.split()) >= TITLE_WORDS and len(title.replace(" ", "")) >= TITLE_SIGNS


def _shingles(units: Sequence[str]) -> set[str]:
    signs = sum(map(facts.is_sign, [unit for unit in units if len(unit) == 1]))
    length = SHINGLE_SIGNS if signs * 2 > len(units) else SHINGLE_WORDS
    return {*map(" ".join, zip(*(units[start:] for start in range(length)), strict=False))}


def _sketch(shingles: set[str]) -> bytes:
    """Compute HASHES minima, little endian; zeros if there is too little text to compare."""
    if len(shingles) < MIN_SHINGLES:
        return bytes(HASHES * 4)
    minhash = RMinHash(num_perm=HASHES, seed=SEED)
    minhash.update([*shingles])
    return _SIGNATURE.pack(*minhash.digest())


def _bands(sketches: Sequence[bytes]) -> Iterable[str]:
    width = ROWS * 4
    for name, sketch in zip("lw", sketches, strict=True):
        if sketch.strip(b"\0"):
            for start in range(0, len(sketch), width):
                yield f"{name}{start // width:x}{blake2b(sketch[start : start + width], digest_size=6).hexdigest()}"


def _agreement(one: bytes, other: bytes) -> float:
    if len(one) != len(other) or len(one) % 4:
        return 0.0
    same: int = sum(map(eq, memoryview(one).cast("I"), memoryview(other).cast("I")))
    return same / (len(one) // 4)


def _url_key(link: str | None) -> str | None:
    """Return the key of a link; None for a home page, which is not the address of one piece of news."""
    address = canonical_url(link or "")
    parts = urlsplit(address)
    if not (parts.hostname and (parts.path.strip("/") or parts.query)):
        return None
    fragment = (link or "").partition("#")[2]
    return _digest(f"{address}#{fragment}" if fragment and not _NO_POST.fullmatch(fragment) else address)


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
