"""One rule: a form beside its YAML, new ones, pausing, copying, moving, and the history of edits."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.edits import undo_name
from aggregator.core.errors import AggregatorError, Busy, ConfigErrors, Conflict, NotFound
from aggregator.core.results import (
    FORM_LISTS,
    FORM_TEXTS,
    EditedRules,
    Preview,
    RuleEdit,
    RuleItem,
    RulesCheck,
    RulesFile,
)
from aggregator.ports.backend import Backend
from aggregator.web.api.rules import save_edit, within
from aggregator.web.dependencies import BackendDep, TemplatesDep, redirect_after_post
from aggregator.web.errors import status_of
from aggregator.web.origins import next_or_none, safe_next

router = APIRouter()

PREVIEW_DAYS = 30
EDITS_SHOWN = 50
MAX_ITEM = 2**16
DESIGNATION = re.compile(r"\b\w{1,6}-\d[\w-]{0,8}\b")
NAME = re.compile(r"\b[^\W\d_a-z]\w+(?: [^\W\d_a-z]\w+)+\b|\b[A-Z]{3,}\b")

Text = Annotated[str, Field(max_length=MAX_ITEM)]
Line = Annotated[str, Field(max_length=2000)]


class RuleForm(BaseModel):
    """The editor of one rule: its YAML, the form beside it, and what both were when the page was shown.

    `opened` is the item that was read from the file; `shown` the one that the form was filled from.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    item: Text = ""
    opened: Text = ""
    shown: Text = ""
    do: Literal["check", "preview", "save"] = "check"
    id: Line = ""
    title: Line = ""
    query: Line = ""
    priority: Line = ""
    deliver: Line = ""
    any_: Annotated[Text, Field(alias="any")] = ""
    all_: Annotated[Text, Field(alias="all")] = ""
    none: Text = ""
    notify: Text = ""
    enabled: Line = ""
    fields: Line = ""
    next: Line = ""

    def changed(self, shown: RuleItem) -> dict[str, str]:
        """Return what the form says now and did not say when it was shown."""
        said = {**{name: getattr(self, name) for name in FORM_TEXTS}, "any": self.any_, "all": self.all_}
        said |= {"none": self.none, "notify": self.notify, "enabled": "true" if self.enabled else "false"}
        there = self.fields.split(",")  # a field that the page did not have is not empty, but not there
        plain = {name: text.replace("\r\n", "\n").strip() for name, text in said.items() if name in there}
        return {name: text for name, text in plain.items() if shown.form.get(name, "") != text}


class ActionForm(BaseModel):
    """A button in the list of rules."""

    model_config = ConfigDict(extra="forbid")

    do: Literal["pause", "resume", "copy", "remove", "up", "down"]
    next: Annotated[str, Field(max_length=2048)] = "/rules"


class BackForm(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/rules/history"


def undo_of(saved: RulesFile) -> str:
    """Return how the undo of an edit of rules is called."""
    return undo_name(saved.edit)


@router.get("/rules/new")
async def new(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    query: Line = "",
    hit: Line = "",
    title: Line = "",
    next: Line = "",
) -> Response:
    """Show the editor with a new rule: an empty one, one that watches a search, or one like a hit."""
    form = {"title": title.strip(), "query": query.strip()}
    if hit:
        entry = (await backend.catalog.hit(hit)).entry
        form = {"title": "", "any": "\n".join(terms_of(entry.title))}
    found = backend.fill_rule("", {name: text for name, text in form.items() if text})
    return await _editor(request, backend, templates, found, opened="", back=next)


@router.post("/rules/new")
async def create(
    request: Request, backend: BackendDep, templates: TemplatesDep, sent: Annotated[RuleForm, Form()]
) -> Response:
    """Check, preview or save a new rule."""
    return await _edited(request, backend, templates, sent, rule=None)


@router.get("/rules/history")
async def history(request: Request, backend: BackendDep, templates: TemplatesDep) -> Response:
    """List the edits of rules that were made on these pages and by the API."""
    edits = await backend.catalog.edits(limit=EDITS_SHOWN)
    taken_back = {edit.undoes for edit in edits if edit.undoes is not None}
    return templates.render(request, "rules_history.html", edits=edits, taken_back=taken_back)


@router.post("/rules/history/{edit_id}/undo")
async def undo(
    backend: BackendDep, edit_id: Annotated[int, Path(ge=1, le=2**63 - 1)], sent: Annotated[BackForm, Form()]
) -> Response:
    """Take an edit back."""
    return redirect_after_post(safe_next(sent.next), "undone", undo=undo_of(await backend.undo_edit(edit_id)))


@router.post("/undo/edit-{edit_id}")
async def undo_from_toast(
    backend: BackendDep, edit_id: Annotated[int, Path(ge=1, le=2**63 - 1)], sent: Annotated[BackForm, Form()]
) -> Response:
    """Take an edit back from the message that it left."""
    return await undo(backend, edit_id, sent)


@router.get("/rules/{rule_id}/edit")
async def edit(
    request: Request, backend: BackendDep, templates: TemplatesDep, rule_id: str, exclude: Line = ""
) -> Response:
    """Show the editor of one rule, with one more term to exclude if that was proposed."""
    found = await backend.rule_item(rule_id)
    opened, term = found.item, " ".join(exclude.split())
    if term and "none" in found.form:
        wanted = f"{found.form['none']}\n{term}".strip()
        found = replace(backend.fill_rule(opened, {"none": wanted}), rule=found.rule, name=found.name)
    return await _editor(request, backend, templates, found, opened=opened)


@router.post("/rules/{rule_id}/edit")
async def edited(
    request: Request, backend: BackendDep, templates: TemplatesDep, rule_id: str, sent: Annotated[RuleForm, Form()]
) -> Response:
    """Check, preview or save one rule."""
    return await _edited(request, backend, templates, sent, rule=rule_id)


@router.post("/rules/{rule_id}/do")
async def act(backend: BackendDep, rule_id: str, sent: Annotated[ActionForm, Form()]) -> Response:
    """Pause, resume, copy, move or remove a rule; each can be undone."""
    if sent.do == "up" or sent.do == "down":
        change = RuleEdit(kind="move", rule=rule_id, by=-1 if sent.do == "up" else 1)
    else:
        change = RuleEdit(kind=sent.do, rule=rule_id)
    changed, saved = await save_edit(backend, change)
    words = {"pause": "rule_paused", "resume": "rule_resumed", "copy": "rule_copied", "remove": "rule_removed"}
    back = f"/rules/{changed.rule}/edit" if sent.do == "copy" else safe_next(sent.next)
    if sent.do == "remove" and back.startswith(f"/rules/{rule_id}"):
        back = "/rules"
    said = "nothing" if saved.digest == changed.digest else words.get(sent.do, "rule_moved")
    return redirect_after_post(back, said, undo=undo_of(saved))


async def _edited(
    request: Request, backend: Backend, templates: TemplatesDep, sent: RuleForm, *, rule: str | None
) -> Response:
    """Bring the form into the YAML, then do what was asked; what was typed is never lost."""
    item = sent.item.replace("\r\n", "\n")
    shown = RuleItem(rule=rule or "", name="", item=item, form={})
    verdict: RulesCheck | None = None
    try:
        changes = sent.changed(backend.fill_rule(sent.shown.replace("\r\n", "\n"), {}))
        shown = backend.fill_rule(item, changes)
        change = RuleEdit(
            kind="put" if rule else "new", rule=rule or "", item=shown.item,
            base=sent.opened if rule and sent.do == "save" else None,
        )  # fmt: skip
        changed = await backend.edit_rule(change)
        verdict = within(await backend.check_rules(changed.name, changed.text), changed, shown.item)
        if not verdict.ok or sent.do != "save":
            effect = await _effect(backend, changed) if verdict.ok and sent.do == "preview" else None
            status = 200 if sent.do != "save" else 422
            return await _editor(
                request, backend, templates, shown, opened=sent.opened, rule=rule, verdict=verdict, effect=effect,
                status=status, back=sent.next,
            )  # fmt: skip
        saved = await backend.save_rules(changed.name, changed.text, changed.digest, about=rule or changed.rule)
    except ConfigErrors as error:
        verdict = RulesCheck(problems=error.errors)
        return await _editor(
            request, backend, templates, shown, opened=sent.opened, rule=rule, verdict=verdict, status=422,
            back=sent.next,
        )  # fmt: skip
    except (Conflict, Busy, NotFound) as problem:
        return await _editor(
            request, backend, templates, shown, opened=sent.opened, rule=rule, verdict=verdict, problem=problem,
            status=status_of(problem), back=sent.next,
        )  # fmt: skip
    back = next_or_none(sent.next) or (f"/rules/{changed.rule}" if changed.rule else "/rules")
    return redirect_after_post(back, "saved", undo=undo_of(saved))


async def _effect(backend: Backend, changed: EditedRules) -> Preview:
    return await backend.preview(changed.name, changed.text, backend.clock.now() - timedelta(days=PREVIEW_DAYS))


async def _editor(
    request: Request,
    backend: Backend,
    templates: TemplatesDep,
    found: RuleItem,
    *,
    opened: str,
    rule: str | None = None,
    verdict: RulesCheck | None = None,
    effect: Preview | None = None,
    problem: AggregatorError | None = None,
    status: int = 200,
    back: str = "",
) -> Response:
    config = backend.current().config
    known = found if found.form else backend.fill_rule("", {})
    form = found.form or known.form
    return templates.render(
        request, "rule_edit.html", status=status, found=found, form=form, opened=opened, rule=rule or found.rule,
        posted=request.method == "POST", verdict=verdict, effect=effect, problem=problem, preview_days=PREVIEW_DAYS,
        channels=tuple(config.channels), default_channels=config.settings.default_channels, lists=tuple(config.lists),
        back=next_or_none(back),
        form_fields=[name for name in (*FORM_TEXTS, *FORM_LISTS, "enabled") if name in form],
    )  # fmt: skip


def terms_of(title: str) -> tuple[str, ...]:
    """Return what is worth watching in a title: designations and names; else the title as a phrase."""
    found = dict.fromkeys([*DESIGNATION.findall(title), *NAME.findall(title)])
    return tuple(found)[:5] or ((f'"{title[:80]}"',) if title else ())
