"""Status: loops, lag, outbox, silences, storage, versions; and the reload of the configuration."""

from fastapi import APIRouter, Request, Response

from aggregator.core.cluster_findings import is_alive
from aggregator.core.findings import findings
from aggregator.core.model import Finding, Health
from aggregator.web.api.channels import channel_rows
from aggregator.web.dependencies import BackendDep, TemplatesDep, redirect_after_post

router = APIRouter()

PAGES = {"dead": "/alerts?state=dead", "channel": "/channels", "waiting": "/channels"}
PAGES |= {health.value: f"/feeds?state={health.value}" for health in Health}
AREAS = {"feeds": "/feeds", "alerts": "/alerts"}


def page_of(finding: Finding) -> str:
    """Return the page that shows what a finding is about; empty: there is none."""
    return PAGES.get(finding.kind) or AREAS.get(finding.area, "")


@router.get("/status")
async def show(request: Request, backend: BackendDep, templates: TemplatesDep) -> Response:
    """Show the status of the service."""
    return await _page(request, backend, templates)


@router.post("/reload")
async def reload(request: Request, backend: BackendDep, templates: TemplatesDep) -> Response:
    """Reload the configuration; problems are shown, and the old one keeps running."""
    verdict = await backend.reload()
    if verdict.ok:
        return redirect_after_post("/status", "reloaded")
    return await _page(request, backend, templates, problems=verdict.problems, code=422)


async def _page(
    request: Request, backend: BackendDep, templates: TemplatesDep, *, problems: object = (), code: int = 200
) -> Response:
    now = backend.clock.now()
    silences = await backend.catalog.silences(now)
    hosts = await backend.catalog.hosts()
    current = backend.current()
    state = await backend.status()
    return templates.render(
        request, "status.html", status=code, state=state, found=findings(state), silences=silences, problems=problems,
        page_of=page_of,
        hosts=[host for host in hosts if host.not_before > now], channels=await channel_rows(backend),
        warnings=current.warnings, alive={node.id for node in state.nodes if is_alive(node)},
    )  # fmt: skip
