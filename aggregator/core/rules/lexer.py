"""The lexer of the query line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aggregator.core.errors import InvalidRule, Problem
from aggregator.core.rules import foreign_syntax
from aggregator.core.rules.foreign_syntax import SyntaxAdvice
from aggregator.core.rules.syntax_tree import FIELDS
from aggregator.core.text.fold import IGNORABLE, narrow

DASHES = foreign_syntax.DASHES  # what editors and phones make of a minus
LIST_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"

_BLANK = re.compile(r"\s+")
_BARE = re.compile(r'[^\s()"]+')
_PHRASE = re.compile(r'"((?:[^"\\]|\\.)*)"(?:~(\d+)|~)?', re.DOTALL)
_MARKED = re.compile(r"'((?:[^'\\]|\\.)*)'([ci])(?![^\s()])", re.DOTALL)
_REGEX = re.compile(r"/((?:[^/\\]|\\.)+)/(?![^\s()])", re.DOTALL)
_LIST = re.compile(rf"\$({LIST_NAME})(?![^\s()])")
_FIELD = re.compile(r"([A-Za-z_]+):(?=[^\s/]|/[^/\s])")
_NEAR = re.compile(r"(O?NEAR)(?:/(\d+))?")
# Outside of quotes: what nobody sees (U+200C only at a word's edge), and full-width signs.
_ODD = re.compile(
    f"{_PHRASE.pattern}|{_MARKED.pattern}|{_REGEX.pattern}|(?P<wide>[\uff01-\uff5e])"
    f'|(?P<unseen>(?!\u200c){IGNORABLE.pattern}|\u200c(?=[\\s()"]|\\Z)|(?:(?<=[\\s()"])|\\A)\u200c)',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A piece of a query: its kind, its text without quotes, where it starts, and a number (`NEAR/5`, `~2`)."""

    kind: str
    text: str
    offset: int
    number: int | None = None


def lex(text: str) -> tuple[list[Lexeme], list[Problem]]:
    """Split a query into lexemes; return warnings, too. Raises InvalidRule.

    Invisible characters are skipped, and full-width signs (`ＡＮＤ`, `（`) are signs, except in quotes.
    """
    if text.isascii():
        return _lexed(text)
    seen, sources = _seen(text)
    try:
        lexemes, doubts = _lexed(seen)
    except InvalidRule as error:
        raise InvalidRule(error.rule, _moved(error.problems, sources)) from None
    return [replace(lexeme, offset=sources[lexeme.offset]) for lexeme in lexemes], _moved(doubts, sources)


def _seen(text: str) -> tuple[str, Sequence[int]]:
    """Return `text` as it is read, and for each of its characters, and its end, the index in `text`."""
    pieces: list[str] = []
    sources: list[int] = []
    done = 0
    for odd in _ODD.finditer(text):
        if odd["wide"] or odd["unseen"]:
            pieces += (text[done : odd.start()], "" if odd["unseen"] else narrow(odd[0]))
            sources += range(done, odd.start() if odd["unseen"] else odd.end())
            done = odd.end()
    return "".join((*pieces, text[done:])), [*sources, *range(done, len(text) + 1)]


def _moved(problems: Sequence[Problem], sources: Sequence[int]) -> list[Problem]:
    return [replace(p, offset=None if p.offset is None else sources[p.offset]) for p in problems]


def _lexed(text: str) -> tuple[list[Lexeme], list[Problem]]:
    lexemes: list[Lexeme] = []
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        lexeme, at = _next(text, at)
        lexemes.append(lexeme)
    return lexemes, _warnings(lexemes)


def needs_no_quotes(word: str) -> bool:
    """Tell whether `word` can be written in a query without quotes."""
    try:
        lexemes, doubts = lex(word)
    except InvalidRule:
        return False
    if doubts or _OPENS.match(word):
        return False
    return [(x.kind, x.text) for x in lexemes] == [("word", word)]


_OPENS = re.compile(r"-?(?:/|[A-Za-z_]+:)")  # harmless alone, a regex or field with what may follow


def _next(text: str, at: int) -> tuple[Lexeme, int]:
    char = text[at]
    if char in "()":
        return Lexeme(char, char, at), at + 1
    if char == '"':
        return _phrase(text, at)
    if char in "“”„«»":
        raise _failure("curly quotation marks are not supported", at, 'write "air defence" with straight quotes')
    if char == "/" and (regex := _REGEX.match(text, at)):
        return Lexeme("regex", regex[1].replace("\\/", "/"), at), regex.end()
    if char == "'" and (marked := _MARKED.match(text, at)):
        return Lexeme("exact" if marked[2] == "c" else "inflected", _unescaped(marked[1]), at), marked.end()
    if char == "$" and (listed := _LIST.match(text, at)):
        return Lexeme("list", listed[1], at), listed.end()
    if char in DASHES and text[at + 1 : at + 2] in tuple(DASHES):
        raise _failure("two dashes in a row", at, "write one - directly before the word to exclude, or NOT")
    if char in DASHES and at + 1 < len(text) and not text[at + 1].isspace():
        return Lexeme("NOT", "-", at), at + 1
    if field := _FIELD.match(text, at):
        return _field(text, field), field.end()
    bare = _BARE.match(text, at)
    assert bare is not None
    return _word(text, bare), bare.end()


def _phrase(text: str, at: int) -> tuple[Lexeme, int]:
    found = _PHRASE.match(text, at)
    if not found:
        raise _failure("this quotation mark is never closed", at, 'add " where the phrase ends')
    if found[0].endswith("~"):
        raise _failure("a number is missing after ~", found.end() - 1, 'write for example "air defence"~3')
    phrase, rest = _unescaped(found[1]), _BARE.match(text, found.end())
    if rest and (syntax := foreign_syntax.after_phrase(phrase, rest[0])):
        raise _refused(syntax, found.end())
    if not phrase.strip():
        raise _failure("this phrase is empty", at, "write words between the quotation marks")
    return Lexeme("phrase", phrase, at, None if found[2] is None else min(int(found[2]), 1000)), found.end()


def _field(text: str, found: re.Match[str]) -> Lexeme:
    name, at = found[1], found.start()
    if name in FIELDS:
        return Lexeme("field", name, at)
    value = _BARE.match(text, found.end())
    raise _refused(foreign_syntax.advise_field(name, value[0] if value else ""), at)


def _word(text: str, bare: re.Match[str]) -> Lexeme:
    word, at = bare[0], bare.start()
    if passage := foreign_syntax.advise_passage(text, at):
        raise _refused(passage, at)
    if word in ("AND", "OR", "NOT"):
        return Lexeme(word, word, at)
    if near := _NEAR.fullmatch(word):
        number = int(near[2]) if near[2] else None
        if number == 0 or (number or 0) > 1000:
            nearest = f"{near[1]}/1000" if number else f'{near[1]}/1, or a phrase: "air defence"'
            raise _failure(f"{word}: the distance is 1 to 1000 words", at + len(near[1]) + 1, f"write {nearest}")
        rest = re.match(r"\s+(\d+)(?=\s)", text[bare.end() :]) if number is None else None
        if rest:
            raise _failure(f"{near[1]} {rest[1]} uses a different syntax here", at, f"write {near[1]}/{rest[1]}")
        return Lexeme("NEAR", near[1], at, number)
    if word[-1] == ":" and foreign_syntax.is_field(word[:-1]):
        raise _failure(
            f"unexpected space after {word}", bare.end(), f"write {word} directly before the word or parenthesis"
        )
    if word[0] == "'":
        raise _failure("exact spellings end with 'c, inflected names with 'i", at, "write for example 'US'c")
    if word in DASHES:
        raise _failure('dangling "-"', at, "put it directly before the word to exclude, or write NOT")
    if syntax := foreign_syntax.advise_word(word):
        raise _refused(syntax, at)
    return Lexeme("word", word, at)


def _warnings(lexemes: list[Lexeme]) -> list[Problem]:
    kinds = [lexeme.kind for lexeme in lexemes]
    found = []
    for place, lexeme in enumerate(lexemes):
        answer = None
        if lexeme.kind == "word":
            answer = foreign_syntax.lint_word(lexeme.text, between=foreign_syntax.advise_between(kinds, place))
        elif lexeme.kind == "phrase":
            answer = foreign_syntax.lint_phrase(lexeme.text)
        if answer:
            found.append(_problem(answer, lexeme.offset))
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _refused(answer: SyntaxAdvice, offset: int) -> InvalidRule:
    return InvalidRule("query", [_problem(answer, offset)])


def _problem(answer: SyntaxAdvice, offset: int) -> Problem:
    return Problem(
        path=(), message=answer.message, hint=answer.hint, offset=offset + answer.at, severity=answer.severity
    )


def _failure(message: str, offset: int, hint: str | None = None) -> InvalidRule:
    return InvalidRule("query", [Problem(path=(), message=message, hint=hint, offset=offset)])
