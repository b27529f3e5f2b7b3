"""The choice of a language, remembered by the browser."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.web.dependencies import redirect_after_post
from aggregator.web.language import LANGUAGE_COOKIE, codes
from aggregator.web.origins import safe_next

router = APIRouter()

REMEMBERED = timedelta(days=365)


class LanguageForm(BaseModel):
    """The choice in the foot of every page."""

    model_config = ConfigDict(extra="forbid")

    language: Annotated[str, Field(max_length=20)]
    next: Annotated[str, Field(max_length=2048)] = "/"


@router.post("/language")
async def choose(request: Request, sent: Annotated[LanguageForm, Form()]) -> Response:
    """Remember a language for a year, and go back to the page."""
    if sent.language not in codes():
        raise HTTPException(422, f"There is no language {sent.language!r} here; there are {', '.join(codes())}.")
    response = redirect_after_post(safe_next(sent.next))
    response.set_cookie(
        LANGUAGE_COOKIE, sent.language, max_age=int(REMEMBERED.total_seconds()), path="/", samesite="lax",
        httponly=True, secure=request.url.scheme == "https",
    )  # fmt: skip
    return response
