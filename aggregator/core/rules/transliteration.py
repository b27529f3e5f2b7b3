"""Spellings of a term in other scripts, computed once when a rule is loaded.

Designators travel: S-400 is С-400 in Russian, إس-400 in Arabic, एस-400 in Hindi. For code-like terms
these spellings are always added, with the look-alike one (Cyrillic С typed for Latin C). Names are
respelled only if a rule says `translit: true`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice, product

from aggregator.core.text.fold import fold

Respelling = Callable[[str], str | None]

MAX_SPELLINGS = 36
MAX_WAYS = 12  # of spelling a designator's name in Cyrillic: Герань, Геран
MAX_CODE_LETTERS = 12  # of a run: Красуха-4 has seven
_MAX_TRIED = 4096  # ways of spelling a name, from which those with the fewest oddities are taken

_LETTERS = re.compile(r"[^\W\d_]+")
_NAMED = re.compile(r"[^\W\d_]{4}|[^\W\d_]{2}[a-zа-яіїєґ]")  # a name, no few capitals: Geran-2, Kub-2; not AGM-158
_BLANK_FREE = re.compile(r"\S+")
_CYRILLIC = re.compile(r"[\u0400-\u052f]")
_UKRAINIAN = re.compile("[іїєґ]")
# After which consonants Russian and Ukrainian may write a soft sign: at the end of a word, and before a consonant.
_SOFT_AT_END, _SOFT_WITHIN, _CONSONANTS = "бвдзлмнпрст", "лнрстдз", "бвгґджзклмнпрстфхцчшщ"
_GREEK = re.compile(r"[\u0370-\u03ff]")
_LATIN = re.compile(r"[a-z]+")

# One spelling per letter or letter group, longest first where they are applied.
_TO_CYRILLIC = {
    "shch": "щ", "kh": "х", "sh": "ш", "ch": "ч", "zh": "ж", "ts": "ц", "yu": "ю", "ya": "я", "yo": "ё",
    **dict(zip("abcdefghijklmnopqrstuvwxyz", "абсдефгхийклмнопкрстуввхйз", strict=True)),
}  # fmt: skip
_TO_UKRAINIAN = {**_TO_CYRILLIC, "i": "і"}
_TO_GREEK = dict(zip("abcdefghiklmnoprstuvwxyz", "αβκδεφγηικλμνοπρστυβωξυζ", strict=True))
_TO_ARABIC = {
    "kh": "خ", "sh": "ش", "ch": "تش", "th": "ث", "x": "كس",
    **dict(zip("abcdefghijklmnopqrstuvwyz", "ابكديفغهيجكلمنوبقرستوفويز", strict=True)),
}  # fmt: skip
# Keys are folded: й is и here, ё is е.
_FROM_CYRILLIC: dict[str, tuple[str, ...]] = {
    "ии": ("y", "iy", "ii", "yi"), "ыи": ("y", "yi"), "х": ("kh", "h", "x"), "ю": ("yu", "iu"), "я": ("ya", "ia"),
    "ц": ("ts", "c", "z"), "щ": ("shch",), "ч": ("ch",), "ш": ("sh",), "ж": ("zh",), "ы": ("y",), "э": ("e",),
    "ь": ("",), "ъ": ("",), "є": ("ye",), "і": ("i", "yi"), "ґ": ("g",),
    **{a: (b,) for a, b in zip("абвгдезиклмнопрстуф", "abvgdeziklmnoprstuf", strict=True)},
    "дж": ("dzh", "j"),
}  # fmt: skip
_FROM_UKRAINIAN: dict[str, tuple[str, ...]] = {
    **_FROM_CYRILLIC,
    "г": ("h", "g"), "и": ("y", "i"), "і": ("i",), "иі": ("yi", "yyi"), "ии": ("y", "yi", "yy", "iy"),
    "є": ("ye", "ie", "e"), "я": ("ia", "ya"), "ю": ("iu", "yu"), "х": ("kh", "h"), "зг": ("zh", "zgh"),
}  # fmt: skip
# How a designator's name may be written in Cyrillic, the likeliest first.
_WAYS_TO_CYRILLIC: dict[str, tuple[str, ...]] = {
    **{letters: (spelled,) for letters, spelled in _TO_CYRILLIC.items()},
    "c": ("к",), "ce": ("це", "се"), "ci": ("ци", "си"), "cy": ("ци", "си"), "ck": ("к",), "j": ("дж", "й", "ж"),
    "h": ("х", "г"), "i": ("и", "і"), "^e": ("э", "е"), "^z": ("з", "ц"), "iy": ("ий",), "x": ("кс", "х"),
    "w": ("в", "у"),
}  # fmt: skip
_FROM_GREEK: dict[str, tuple[str, ...]] = {
    "μπ": ("b", "mp"), "ντ": ("d", "nt"), "γκ": ("g", "gk"), "ου": ("ou", "u"), "φ": ("f", "ph"), "χ": ("ch", "h"),
    "θ": ("th",), "ψ": ("ps",), "η": ("i",), "β": ("v", "b"), "ξ": ("x",), "ω": ("o",), "υ": ("y", "u"),
    **{a: (b,) for a, b in zip("αγδεζικλμνοπρστ", "agdeziklmnoprst", strict=True)},
}  # fmt: skip
_NAMES_TO_CYRILLIC: dict[str, tuple[str, ...]] = {
    **{letters: (spelled,) for letters, spelled in _TO_CYRILLIC.items()},
    "c": ("к", "ц"), "ck": ("к",), "ee": ("и",), "h": ("х", "г"), "j": ("дж", "й"), "oo": ("у",), "ph": ("ф",),
    "th": ("т",), "w": ("в", "у"), "x": ("кс",), "y": ("и", "й", "ий"), "iy": ("ий",), "^e": ("э", "е"),
}  # fmt: skip
_NAMES_TO_UKRAINIAN: dict[str, tuple[str, ...]] = {
    **_NAMES_TO_CYRILLIC,
    "i": ("і", "и"), "y": ("и", "ий", "й"), "yi": ("ї", "иї"), "h": ("г", "х"), "g": ("г", "ґ"),
    "e": ("е", "є"), "^e": ("е",),
    "ye": ("є",), "ie": ("іє", "є"), "ia": ("ія", "я"), "iu": ("ю",), "sky": ("ський",), "skyi": ("ський",),
    "skyy": ("ський",), "skiy": ("ський",), "tsk": ("цьк", "цк"), "yy": ("ий",),
}  # fmt: skip
_NAMES_TO_GREEK: dict[str, tuple[str, ...]] = {
    **{letters: (spelled,) for letters, spelled in _TO_GREEK.items()},
    "b": ("μπ", "β"), "d": ("ντ", "δ"), "g": ("γκ", "γ"), "th": ("θ",), "ph": ("φ",), "ou": ("ου",), "j": ("τζ",),
    "h": ("χ", ""), "u": ("ου",), "sh": ("σ",), "ch": ("τσ",), "y": ("ι",), "v": ("β",), "w": ("ου",),
}  # fmt: skip

# What the letters of the Latin alphabet are called, for scripts that spell S-400 as "ess-400".
_CALLED: dict[str, dict[str, str]] = {
    "arabic": {
        "a": "إيه", "b": "بي", "c": "سي", "d": "دي", "e": "إي", "f": "إف", "g": "جي", "h": "إتش", "i": "آي", "j": "جيه",
        "k": "كي", "l": "إل", "m": "إم", "n": "إن", "o": "أو", "p": "بي", "q": "كيو", "r": "آر", "s": "إس", "t": "تي",
        "u": "يو", "v": "في", "w": "دبليو", "x": "إكس", "y": "واي", "z": "زد",
    },
    "hebrew": {
        "a": "איי", "b": "בי", "c": "סי", "d": "די", "f": "אף", "k": "קיי", "l": "אל", "m": "אם", "n": "אן", "p": "פי",
        "r": "אר", "s": "אס", "t": "טי", "v": "וי", "x": "אקס",
    },
    "hindi": {
        "a": "ए", "b": "बी", "c": "सी", "d": "डी", "e": "ई", "f": "एफ", "g": "जी", "h": "एच", "i": "आई", "j": "जे",
        "k": "के", "l": "एल", "m": "एम", "n": "एन", "o": "ओ", "p": "पी", "q": "क्यू", "r": "आर", "s": "एस", "t": "टी",
        "u": "यू", "v": "वी", "w": "डब्ल्यू", "x": "एक्स", "y": "वाई", "z": "जेड",
    },
}  # fmt: skip
_LOOKS_CYRILLIC = dict(zip("ABCEHKMOPTXY", "АВСЕНКМОРТХУ", strict=True))
_LOOKS_GREEK = dict(zip("ABEZHIKMNOPTYX", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", strict=True))
_LOOKS_LATIN = {other: latin for table in (_LOOKS_CYRILLIC, _LOOKS_GREEK) for latin, other in table.items()}
_LETTER_CALLED = {fold(name): letter for names in _CALLED.values() for letter, name in reversed(names.items())}


@lru_cache(maxsize=1 << 14)
def code_spellings(term: str) -> tuple[str, ...]:
    """Return a code-like term's spellings in other scripts, without itself."""
    found: dict[str, None] = {}
    heard, seen = _in_latin(term)
    for latin in (term, *heard):
        found[latin] = None
        for respell in _RESPELLINGS:
            spelled = _each_run(latin, respell)
            if spelled:
                found[spelled] = None
        found.update(dict.fromkeys(_mixed(latin)))
    if _NAMED.search(term):
        nth_of = _nth_latin if _CYRILLIC.search(fold(term)) else _nth_cyrillic
        for latin in (term, *heard) if nth_of is _nth_cyrillic else (term,):
            found.update(dict.fromkeys(_ways(latin, nth_of)))
    found.update(dict.fromkeys(seen))
    found.pop(term)
    return tuple(islice(found, MAX_SPELLINGS))


@lru_cache(maxsize=1 << 14)
def name_spellings(term: str) -> tuple[str, ...]:
    """Return a name's likely spellings in Latin, Cyrillic (Russian and Ukrainian) and Greek, without itself."""
    bare = fold(term)
    tables: Sequence[Mapping[str, tuple[str, ...]]]
    if _UKRAINIAN.search(bare):
        tables = (_FROM_UKRAINIAN,)
    elif _CYRILLIC.search(bare):
        tables = (_FROM_CYRILLIC, _FROM_UKRAINIAN)
    elif _GREEK.search(bare):
        tables = (_FROM_GREEK,)
    else:
        tables = (_NAMES_TO_CYRILLIC, _NAMES_TO_UKRAINIAN, _NAMES_TO_GREEK)
    found = (spelled for table in tables for spelled in islice(_respellings(bare, table), MAX_SPELLINGS // len(tables)))
    return tuple(dict.fromkeys(spelled for spelled in found if spelled != bare))


def _mixed(latin: str) -> Iterator[str]:
    """Yield spellings with some runs of letters in Latin and some in Cyrillic, as two keyboards write Tu-22M3."""
    russian = _each_run(latin, _cyrillic)
    ours, theirs = _runs(latin), _runs(russian or "")
    if len(ours) != len(theirs) or len(ours) < 5:
        return
    alike = [_look_latin(part) or part for part in theirs]
    typed = [_look_cyrillic(part) or part for part in ours]
    for first, rest in ((ours, theirs), (theirs, ours), (theirs, alike), (typed, ours)):
        yield "".join((*first[:2], *rest[2:]))


def _in_latin(term: str) -> tuple[list[str], list[str]]:
    """Return Latin spellings of a term written in another script: by its sound, and by its looks."""
    bare = fold(term)
    heard = [_each_run(term, _letter_called)]
    for pattern, table in ((_CYRILLIC, _FROM_CYRILLIC), (_GREEK, _FROM_GREEK)):
        if pattern.search(bare):
            heard += [_each_run(term, partial(_transcribed, table=table, nth=nth)) for nth in range(2)]
    seen = _each_run(term, _look_latin)
    return [spelled for spelled in heard if spelled], [seen] if seen else []


def _transcribed(run: str, table: Mapping[str, tuple[str, ...]], nth: int) -> str:
    pieces = _pieces(fold(run), table)
    return _like(run, "".join(options[min(nth, len(options) - 1)] for options in pieces))


def _each_run(term: str, respell: Respelling) -> str | None:
    """Respell the letters of a term's designators; None if some cannot be."""
    parts = _runs(term)
    pieces = [*parts]
    for place in range(1, len(parts), 2):
        run = parts[place]
        spelled = respell(run) if len(run) <= MAX_CODE_LETTERS else None
        if not spelled:
            return None
        pieces[place] = spelled
    return "".join(pieces) if len(parts) > 1 else None


@lru_cache(maxsize=1 << 10)
def _runs(term: str) -> tuple[str, ...]:
    """Divide a term into what stays and runs of a designator's letters, alternately; both ends are what stays."""
    parts: list[str] = []
    at = 0
    for word in _BLANK_FREE.finditer(term):
        if any(map(str.isdecimal, word[0])):
            for run in _LETTERS.finditer(term, *word.span()):
                parts += (term[at : run.start()], run[0])
                at = run.end()
    return (*parts, term[at:])


def _single(table: Mapping[str, str]) -> Respelling:
    options = {letters: (spelled,) for letters, spelled in table.items()}

    def respell(run: str) -> str | None:
        bare = fold(run)
        if len(bare) > 1:  # a C by itself looks like С, but sounds like К in a word
            bare = re.sub("c(?![ehiy])", "k", bare)
        if not _LATIN.fullmatch(bare) or any(letter not in options for letter in bare):
            return None
        return _like(run, "".join(spelled for (spelled,) in _pieces(bare, options)))

    return respell


def _looks(table: Mapping[str, str]) -> Respelling:
    def respell(run: str) -> str | None:
        return "".join(table[letter] for letter in run) if set(run) <= table.keys() else None

    return respell


def _arabic(run: str) -> str | None:
    """Respell a syllable by its sound (Su → سو), capitals by the names of the letters."""
    if run.isupper() and len(run) < 4:
        return None
    spelled = _sound_arabic(run)
    return {"ا": "أ", "ي": "إي"}.get(spelled[0], spelled[0]) + spelled[1:] if spelled else None


def _called(script: str) -> Respelling:
    names = _CALLED[script]

    def respell(run: str) -> str | None:
        letters = fold(run)
        if len(letters) > 3 or not (run.isupper() or len(run) == 1) or any(letter not in names for letter in letters):
            return None
        return " ".join(names[letter] for letter in letters)

    return respell


def _like(model: str, spelled: str) -> str:
    """Give `spelled` the capitals of `model`."""
    if model.isupper() and (len(model) > 1 or len(spelled) == 1):
        return spelled.upper()
    return spelled[:1].upper() + spelled[1:] if model[:1].isupper() else spelled


def _pieces(bare: str, table: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """List the options for each piece of `bare`, longest pieces first; an unknown letter stays."""
    pieces: list[tuple[str, ...]] = []
    at = 0
    if f"^{bare[:1]}" in table:  # some letters are spelled otherwise at the start of a word
        pieces.append(table[f"^{bare[:1]}"])
        at = 1
    while at < len(bare):
        size = next((n for n in (4, 3, 2) if bare[at : at + n] in table and len(bare) - at >= n), 1)
        pieces.append(table.get(bare[at : at + size], (bare[at],)))
        at += size
    return pieces


def _respellings(bare: str, table: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the spellings of a name, those with the fewest unusual pieces first."""
    pieces = _softened(_pieces(bare, table)) if table in (_NAMES_TO_CYRILLIC, _NAMES_TO_UKRAINIAN) else None
    return _likeliest(pieces or _pieces(bare, table))


def _likeliest(pieces: Sequence[tuple[str, ...]]) -> Iterator[str]:
    numbered = islice(product(*map(_numbered, pieces)), _MAX_TRIED)
    ranked = sorted(numbered, key=lambda choice: sum(number for number, _ in choice))
    return ("".join(piece for _, piece in choice) for choice in ranked)


def _numbered(options: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    return tuple(enumerate(options))


def _softened(pieces: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Add a soft sign as a further option to Cyrillic pieces where one may stand."""
    found: list[tuple[str, ...]] = []
    for options, following in zip(pieces, [*pieces[1:], ("",)], strict=True):
        letter, after = options[0][-1:], following[0][:1]
        soft = _SOFT_AT_END if not after.isalpha() else _SOFT_WITHIN if after in _CONSONANTS and letter != after else ""
        found.append((*options, options[0] + "ь") if letter and letter in soft else options)
    return found


def _ways(term: str, nth_of: Callable[[int, str], str | None]) -> Iterator[str]:
    """Yield the likeliest spellings of a designator, until there is no other."""
    last = None
    for nth in range(MAX_WAYS):
        spelled = _each_run(term, partial(nth_of, nth))
        if spelled is None or spelled == last:
            return
        yield spelled
        last = spelled


def _nth_cyrillic(nth: int, run: str) -> str | None:
    """Return the nth likeliest Cyrillic spelling of a designator; a letter or two have only one."""
    ways = _cyrillic_ways(fold(run)) if len(run) > 2 else ()
    return _like(run, ways[min(nth, len(ways) - 1)]) if ways else _cyrillic(run)


def _nth_latin(nth: int, run: str) -> str | None:
    ways = _latin_ways(fold(run))
    return _like(run, ways[min(nth, len(ways) - 1)]) if ways else None


@lru_cache(maxsize=1 << 12)
def _latin_ways(bare: str) -> tuple[str, ...]:
    return tuple(islice(_likeliest(_pieces(bare, {**_FROM_CYRILLIC, "к": ("k", "c")})), MAX_WAYS))


@lru_cache(maxsize=1 << 12)
def _cyrillic_ways(bare: str) -> tuple[str, ...]:
    if not _LATIN.fullmatch(bare):
        return ()
    return tuple(islice(_likeliest(_softened(_pieces(bare, _WAYS_TO_CYRILLIC))), MAX_WAYS))


def _letter_called(run: str) -> str | None:
    return _LETTER_CALLED.get(fold(run), "").upper() or None


# Designators have few letters, so these are asked for the same ones again and again.
_remembered = lru_cache(maxsize=1 << 13)
_cyrillic, _greek, _sound_arabic = map(_remembered, map(_single, (_TO_CYRILLIC, _TO_GREEK, _TO_ARABIC)))
_ukrainian = _remembered(_single(_TO_UKRAINIAN))
_look_latin, _look_cyrillic = (_remembered(_looks(table)) for table in (_LOOKS_LATIN, _LOOKS_CYRILLIC))
_RESPELLINGS: tuple[Respelling, ...] = (
    _cyrillic, _ukrainian, _look_cyrillic, _greek, _remembered(_looks(_LOOKS_GREEK)), _remembered(_arabic),
    *(_remembered(_called(script)) for script in _CALLED),
)  # fmt: skip
