"""Rules: figures, and the file that they are written in."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from aggregator.core.errors import NotFound
from aggregator.core.model import RuleStats
from aggregator.core.schemas import check_json, file_json, models, preview_json, rule_json
from aggregator.core.settings import RuleConfig
from aggregator.ports.backend import Backend
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep, local_now
from aggregator.web.params import NamesParams, next_link, time_span

router = APIRouter(tags=["rules"], responses=bodies.ERRORS)


def _place(rules: Sequence[RuleConfig], rule_id: str) -> int:
    """Return where a rule stands among the others. Raises NotFound."""
    ids = [rule.id for rule in rules]
    if rule_id not in ids:
        raise NotFound("rule", rule_id, ids)
    return ids.index(rule_id)


async def _figures(backend: Backend, rules: Sequence[RuleConfig]) -> dict[str, RuleStats]:
    found = await backend.catalog.rules(local_now(backend), [rule.id for rule in rules])
    return {one.rule: one for one in found}


@router.get("/rules", response_model=list[models.Rule])
async def list_rules(request: Request, backend: BackendDep, asked: NamesParams) -> Response:
    """List configured rules with their statistics, in file order; paginated via `Link`."""
    rules = backend.current().config.rules
    if asked.after:
        rules = rules[_place(rules, asked.after) + 1 :]
    shown = rules[: asked.limit]
    headers = next_link(request, after=shown[-1].id) if len(rules) > len(shown) else {}
    figures = await _figures(backend, shown)
    return JSONResponse([rule_json(rule, figures.get(rule.id)) for rule in shown], headers=headers)


@router.get("/rules/files", response_model=list[models.RulesFile])
async def list_files(backend: BackendDep) -> Response:
    """List the files that contain rules, with their text."""
    return JSONResponse([file_json(file) for file in await backend.rules_files()])


@router.post("/rules/check", response_model=models.RulesCheck)
async def check(backend: BackendDep, sent: bodies.RulesUpload) -> Response:
    """Validate an edited file; nothing is written."""
    return JSONResponse(check_json(await backend.check_rules(sent.name, sent.text)))


@router.post("/rules/preview", response_model=models.Preview)
async def preview(backend: BackendDep, sent: bodies.PreviewRequest) -> Response:
    """Preview which hits an edit adds and removes in stored entries; nothing is written."""
    now = local_now(backend)
    since = time_span(sent.since, None, now).since or now
    return JSONResponse(preview_json(await backend.preview(sent.name, sent.text, since)))


@router.put("/rules/file", response_model=models.RulesFile)
async def save(backend: BackendDep, sent: bodies.RulesSaved) -> Response:
    """Save and apply an edited file; 409 if it has changed on disk, 422 if it is not valid."""
    return JSONResponse(file_json(await backend.save_rules(sent.name, sent.text, sent.digest)))


@router.get("/rules/{rule_id}", response_model=models.Rule)
async def show_rule(backend: BackendDep, rule_id: str) -> Response:
    """Show one rule with its statistics."""
    rules = backend.current().config.rules
    rule = rules[_place(rules, rule_id)]
    return JSONResponse(rule_json(rule, (await _figures(backend, [rule])).get(rule_id)))
