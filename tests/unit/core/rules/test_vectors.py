"""Vectors: a term, and texts that it must and must not match."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aggregator.core.rules.match_term import match_term
from aggregator.core.text.fold import fold

VECTORS = Path(__file__).parents[3] / "data" / "vectors"


def vectors() -> Iterator[object]:
    """Every (term, text, verdict) of the YAML files, each text also composed and decomposed."""
    files = sorted(VECTORS.glob("*.yaml"))
    assert files, f"no vectors in {VECTORS}"
    for file in files:
        for entry in yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader):
            for key in ("match", "no_match"):
                for text in entry[key]:
                    yield pytest.param(
                        entry["term"], text, key == "match", id=f"{file.stem}: {entry['term']} | {text!r}"
                    )


@pytest.mark.parametrize(("term", "text", "matches"), [*vectors()])
def test_vector(term: str, text: str, matches: bool) -> None:
    """The term is found where a reader would say it stands, and only there; spans say where."""
    spans = match_term(term, text)
    assert bool(spans) is matches
    for span in spans:
        assert span.text == text[span.start : span.end]
        assert fold(span.text)
