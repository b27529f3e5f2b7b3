"""Bodies that requests may send, and the errors that every route may answer; answers are core/schemas.py."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from aggregator.core.schemas.models import ConfigProblem
from aggregator.core.values import ID
from aggregator.web.params import Since

Mark = Literal["relevant", "irrelevant", "seen"]
Text = Annotated[str, Field(max_length=2**20)]
Address = Annotated[str, Field(min_length=1, max_length=2048)]
Id = Annotated[str, Field(min_length=1, max_length=200)]
Label = Annotated[str, Field(min_length=1, max_length=40)]


class ErrorResponse(BaseModel):
    """An error in one sentence; `problems` lists configuration errors."""

    detail: str
    problems: list[ConfigProblem] | None = None


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The request is malformed."},
    401: {"model": ErrorResponse, "description": "A token or a session is required."},
    403: {"model": ErrorResponse, "description": "The request did not come from a page of this site."},
    404: {"model": ErrorResponse, "description": "Not found."},
    409: {"model": ErrorResponse, "description": "Someone else changed it first."},
    413: {"model": ErrorResponse, "description": "The body is too large."},
    422: {"model": ErrorResponse, "description": "The request cannot be processed; see `detail`."},
    502: {"model": ErrorResponse, "description": "The remote server's response was not usable."},
    503: {"model": ErrorResponse, "description": "The database is unavailable."},
}


class RequestBody(BaseModel):
    """A request body; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SetMark(RequestBody):
    mark: Mark | None


class SetMarks(SetMark):
    ids: Annotated[list[Id], Field(min_length=1, max_length=1000)]
    cards: Annotated[bool, Field(description="With all hits of their stories, or of their entries.")] = True


class SetLabels(RequestBody):
    labels: Annotated[list[Label], Field(max_length=20)]


class AddNote(RequestBody):
    text: Annotated[str, Field(min_length=1, max_length=10_000)]


class SaveView(RequestBody):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    query: Annotated[str, Field(max_length=1000, description="Filters as in the address of the page: rule=x&since=7d.")]


Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=50)]


class CreateFeed(RequestBody):
    """A source: what is best at `url`; with `kind`, `select`, `ignore` or `from`, the address itself, read so."""

    url: Address
    id: Annotated[str, Field(pattern=ID, description="Permanent id; default: derived from the URL.")] | None = None
    title: Annotated[str, Field(max_length=300)] = ""
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)] = []
    kind: Literal["feed", "sitemap", "page", "watch", "mail"] | None = None
    select: Annotated[
        dict[str, Annotated[str, Field(max_length=300)]],
        Field(max_length=10, description="Kinds page and watch: parts of the page, as CSS."),
    ] = {}
    ignore: Annotated[Words, Field(description="Kind watch: regular expressions of what is no change.")] = []
    senders: Annotated[Words, Field(alias="from", description="Kind mail: only these senders.")] = []

    @property
    def keys(self) -> dict[str, object]:
        """Return what is given beside the address, as keys of a feed."""
        given = {"kind": self.kind, "select": self.select, "ignore": self.ignore, "from": self.senders}
        return {key: value for key, value in given.items() if value}


class DiscoverFeeds(RequestBody):
    url: Address


class SetPaused(RequestBody):
    paused: bool


class ChangeFeed(RequestBody):
    """Keys to write; null removes one, a key that is left out stays as it is."""

    title: Annotated[str, Field(max_length=300)] | None = None
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)] | None = None
    every: Annotated[
        str | None,
        Field(max_length=40),
        WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^([1-9][0-9]?[mh])?$"}, {"type": "null"}]}),
    ] = None


class RulesUpload(RequestBody):
    name: Id
    text: Text


class RulesSaved(RulesUpload):
    digest: Annotated[str, Field(max_length=200, description="Digest of the text that was edited.")]


ITEM = "id: caatsa-news\ntitle: CAATSA\nany: [CAATSA]\n"
ItemText = Annotated[
    str,
    Field(max_length=2**16, description="The YAML of one rule, without the dash."),
    WithJsonSchema({"type": "string", "examples": [ITEM]}),
]
FormValues = Annotated[dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=2**16)]], Field()]


class RuleItemCheck(RequestBody):
    """An item, on its own (`rule` is null) or in place of a rule; `form` is written into it first."""

    rule: Id | None = None
    item: ItemText
    form: FormValues = {}


class RuleItemPreview(RequestBody):
    rule: Id | None = None
    item: ItemText
    since: Since = "30d"


class CreateRule(RequestBody):
    item: ItemText


class ReplaceRule(RequestBody):
    """`base` is the item as it was read: 409 if it has changed since."""

    item: ItemText
    base: ItemText | None = None


class MoveRule(RequestBody):
    by: Literal[-1, 1]


class SetEnabled(RequestBody):
    enabled: bool


class PreviewRequest(RulesUpload):
    since: Since = "30d"


class CreateFeedLink(RequestBody):
    path: Annotated[
        str,
        Field(max_length=500, description="The path of one of the feeds that this site offers."),
        WithJsonSchema({"type": "string", "enum": ["/feeds/hits.atom"]}),
    ]


class SendBaseline(RequestBody):
    rule: Annotated[Id | None, Field(description="Only hits of this rule.")] = None


class JoinStories(RequestBody):
    other: Annotated[Id, Field(description="The story whose reports go into this one.")]


class DeliveryIds(RequestBody):
    ids: Annotated[list[Id], Field(min_length=1, max_length=1000)]


SPAN = r"^([1-9][0-9]{0,2} ?(s|m|h|d)|[1-9][0-9]?h ?[1-9][0-9]?m|[1-9][0-9]?d ?[1-9][0-9]?h)$"  # some that are taken


class CreateSilence(RequestBody):
    """Of exactly one of rule, feed and story."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [one], "properties": {one: {"type": "string"}}} for one in ("rule", "feed", "story")]
        }
    )

    rule: Id | None = None
    feed: Id | None = None
    story: Id | None = None
    last: Annotated[
        str,
        Field(alias="for", max_length=40, description="How long: 30m, 1h30m, 2d; at most 999 days. Or as `until`."),
        WithJsonSchema({"type": "string", "pattern": SPAN, "examples": ["30m", "1h30m", "2d"]}),
    ] = "8h"
    until: Annotated[
        str,
        Field(max_length=60, description="Until when, instead of `for`: 2026-12-01 or friday (whole), or an instant."),
        WithJsonSchema({"type": "string", "pattern": "^(today|tomorrow|mon|tue|wed|thu|fri|sat|sun)$"}),
    ] = ""
    reason: Annotated[str, Field(max_length=500)] = ""
