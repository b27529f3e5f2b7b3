"""Words of the project's old private dialect stay out of code, pages, help and documentation.

Checked are identifiers, texts, comments and docstrings of everything that ships. Where a word is meant as it stands
(a database column, letters of the alphabet), add it to ALLOWED with the reason, or better: say it otherwise.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = frozenset({".py", ".html", ".js", ".css", ".md", ".yaml"})

BANNED = (
    "house", "houses", "desk", "letter", "letters", "told", "tale", "tales", "telling", "tellings", "mend", "mends",
    "mended", "mending", "roof", "attic", "cellar", "sign of life", "for ever", "whoever", "likewise", "so many",
    "of ours",
)  # fmt: skip
_WORD = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(BANNED)})(?![A-Za-z])", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

# Where such a word is meant as it stands: a pattern for the text around it, and the reason.
ALLOWED = {
    r"desk-email|desk@example\.org|alerts/desk\.txt|ExampleDesk": "the channel of the examples belongs to a news desk",
    r"(?i:dead[ _-]?letters?)": "the field's word for a message that could not be delivered",
    r"letter-spacing": "a property of CSS",
    r'"told": (?:story\.alerted_rules|one\.requested)|row\.told|told=True|Column\("told"': "a column of the database",
    r'"told": hits|told: list\[Hit\]|`told`': "the old key of JSON, sent for one more release",
    r"today told too": "a list of stop words",
    r"White House": "the government of the United States by metonym",
}
# Folders whose subject is letters of the alphabet, and what migrations once wrote.
ALPHABETS = (
    "aggregator/core/text", "aggregator/core/rules", "aggregator/core/values.py", "aggregator/parse", "docs/decisions",
    "docs/api.md", "docs/fetching.md", "docs/rules.md",
)  # fmt: skip
FROZEN = ("aggregator/store/migrations",)

PLACES = (
    "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "aggregator", "config", "deploy", "docs",
    "scripts",
)  # fmt: skip


def _files(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.suffix in SUFFIXES and not _within(file, FROZEN))


def _within(file: Path, places: tuple[str, ...]) -> bool:
    return any(file == ROOT / place or ROOT / place in file.parents for place in places)


def _findings(file: Path, text: str, line: int = 1) -> Iterator[str]:
    kept = re.sub("|".join(ALLOWED), "", text)
    for found in _WORD.finditer(_CAMEL.sub(" ", kept)):
        if found[0].lower() in ("letter", "letters") and _within(file, ALPHABETS):
            continue
        yield f"{file.relative_to(ROOT)}:{line}: {found[0]}: {text.strip()[:100]}"


def _lines(file: Path) -> Iterator[str]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        yield from _findings(file, line, number)


@pytest.mark.parametrize("place", PLACES)
def test_banned_words_stay_out(place: str) -> None:
    """Identifiers, comments, docstrings and texts of a whole folder or page."""
    found = [one for file in _files(place) for one in _lines(file)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("word", BANNED)
def test_a_banned_word_is_found(word: str) -> None:
    """In a sentence, in a name with underscores, in a name with capitals."""
    file = ROOT / "aggregator" / "web" / "app.py"
    assert list(_findings(file, f"The {word} here."))
    assert list(_findings(file, f"the_{word}_here"))
    assert list(_findings(file, f"the{word[0].upper()}{word[1:]}Here"))
    assert not list(_findings(file, f"x{word}"))
