"""Sanitising of untrusted text for storage and display; every function takes linear time.

`clean_text` and `clean_lines` are applied once, before anything is stored. What remains holds no
control, bidi or invisible character, no run of white space and no more than its share of length, so
that everything behind the parser may rely on it. The sinks (terminal, log, JSON) apply `inert` or
`escaped` all the same: not everything that they show came through the parser.

Invisible characters that a script needs stay where it needs them: joiners inside words and emoji
(Unicode core specification, 23.2), variation selectors behind what they vary, direction marks beside
right-to-left letters. Embeddings, overrides and isolates never do (UAX 9; UTR 36, 2.8).
"""

import re
from functools import cache

MAX_TITLE = 1000  # characters of a title, a list of authors, a sentence about a document
MAX_NAME = 200  # of one author or category

SPACE = " \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000"
_INVISIBLE_16 = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb"
)
_INVISIBLE = f"{_INVISIBLE_16}\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff\ufffe\uffff"  # bidi controls included
_UNSAFE = f"{_CONTROL}{_INVISIBLE}"
_RIGHT_TO_LEFT = "\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_SYMBOL = "#*0-9\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINED = (
    f"{_RIGHT_TO_LEFT}\u0900-\u115e\u1161-\u17b3\u17b6-\u180a\u1810-\u1fff\u2190-\u2bff\ua840-\uabff"
    "\U00011000-\U00011fff\U0001f000-\U0001faff"
)
_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MONGOLIAN = "\u1820-\u18aa"
_NEEDED = (
    rf"(?<=[{_JOINED}\ufe0f])[\u200c\u200d](?=[{_JOINED}])"
    rf"|(?<=[{_VIRAMA}])\u200d"
    rf"|(?<=[{_SYMBOL}])[\ufe0e\ufe0f]"
    rf"|(?<=[{_RIGHT_TO_LEFT}])[\u061c\u200e\u200f]|[\u061c\u200e\u200f](?=[{_RIGHT_TO_LEFT}])"
    rf"|(?<=[{_MONGOLIAN}])[\u180b-\u180d\u180f]"
    rf"|(?<=[{_HAN}])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
    r"|(?<=\U0001f3f4)[\U000e0061-\U000e007a]{1,6}\U000e007f"  # the flags of regions
)
UNSAFE = re.compile(f"[{_UNSAFE}]")  # steers or hides, whatever stands beside it
_ODD = re.compile(f"[{_UNSAFE}\t\r]")
_WIDE = SPACE.removeprefix(" ")
_ODD_OR_WIDE = re.compile(f"[{_UNSAFE}\t\r{_WIDE}]")
# The same for texts without characters beyond U+FFFF, in which one table answers for a character.
_ODD_OR_WIDE_16 = re.compile(f"[{_CONTROL}{_INVISIBLE_16}\t\r{_WIDE}]")
_SHORT = 200  # characters
_PLAIN_8 = bytes(code for code in range(256) if code == 10 or not _ODD_OR_WIDE.match(chr(code)))

_LINE_ENDS = re.compile("\r\n?|[\u2028\x85\v\f]")
_SPACES = re.compile(f"[{SPACE}]{{2,}}")
_LINE_EDGES = re.compile(f"[{SPACE}]?\n[{SPACE}]?")
_EMPTY_LINES = re.compile("\n{3,}")
_ANY_SPACES = re.compile(f"\n[{SPACE}\n]*|[{SPACE}][{SPACE}\n]+")
_EDGES = "".join(map(chr, (9, 10, 32, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x2800, 0x3000)))


@cache  # these two take longer to compile than all others, and few programs meet a text that needs them
def _dropped() -> re.Pattern[str]:
    return re.compile(f"(?=[{_UNSAFE}])(?:({_NEEDED})|[{_UNSAFE}]+)")


@cache
def _escaped() -> re.Pattern[str]:
    return re.compile(f"(?=[{_UNSAFE}\r])(?:({_NEEDED})|[{_UNSAFE}\r])")


def clean_text(text: str, limit: int = MAX_TITLE) -> str:
    """Clean `text` to one line of at most `limit` characters, for titles, names and sentences.

    A run of white space of any kind becomes one blank; a single no-break or wide space stays. A text
    that is cut ends in an ellipsis.
    """
    if not _is_plain(text):
        line = _ANY_SPACES.sub(" ", _without_unsafe(text))
    else:
        line = _ANY_SPACES.sub(" ", text) if "\n" in text or "  " in text else text
    line = line.strip(_EDGES)
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip(_EDGES)}…"


def clean_lines(text: str) -> str:
    """Clean `text` but keep its lines and paragraphs, for summaries and contents."""
    if not _is_plain(text):
        text = _SPACES.sub(" ", _without_unsafe(text))
        if "\n" in text:
            text = _EMPTY_LINES.sub("\n\n", _LINE_EDGES.sub("\n", text))
        return text.strip(_EDGES)
    # To look for two characters is much quicker than to match a pattern, and most texts have none of these.
    if "  " in text:
        text = _SPACES.sub(" ", text)
    if " \n" in text or "\n " in text:
        text = _LINE_EDGES.sub("\n", text)
    if "\n\n\n" in text:
        text = _EMPTY_LINES.sub("\n\n", text)
    return text.strip(_EDGES)


def inert(text: str) -> str:
    """Make `text` safe for a terminal: lines and blanks stay, control and invisible characters go."""
    return _dropped().sub(r"\1", text.replace("\r", "")) if _ODD.search(text) else text


def escaped(text: str) -> str:
    r"""Write control and invisible characters of `text` as `\u202e`, which also is their spelling inside JSON."""
    return _escaped().sub(_spelled, text) if _ODD.search(text) else text


def masked(text: str, limit: int = MAX_TITLE) -> str:
    """Mask unsafe characters of `text` that was stored uncleaned by an earlier version, as one line.

    Character stands for character, so that the places of matches in it still hold.
    """
    if len(text) <= limit and text.isprintable():
        return text
    line = _escaped().sub(lambda found: found[1] or "\ufffd", text[:limit].replace("\n", " "))
    return line if len(text) <= limit else f"{line[:-1]}…"


def _is_plain(text: str) -> bool:
    """Tell whether nothing in `text` is unsafe, and blanks and line feeds are its only white space."""
    if len(text) < _SHORT and text.isascii():
        return text.isprintable() or text.replace("\n", "").isprintable()
    try:  # to delete bytes is many times as quick as to match characters
        return not text.encode("latin-1").translate(None, _PLAIN_8)
    except UnicodeEncodeError:
        is_short = len(text.encode("utf-16-le", "surrogatepass")) == 2 * len(text)
        return not (_ODD_OR_WIDE_16 if is_short else _ODD_OR_WIDE).search(text)


def _without_unsafe(text: str) -> str:
    if not _ODD.search(text):
        return text
    text = _LINE_ENDS.sub("\n", text).replace("\u2029", "\n\n").replace("\t", " ")
    return _dropped().sub(r"\1", text)


def _spelled(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
