"""Languages: naming, guessing and stemming. Both libraries load only where a rule asks.

The model beside this module is fastText's lid.176.ftz (lid.176.NOTICE.md); nothing is downloaded.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
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
_WINDOW = 80  # of the sample: what the model was tried with
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
    labels, _ = _model().predict(_lowered(sample[:_WINDOW]), k=1)
    return language(labels[0].removeprefix("__label__")) if labels else ""


def stem(words: Sequence[str], lang: str) -> list[str]:
    """The folded stems of written words in a language; merely folded where it has no stemmer."""
    stemmer = _stemmer(lang)
    if stemmer is None:
        return [fold(word) for word in words]
    return [fold(word) for word in stemmer.stemWords([IGNORABLE.sub("", word).lower() for word in words])]


def _lowered(text: str) -> str:
    """A headline in capitals is taken for Japanese."""
    latin = [char for char in text if char.isascii() and char.isalpha()]
    shouted = text.isupper() or (len(text) > 5 and sum(char.isupper() for char in latin) > 0.8 * len(latin))
    return text.lower() if shouted else text


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
