"""What every route is given: the desk and its parts, as typed dependencies."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse

from aggregator.ports.backend import Desk
from aggregator.web.events import Live
from aggregator.web.templating import Pages, query


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _live(request: Request) -> Live:
    live: Live = request.app.state.live
    return live


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


GivenDesk = Annotated[Desk, Depends(_desk)]
GivenLive = Annotated[Live, Depends(_live)]
GivenPages = Annotated[Pages, Depends(_pages)]


def then(path: str, done: str | None = None) -> RedirectResponse:
    """Go on to a page of ours after something was done, with a word about it (a key of render.DONE)."""
    if not done:
        return RedirectResponse(path, 303)
    said = query(done=done)
    return RedirectResponse(path + (said.replace("?", "&") if "?" in path else said), 303)
