"""A document on its way into a reader, with what HTTP said about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Decoded bytes and the headers that change their meaning; `url` is where they came from."""

    body: bytes
    url: str
    content_type: str = ""
    content_language: str = ""
