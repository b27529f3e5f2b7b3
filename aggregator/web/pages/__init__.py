"""The pages: server-rendered, readable without a script. Forms post; a post ends in a redirect."""

from fastapi import APIRouter

from aggregator.web.pages import (
    act,
    alerts,
    channels,
    display,
    feeds,
    hits,
    language,
    links,
    login,
    rule_editor,
    rules,
    search,
    silences,
    start,
    status,
    story,
    syndication,
    triage,
)

router = APIRouter(include_in_schema=False)
for part in (
    login,
    act,
    language,
    display,
    start,
    links,
    hits,
    rule_editor,
    rules,
    syndication,
    feeds,
    alerts,
    channels,
    search,
    story,
    silences,
    status,
    triage,
):
    router.include_router(part.router)
