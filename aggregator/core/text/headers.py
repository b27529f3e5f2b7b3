"""Headers of requests that a configuration adds."""

import re

OWN_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "expect"})
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
LINE_BREAK = re.compile(r"[\r\n\0]")


def is_header(name: str, value: str) -> bool:
    """Tell whether a header can be sent: a name that is a token and is not one of the program's own, one line."""
    return name.lower() not in OWN_HEADERS and bool(HEADER_NAME.fullmatch(name)) and not LINE_BREAK.search(value)
