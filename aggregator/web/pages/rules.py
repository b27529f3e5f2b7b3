"""Rules: the list with its statistics, one rule, and the editor of the file."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.errors import AggregatorError, Busy, ConfigErrors, Conflict, NotFound
from aggregator.core.model import HitFilter, RuleStats
from aggregator.core.results import Preview, RulesCheck, RulesFile
from aggregator.core.rules.feedback import MIN_MARKED
from aggregator.core.schemas import precision
from aggregator.core.settings import RuleConfig
from aggregator.core.titles import with_titles
from aggregator.ports.backend import Backend
from aggregator.web.dependencies import BackendDep, TemplatesDep, local_now, redirect_after_post
from aggregator.web.errors import status_of
from aggregator.web.links import links_of
from aggregator.web.pages.rule_editor import undo_of
from aggregator.web.view_models import story_cards

router = APIRouter()

PREVIEW_DAYS = 30
RULES_SHOWN = 40
RECENT = 20


class EditorForm(BaseModel):
    """The editor's form: the text, the digest it began from, and the button."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200)]
    text: Annotated[str, Field(max_length=2**20)]
    digest: Annotated[str, Field(max_length=200)]
    do: Literal["check", "preview", "save"] = "check"


async def _figures(backend: Backend, ids: Sequence[str] | None) -> dict[str, RuleStats]:
    return {one.rule: one for one in await backend.catalog.rules(local_now(backend), ids)}


Order = Literal["written", "title", "hits", "alerts", "precision", "last"]


@router.get("/rules")
async def overview(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    page: Annotated[int, Field(ge=1, le=100_000)] = 1,
    sort: Order = "written",
    find: Annotated[str, Field(max_length=200)] = "",
    state: Literal["", "on", "off"] = "",
) -> Response:
    """List every rule with hits, precision and activity: as they are written, or in another order; or those found."""
    every = backend.current().config.rules
    rules = [rule for rule in every if _is_wanted(rule, find, state)]
    ids = None if sort not in ("written", "title") else [rule.id for rule in rules]
    if sort == "title":
        rules.sort(key=lambda rule: (rule.title or rule.id).casefold())
    if ids is not None:
        rules_shown = rules[(page - 1) * RULES_SHOWN : page * RULES_SHOWN]
        figures = await _figures(backend, [rule.id for rule in rules_shown])
    else:
        figures = await _figures(backend, None)
        rules.sort(key=lambda rule: _rank(figures.get(rule.id), sort), reverse=True)
        rules_shown = rules[(page - 1) * RULES_SHOWN : page * RULES_SHOWN]
    muted = {one.rule: one for one in await backend.catalog.silences(backend.clock.now()) if one.rule}
    rows = [(rule, figures.get(rule.id) or RuleStats(rule=rule.id)) for rule in rules_shown]
    return templates.render(
        request, "rules.html", rows=rows, precision=precision, page=page, pages=-(-len(rules) // RULES_SHOWN),
        total=len(every), sort=sort, find=find, state=state, muted=muted,
        asked={"sort": "" if sort == "written" else sort, "find": find, "state": state},
    )  # fmt: skip


def _is_wanted(rule: RuleConfig, find: str, state: str) -> bool:
    if state and (state == "on") is not rule.enabled:
        return False
    texts = (rule.id, rule.title, rule.query or "", *rule.any, *rule.all, *rule.regex)
    return not find.strip() or any(find.strip().casefold() in text.casefold() for text in texts)


def _rank(figures: RuleStats | None, sort: str) -> tuple[float, float]:
    """Return what rules are sorted by, greatest first; a rule without marks comes after all that have some."""
    if figures is None:
        return -1.0, 0.0
    if sort == "precision":
        share = precision(figures)
        return -1.0 if share is None else share, figures.relevant + figures.irrelevant
    if sort == "last":
        return (figures.last_hit_at.timestamp() if figures.last_hit_at else 0.0), 0.0
    return float(figures.hits if sort == "hits" else figures.alerts), 0.0


@router.get("/rules/edit")
async def editor(
    request: Request, backend: BackendDep, templates: TemplatesDep, file: str = "", rule: str = ""
) -> Response:
    """Show the editor, with the file as it is on disk."""
    files = await backend.rules_files()
    shown = _file(files, file) if file else _file_of(files, rule)
    verdict = await backend.check_rules(shown.name, shown.text)
    return _editor(templates, request, files, shown, verdict=verdict, rule=rule)


@router.post("/rules/edit")
async def edited(
    request: Request, backend: BackendDep, templates: TemplatesDep, sent: Annotated[EditorForm, Form()]
) -> Response:
    """Check, preview or save an edit; what was typed is never lost."""
    files = await backend.rules_files()
    text = sent.text.replace("\r\n", "\n")  # forms send CRLF whatever was typed
    raw = RulesFile(name=_file(files, sent.name).name, text=text, digest=sent.digest)
    verdict: RulesCheck | None = None
    try:
        verdict = await backend.check_rules(raw.name, raw.text)
        if not verdict.ok or sent.do == "check":
            return _editor(templates, request, files, raw, verdict=verdict, status=200 if sent.do == "check" else 422)
        if sent.do == "preview":
            since = backend.clock.now() - timedelta(days=PREVIEW_DAYS)
            preview = await backend.preview(raw.name, raw.text, since)
            return _editor(templates, request, files, raw, verdict=verdict, preview=preview)
        saved = await backend.save_rules(raw.name, raw.text, raw.digest)
    except ConfigErrors as error:
        return _editor(templates, request, files, raw, verdict=RulesCheck(problems=error.errors), status=422)
    except (Conflict, Busy) as problem:
        return _editor(templates, request, files, raw, verdict=verdict, problem=problem, status=status_of(problem))
    return redirect_after_post("/rules", "saved", undo=undo_of(saved))


@router.get("/rules/{rule_id}")
async def one(request: Request, backend: BackendDep, templates: TemplatesDep, rule_id: str) -> Response:
    """Show one rule: its text, its statistics, its latest hits."""
    rules = {rule.id: rule for rule in backend.current().config.rules}
    if rule_id not in rules:
        raise NotFound("rule", rule_id, tuple(rules))
    figures = (await _figures(backend, [rule_id])).get(rule_id) or RuleStats(rule=rule_id)
    recent = story_cards(
        with_titles(await backend.catalog.hits(HitFilter(rule=rule_id), limit=RECENT), backend.current().config)
    )
    path = f"/feeds/rules/{quote(rule_id, safe='')}.atom"
    muted = next((one for one in await backend.catalog.silences(backend.clock.now()) if one.rule == rule_id), None)
    definition = rules[rule_id].model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"id", "title"})
    return templates.render(
        request, "rule.html", rule=rules[rule_id], figures=figures, precision=precision, recent=recent,
        definition=definition, feed_path=path, links=await links_of(backend, path), muted=muted, least=MIN_MARKED,
    )  # fmt: skip


@router.get("/rules/{rule_id}/proposals")
async def proposals(request: Request, backend: BackendDep, templates: TemplatesDep, rule_id: str) -> Response:
    """Show what the rule might exclude by the marks of its hits, each with what that would have removed."""
    rules = {rule.id: rule for rule in backend.current().config.rules}
    if rule_id not in rules:
        raise NotFound("rule", rule_id, tuple(rules))
    figures = (await _figures(backend, [rule_id])).get(rule_id) or RuleStats(rule=rule_id)
    found = await backend.proposals(rule_id)
    return templates.render(
        request, "rule_proposals.html", rule=rules[rule_id], figures=figures, found=found, least=MIN_MARKED
    )


def _file(files: tuple[RulesFile, ...], name: str) -> RulesFile:
    found = next((file for file in files if file.name == name), None)
    if found is None:
        raise NotFound("file of rules", name, [file.name for file in files])
    return found


def _file_of(files: tuple[RulesFile, ...], rule: str) -> RulesFile:
    """Return the file that seems to hold the rule, else the first."""
    if not files:
        raise NotFound("file of rules", "rules.yaml")
    return next((file for file in files if rule and f"id: {rule}" in file.text), files[0])


def _editor(
    templates: TemplatesDep,
    request: Request,
    files: tuple[RulesFile, ...],
    shown: RulesFile,
    *,
    verdict: RulesCheck | None,
    preview: Preview | None = None,
    problem: AggregatorError | None = None,
    rule: str = "",
    status: int = 200,
) -> Response:
    names = [file.name for file in files]
    disk = next((file.text for file in files if file.name == shown.name), "") if request.method == "POST" else None
    return templates.render(
        request, "editor.html", status=status, names=names, file=shown, verdict=verdict, preview=preview,
        problem=problem, rule=rule, disk=disk, preview_days=PREVIEW_DAYS,
    )  # fmt: skip
