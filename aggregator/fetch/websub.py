"""Asking a hub for pushes (WebSub, section 5.1). What it answers is judged in core/polling/websub.py."""

from urllib.parse import urlencode

from aggregator.core.errors import BadStatus
from aggregator.core.polling.websub import LEASE_S
from aggregator.fetch.transport import Request, Transport


async def subscribe(
    transport: Transport, *, hub: str, topic: str, callback: str, secret: str, lease_s: float = LEASE_S
) -> None:
    """Ask a hub for pushes (§5.1); it verifies later. A hub's own redirects (307, 308) are followed.

    Raises BadStatus where the hub refuses, FetchError where it cannot be reached.
    """
    form = {
        "hub.mode": "subscribe",
        "hub.topic": topic,
        "hub.callback": callback,
        "hub.secret": secret,
        "hub.lease_seconds": str(int(lease_s)),
    }
    request = Request(
        url=hub,
        method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode("ascii"),
        max_body_bytes=65_536,
    )
    response = await transport.request(request)
    if not 200 <= response.status < 300:
        raise BadStatus(
            f"the hub refused a subscription (HTTP {response.status})",
            status=response.status,
            url=response.url,
            transient=response.status >= 500,
        )
