"""Status, reload, health and metrics."""

import logging
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from aggregator.core.errors import StoreError
from aggregator.core.findings import is_healthy
from aggregator.core.schemas import check_json, findings_json, models, stats_json, status_json
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep

log = logging.getLogger(__name__)

router = APIRouter(tags=["system"], responses=bodies.ERRORS)
plain = APIRouter(tags=["system"])
UNHEALTHY: dict[int | str, dict[str, Any]] = {503: {"model": models.HealthCheck, "description": "A loop is stalled."}}


@router.get("/status", response_model=models.Status)
async def status(backend: BackendDep) -> Response:
    """Show the service's health."""
    return JSONResponse(status_json(await backend.status()))


@router.get("/findings", response_model=models.Findings)
async def list_findings(backend: BackendDep) -> Response:
    """List what is wrong, the worst first, each with its remedy; `ok` where there is no warning or error."""
    return JSONResponse(findings_json(await backend.findings()))


@router.get("/stats", response_model=models.Stats)
async def stats(backend: BackendDep) -> Response:
    """Show how much is stored."""
    return JSONResponse(stats_json(await backend.catalog.stats()))


@router.post("/reload", response_model=models.RulesCheck, responses={422: {"model": models.RulesCheck}})
async def reload(backend: BackendDep) -> Response:
    """Reload the configuration; 422 with the problems if it is not valid (the running one stays active)."""
    verdict = await backend.reload()
    return JSONResponse(check_json(verdict), 200 if verdict.ok else 422)


@plain.get("/healthz", response_model=models.HealthCheck, responses=UNHEALTHY)
async def healthz(backend: BackendDep) -> Response:
    """Report whether every loop responds in time; needs no authentication."""
    loops = backend.loop_statuses()
    well = not any(loop.late for loop in loops)
    return JSONResponse({"ok": well, "loops": {loop.name: not loop.late for loop in loops}}, 200 if well else 503)


@plain.get("/readyz", response_model=models.HealthCheck, responses=UNHEALTHY)
async def readyz(backend: BackendDep) -> Response:
    """Report by area whether anything is wrong, as the status does; needs no authentication.

    503 if work does not get done (a finding is an error); warnings leave it at 200, with `ok` false.
    """
    try:
        found = await backend.findings()
    except StoreError as error:
        log.warning("not ready: %s", error)
        return JSONResponse({"ok": False, "loops": {"database": False}}, 503)
    wrong = {finding.area for finding in found if finding.severity != "note"}
    areas = {area: area not in wrong for area in ("database", "feeds", "alerts", "configuration", "service")}
    stuck = any(finding.severity == "error" for finding in found)
    return JSONResponse({"ok": is_healthy(found), "loops": areas}, 503 if stuck else 200)


@plain.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(backend: BackendDep) -> Response:
    """Metrics for Prometheus."""
    body, content_type = backend.metrics()
    return Response(body, headers={"content-type": content_type})
