"""Callbacks for hubs (WebSub): unguessable addresses, open to the world, bounded in size."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import PlainTextResponse, Response

from aggregator.core.errors import StoreError
from aggregator.web.dependencies import BackendDep
from aggregator.web.middleware import HUBS

router = APIRouter(include_in_schema=False)

MAX_QUERY = 8192
STATUS = {"taken": 202, "ignored": 202, "unknown": 410}  # a wrong signature learns nothing (section 7.1)


@router.get(HUBS + "{callback}")
async def verify(request: Request, backend: BackendDep, callback: str) -> Response:
    """Confirm a subscription that we asked for; 404 for any other."""
    query = {} if len(request.url.query) > MAX_QUERY else dict(request.query_params)
    reply = await backend.verify_subscription(callback, query)
    return PlainTextResponse(reply or "", 404 if reply is None else 200)


@router.post(HUBS + "{callback}")
async def receive(request: Request, backend: BackendDep, callback: str) -> Response:
    """Accept a push. 410: the subscription has ended; 503: try again later."""
    headers = request.headers
    length = headers.get("content-length", "")
    try:
        taken = await backend.receive_push(
            callback,
            headers.get("content-type", ""),
            headers.get("x-hub-signature", ""),
            request.body,
            int(length) if length.isdecimal() else None,
        )
    except StoreError as error:
        raise HTTPException(503, str(error)) from error
    return Response(status_code=STATUS[taken])
