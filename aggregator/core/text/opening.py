"""The first words of a text without a headline: posts of Mastodon, Telegram, micro.blog."""

import re

LONGEST = 100  # characters
SHORTEST = 24  # a shorter sentence is an abbreviation or a greeting: the next one is taken with it

_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s|$)|[。！？]+[」』”]?|[।؟۔](?=\s|$)")
_WIDE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def opening(text: str) -> str:
    """Return the first sentence on one line, or as many of its words as fit, with an ellipsis."""
    line = " ".join(text[: 4 * LONGEST].split())
    ends = (found for found in _END.finditer(line, 0, LONGEST) if _length(line[: found.end()]) >= SHORTEST)
    if end := next(ends, None):
        return line[: end.end()].removesuffix(".")
    if len(line) <= LONGEST:
        return line
    cut = line.rfind(" ", LONGEST // 2, LONGEST)
    return f"{line[: cut if cut > 0 else LONGEST - 1].rstrip(' ,;:–—-')}…"


def _length(text: str) -> int:
    """Measure a text; a sign of a script without spaces says as much as three letters."""
    return len(text) + 2 * len(_WIDE.findall(text))
