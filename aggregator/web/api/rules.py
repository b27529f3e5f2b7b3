"""Rules: figures, and the file that they are written in."""

from collections.abc import Iterable

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from aggregator.core.errors import ConfigError, NotFound
from aggregator.core.model import Json
from aggregator.core.shapes import instant, rule_json
from aggregator.web.api import shape
from aggregator.web.api.hits import found_json
from aggregator.web.asking import moment
from aggregator.web.desk import Preview, RulesFile, Verdict
from aggregator.web.given import GivenDesk

router = APIRouter(tags=["rules"], responses=shape.ERRORS)


def problems_json(problems: Iterable[ConfigError]) -> list[Json]:
    """What the loader found, each with its place."""
    return [
        {
            "file": p.file,
            "line": p.line,
            "column": p.column,
            "message": p.message,
            "hint": p.hint,
            "severity": p.severity,
        }
        for p in problems
    ]


def verdict_json(verdict: Verdict) -> Json:
    """Whether a text can be saved, and why not."""
    return {"ok": verdict.ok, "problems": problems_json(verdict.problems), "rules": list(verdict.rules)}


def preview_json(preview: Preview) -> Json:
    """What an edit adds and removes."""
    changes = [
        {
            "rule": change.rule,
            "before": change.before,
            "after": change.after,
            "added": change.added,
            "removed": change.removed,
            "added_samples": [found_json(found) for found in change.added_samples],
            "removed_samples": [found_json(found) for found in change.removed_samples],
        }
        for change in preview.changes
    ]
    return {
        "since": instant(preview.since),
        "entries": preview.entries,
        "complete": preview.complete,
        "changes": changes,
    }


def _file_json(file: RulesFile) -> Json:
    return {"name": file.name, "text": file.text, "digest": file.digest}


@router.get("/rules", response_model=list[shape.Rule])
async def list_rules(desk: GivenDesk) -> Response:
    """Every configured rule with its figures."""
    figures = {one.rule: one for one in await desk.catalog.rules(desk.clock.now())}
    return JSONResponse([rule_json(rule, figures.get(rule.id)) for rule in desk.current().config.rules])


@router.get("/rules/files", response_model=list[shape.RulesFile])
async def list_files(desk: GivenDesk) -> Response:
    """The files that hold rules, with their text."""
    return JSONResponse([_file_json(file) for file in await desk.rules_files()])


@router.post("/rules/check", response_model=shape.Verdict)
async def check(desk: GivenDesk, sent: shape.RulesSent) -> Response:
    """What the loader would say of an edited file; nothing is written."""
    return JSONResponse(verdict_json(await desk.check_rules(sent.name, sent.text)))


@router.post("/rules/preview", response_model=shape.Preview)
async def preview(desk: GivenDesk, sent: shape.PreviewSent) -> Response:
    """What an edit adds to and removes from the hits of stored entries; nothing is written."""
    now = desk.clock.now()
    return JSONResponse(preview_json(await desk.preview(sent.name, sent.text, moment(sent.since, now) or now)))


@router.put("/rules/file", response_model=shape.RulesFile)
async def save(desk: GivenDesk, sent: shape.RulesSaved) -> Response:
    """Write an edited file and run it; 409 where it changed on disk meanwhile, 422 where it is not sound."""
    return JSONResponse(_file_json(await desk.save_rules(sent.name, sent.text, sent.digest)))


@router.get("/rules/{rule_id}", response_model=shape.Rule)
async def show_rule(desk: GivenDesk, rule_id: str) -> Response:
    """One rule with its figures."""
    rules = {rule.id: rule for rule in desk.current().config.rules}
    if rule_id not in rules:
        raise NotFound("rule", rule_id, tuple(rules))
    figures = {one.rule: one for one in await desk.catalog.rules(desk.clock.now())}
    return JSONResponse(rule_json(rules[rule_id], figures.get(rule_id)))
