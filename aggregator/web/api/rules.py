"""Rules: figures, and the file that they are written in."""

from collections.abc import Iterable, Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from aggregator.core.errors import ConfigError, NotFound
from aggregator.core.model import Json, RuleStats
from aggregator.core.results import EntryMatch, Preview, RulesCheck, RulesFile
from aggregator.core.schemas import found_json, instant, rule_json
from aggregator.core.settings import RuleConfig
from aggregator.ports.backend import Backend
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep
from aggregator.web.params import NamesParams, moment, next_link

router = APIRouter(tags=["rules"], responses=bodies.ERRORS)


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


def verdict_json(verdict: RulesCheck) -> Json:
    """Whether a text can be saved, and why not."""
    return {"ok": verdict.ok, "problems": problems_json(verdict.problems), "rules": list(verdict.rules)}


def _sample(found: EntryMatch) -> Json:
    return found_json(found.entry, found.feed_title, found.spans, found.snippet, text=False)


def preview_json(preview: Preview) -> Json:
    """What an edit adds and removes."""
    changes = [
        {
            "rule": change.rule,
            "before": change.before,
            "after": change.after,
            "added": change.added,
            "removed": change.removed,
            "added_samples": [_sample(found) for found in change.added_samples],
            "removed_samples": [_sample(found) for found in change.removed_samples],
        }
        for change in preview.changes
    ]
    return {
        "since": instant(preview.since),
        "entries": preview.entries,
        "complete": preview.complete,
        "changes": changes,
    }


def _place(rules: Sequence[RuleConfig], rule_id: str) -> int:
    """Where a rule stands among the others. Raises NotFound."""
    ids = [rule.id for rule in rules]
    if rule_id not in ids:
        raise NotFound("rule", rule_id, ids)
    return ids.index(rule_id)


async def _figures(backend: Backend, rules: Sequence[RuleConfig]) -> dict[str, RuleStats]:
    found = await backend.catalog.rules(backend.clock.now(), [rule.id for rule in rules])
    return {one.rule: one for one in found}


def _file_json(file: RulesFile) -> Json:
    return {"name": file.name, "text": file.text, "digest": file.digest}


@router.get("/rules", response_model=list[bodies.Rule])
async def list_rules(request: Request, backend: BackendDep, asked: NamesParams) -> Response:
    """The configured rules with their figures, as they are written. The `Link` header leads to the next page."""
    rules = backend.current().config.rules
    if asked.after:
        rules = rules[_place(rules, asked.after) + 1 :]
    shown = rules[: asked.limit]
    headers = next_link(request, after=shown[-1].id) if len(rules) > len(shown) else {}
    figures = await _figures(backend, shown)
    return JSONResponse([rule_json(rule, figures.get(rule.id)) for rule in shown], headers=headers)


@router.get("/rules/files", response_model=list[bodies.RulesFile])
async def list_files(backend: BackendDep) -> Response:
    """The files that hold rules, with their text."""
    return JSONResponse([_file_json(file) for file in await backend.rules_files()])


@router.post("/rules/check", response_model=bodies.RulesCheck)
async def check(backend: BackendDep, sent: bodies.RulesUpload) -> Response:
    """What the loader would say of an edited file; nothing is written."""
    return JSONResponse(verdict_json(await backend.check_rules(sent.name, sent.text)))


@router.post("/rules/preview", response_model=bodies.Preview)
async def preview(backend: BackendDep, sent: bodies.PreviewRequest) -> Response:
    """What an edit adds to and removes from the hits of stored entries; nothing is written."""
    now = backend.clock.now()
    return JSONResponse(preview_json(await backend.preview(sent.name, sent.text, moment(sent.since, now) or now)))


@router.put("/rules/file", response_model=bodies.RulesFile)
async def save(backend: BackendDep, sent: bodies.RulesSaved) -> Response:
    """Write an edited file and run it; 409 where it changed on disk meanwhile, 422 where it is not sound."""
    return JSONResponse(_file_json(await backend.save_rules(sent.name, sent.text, sent.digest)))


@router.get("/rules/{rule_id}", response_model=bodies.Rule)
async def show_rule(backend: BackendDep, rule_id: str) -> Response:
    """One rule with its figures."""
    rules = backend.current().config.rules
    rule = rules[_place(rules, rule_id)]
    return JSONResponse(rule_json(rule, (await _figures(backend, [rule])).get(rule_id)))
