"""Signed links in alerts: who holds one may act on this one alert for a while, without a password."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta

LIFE = timedelta(days=14)
_TOKEN = re.compile(r"([A-Za-z0-9_-]{1,100})\.([0-9a-f]{1,12})\.([A-Za-z0-9_-]{43})", re.ASCII)


def action_token(key: bytes, delivery_id: str, now: datetime) -> str:
    """Sign the id of a delivery, with the instant when that ends (HMAC-SHA256)."""
    ends = f"{int((now + LIFE).timestamp()):x}"
    return f"{delivery_id}.{ends}.{_signature(key, delivery_id, ends)}"


def delivery_of(key: bytes, token: str, now: datetime) -> str | None:
    """Return the delivery that a token is about; None if it is not ours, or has ended."""
    found = _TOKEN.fullmatch(token)
    if found is None or not key:
        return None
    delivery_id, ends, signature = found.groups()
    if not hmac.compare_digest(signature, _signature(key, delivery_id, ends)):
        return None
    return delivery_id if int(ends, 16) > now.timestamp() else None


def _signature(key: bytes, delivery_id: str, ends: str) -> str:
    made = hmac.new(key, f"act\0{delivery_id}\0{ends}".encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(made).decode().rstrip("=")
