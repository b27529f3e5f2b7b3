"""How deeply the elements of a page are nested, before a parser meets them: some take quadratic time on that."""

import re

MAX_DEPTH = 2000  # browsers stop at 512
_TAG = re.compile(rb"<(/?)([A-Za-z][A-Za-z0-9]*)")
# Elements that hold nothing, and those that end by themselves where the next one begins.
_NAMES = b"""
area base br col embed hr img input link meta param source track wbr
p li dt dd td th tr tbody thead tfoot option optgroup colgroup rb rp rt rtc html head body
"""
_UNCOUNTED = frozenset(_NAMES.split())


def is_too_deep(page: bytes) -> bool:
    """Tell whether a page opens more than MAX_DEPTH elements inside each other; linear in its size."""
    depth = 0
    for closes, name in _TAG.findall(page):
        if name.lower() in _UNCOUNTED:
            continue
        depth = max(0, depth - 1) if closes else depth + 1
        if depth > MAX_DEPTH:
            return True
    return False
