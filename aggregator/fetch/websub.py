"""Requests to WebSub hubs (WebSub, 5.1). Their answers are judged in core/polling/websub.py."""

from urllib.parse import urlencode

from aggregator.core.errors import BadStatus
from aggregator.core.polling.redirects import permanent_target
from aggregator.core.polling.websub import LEASE_S
from aggregator.fetch.transport import Request, Transport


async def subscribe(
    transport: Transport,
    *,
    hub: str,
    topic: str,
    callback: str,
    secret: str,
    lease_s: float = LEASE_S,
    home: str | None = None,
) -> str | None:
    """Ask a hub for pushes (§5.1); it verifies later. A hub's own redirects (307, 308) are followed.

    `home` is the configured address of the feed that names the hub: a private hub is only asked for a
    private feed, and for none where there is no `home`.

    Return where it has moved permanently, if anywhere. Raises BadStatus if the hub refuses, FetchError
    where it cannot be reached.
    """
    more = {"hub.secret": secret, "hub.lease_seconds": str(int(lease_s))}
    form = {"hub.mode": "subscribe", "hub.topic": topic, "hub.callback": callback, **more}
    return await _ask(transport, hub, form, home)


async def unsubscribe(transport: Transport, *, hub: str, topic: str, callback: str) -> None:
    """Ask a hub for no more pushes (§5.1); it verifies later. Raises as `subscribe`.

    It granted a subscription, so it was asked before, with the permissions of a feed.
    """
    await _ask(transport, hub, {"hub.mode": "unsubscribe", "hub.topic": topic, "hub.callback": callback}, hub)


async def _ask(transport: Transport, hub: str, form: dict[str, str], home: str | None) -> str | None:
    request = Request(
        url=hub,
        home=home or "",
        inside=home is not None,
        method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode("ascii"),
        max_body_bytes=65_536,
    )
    response = await transport.request(request)
    if not 200 <= response.status < 300:
        raise BadStatus(
            f"the hub refused to {form['hub.mode']} (HTTP {response.status})",
            status=response.status,
            url=response.url,
            transient=response.status >= 500,
        )
    return permanent_target(response.hops, response.url)
