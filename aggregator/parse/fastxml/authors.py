"""Authors from a single line, parsed as feedparser does."""

import re

_EMAIL = re.compile(
    r"(([a-zA-Z0-9\_\-\.\+]+)@((\[[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.)|(([a-zA-Z0-9\-]+\.)+))"
    r"([a-zA-Z]{2,4}|[0-9]{1,3})(\]?))(\?subject=\S+)?"
)


def byline(author: str | None) -> dict[str, str]:
    """Split name and address from `jo@example.org (Jo)`, `Jo <jo@example.org>` or `Jo`."""
    if not author:
        return {}
    found = _EMAIL.search(author) if "@" in author else None
    person: dict[str, str] = {}
    if found:
        person["email"] = found[0]
        for cruft in (found[0], "()", "<>", "&lt;&gt;"):
            author = author.replace(cruft, "")
        author = author.strip()
        author = author.removeprefix("(") if author.startswith("(") else author
        author = author.removesuffix(")").strip()
    return person | ({"name": author} if author else {})
