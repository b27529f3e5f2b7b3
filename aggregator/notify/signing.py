"""Signatures by which receivers verify that a webhook's request is ours, whole and fresh (docs/channels.md).

HMAC-SHA256 (RFC 2104) over the instant, a dot and the exact bytes of the body: a replayed request
must keep its instant, and a changed instant or body breaks the signature.
"""

import hmac
from datetime import datetime

TIMESTAMP = "X-Aggregator-Timestamp"
SIGNATURE = "X-Aggregator-Signature"
MIN_SECRET_BYTES = 16


def signed(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """Return the headers that sign a body sent at `at`: Unix seconds, and `sha256=` with the digest in hex."""
    timestamp = str(int(at.timestamp()))
    digest = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256").hex()
    return {TIMESTAMP: timestamp, SIGNATURE: f"sha256={digest}"}
