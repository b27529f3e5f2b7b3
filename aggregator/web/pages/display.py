"""How pages are shown: theme and density, which the browser remembers."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.web.dependencies import redirect_after_post
from aggregator.web.origins import safe_next

router = APIRouter()

REMEMBERED = timedelta(days=365)


class DisplayForm(BaseModel):
    """The buttons of the menu: one of the two choices."""

    model_config = ConfigDict(extra="forbid")

    theme: Literal["auto", "light", "dark"] | None = None
    density: Literal["compact", "comfortable"] | None = None
    next: Annotated[str, Field(max_length=2048)] = "/"


@router.post("/display")
async def choose(request: Request, sent: Annotated[DisplayForm, Form()]) -> Response:
    """Remember a choice in a cookie, which a script may change too."""
    response: Response = redirect_after_post(safe_next(sent.next))
    for name in ("theme", "density"):
        if value := getattr(sent, name):
            remember(request, response, name, value)
    return response


def remember(request: Request, response: Response, name: str, value: str) -> Response:
    """Have the browser remember a choice of its reader."""
    response.set_cookie(
        f"aggregator_{name}",
        value,
        max_age=int(REMEMBERED.total_seconds()),
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )
    return response
