"""Dependencies of routes: the backend and its parts, typed."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse

from aggregator.ports.backend import Backend
from aggregator.web.events import EventStream
from aggregator.web.templating import Templates, query


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


def _events(request: Request) -> EventStream:
    events: EventStream = request.app.state.events
    return events


def _templates(request: Request) -> Templates:
    templates: Templates = request.app.state.templates
    return templates


BackendDep = Annotated[Backend, Depends(_backend)]
EventsDep = Annotated[EventStream, Depends(_events)]
TemplatesDep = Annotated[Templates, Depends(_templates)]


def redirect_after_post(path: str, done: str | None = None) -> RedirectResponse:
    """Redirect to a page of this site after an action, with a message (a key of templating.DONE)."""
    if not done:
        return RedirectResponse(path, 303)
    said = query(done=done)
    return RedirectResponse(path + (said.replace("?", "&") if "?" in path else said), 303)
