"""What people do with hits and stories: marks of many, facets, labels, notes, saved views, undo."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import JSONResponse

from aggregator.core.model import Note, View
from aggregator.core.schemas import facets_json, models, note_json, undone_json, view_json
from aggregator.pipeline.triage import labels_of
from aggregator.ports.backend import Backend
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep, local_now, new_undo, undo_header
from aggregator.web.params import HitQuery, WrongView, view_of

router = APIRouter(tags=["triage"], responses=bodies.ERRORS)

StoryId = Annotated[str, Path(max_length=200)]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]


async def save_view(backend: Backend, name: str, query: str) -> tuple[View, str]:
    """Save the filters of an address under a name; return the view and its undo. 422 where they are no filters."""
    undo = new_undo(backend, "view saved")
    try:
        view = view_of(name, query, local_now(backend), undo.made_at)
    except WrongView as error:
        raise HTTPException(422, str(error)) from None
    if question := dict(view.query).get("q"):
        await backend.search(question, limit=1, within_s=0.0)  # which refuses what is no query
    await backend.catalog.save_view(view, undo=undo)
    return view, undo.id


@router.post("/hits/marks", response_model=models.Count)
async def mark_hits(backend: BackendDep, sent: bodies.SetMarks) -> Response:
    """Mark many hits, or remove their marks (null); the header `X-Undo` names the undo."""
    undo = new_undo(backend, sent.mark or "unmarked")
    count = await backend.catalog.mark(sent.ids, sent.mark, cards=sent.cards, undo=undo)
    return JSONResponse({"count": count}, headers=undo_header(undo, count))


@router.get("/hits/facets", response_model=models.Facets)
async def facets(backend: BackendDep, asked: Annotated[HitQuery, Query()]) -> Response:
    """Count the values of a listing's newest hits by rule, feed and language; `limit` is ignored."""
    return JSONResponse(facets_json(await backend.catalog.facets(asked.filter(local_now(backend)))))


@router.post("/undo/{undo_id}", response_model=models.Undone)
async def undo(backend: BackendDep, undo_id: Annotated[str, Path(max_length=40)]) -> Response:
    """Take a change back, by the `X-Undo` that it was answered with; 409 if it has been, or if nothing is left to."""
    return JSONResponse(undone_json(await backend.undo(undo_id)))


@router.get("/labels", response_model=list[models.LabelCount])
async def list_labels(backend: BackendDep) -> Response:
    """List the labels in use, with how many stories have each."""
    counted = await backend.catalog.label_counts()
    return JSONResponse([{"label": label, "stories": stories} for label, stories in counted.items()])


@router.get("/stories/{story_id}/labels", response_model=models.Labels)
async def show_labels(backend: BackendDep, story_id: StoryId) -> Response:
    """Show the labels of a story."""
    story, _ = await backend.catalog.story(story_id)
    found = await backend.catalog.labels([story.id])
    return JSONResponse({"labels": list(found.get(story.id, ()))})


@router.put("/stories/{story_id}/labels", response_model=models.Labels)
async def set_labels(backend: BackendDep, story_id: StoryId, sent: bodies.SetLabels) -> Response:
    """Give a story these labels and no others."""
    undo, wanted = new_undo(backend, "labelled"), labels_of(sent.labels)
    await backend.catalog.set_labels(story_id, wanted, undo=undo)
    return JSONResponse({"labels": sorted(wanted)}, headers=undo_header(undo))


@router.get("/stories/{story_id}/notes", response_model=list[models.Note])
async def list_notes(backend: BackendDep, story_id: StoryId) -> Response:
    """List the notes on a story, oldest first."""
    return JSONResponse([note_json(note) for note in await backend.catalog.notes(story_id)])


@router.post("/stories/{story_id}/notes", response_model=models.Note, status_code=201)
async def add_note(backend: BackendDep, story_id: StoryId, sent: bodies.AddNote) -> Response:
    """Add a note to a story."""
    undo = new_undo(backend, "note added")
    note = Note(story=story_id, text=sent.text, created_at=undo.made_at)
    return JSONResponse(note_json(await backend.catalog.add_note(note, undo=undo)), 201, headers=undo_header(undo))


@router.delete("/notes/{note_id}", status_code=204)
async def remove_note(backend: BackendDep, note_id: RowId) -> Response:
    """Remove a note."""
    undo = new_undo(backend, "note removed")
    await backend.catalog.remove_note(note_id, undo=undo)
    return Response(status_code=204, headers=undo_header(undo))


@router.get("/views", response_model=list[models.View])
async def list_views(backend: BackendDep) -> Response:
    """List the saved views, by name."""
    return JSONResponse([view_json(view) for view in await backend.catalog.views()])


@router.post("/views", response_model=models.View, status_code=201)
async def add_view(backend: BackendDep, sent: bodies.SaveView) -> Response:
    """Save filters under a name; a view of the same name is replaced."""
    view, undo_id = await save_view(backend, sent.name, sent.query)
    return JSONResponse(view_json(view), 201, headers={"x-undo": undo_id})


@router.delete("/views/{view_id}", status_code=204)
async def remove_view(backend: BackendDep, view_id: Annotated[str, Path(max_length=100)]) -> Response:
    """Remove a saved view; its addresses answer no more."""
    undo = new_undo(backend, "view removed")
    await backend.catalog.remove_view(view_id, undo=undo)
    return Response(status_code=204, headers=undo_header(undo))
