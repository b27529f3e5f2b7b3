"""XHTML inside a feed, written out as feedparser writes it, so that both readers see the same markup."""

from xml.etree.ElementTree import Element

from aggregator.parse.fastxml.elements import MAX_DEPTH, Unsupported, attributes, name

_XHTML = "xhtml_"
_NOT_INLINE = frozenset({"xhtml_body", "xhtml_svg", "xhtml_math"})


def markup(element: Element, *, unwrap: bool) -> str:
    """Write the children of `element` as markup; `unwrap`: without the one `<div>` that Atom 1.0 requires.

    Raises Unsupported for anything but XHTML.
    """
    if unwrap and len(element) == 1 and name(element[0]) == "xhtml_div" and not _blank_around(element):
        element = element[0]
    pieces: list[str] = []
    _write(element, pieces, 0)
    return "".join(pieces).strip()


def _blank_around(element: Element) -> str:
    """Return what stands beside the only child, if it is more than white space."""
    return (element.text or "").strip() + (element[0].tail or "").strip()


def _write(element: Element, pieces: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Unsupported("depth")
    if element.text:
        pieces.append(_escaped(element.text))
    for child in element:
        called = name(child)
        if not called.startswith(_XHTML) or called in _NOT_INLINE:
            raise Unsupported(f"{child.tag} in text")
        tag = called.removeprefix(_XHTML)
        given = "".join(f' {key}="{_quoted(value)}"' for key, value in attributes(child).items())
        pieces.append(f"<{tag}{given}>")
        _write(child, pieces, depth + 1)
        pieces.append(f"</{tag}>")
        if child.tail:
            pieces.append(_escaped(child.tail))


def _escaped(text: str) -> str:
    """Escape as xml.sax.saxutils does, whose import brings half of the network library into a worker."""
    return text.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', "&quot;")
