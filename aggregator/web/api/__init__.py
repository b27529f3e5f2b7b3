"""The JSON API under /api/v1: the shapes of core/schemas.py over the catalog and the backend."""

from fastapi import APIRouter

from aggregator.web.api import alerts, channels, docs, feeds, hits, links, rules, system, triage

router = APIRouter()
for part in (triage, hits, rules, feeds, links, alerts, channels, system):
    router.include_router(part.router, prefix="/api/v1")
router.include_router(docs.router)
router.include_router(system.plain)
