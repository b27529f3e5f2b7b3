"""Error responses: the status of each error, and its sentence on a page or in JSON."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from aggregator.core.errors import (
    AggregatorError,
    Busy,
    ConfigErrors,
    Conflict,
    FetchError,
    Forbidden,
    InvalidRule,
    NotFound,
    ParseError,
    StoreError,
)
from aggregator.core.model import Json
from aggregator.core.schemas import problems_json
from aggregator.web.events import TooManyListeners
from aggregator.web.middleware import TOO_LARGE, is_for_programs
from aggregator.web.templating import Templates

log = logging.getLogger(__name__)

STATUS_OF: tuple[tuple[type[AggregatorError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (ConfigErrors, 422),
    (InvalidRule, 422),
    (ParseError, 422),
    (Forbidden, 422),
    (FetchError, 502),
    (StoreError, 503),
    (TooManyListeners, 503),
    (Busy, 503),
)
MESSAGES = {404: "There is no page at this address.", 405: "This address does not support that method.", 413: TOO_LARGE}


def install_error_handlers(app: FastAPI) -> None:
    """Install the error handlers below in an app."""
    app.add_exception_handler(AggregatorError, _application_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(Exception, _internal_error)


def status_of(error: AggregatorError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUS_OF if isinstance(error, kind)), 500)


async def _application_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AggregatorError)
    status = status_of(error)
    if status >= 500:
        log.warning("%s %s: %s", request.method, request.url.path, error)
    problems = problems_json(error.errors) if isinstance(error, ConfigErrors) else None
    headers = {"retry-after": str(error.retry_after_s)} if isinstance(error, Busy) else None
    return _respond(request, status, str(error), headers, problems=problems)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    routing = error.detail in (HTTPStatus(error.status_code).phrase, "Not Found", "Method Not Allowed")
    detail = MESSAGES.get(error.status_code, error.detail) if routing else error.detail
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == 405:
        headers["allow"] = ", ".join(sorted(_methods(request)))
    return _respond(request, error.status_code, detail, headers)


def _methods(request: Request) -> set[str]:
    """List the methods of an address, over all routes that share it (RFC 9110, section 15.5.6)."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    every = list(iter_route_contexts(routes))
    route_path = next((one.path for one in every if one.path_regex.match(request.url.path)), None)
    found = {method for one in every if one.path == route_path for method in one.methods or ()}
    return found | ({"HEAD"} if "GET" in found else set())


async def _wrong_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _respond(request, 422, "; ".join(map(_describe_problem, error.errors())))


def _describe_problem(problem: Mapping[str, Any]) -> str:
    """Write `limit: Input should be greater than or equal to 1`; of a whole body, `the body: …`."""
    kind, *path = problem["loc"]
    if problem["type"] == "json_invalid":
        return f"the body is not JSON: {problem['ctx']['error']} (character {path[0]})"
    return f"{'.'.join(map(str, path)) or f'the {kind}'}: {problem['msg']}"


async def _internal_error(request: Request, _: Exception) -> Response:
    """Answer an unexpected error: the framework logs the trace, the page only says that there is one."""
    return _respond(request, 500, "Internal error. See the log for details.")


def _respond(
    request: Request,
    status: int,
    message: str,
    headers: dict[str, str] | None = None,
    problems: Sequence[Json] | None = None,
) -> Response:
    if is_for_programs(request.url.path):
        said = {"detail": message} if problems is None else {"detail": message, "problems": problems}
        return JSONResponse(said, status, headers)
    shown: Templates = request.app.state.templates
    response = shown.render(request, "error.html", status=status, code=status, message=message)
    response.headers.update(headers or {})
    return response
