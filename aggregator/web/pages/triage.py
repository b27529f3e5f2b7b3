"""Forms by which people mark many hits, mute, label and note stories, save views, and take any of it back."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, HTTPException, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.errors import Conflict, NotFound
from aggregator.core.model import Note
from aggregator.pipeline.triage import MAX_LABEL_CHARS, labels_of
from aggregator.web.api.alerts import silence
from aggregator.web.api.triage import save_view
from aggregator.web.dependencies import BackendDep, TemplatesDep, answer_after_post, new_undo, redirect_after_post
from aggregator.web.origins import safe_next

router = APIRouter()

MUTED_FOR = "7d"
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Next = Annotated[str, Field(max_length=2048)]


class ReturnForm(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Next = "/"


class MarksForm(ReturnForm):
    """The bar for several hits: the ticked ones, or with `shown` all that the page shows."""

    mark: Literal["relevant", "irrelevant", "seen", "", "mute"]
    hit: Annotated[list[str], Field(max_length=1000)] = []
    shown: Annotated[list[str], Field(max_length=1000)] = []


class MuteForm(ReturnForm):
    """The card's form, whose other buttons mark."""

    mark: str = ""


class LabelsForm(ReturnForm):
    """Labels, separated by commas."""

    labels: Annotated[str, Field(max_length=1000)] = ""


class NoteForm(ReturnForm):
    """A note."""

    text: Annotated[str, Field(max_length=10_000)] = ""


class ViewForm(ReturnForm):
    """The filters of the page on show, and a name for them."""

    name: Annotated[str, Field(max_length=100)]
    query: Annotated[str, Field(max_length=1000)] = ""


@router.post("/undo/{undo_id}")
async def undo(
    backend: BackendDep, undo_id: Annotated[str, Path(max_length=40)], sent: Annotated[ReturnForm, Form()]
) -> Response:
    """Take a change back; where nothing is left of it, the page says so."""
    try:
        await backend.catalog.undo(undo_id, backend.clock.now())
    except (Conflict, NotFound):
        return redirect_after_post(safe_next(sent.next), "not-undone")
    return redirect_after_post(safe_next(sent.next), "undone")


@router.post("/hits/marks")
async def mark_many(request: Request, backend: BackendDep, sent: Annotated[MarksForm, Form()]) -> Response:
    """Mark the cards of several hits, or mute their stories."""
    ids, back = list(dict.fromkeys(sent.hit or sent.shown)), safe_next(sent.next)
    if not ids:
        return answer_after_post(request, back, "nothing")
    if sent.mark == "mute":
        return await _mute(request, backend, ids, back)
    change = new_undo(backend, sent.mark or "unmarked")
    count = await backend.catalog.mark(ids, sent.mark or None, cards=True, undo=change)
    return answer_after_post(request, back, sent.mark or "unmarked", undo=change.id if count else "", n=len(ids))


@router.post("/hits/{hit_id}/mute")
async def mute(request: Request, backend: BackendDep, hit_id: str, sent: Annotated[MuteForm, Form()]) -> Response:
    """Mute the story of a hit for a week."""
    return await _mute(request, backend, [hit_id], safe_next(sent.next))


async def _mute(request: Request, backend: BackendDep, ids: list[str], back: str) -> Response:
    details = [await backend.catalog.hit(hit_id) for hit_id in ids]
    stories = list(dict.fromkeys(detail.hit.story for detail in details if detail.hit.story))
    if not stories:
        return answer_after_post(request, back, "no-story")
    change = new_undo(backend, "silenced")
    for story in stories:
        await silence(backend, rule=None, feed=None, story=story, last=MUTED_FOR, reason="", undo=change)
    return answer_after_post(request, back, "muted", undo=change.id, n=len(stories))


@router.post("/stories/{story_id}/labels")
async def label(backend: BackendDep, story_id: str, sent: Annotated[LabelsForm, Form()]) -> Response:
    """Give a story these labels and no others."""
    wanted, change = labels_of(sent.labels.split(",")), new_undo(backend, "labelled")
    if any(len(one) > MAX_LABEL_CHARS for one in wanted):
        raise HTTPException(422, f"a label has at most {MAX_LABEL_CHARS} characters; separate labels by commas")
    await backend.catalog.set_labels(story_id, wanted, undo=change)
    return redirect_after_post(safe_next(sent.next), "labelled", undo=change.id)


@router.post("/stories/{story_id}/notes")
async def note(backend: BackendDep, story_id: str, sent: Annotated[NoteForm, Form()]) -> Response:
    """Add a note to a story."""
    if not (text := sent.text.strip().replace("\r\n", "\n")):
        return redirect_after_post(safe_next(sent.next), "nothing")
    change = new_undo(backend, "note added")
    await backend.catalog.add_note(Note(story=story_id, text=text, created_at=change.made_at), undo=change)
    return redirect_after_post(safe_next(sent.next), "noted", undo=change.id)


@router.post("/notes/{note_id}/remove")
async def remove_note(backend: BackendDep, note_id: RowId, sent: Annotated[ReturnForm, Form()]) -> Response:
    """Remove a note."""
    change = new_undo(backend, "note removed")
    await backend.catalog.remove_note(note_id, undo=change)
    return redirect_after_post(safe_next(sent.next), "note-removed", undo=change.id)


@router.get("/views")
async def views(request: Request, backend: BackendDep, templates: TemplatesDep) -> Response:
    """List the saved views with their addresses, and what opens them."""
    links = [link for link in await backend.catalog.feed_links() if link.path.startswith("/feeds/views/")]
    return templates.render(request, "views.html", views=await backend.catalog.views(), links=links)


@router.post("/views")
async def add_view(backend: BackendDep, sent: Annotated[ViewForm, Form()]) -> Response:
    """Save the filters of a page under a name."""
    if not sent.name.strip():
        raise HTTPException(422, "a view needs a name")
    _, undo_id = await save_view(backend, sent.name, sent.query)
    return redirect_after_post("/views", "view-saved", undo=undo_id)


@router.post("/views/{view_id}/remove")
async def remove_view(
    backend: BackendDep, view_id: Annotated[str, Path(max_length=100)], sent: Annotated[ReturnForm, Form()]
) -> Response:
    """Remove a saved view."""
    change = new_undo(backend, "view removed")
    await backend.catalog.remove_view(view_id, undo=change)
    return redirect_after_post(safe_next(sent.next), "view-removed", undo=change.id)
