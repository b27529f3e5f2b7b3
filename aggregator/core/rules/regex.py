"""Regular expressions: RE2 only (linear time), with `\\w \\d \\s \\b` in their Unicode meaning.

RE2's own classes are ASCII. The classes are rewritten; for `\\b`, which has no equivalent, a marker
character is put into the text at every word boundary, `\\b` asks for the marker, and everything else
may pass over it. No other module imports google-re2.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

MAX_PATTERN = 2000  # code points
MAX_PROGRAM = 20_000  # RE2 instructions: {1000}{1000} and the like
MAX_MATCHES = 1000  # per text

_BOUNDARY = "\ue0b0"
_CLASSES = {"w": r"\p{L}\p{M}\p{N}_", "d": r"\p{Nd}", "s": r"\s\p{Z}"}
_PIECE = re.compile(
    r"""(?P<named>\(\?P?<\w+>)                                        # groups
      | (?P<flags>\(\?[a-zA-Z-]*[:)])
      | (?P<look>\(\?(?:=|!|<=|<!|>|\#|\(|P=|P>))
      | (?P<escape>\\(?:x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|[pP](?:\{\^?\w+\}|\w)|Q(?:.*?)(?:\\E|\Z)|.))
      | (?P<set>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*+(?:\]|\\?\Z))  # without an end: RE2 refuses it
      | (?P<repeat>[*+?]\??|\{\d+(?:,\d*)?\}\??)
      | (?P<plain>.)""",
    re.VERBOSE | re.DOTALL,
)
_WORD_BOUNDARY = re.compile(r"\b")


class BadPattern(ValueError):
    """A pattern that RE2 does not take; `offset` is the character that is wrong, if known."""

    def __init__(self, message: str, hint: str | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.offset = offset


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern. `bounded`: it uses `\\b`; `wide` is a looser RE2 pattern for prefilters."""

    source: str
    exact: bool
    bounded: bool
    wide: str

    @cached_property
    def _regexp(self) -> Any:
        return _compile(_translate(self.source, boundaries=self.bounded), self.exact)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield code-point ranges of the matches in `text`, in order, at most MAX_MATCHES; never empty ones."""
        subject, cuts = _marked(text) if self.bounded else (text, ())
        for count, found in enumerate(self._regexp.finditer(subject)):
            if count >= MAX_MATCHES:
                return
            start, end = found.span()
            while start < end and self.bounded and subject[start] == _BOUNDARY:
                start += 1
            start, end = start - bisect_right(cuts, start - 1), end - bisect_right(cuts, end - 1)
            if start < end:
                yield start, end


@lru_cache(maxsize=1 << 14)
def pattern(source: str, exact: bool = False) -> Pattern:
    """Compile a pattern. Raises BadPattern."""
    if len(source) > MAX_PATTERN:
        raise BadPattern(f"the pattern is longer than {MAX_PATTERN} characters", "split it")
    if "\x08" in source:
        raise BadPattern(
            "the pattern contains a backspace: YAML turned \\b into one",
            "put the pattern in single quotes",
            source.index("\x08"),
        )
    bounded = False
    for piece in _PIECE.finditer(source):
        _refuse(piece)
        bounded = bounded or piece[0] == r"\b"
    made = Pattern(source, exact, bounded, _translate(source, boundaries=None))
    if made._regexp.programsize > MAX_PROGRAM:
        raise BadPattern("the pattern is too large once its repetitions are expanded", "use smaller numbers in {…}")
    if made._regexp.search("") is not None:
        raise BadPattern("the pattern matches empty text, so it would match everything", "use + instead of *")
    return made


def _refuse(piece: re.Match[str]) -> None:
    if piece[0] in ("(?>", "(?#"):
        what, instead = ("an atomic group", "(?:") if piece[0] == "(?>" else ("a comment", "a comment of YAML: # …")
        raise BadPattern(f"{piece[0]} is {what}, which RE2 does not have", f"write {instead}", piece.start())
    if piece["look"]:
        what = "look-around" if piece[0] != "(?P=" else "a back-reference"
        raise BadPattern(
            f"{piece[0]} is {what}, which cannot be matched in linear time",
            "use NEAR, NOT and phrases in query: instead",
            piece.start(),
        )
    if re.fullmatch(r"\\[1-9]", piece[0]):
        raise BadPattern("a back-reference cannot be matched in linear time", "list the spellings", piece.start())
    if piece[0] == r"\B":
        raise BadPattern(r"\B is not supported", r"write what must be there, e.g. \w", piece.start())


def _compile(source: str, exact: bool) -> Any:
    import re2  # heavy, and few rules need it

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = exact
    try:
        return re2.compile(source, options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise BadPattern(f"not a regular expression: {text}", "see docs/rules.md for what RE2 accepts") from error


def _translate(source: str, *, boundaries: bool | None) -> str:
    """Translate `source` for RE2. `boundaries`: let every element pass over a marker; None: drop `\\b` altogether."""
    pieces: list[str] = []
    glued = False  # the last element is a literal letter, after which a literal letter needs no marker
    for piece in _PIECE.finditer(source):
        text, content = piece[0], False
        consumes = bool(piece["set"] or (piece["plain"] and text not in "^$|()") or piece["escape"])
        if text == r"\b":
            text, consumes = (_BOUNDARY if boundaries else ""), False
            if pieces and pieces[-1] == text:
                continue
        elif text in (r"\A", r"\z"):
            consumes = False
        elif piece["escape"]:
            text = _escape(text)
        elif piece["set"]:
            text = _set(text)
        elif piece["plain"] and text.isalnum():
            content = True
        if consumes and boundaries and not (content and glued):
            text = f"(?:{_BOUNDARY}?{_passing(text)})"
        elif text == "$" and boundaries:
            text = f"{_BOUNDARY}?$"
        glued = content
        pieces.append(text)
    return "".join(pieces)


def _passing(text: str) -> str:
    """Return an element that does not itself take the marker."""
    if text == ".":
        return f"[^\\n{_BOUNDARY}]"
    return f"[^{_BOUNDARY}{text[2:]}" if text.startswith("[^") else text


def _escape(text: str) -> str:
    name = text[1]
    if name.lower() in _CLASSES and len(text) == 2:
        return f"[{'^' if name.isupper() else ''}{_CLASSES[name.lower()]}]"
    return f"(?:{text})" if name == "Q" else text


def _set(text: str) -> str:
    def inner(found: re.Match[str]) -> str:
        name = found[1]
        if name in "WS":
            raise BadPattern(f"\\{name} is not allowed inside […]", "negate the set instead: [^…]")
        return r"\P{Nd}" if name == "D" else _CLASSES.get(name, found[0])

    return re.sub(r"\\(.)", inner, text, flags=re.DOTALL)


@lru_cache(maxsize=8)
def _marked(text: str) -> tuple[str, Sequence[int]]:
    """Return `text` with a marker at each word boundary, and the markers' places."""
    clean = text.replace(_BOUNDARY, " ")
    at = [found.start() for found in _WORD_BOUNDARY.finditer(clean)]
    pieces = [clean[start:end] for start, end in zip([0, *at], [*at, len(clean)], strict=True)]
    return _BOUNDARY.join(pieces), [place + index for index, place in enumerate(at)]


class Prefilter:
    """A filter that finds which of many patterns can match a text, by the literals in them.

    `patterns` are loose ones (`Pattern.wide`), each with whether case matters.
    """

    def __init__(self, patterns: Sequence[tuple[str, bool]]) -> None:
        import re2

        self._filter = re2.Filter()
        for wide, exact in patterns:
            options = re2.Options()
            options.log_errors = False
            options.case_sensitive = exact
            self._filter.Add(wide, options)
        self._filter.Compile()

    def candidates(self, text: str) -> Sequence[int]:
        """Return the places of the patterns that may match `text`."""
        return self._filter.Match(text.lower(), True) or ()
