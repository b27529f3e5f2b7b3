"""Several documents as one: each with its name, as netstrings (https://cr.yp.to/proto/netstrings.txt)."""

from collections.abc import Iterable, Iterator


def bundled(documents: Iterable[tuple[str, bytes]]) -> bytes:
    """Join named documents to one."""
    pieces: list[bytes] = []
    for name, document in documents:
        for data in (name.encode(), document):
            pieces += (b"%d:" % len(data), data, b",")
    return b"".join(pieces)


def unbundled(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield named documents. Raises ValueError if this is no bundle."""
    at, data = 0, []
    while at < len(bundle):
        colon = bundle.index(b":", at, at + 12)
        end = colon + 1 + int(bundle[at:colon])
        if bundle[end : end + 1] != b",":
            raise ValueError("not a bundle of documents")
        data.append(bundle[colon + 1 : end])
        at = end + 1
        if len(data) == 2:
            yield data[0].decode(), data[1]
            data.clear()
    if data:
        raise ValueError("not a bundle of documents")
