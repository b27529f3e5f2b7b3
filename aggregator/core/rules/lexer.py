"""The words of the query line, and the habits of other tools answered with ours."""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from aggregator.core.errors import InvalidRule, Problem
from aggregator.core.rules.nodes import FIELDS

OPERATORS = ("AND", "OR", "NOT", "NEAR", "ONEAR")
LIST_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"

_BLANK = re.compile(r"\s+")
_BARE = re.compile(r'[^\s()"]+')
_PHRASE = re.compile(r'"((?:[^"\\]|\\.)*)"(?:~(\d+)|~)?', re.DOTALL)
_EXACT = re.compile(r"'((?:[^'\\]|\\.)*)'c(?![^\s()])", re.DOTALL)
_REGEX = re.compile(r"/((?:[^/\\]|\\.)+)/(?![^\s()])", re.DOTALL)
_LIST = re.compile(rf"\$({LIST_NAME})(?![^\s()])")
_FIELD = re.compile(r"([A-Za-z_]+):(?=[^\s/]|/[^/\s])")
_NEAR = re.compile(r"(O?NEAR)(?:/(\d+))?")
_NEAR_LIKE = re.compile(r"(O?NEAR|W|PRE|ADJ)[/:~]?[a-z]?(\d+)", re.IGNORECASE)

# What people bring along from elsewhere → what it is called here.
_FOREIGN_FIELDS = {
    "intitle": "title:", "allintitle": "title:", "headline": "title:", "inurl": "link:", "allinurl": "link:",
    "url": "link:", "site": "link:", "source": "feed:", "domain": "link:", "intext": "content:", "body": "content:",
    "text": "content:", "language": "lang:", "tag": "category:", "label": "category:", "by": "author:",
}  # fmt: skip
_FOREIGN_OPERATORS = {"&&": "AND", "&": "AND", "||": "OR", "|": "OR", "!": "NOT", "+": "AND", ",": "AND", ";": "OR"}


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A piece of a query: its kind, its text without quotes, where it starts, and a number (`NEAR/5`, `~2`)."""

    kind: str
    text: str
    offset: int
    number: int | None = None


def lex(text: str) -> tuple[list[Lexeme], list[Problem]]:
    """The lexemes of a query, and warnings. Raises InvalidRule."""
    lexemes: list[Lexeme] = []
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        lexeme, at = _next(text, at)
        lexemes.append(lexeme)
    return lexemes, _doubts(lexemes)


def stands_bare(word: str) -> bool:
    """Whether `word` can be written in a query without quotes."""
    try:
        lexemes, doubts = lex(word)
    except InvalidRule:
        return False
    if doubts or word.casefold() in _DOUBTFUL or _OPENS.match(word):
        return False
    return [(x.kind, x.text) for x in lexemes] == [("word", word)]


_DOUBTFUL = ("and", "or", "not", "near", "onear")
_OPENS = re.compile(r"-?(?:/|[A-Za-z_]+:)")  # harmless alone, a regex or field with what may follow


def _next(text: str, at: int) -> tuple[Lexeme, int]:
    char = text[at]
    if char in "()":
        return Lexeme(char, char, at), at + 1
    if char == '"':
        return _phrase(text, at)
    if char in "“”„«»":
        raise _failure("curly quotation marks mean nothing here", at, 'write "air defence" with straight ones')
    if char == "/" and (regex := _REGEX.match(text, at)):
        return Lexeme("regex", regex[1].replace("\\/", "/"), at), regex.end()
    if char == "'" and (exact := _EXACT.match(text, at)):
        return Lexeme("exact", _unescaped(exact[1]), at), exact.end()
    if char == "$" and (listed := _LIST.match(text, at)):
        return Lexeme("list", listed[1], at), listed.end()
    if char == "-" and at + 1 < len(text) and not text[at + 1].isspace():
        return Lexeme("NOT", "-", at), at + 1
    if field := _FIELD.match(text, at):
        return _field(field), field.end()
    bare = _BARE.match(text, at)
    assert bare is not None
    return _word(text, bare), bare.end()


def _phrase(text: str, at: int) -> tuple[Lexeme, int]:
    found = _PHRASE.match(text, at)
    if not found:
        raise _failure("this quotation mark is never closed", at, 'add " where the phrase ends')
    if found[0].endswith("~"):
        raise _failure("a number is missing after ~", found.end() - 1, 'write for example "air defence"~3')
    phrase = _unescaped(found[1])
    if not phrase.strip():
        raise _failure("this phrase is empty", at, "write words between the quotation marks")
    return Lexeme("phrase", phrase, at, None if found[2] is None else min(int(found[2]), 1000)), found.end()


def _field(found: re.Match[str]) -> Lexeme:
    name = found[1]
    if name in FIELDS:
        return Lexeme("field", name, found.start())
    ours = _FOREIGN_FIELDS.get(name.lower())
    if not ours and (near := get_close_matches(name.lower(), FIELDS, n=1)):
        ours = f"{near[0]}:"
    hint = f"write {ours}" if ours else f"fields are {', '.join(FIELDS)}; to look for the text itself, quote it"
    raise _failure(f"there is no field {name!r}", found.start(), hint)


def _word(text: str, bare: re.Match[str]) -> Lexeme:
    word, at = bare[0], bare.start()
    if word in ("AND", "OR", "NOT"):
        return Lexeme(word, word, at)
    if near := _NEAR.fullmatch(word):
        number = int(near[2]) if near[2] else None
        if number == 0 or (number or 0) > 1000:
            raise _failure(f"{word}: the distance is 1 to 1000 words", at + len(near[1]) + 1, f"write {near[1]}/10")
        rest = re.match(r"\s+(\d+)(?=\s)", text[bare.end() :]) if number is None else None
        if rest:
            raise _failure(f"{near[1]} {rest[1]} is written otherwise here", at, f"write {near[1]}/{rest[1]}")
        return Lexeme("NEAR", near[1], at, number)
    if word[:-1] in FIELDS and word[-1] == ":":
        raise _failure(
            f"a blank stands after {word}", bare.end(), f"write {word} directly before the word or parenthesis"
        )
    _refuse_foreign(word, at)
    return Lexeme("word", word, at)


def _refuse_foreign(word: str, at: int) -> None:
    operator = word if word in _FOREIGN_OPERATORS else word[:2]
    if operator in _FOREIGN_OPERATORS:
        ours = _FOREIGN_OPERATORS[operator]
        raise _failure(f"{operator} is written {ours} here", at, f"write {ours}")
    if (near := _NEAR_LIKE.fullmatch(word)) and (word.upper().startswith(("NEAR", "ONEAR")) or "/" in word):
        ours = "ONEAR" if near[1].upper() in ("PRE", "ONEAR") else "NEAR"
        raise _failure(f"{word} is written otherwise here", at, f"write {ours}/{near[2]}")
    if word[0] in "+!" and word[1:2].isalnum():
        ours = "every word is required unless OR stands between" if word[0] == "+" else f"write NOT {word[1:]}"
        hint = ours if word[0] == "!" else f"{ours}; write {word[1:]}"
        raise _failure(f"{word[0]} before a word is not used here", at, hint)
    if word[0] == "'":
        raise _failure("an exact spelling ends with 'c", at, "write for example 'US'c")
    if word in ("-", "–", "—"):
        raise _failure("a dash by itself means nothing", at, "put it directly before the word to exclude, or write NOT")
    if fuzzy := re.fullmatch(r"(\w+)~\d*", word):
        raise _failure(
            "words that are merely similar cannot be asked for", at, f"write {fuzzy[1]}* or list the spellings"
        )
    if "?" in word[:-1] and re.fullmatch(r"\w+\?\w+", word):
        raise _failure(
            "? does not stand for a letter here", at + word.index("?"), f"write /\\b{word.replace('?', '.')}\\b/"
        )
    if "*" in word[:-1] and re.search(r"\*\w", word):
        raise _failure(
            "a star can only stand at the end of a word", at + word.index("*"), "write the beginning and a star"
        )


def _doubts(lexemes: list[Lexeme]) -> list[Problem]:
    return [
        Problem(
            path=(),
            message=f"{lexeme.text!r} in small letters is a word that must occur, not an operator",
            hint=f"write {lexeme.text.upper()}, or quote it if you mean the word",
            offset=lexeme.offset,
            severity="warning",
        )
        for lexeme in lexemes
        if lexeme.kind == "word" and lexeme.text.casefold() in _DOUBTFUL
    ]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _failure(message: str, offset: int, hint: str | None = None) -> InvalidRule:
    return InvalidRule("query", [Problem(path=(), message=message, hint=hint, offset=offset)])
