"""Languages: naming, guessing and stemming. Both libraries load only if a rule asks.

Beside this module are fastText's model lid.176.ftz and lists of common words, each with its NOTICE; nothing is
downloaded.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import takewhile
from typing import Any
from unicodedata import name

from aggregator.core.text.fold import IGNORABLE, fold

_SAME = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "ji": "yi", "tl": "fil", "sh": "sr", "hr": "hr"}
_STEMMERS = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "cs": "czech", "da": "danish", "nl": "dutch",
    "en": "english", "eo": "esperanto", "et": "estonian", "fi": "finnish", "fr": "french", "de": "german",
    "el": "greek", "hi": "hindi", "hu": "hungarian", "id": "indonesian", "ga": "irish", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "no": "norwegian", "fa": "persian", "pl": "polish", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sr": "serbian", "es": "spanish", "sv": "swedish", "ta": "tamil",
    "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
_WINDOW = 80  # of the sample: what the model was tried with
_SAMPLE = 400  # code points are plenty to tell a language
# Letters in the window from which a guess of this probability is taken for certain: names and short headlines
# are guessed as anything (`NATO, S-400, CAATSA` as Dutch, 0.92).
_CERTAIN = ((20, 0.8), (50, 0.5))
_LIKELY = 5  # languages that a text may be in, where none is certain
_CERTAIN_SCRIPT = (4, 0.8)  # the same for a script that is one language's own
# Languages that are written in other letters than Latin ones; a script that is not here is one language's own.
_WRITTEN_IN = {
    "CYRILLIC": "ru uk be bg sr mk kk ky mn tg tt ba cv ce os ab av kv udm mhr mrj myv sah tyv xal bxr krc lez rue mo",
    "ARABIC": "ar fa ur ps sd ug ku ckb azb arz pnb mzn lrc ks bal dv az",
    "CJK": "zh ja ko wuu yue gan",
    "HEBREW": "he yi",
    "DEVANAGARI": "hi ne mr sa bh gom mai new dty kok",
    "BENGALI": "bn as bpy",
    "ETHIOPIC": "am ti",
}
_STEMMED_SCRIPTS = frozenset(["LATIN", "CYRILLIC", "ARABIC", "GREEK", "ARMENIAN", "DEVANAGARI", "TAMIL"])
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())  # of ASCII
_NO_CAPITALS = bytes(code for code in range(128) if not chr(code).isupper())
_UKRAINIAN = re.compile("[іїєґІЇЄҐ]")
_RUSSIAN = re.compile("[ыэъёЫЭЪЁ]")
# Endings by which Snowball's stemmers make one word of two: import and importance are not forms of one word.
# They are looked for where a stem ends, folded; two letters of them name the derivation, whatever its own ending.
_DERIVED = {
    "de": "ung|igkeit|heit|keit|lich|isch|ig|ik|los|bar",
    "fr": "ation|ateur|atric|ition|iteur|ement|ment|ivement|ivite|ite|if|iv|eux|eus|ique|isme|iste|able|ance|ence|ant",
    "es": "ador|acion|ante|ancia|encia|idad|iv|os[oa]|ic|able|ible|ista|ismo|amient|imient|mente|logia",
    "pt": "ador|acao|acoes|ante|ancia|encia|idade|iv|os[oa]|ic|avel|ivel|ista|ismo|ament|iment|mente|logia",
    "it": "azion|ator|ant|anz|enz|iv|os[oaei]|ic|abil|ibil|ist|ism|ament|iment|mente|logi",
    "ca": "ador|acio|ant|ancia|encia|itat|iu|iv|ic|able|ible|ista|isme|ament|iment|ment|logia",
    "ro": "abil|ibil|ivit|itat|itate|ator|atii|ant|ist|ism|iv",
    "nl": "ing|heid|heden|lijk|baar|ig|end",
    "da": "lig|ig|els|lost", "sv": "lig|ig|els|het", "no": "elig|eleg|lig|leg|ig|eig|els|slov|lov|het",
    "ru": "ост",
}  # fmt: skip


def language(tag: str | None) -> str:
    """Return the primary language of a tag (`en-GB` → en, `nb` → no); "" for none."""
    primary = (tag or "").strip().replace("_", "-").partition("-")[0].lower()
    return _SAME.get(primary, primary)


_SHORT = 4  # letters: ties, died and dying are of tie and die
_VOWEL = re.compile(r"[aeiouy]")
_IN_EE = re.compile(r"(?:agr|guarant|decr|refer)eed")  # of verbs that end in ee themselves


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    """The likely languages of a text, and whether the first is certain.

    `script` are the languages of its letters if most are not Latin; None if they could be any's.
    """

    likeliest: tuple[str, ...] = ()
    certain: bool = False
    script: frozenset[str] | None = None

    def may_be(self, lang: str) -> bool:
        """Tell whether the text can be in a language, as far as can be detected."""
        return lang == self.likeliest[0] if self.certain else self.script is None or lang in self.script


def guess_language(text: str) -> LanguageGuess:
    """Guess the language of `text`. Only enough letters make a guess certain: names look the same in all."""
    sample = " ".join(text[:_SAMPLE].split())
    windows = [sample[at : at + _WINDOW] for at in range(0, len(sample), _WINDOW)]
    first = _guess(windows[0]) if windows else LanguageGuess()
    if first.certain:
        return first
    guesses = map(_guess, filter(_is_clear, windows[1:]))
    return next((guess for guess in guesses if guess.certain), first)


@lru_cache(maxsize=1 << 8)
def _is_clear(window: str) -> bool:
    """Tell whether any language has the chance that a certain guess has: all languages cost half as much again."""
    return bool(_model().predict(_lowered(window), k=1, threshold=min(chance for _, chance in _CERTAIN))[0])


@lru_cache(maxsize=1 << 8)  # of the entries of a poll, which rules ask for, and then stories
def _guess(window: str) -> LanguageGuess:
    if window.isascii():
        script, most = "LATIN", len(window.encode().translate(None, _NO_LETTERS))
        count = most
    else:
        letters = Counter(map(_script, filter(str.isalpha, window)))
        count = letters.total()
        script, most = letters.most_common(1)[0] if count else ("", 0)
    if len(window) < 3 or not count:
        return LanguageGuess()
    labels, chances = _model().predict(_lowered(window), k=_LIKELY)
    likeliest = tuple(map(_labelled, labels))
    if script == "CYRILLIC" and (foreign := _not_written_so(window)) in likeliest:
        # The model takes short Ukrainian texts for Russian, however many letters they have that Russian lacks.
        left = [(lang, chance) for lang, chance in zip(likeliest, chances, strict=True) if lang != foreign]
        rest = sum(chance for _, chance in left)
        likeliest, chances = tuple(lang for lang, _ in left), [chance / rest for _, chance in left if rest]
    own = script != "LATIN" and 2 * most > count
    shared = frozenset(_WRITTEN_IN.get(script, likeliest[0] if likeliest else "").split()) if own else None
    thresholds = (_CERTAIN_SCRIPT,) if own and script not in _WRITTEN_IN else _CERTAIN
    certain = bool(likeliest) and any(count >= least and chances[0] >= chance for least, chance in thresholds)
    return LanguageGuess(likeliest, certain, shared)


def _not_written_so(text: str) -> str:
    """Return which of Ukrainian and Russian a text cannot be in by its letters; "" where they do not tell."""
    ukrainian, russian = _UKRAINIAN.search(text), _RUSSIAN.search(text)
    return "" if bool(ukrainian) == bool(russian) else "ru" if ukrainian else "uk"


@lru_cache(maxsize=1 << 8)
def _labelled(label: str) -> str:
    """Return the language that a label of the model names."""
    return language(label.removeprefix("__label__"))


@lru_cache(maxsize=1 << 12)
def _script(letter: str) -> str:
    """Return the script of a letter, the first word of its Unicode name."""
    return name(letter, "").partition(" ")[0].partition("-")[0].removeprefix("MODIFIER")


def has_stemmer(lang: str) -> bool:
    """Tell whether inflected forms are known in a language."""
    return lang in _STEMMERS


def stemmed_script(text: str) -> bool:
    """Tell whether inflected forms are known in some language that is written like `text`."""
    scripts = {_script(char) for char in text if char.isalpha()}
    return not scripts or (bool(scripts & _STEMMED_SCRIPTS) and not _UKRAINIAN.search(text))


def stem(words: Sequence[str], lang: str) -> list[str]:
    """Reduce written words to what their inflected forms share; only fold them if there is no stemmer.

    That is longer than Snowball's stem, which derived words share: the ending of a derivation stays.
    """
    stemmer = _stemmer(lang)
    if stemmer is None:
        return [fold(word) for word in words]
    lowered = [IGNORABLE.sub("", word).lower() for word in words]
    stemmed = map(fold, stemmer.stemWords(lowered))
    if lang == "en":
        return [f"{each} {_uninflected(fold(word))}" for word, each in zip(lowered, stemmed, strict=True)]
    derived = _derivations(lang)
    if derived is None:
        return [*stemmed]
    return [each + _derivation(fold(word), each, derived) for word, each in zip(lowered, stemmed, strict=True)]


@lru_cache(maxsize=1 << 16)
def root(word: str, lang: str) -> str:
    """Return what a written word shares with all that is derived from it: Snowball's stem, folded."""
    stemmer = _stemmer(lang)
    return fold(stemmer.stemWord(IGNORABLE.sub("", word).lower()) if stemmer else word)


@lru_cache(maxsize=64)
def common_words(lang: str) -> frozenset[str]:
    """Return the folded words of a language, and of English, that do not tell what a text is about."""
    return frozenset().union(*(_common_words().get(each, (frozenset(),))[0] for each in (lang, "en")), dates(lang))


@lru_cache(maxsize=64)
def dates(lang: str) -> frozenset[str]:
    """Return the folded names of months and days in a language, and in English."""
    return frozenset().union(*(_common_words().get(each, ((), frozenset()))[1] for each in (lang, "en")))


@lru_cache(maxsize=1)
def _common_words() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    text = (files("aggregator.core.text") / "common_words.txt").read_text("utf-8")
    found = {}
    for line in text.splitlines():
        lang, _, words = line.partition(": ")
        said, _, dated = words.partition(" | ")
        found[lang] = (frozenset(map(fold, said.split())), frozenset(map(fold, dated.split())))
    return found


def _derivation(word: str, stemmed: str, derived: re.Pattern[str]) -> str:
    """Return the derivation that a stemmer removed from a folded word, after a blank; "" for an inflection."""
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(word, stemmed, strict=False)))
    found = derived.match(word, common)
    return f" {found[1][:2]}" if found else ""


@lru_cache(maxsize=64)
def _derivations(lang: str) -> re.Pattern[str] | None:
    inflection = "(?:e[rln]?)?" if lang == "de" else ""  # German's stemmer takes the er of Sicherheit, too
    return re.compile(f"{inflection}({_DERIVED[lang]})") if lang in _DERIVED else None


def _uninflected(word: str) -> str:
    """Strip plural, past and -ing from a folded English word: the first of Porter's steps, and no other."""
    if word.endswith(("ies", "ied")):
        word = word[:-1] if len(word) <= _SHORT else f"{word[:-3]}y"
    elif word.endswith("sses"):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    word = f"{word[0]}ie" if len(word) == _SHORT + 1 and word.endswith("ying") else _without_past(word)
    word = re.sub(r"(?<=..)e$", "", re.sub(r"([^aeiou])\1$", r"\1", word))
    return re.sub(r"(?<=.[^aeiou])y$", "i", word)


def _without_past(word: str) -> str:
    """Drop -ed and -ing where a vowel stands before them; -eed is an ending of few verbs only."""
    if _IN_EE.fullmatch(word):
        return word[:-1]
    for ending in ("ed", "ing"):
        stem = word.removesuffix(ending)
        if stem != word and _VOWEL.search(stem) and not (ending == "ed" and stem.endswith("e")):
            return stem
    return word


def _lowered(text: str) -> str:
    """Lower a headline in capitals, which would be taken for Japanese."""
    plain = text.encode("ascii", "ignore")
    letters, capitals = (len(plain.translate(None, others)) for others in (_NO_LETTERS, _NO_CAPITALS))
    return text.lower() if text.isupper() or (len(text) > 5 and capitals > 0.8 * letters) else text


@lru_cache(maxsize=1)
def _model() -> Any:
    from fasttext import load_model

    return load_model(str(files("aggregator.core.text") / "lid.176.ftz"))


@lru_cache(maxsize=64)
def _stemmer(lang: str) -> Any:
    name = _STEMMERS.get(lang)
    if name is None:
        return None
    import Stemmer

    return Stemmer.Stemmer(name)
