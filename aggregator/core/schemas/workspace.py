"""The models of JSON about a person's work: labels, notes, views, facets, undo, addresses of feeds."""

from aggregator.core.schemas.base import At, Schema, Text


class FeedLink(Schema):
    """A token that opens the feed at `path` by its address; `address` is shown once, when it is made."""

    id: int | None
    path: Text
    created_at: At
    address: Text | None = None


class Count(Schema):
    count: int


class Undone(Schema):
    """What was taken back, in how many rows."""

    id: Text
    kind: Text
    made_at: At
    count: int


class Labels(Schema):
    labels: list[Text]


class LabelCount(Schema):
    label: Text
    stories: int


class Note(Schema):
    id: int
    story: Text
    text: Text
    created_at: At


class View(Schema):
    """A saved view; `atom` and `csv` are paths of this site."""

    id: Text
    name: Text
    query: Text
    atom: Text
    csv: Text
    created_at: At


class FacetCount(Schema):
    value: Text
    cards: int


class Facets(Schema):
    """Values in a listing, counted by card over its newest `hits` hits."""

    rules: list[FacetCount]
    feeds: list[FacetCount]
    languages: list[FacetCount]
    hits: int
