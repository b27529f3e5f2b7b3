"""Dependencies of routes: the backend and its parts, typed."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from aggregator.core.edits import undo_name
from aggregator.core.model import Undo
from aggregator.pipeline.triage import new_undo as make_undo
from aggregator.ports.backend import Backend
from aggregator.web.events import EventStream
from aggregator.web.templating import Templates, done_message, query


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


def local_now(backend: Backend) -> datetime:
    """Return the time as the clocks of the configured zone show it: days in requests are those of this zone."""
    return backend.current().config.settings.local(backend.clock.now())


UNDO_S = 8.0  # so long an alert that somebody made on a page waits, so that it can be taken back


def new_undo(backend: Backend, kind: str) -> Undo:
    """Return what an action records itself under, so that it can be taken back: an id that nobody guesses."""
    return make_undo(kind, backend.clock.now())


def undo_header(undo: Undo, changed: int = 1) -> dict[str, str]:
    """Return the header by which the API names the undo of what it changed; none if it changed nothing."""
    return {"x-undo": undo.id} if changed else {}


def edit_header(edit: int | None) -> dict[str, str]:
    """Return the header by which the API names the undo of an edit; none if it can't be undone."""
    return {"x-undo": undo_name(edit)} if edit is not None else {}


def redirect_after_post(path: str, done: str | None = None, *, undo: str = "", n: int = 1) -> RedirectResponse:
    """Redirect to a page of this site after an action, with a message (a key of templating.DONE).

    `undo` names the change in the log (`new_undo`), so that the message has a button that takes it back; `n`: how
    many things were changed.
    """
    if not done:
        return RedirectResponse(path, 303)
    said = query(done=done, n=n if n != 1 else None, undo=undo)
    return RedirectResponse(path + (said.replace("?", "&", 1) if "?" in path else said), 303)


def answer_after_post(request: Request, path: str, done: str, *, undo: str = "", n: int = 1) -> Response:
    """Answer a form: as `redirect_after_post`, or with the sentence alone where a script asks for JSON (data-quick)."""
    if "application/json" not in request.headers.get("accept", ""):
        return redirect_after_post(path, done, undo=undo, n=n)
    return JSONResponse({"message": done_message(done, str(n)), "undo": f"/undo/{undo}" if undo else ""})
