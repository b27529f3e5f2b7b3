"""Rules: figures, and the file that they are written in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from aggregator.core.errors import NotFound
from aggregator.core.model import RuleStats
from aggregator.core.results import EditedRules, RuleEdit, RulesCheck, RulesFile
from aggregator.core.schemas import as_json, check_json, file_json, models, preview_json, rule_detail_json, rule_json
from aggregator.core.settings import RuleConfig
from aggregator.ports.backend import Backend
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep, edit_header, local_now
from aggregator.web.params import ListQuery, NamesParams, next_link, time_span

router = APIRouter(tags=["rules"], responses=bodies.ERRORS)

EVER = datetime(1970, 1, 1, tzinfo=UTC)  # before every entry
INDENT = 4  # of a rule in a file, as it is usually written


def _place(rules: Sequence[RuleConfig], rule_id: str) -> int:
    """Return where a rule stands among the others. Raises NotFound."""
    ids = [rule.id for rule in rules]
    if rule_id not in ids:
        raise NotFound("rule", rule_id, ids)
    return ids.index(rule_id)


async def _figures(backend: Backend, rules: Sequence[RuleConfig]) -> dict[str, RuleStats]:
    found = await backend.catalog.rules(local_now(backend), [rule.id for rule in rules])
    return {one.rule: one for one in found}


def _edit_of(rule: str | None, item: str) -> RuleEdit:
    return RuleEdit(kind="put", rule=rule, item=item) if rule else RuleEdit(kind="new", item=item)


def within(verdict: RulesCheck, edited: EditedRules, item: str) -> RulesCheck:
    """Count the lines of problems from the first one of an item; what lies elsewhere keeps its place."""
    last = edited.line + len(item.splitlines())
    inside = [p.file == edited.name and edited.line <= p.line < last for p in verdict.problems]
    problems = (
        replace(p, file="", line=p.line - edited.line + 1, column=max(p.column - INDENT, 1)) if here else p
        for p, here in zip(verdict.problems, inside, strict=True)
    )
    return replace(verdict, problems=tuple(problems))


async def save_edit(backend: Backend, edit: RuleEdit) -> tuple[EditedRules, RulesFile]:
    """Check a change of one rule with the whole configuration, write it, run it. Raises as the backend's methods do."""
    edited = await backend.edit_rule(edit)
    saved = await backend.save_rules(edited.name, edited.text, edited.digest, about=edit.rule or edited.rule)
    return edited, saved


def _saved(edited: EditedRules, saved: RulesFile, status: int = 200) -> Response:
    values = {"rule": edited.rule, "name": saved.name, "digest": saved.digest, "edit": saved.edit}
    return JSONResponse(as_json(models.RuleSaved, values), status, edit_header(saved.edit))


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
    span = time_span(sent.since, None, local_now(backend))
    return JSONResponse(preview_json(await backend.preview(sent.name, sent.text, span.since or EVER, span.until)))


@router.put("/rules/file", response_model=models.RulesFile)
async def save(backend: BackendDep, sent: bodies.RulesSaved) -> Response:
    """Save and apply an edited file; 409 if it has changed on disk, 422 if it is not valid."""
    saved = await backend.save_rules(sent.name, sent.text, sent.digest)
    return JSONResponse(file_json(saved), headers=edit_header(saved.edit))


@router.post("/rules/check-item", response_model=models.RuleItemCheck)
async def check_one(backend: BackendDep, sent: bodies.RuleItemCheck) -> Response:
    """Write what a form says into a rule's YAML and validate it; nothing is saved."""
    filled = backend.fill_rule(sent.item, sent.form)
    edited = await backend.edit_rule(_edit_of(sent.rule, filled.item))
    verdict = within(await backend.check_rules(edited.name, edited.text), edited, filled.item)
    problems = check_json(verdict)["problems"]
    return JSONResponse({"ok": verdict.ok, "item": filled.item, "form": dict(filled.form), "problems": problems})


@router.post("/rules/preview-item", response_model=models.Preview)
async def preview_one(backend: BackendDep, sent: bodies.RuleItemPreview) -> Response:
    """Preview which hits a rule would have in stored entries, and which it would lose; nothing is saved."""
    edited = await backend.edit_rule(_edit_of(sent.rule, sent.item))
    span = time_span(sent.since, None, local_now(backend))
    preview = await backend.preview(edited.name, edited.text, span.since or EVER, span.until)
    return JSONResponse(preview_json(preview))


@router.post("/rules", response_model=models.RuleSaved, status_code=201)
async def add_rule(backend: BackendDep, sent: bodies.CreateRule) -> Response:
    """Write a new rule behind the others."""
    return _saved(*await save_edit(backend, RuleEdit(kind="new", item=sent.item)), status=201)


@router.get("/rules/edits", response_model=list[models.Edit])
async def list_edits(backend: BackendDep, asked: Annotated[ListQuery, Query()]) -> Response:
    """List the latest edits of rules that were made here, newest first."""
    return JSONResponse([as_json(models.Edit, one) for one in await backend.catalog.edits(limit=asked.limit)])


@router.post("/rules/edits/{edit_id}/undo", response_model=models.RulesFile)
async def undo_edit(backend: BackendDep, edit_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Take an edit back; 409 if its lines have changed since."""
    saved = await backend.undo_edit(edit_id)
    return JSONResponse(file_json(saved), headers=edit_header(saved.edit))


@router.get("/rules/{rule_id}/item", response_model=models.RuleItem)
async def show_item(backend: BackendDep, rule_id: str) -> Response:
    """Show a rule as it is written."""
    return JSONResponse(as_json(models.RuleItem, await backend.rule_item(rule_id)))


@router.get("/rules/{rule_id}/proposals", response_model=list[models.Exclusion])
async def list_proposals(backend: BackendDep, rule_id: str) -> Response:
    """List what the rule might exclude by the marks of its hits; none before ten of each kind are marked."""
    return JSONResponse([as_json(models.Exclusion, one) for one in await backend.proposals(rule_id)])


@router.put("/rules/{rule_id}/item", response_model=models.RuleSaved)
async def replace_rule(backend: BackendDep, rule_id: str, sent: bodies.ReplaceRule) -> Response:
    """Write a rule in place of what is there; every other line of the file stays."""
    edit = RuleEdit(kind="put", rule=rule_id, item=sent.item, base=sent.base)
    return _saved(*await save_edit(backend, edit))


@router.delete("/rules/{rule_id}", response_model=models.RuleSaved)
async def remove_rule(backend: BackendDep, rule_id: str) -> Response:
    """Remove a rule from its file; its hits stay."""
    return _saved(*await save_edit(backend, RuleEdit(kind="remove", rule=rule_id)))


@router.post("/rules/{rule_id}/copy", response_model=models.RuleSaved, status_code=201)
async def copy_rule(backend: BackendDep, rule_id: str) -> Response:
    """Write a copy behind a rule, paused, under another id."""
    return _saved(*await save_edit(backend, RuleEdit(kind="copy", rule=rule_id)), status=201)


@router.post("/rules/{rule_id}/move", response_model=models.RuleSaved)
async def move_rule(backend: BackendDep, rule_id: str, sent: bodies.MoveRule) -> Response:
    """Change places with the rule above (-1) or below (1) in the file."""
    return _saved(*await save_edit(backend, RuleEdit(kind="move", rule=rule_id, by=sent.by)))


@router.put("/rules/{rule_id}/enabled", response_model=models.RuleSaved)
async def switch_rule(backend: BackendDep, rule_id: str, sent: bodies.SetEnabled) -> Response:
    """Pause a rule or let it run again."""
    kind: Literal["resume", "pause"] = "resume" if sent.enabled else "pause"
    return _saved(*await save_edit(backend, RuleEdit(kind=kind, rule=rule_id)))


@router.get("/rules/{rule_id}", response_model=models.RuleDetail)
async def show_rule(backend: BackendDep, rule_id: str) -> Response:
    """Show one rule as the matcher reads it, with its statistics."""
    current = backend.current()
    rule = current.rules[_place([rule.config for rule in current.rules], rule_id)]
    figures = await _figures(backend, [rule.config])
    return JSONResponse(rule_detail_json(rule, current.places["rule", rule_id], figures.get(rule_id)))
