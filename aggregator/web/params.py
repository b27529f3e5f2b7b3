"""Query parameters: instants, cursors, pages of a listing, as typed values."""

import base64
import binascii
import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qsl, urlencode

from fastapi import HTTPException, Query, Request
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from aggregator.core.errors import did_you_mean
from aggregator.core.model import By, HitDetail, HitFilter, Period, SearchOrder, View
from aggregator.core.values import end_of, period

SPAN = r"[0-9]{1,4}(\.[0-9]{1,3})?\s?(s|m|h|d|w)"
MONTH_DAY = r"(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
DAY = rf"[12][0-9]{{3}}-{MONTH_DAY}"
TIME = r"T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|[+-]0[0-9]:[0-5][0-9])?"
MOMENT = rf"0|{SPAN}|{DAY}({TIME})?|today|yesterday|monday"
Since = Annotated[
    str | None,
    Field(max_length=80, description="An age (30d), a day, an instant (ISO 8601), or FROM..TO with both days whole."),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^({MOMENT}|1999-{MONTH_DAY}\.\.20[0-9]{{2}}-{MONTH_DAY})$",
            "examples": ["30d", "2026-03-01", "monday", "2026-03-01..2026-03-15", "2026-03-01T08:00:00Z"],
        }
    ),
]
Until = Annotated[
    str | None,
    Field(max_length=80, description="The same for the end; a day is whole."),
    WithJsonSchema({"type": "string", "pattern": f"^({MOMENT})$", "examples": ["2026-03-15", "2026-03-15T08:00:00Z"]}),
]
SortedBy = Annotated[
    By, Field(description="The time meant by the order, `since` and `until`: of publication, or of recording.")
]
Name = Annotated[str | None, Field(max_length=200)]
Before = Annotated[str | None, Field(max_length=300, description="Cursor of the next page, from the Link header.")]
Mark = Literal["relevant", "irrelevant", "seen"]
PAGE_PARAMS = frozenset({"by", "done", "n", "undo", "facets", "before", "page", "limit", "token"})  # no filters
SEARCH_FILTERS = ("feed", "lang", "since", "until")  # beside the query and the order
FILTERS = ("rule", "feed", "story", "mark", "todo", "lang", "label", "since", "until")
Tab = Literal["todo", "all", "relevant", "irrelevant"]
MAX_LIMIT = 1000
FIRST_SEARCH_S = 0.03
LONG_SEARCH_S = 1.5


def time_span(since: str | None, until: str | None, now: datetime) -> Period:
    """Return the span of time that a request names; days are those of `now`'s zone. 422 if it names none."""
    try:
        named = Period() if since is None else period(since, now)
    except ValueError as error:
        raise HTTPException(422, f"since: {error}") from None
    try:
        return named if until is None else replace(named, until=end_of(until, now))
    except ValueError as error:
        raise HTTPException(422, f"until: {error}") from None


def search_time_s(before: int | None) -> float:
    """Return how long a search may read without an index: a moment, and longer if the caller asks to continue."""
    return FIRST_SEARCH_S if before is None else LONG_SEARCH_S


def cursor(detail: HitDetail, by: By = "published") -> str:
    """Return an opaque word that continues a listing of hits, by one of their times, after this one."""
    return cursor_of(*detail.place(by))


def cursor_of(at: datetime, name: str) -> str:
    """Return the same for a listing by (instant, id)."""
    raw = f"{at.astimezone(UTC).isoformat()} {name}"
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def after_cursor(word: str | None) -> tuple[datetime, str] | None:
    """Return where a listing continues. 404 if the cursor is unknown."""
    if not word:
        return None
    try:
        raw = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode()
        at, _, hit_id = raw.partition(" ")
        parsed = datetime.fromisoformat(at)
        if parsed.tzinfo is None or not hit_id:
            raise ValueError
    except (ValueError, binascii.Error):
        raise HTTPException(404, "before: not a cursor of this listing") from None
    return parsed, hit_id


def next_link(request: Request, **where: object) -> dict[str, str]:
    """Write the Link header (RFC 8288) to the next page: the same query, from another place."""
    asked = [(name, value) for name, value in request.query_params.multi_items() if name not in where]
    return {"link": f'<{request.url.path}?{urlencode([*asked, *where.items()])}>; rel="next"'}


class ListQuery(BaseModel):
    """The size of a page of a listing."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Maximum number of results.")] = 50


class NameListQuery(ListQuery):
    """A page of a listing with an order of its own."""

    after: Annotated[str, Field(max_length=200, description="Start after this id; from the Link header.")] = ""


class HitQuery(ListQuery):
    """Filters of hits; all that are given must match."""

    rule: Name = None
    feed: Name = None
    story: Name = None
    mark: Mark | None = None
    todo: Annotated[bool, Field(description="Only what is not marked yet, and no copies.")] = False
    lang: Annotated[str | None, Field(max_length=40)] = None
    label: Annotated[str | None, Field(max_length=40)] = None
    since: Since = None
    until: Until = None
    by: SortedBy = "published"
    before: Before = None

    def filter(self, now: datetime) -> HitFilter:
        """Return what is asked for; days are those of `now`'s zone."""
        asked = time_span(self.since, self.until, now)
        return HitFilter(
            rule=self.rule,
            feed=self.feed,
            story=self.story,
            mark=self.mark,
            todo=self.todo,
            lang=self.lang,
            label=self.label,
            since=asked.since,
            until=asked.until,
            by=self.by,
            before=after_cursor(self.before),
        )


class PageQuery(HitQuery):
    """The same from a page's filter form, which sends empty fields too."""

    done: Annotated[str | None, Field(max_length=40)] = None  # what the toast says, and which change it offers to undo
    n: Annotated[str | None, Field(max_length=10)] = None
    undo: Annotated[str | None, Field(max_length=40)] = None
    show: Tab | None = None
    facets: bool = False

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, sent: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in sent.items() if value != ""}

    @property
    def tab(self) -> Tab:
        """Return the tab of the page; an address that names a mark or `todo` means that tab."""
        if self.show:
            return self.show
        if self.mark is None:
            return "todo"
        return "all" if self.mark == "seen" else self.mark

    def filter(self, now: datetime) -> HitFilter:
        """Return the filter of the tab on show."""
        wanted, tab = super().filter(now), self.tab
        if tab == "all":
            return replace(wanted, todo=False)
        return replace(wanted, todo=tab == "todo", mark=None if tab == "todo" else tab)

    @property
    def narrowed(self) -> dict[str, str]:
        """Return the filters beside the tab."""
        names = ("rule", "feed", "story", "lang", "label", "since", "until")
        kept = {name: getattr(self, name) for name in names if getattr(self, name)}
        return kept if self.by == "published" else kept | {"by": self.by}

    @property
    def filters(self) -> dict[str, str]:
        """Return the parameters that stay when a listing is continued."""
        kept = self.narrowed | ({"mark": "seen"} if self.mark == "seen" else {})
        return kept if self.tab == "todo" else {"show": self.tab} | kept

    @property
    def as_view(self) -> str:
        """Return the filters as the address that a saved view keeps."""
        of_tab = {"todo": {"todo": "true"}, "all": {}}.get(self.tab, {"mark": self.tab})
        return urlencode(self.narrowed | of_tab)


NamesParams = Annotated[NameListQuery, Query()]
HitParams = Annotated[HitQuery, Query()]
PageParams = Annotated[PageQuery, Query()]


def view_query(address: str, now: datetime, *, strict: bool = False) -> tuple[tuple[str, str], ...]:
    """Return the filters of an address (`rule=x&since=7d`, or all of it) as a view keeps them.

    With a `q` it is a search. Other parameters are left out.

    Raises WrongView for a mistyped filter and, if `strict`, where there is none but other parameters; ValidationError;
    422 for an instant that is none.
    """
    if "?" in address:
        address = address.partition("?")[2]
    given = dict(parse_qsl(address.partition("#")[0], max_num_fields=50, keep_blank_values=True))
    question = given.get("q", "").strip()
    filters = (*SEARCH_FILTERS, "q") if question else (*FILTERS, "show")
    for name in sorted(set(given) - PAGE_PARAMS - {*filters, "q"}):
        near = did_you_mean(name, filters)
        if near or (strict and not any(map(given.get, filters))):
            raise WrongView(f"{name!r} is not a filter{near}; filters are {', '.join(filters)}")
    if not question and given.get("show") in ("todo", "relevant", "irrelevant"):  # the tabs of the Hits page
        given |= {"todo": "true"} if given["show"] == "todo" else {"mark": given["show"]}
    kept = {name: given[name] for name in (SEARCH_FILTERS if question else FILTERS) if given.get(name)}
    HitQuery.model_validate(kept).filter(now)
    order = {"by": given["by"]} if question and given.get("by") in get_args(SearchOrder) else {}
    return tuple((({"q": question} if question else {}) | kept | order).items())


class WrongView(ValueError):
    """What cannot be a view, and why, in one sentence."""


def view_of(name: str, address: str, local_now: datetime, created_at: datetime, *, strict: bool = False) -> View:
    """Return the view of this name with the filters of an address, as `view_query` reads it. Raises WrongView."""
    words = " ".join(name.split())
    if not words:
        raise WrongView("a view needs a name")
    try:
        kept = view_query(address, local_now, strict=strict)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongView(f"query: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except HTTPException as error:
        raise WrongView(f"query: {error.detail}") from None
    return View(id=view_id(words), name=words, query=kept, created_at=created_at)


def view_id(name: str) -> str:
    """Return the part of the addresses that stands for a view: its name in ASCII, or a digest of it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain))[:60]
    return slug or hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
