"""Status: loops, lag, outbox, silences, what is stored, versions; and reading the configuration again."""

from fastapi import APIRouter, Request, Response

from aggregator.core.findings import findings
from aggregator.web.dependencies import GivenDesk, GivenPages, then

router = APIRouter()


@router.get("/status")
async def show(request: Request, desk: GivenDesk, pages: GivenPages) -> Response:
    """The service at one glance."""
    return await _page(request, desk, pages)


@router.post("/reload")
async def reload(request: Request, desk: GivenDesk, pages: GivenPages) -> Response:
    """Read the configuration again; what is wrong with it is shown, and the old one keeps running."""
    verdict = await desk.reload()
    if verdict.ok:
        return then("/status", "reloaded")
    return await _page(request, desk, pages, problems=verdict.problems, code=422)


async def _page(
    request: Request, desk: GivenDesk, pages: GivenPages, *, problems: object = (), code: int = 200
) -> Response:
    now = desk.clock.now()
    silences = await desk.catalog.silences(now)
    hosts = await desk.catalog.hosts()
    current = desk.current()
    state = await desk.status()
    return pages.render(
        request, "status.html", status=code, state=state, found=findings(state), silences=silences, problems=problems,
        hosts=[host for host in hosts if host.not_before > now], channels=current.config.channels,
        warnings=current.warnings,
    )  # fmt: skip
