"""The configuration as plain values: one table that code, commands, schema and docs read.

Keys are the YAML's (aliases); fields carry their unit. Everything is frozen and checked here as
far as a single value can be; names that refer to each other are checked by config/.
Source of truth for `aggregator schema` and docs/configuration.md.
"""

from collections.abc import Hashable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, cast, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from aggregator.core.model import FEED, Reading
from aggregator.core.values import (
    FirstPoll,
    Headers,
    HeaderText,
    HttpUrl,
    Identifier,
    Interval,
    Proxy,
    QuietHours,
    Rhythm,
    Seconds,
    Selector,
    SomeBytes,
    SomeSeconds,
    SourceUrl,
    Words,
    Zone,
    named_proxies,
    one_or_many,
    opened,
    revealed,
)


class Section(BaseModel):
    """A mapping of the configuration: frozen, and strict about its keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
        defer_build=True,  # most sections are only ever read as a part of the whole
    )

    @field_validator("*", mode="before")
    @classmethod
    def _resolved(cls, value: object, info: ValidationInfo) -> object:
        """Unwrap a resolved reference, which stays secret until a key wants it as plain text."""
        if info.field_name is None or _keeps_secrets(cast(Hashable, cls.model_fields[info.field_name].annotation)):
            return value
        return [revealed(one) for one in value] if isinstance(value, list | tuple) else revealed(value)


@lru_cache
def _keeps_secrets(annotation: Hashable) -> bool:
    return annotation is SecretStr or any(map(_keeps_secrets, get_args(annotation)))


class Auth(Section):
    """Credentials for a feed: `user` and `password`, or `bearer`."""

    user: str | None = Field(None, description="User name for HTTP basic authentication.")
    password: SecretStr | None = Field(None, description="Password; use ${ENV} or ${file:…}.")
    bearer: SecretStr | None = Field(None, description="Bearer token, instead of user and password.")


class Select(Section):
    """The parts of a page, as CSS selectors; `selector@attribute` reads an attribute."""

    entry: Selector | None = Field(None, description="Kind page: each entry of the list; the only required part.")
    title: Selector | None = Field(None, description="Inside an entry: its headline; default: guessed.")
    link: Selector | None = Field(None, description="Inside an entry: its link, as `a@href`; default: guessed.")
    date: Selector | None = Field(None, description="Inside an entry: its date, as `time@datetime`; default: guessed.")
    summary: Selector | None = Field(None, description="Inside an entry: its teaser; default: guessed.")
    content: Selector | None = Field(None, description="Kind watch: the part of the page whose text is watched.")


class Feed(Section):
    """One watched source."""

    url: SourceUrl = Field(
        description="Address: http(s)://…, imaps://user@host/Folder, maildir:/path, or a short name such as "
        "telegram:channel; the only required key."
    )
    kind: Literal["feed", "sitemap", "page", "watch", "mail"] = Field(
        "feed", description="What is read there; see docs/sources.md."
    )
    select: Select | None = Field(None, description="Kinds page and watch: parts of the page.")
    ignore: Words = Field((), description="Kind watch: RE2 patterns; what they match is no change.")
    from_: Words = Field((), alias="from", description="Kind mail: only senders that match, such as `*@example.org`.")
    id: Identifier = Field("", validate_default=False, description="Permanent id; default: a slug of host and path.")
    title: str = Field("", description="Display name; default: the feed's own title.")
    tags: Words = Field((), description="Tags, for rules (`feeds: {tags: […]}`) and filters.")
    every_s: Seconds | None = Field(None, alias="every", description="Base interval; default: settings.polling.every.")
    enabled: bool = Field(True, description="false: not polled; its entries are kept.")
    first_poll: FirstPoll | None = Field(
        None, description="On the first poll: silent, alert, or a duration (alert on entries younger than that)."
    )
    auth: Auth | None = Field(None, description="Credentials; never sent to another origin.")
    headers: Headers = Field({}, description="Extra request headers; never sent to another origin.")
    user_agent: HeaderText | None = Field(None, description="User-Agent for this feed.")
    proxy: Proxy | None = Field(None, description="Proxy for this feed: http://… or socks5://….")
    verify_tls: bool = Field(True, description="false: accept any certificate (with a warning).")
    full_text: bool = Field(False, description="Also fetch and match the article behind each new link.")
    ignore_cache_hints: bool = Field(
        False, description="true: ignore max-age, ttl and similar hints (Retry-After is always honoured)."
    )
    max_latency_s: Seconds | None = Field(
        None, alias="max_latency", description="Upper limit of the adaptive interval."
    )

    @property
    def reading(self) -> Reading:
        """Return how the documents of this source are read."""
        if self.kind == "feed":
            return FEED
        parts = self.select.model_dump(exclude_none=True) if self.select else {}
        return Reading(kind=self.kind, select=tuple(sorted(parts.items())), ignore=self.ignore, senders=self.from_)


class FeedFilter(Section):
    """The feeds that a rule applies to; default: all feeds."""

    tags: Words = Field((), description="Feeds with one of these tags.")
    ids: Words = Field((), description="These feeds.")
    not_ids: Words = Field((), description="All feeds except these.")
    not_tags: Words = Field((), description="No feed with one of these tags.")


class NearConfig(Section):
    """Terms that must be close together."""

    terms: Words = Field(description="At least two terms.")
    within: int = Field(10, ge=1, le=1000, description="Maximum number of words between neighbouring terms.")
    ordered: bool = Field(False, description="true: only in this order.")


class Threshold(Section):
    """Alert only when there are enough hits from enough feeds."""

    hits: int = Field(1, ge=1, le=10_000, description="At least this many hits …")
    within_s: SomeSeconds = Field(alias="within", description="… within this time …")
    sources: int = Field(1, ge=1, le=1000, description="… from at least this many feeds.")


class Spike(Section):
    """Alert when a rule has more hits than usual."""

    factor: float = Field(3.0, gt=1, description="Multiple of the usual number of hits.")
    within_s: SomeSeconds = Field(alias="within", description="Length of the window.")


class RuleTests(Section):
    """Texts that a rule must and must not match."""

    match: Words = Field((), description="Texts that must match.")
    no_match: Words = Field((), description="Texts that must not match.")


SearchedField = Literal["title", "summary", "content", "author", "category", "link"]


class RuleConfig(Section):
    """A watch rule as written; core.rules compiles it into a Rule."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")] = Field(
        description="Unique, permanent id: a–z, 0–9, hyphen."
    )
    title: str = Field("", description="Display name.")
    any: Words = Field((), description="At least one of these terms.")
    all: Words = Field((), description="All of these terms.")
    none: Words = Field((), description="None of these terms.")
    near: Annotated[
        tuple[NearConfig, ...], BeforeValidator(one_or_many, json_schema_input_type=NearConfig | tuple[NearConfig, ...])
    ] = Field((), description="Terms close together; one mapping or a list.")
    query: str | None = Field(None, description="The whole condition as one query; see docs/rules.md.")
    regex: Words = Field((), description="RE2 patterns; at least one must match.")
    in_: Annotated[
        tuple[SearchedField, ...],
        BeforeValidator(one_or_many, json_schema_input_type=SearchedField | tuple[SearchedField, ...]),
    ] = Field(("title", "summary", "content"), alias="in", min_length=1, description="Fields searched.")
    case: Literal["fold", "exact"] = Field("fold", description="exact: match upper and lower case as written.")
    stem: bool = Field(False, description="true: match words in every inflection, by the entry's language.")
    translit: bool = Field(False, description="true: also match names in other scripts (Эрдоган ↔ Erdogan).")
    inflect: bool = Field(
        False, description="true: also match the case endings of names (Erdogan: Erdoganin, Эрдогана)."
    )
    feeds: FeedFilter = Field(FeedFilter(), description="Feeds to match; default: all.")
    lang: Words = Field((), description="Languages (ISO 639-1); default: any.")
    max_age_s: Seconds | None = Field(
        None, alias="max_age", description="For entries older than this, record the hit but do not alert."
    )
    threshold: Threshold | None = Field(None, description="Alert only when this many hits occur close together.")
    spike: Spike | None = Field(None, description="Alert when there are many more hits than usual.")
    first_in_s: SomeSeconds | None = Field(
        None, alias="first_in", description="Alert only on the first hit in this period."
    )
    on_update: bool = Field(False, description="true: alert again when a matched entry is edited (at most 3 times).")
    retellings: Literal["fold", "update", "alert"] = Field(
        "fold",
        description="The same event in other words: fold (no new alert), update (a short alert in the thread), alert.",
    )
    notify: Words | None = Field(None, description="Channels; default: settings.default_channels.")
    deliver: Rhythm = Field(
        "instant", description="instant, a duration, hourly, daily HH:MM, weekdays HH:MM or weekly DAY HH:MM."
    )
    priority: Literal["low", "normal", "high"] = Field("normal", description="high: alert even in quiet hours.")
    enabled: bool = Field(True, description="false: the rule is ignored.")
    tests: RuleTests = Field(RuleTests(), description="Run by `aggregator check`.")


def _sha256(text: str) -> str:
    if len(text) != 64 or not set(text.lower()) <= set("0123456789abcdef"):
        raise ValueError("not a SHA-256; write its 64 hexadecimal digits, as sha256sum prints them")
    return text.lower()


class ListSource(Section):
    """A list of terms that is not written out: from a file, an address or the program; several are joined."""

    terms: Words = Field((), description="Further terms.")
    file: str | None = Field(None, min_length=1, description="A text file with one term a line, relative to this file.")
    url: HttpUrl | None = Field(None, description="The same behind an address; the last good version stays in force.")
    use: Words = Field((), description="Lists shipped with the program; see `aggregator lists list`.")
    every_s: SomeSeconds = Field(86400.0, alias="every", description="How often `url` is fetched.")
    sha256: Annotated[str, AfterValidator(_sha256)] | None = Field(
        None, description="SHA-256 of what `url` must give; anything else is refused."
    )
    inflect: bool = Field(False, description="true: also match the case endings of names.")


ListTerms = Annotated[
    tuple[str, ...], BeforeValidator(one_or_many, json_schema_input_type=str | tuple[str, ...] | ListSource)
]


UNAVAILABLE = "unavailable"  # the service of a channel whose secrets are not here


class Channel(Section):
    """A named destination: an Apprise `url` (or several), or a `service` with its own fields."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, hide_input_in_errors=True)

    name: str = Field("", exclude=True, json_schema_extra={"readOnly": True})
    url: Annotated[
        tuple[SecretStr, ...], BeforeValidator(one_or_many, json_schema_input_type=str | tuple[str, ...])
    ] = Field((), description="An Apprise URL, or a list of them.")
    service: str | None = Field(
        None, description="console, webhook or any Apprise service, with its fields as further keys."
    )
    quiet_hours: QuietHours | None = Field(
        None, description="Alerts are held during this period, then sent as one digest."
    )
    time_zone: Zone = Field(
        "UTC",
        description="For quiet hours, delivery schedules and times in alerts; default: settings.time_zone.",
    )
    max_per_hour: int | None = Field(None, ge=1, description="Alerts beyond this are combined into one digest.")
    format: Literal["text", "html", "markdown"] | None = Field(
        None, description="Default: the service's preferred format."
    )
    template: str | None = Field(None, description="Custom Jinja2 template file for this channel.")
    fallback: str | None = Field(None, description="Channel notified when this one fails for good.")
    timeout_s: SomeSeconds = Field(20.0, alias="timeout", description="Time limit of one attempt.")

    @property
    def available(self) -> bool:
        """Tell whether this process can send on it; else it lacks a secret that another one has."""
        return self.service != UNAVAILABLE

    @property
    def fields(self) -> dict[str, Any]:
        """Return the service's own fields."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Tokens stand among the service's own fields: their values are not shown."""
        for name, value in super().__repr_args__():
            yield name or "", "***" if name in (self.model_extra or {}) else value


class Polling(Section):
    """When feeds are polled, and how much is stored."""

    every_s: Seconds = Field(900.0, alias="every", description="Default interval.")
    min_interval_s: Seconds = Field(60.0, alias="min_interval", description="Minimum time between two polls of a feed.")
    concurrency: int = Field(128, ge=1, le=2000, description="Maximum concurrent polls.")
    per_host: int = Field(1, ge=1, le=64, description="Maximum concurrent requests per host.")
    first_poll: FirstPoll = Field(
        "silent", description="On the first poll: silent, alert, or a duration (alert on entries younger than that)."
    )
    flood_limit: int = Field(
        20, ge=1, description="More new entries than this in one poll are combined into one digest."
    )
    daily_entries: int = Field(
        10_000, ge=1, description="Entries stored per feed and day; beyond that, only those that alert."
    )
    daily_bytes: SomeBytes = Field(
        64 * 2**20, alias="daily_size", description="Text stored per feed and day; beyond it, only entries that alert."
    )


class Http(Section):
    """Settings for all outgoing requests."""

    timeout_s: SomeSeconds = Field(30.0, alias="timeout", description="Time limit of one request, including redirects.")
    connect_timeout_s: SomeSeconds = Field(10.0, alias="connect_timeout", description="Time limit for connecting.")
    max_body_bytes: SomeBytes = Field(10 * 2**20, alias="max_body", description="Maximum size of a document, unpacked.")
    user_agent: HeaderText | None = Field(
        None, description="User-Agent header; default: aggregator/VERSION (+web.public_url)."
    )
    allow: Annotated[Words, AfterValidator(opened)] = Field(
        (), description="Private addresses that may be fetched: host:port, address or CIDR."
    )
    proxy: Proxy | None = Field(None, description="Proxy for every request: http://… or socks5://….")


class Stories(Section):
    """Combining copies of one text, and reports of one event, into one story with one alert."""

    collapse: bool = Field(True, description="One alert per story; false: every copy alerts.")
    window_s: Seconds = Field(72 * 3600.0, alias="window", description="How long copies are added to a story.")
    renotify_sources: int = Field(0, ge=0, description="Alert again when this many feeds carry the story; 0: never.")
    events: bool = Field(
        True, description="Also recognise the same event in other words; false: only copies of one text."
    )
    fold_for_s: Seconds = Field(
        12 * 3600.0,
        alias="fold_for",
        description="How long after an alert retellings of its event make no alert; later ones are updates.",
    )
    strictness: Literal["normal", "strict", "off"] = Field(
        "normal", description="How alike retellings must be to be folded; off: none is, they are updates."
    )
    languages: Literal["names", "model"] = Field(
        "names",
        description="How an event is recognised across languages: by names and numbers, or also by what is meant "
        "(model; requires the extra `languages`).",
    )


class HealthSettings(Section):
    """Notices about feeds and the service."""

    notify: Words | None = Field(None, description="Channels; default: settings.default_channels.")
    silent_after: float = Field(
        5, gt=1, description="A feed counts as silent after this many of its usual intervals without a new entry."
    )
    heartbeat: Interval | None = Field(
        None, description="Regular message with counts that shows the service is alive, e.g. daily 08:00."
    )


class Retention(Section):
    """How long entries are kept; their keys are kept forever."""

    entries_s: Seconds = Field(365 * 86400.0, alias="entries", description="How long entries and their hits are kept.")
    content_s: Seconds = Field(
        90 * 86400.0, alias="content", description="How long the full text of entries without hits is kept."
    )


class Web(Section):
    """Web UI and API."""

    enabled: bool = Field(True, description="false: no web UI.")
    listen: str = Field("127.0.0.1:8080", description="Address and port.")
    public_url: HttpUrl | None = Field(None, description="URL at which others reach the web UI.")
    password: SecretStr | None = Field(None, description="Login password; required beyond loopback.")
    token: SecretStr | None = Field(None, description="API bearer token.")
    trusted_proxies: Annotated[Words, AfterValidator(named_proxies)] = Field(
        (), description="Addresses or networks of proxies whose X-Forwarded-* headers are trusted; `*` is refused."
    )


class MetricsConfig(Section):
    """Metrics and health probes of a process without a web UI."""

    listen: str | None = Field(
        None, description="Separate address and port for /metrics, /healthz and /readyz; default: none."
    )


class Logging(Section):
    """Logging."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Minimum level.")
    format: Literal["auto", "console", "json"] = Field("auto", description="auto: coloured on a terminal, else JSON.")


class Settings(Section):
    """Everything that is not a feed, rule, list or channel."""

    database: SecretStr | None = Field(None, description="SQLAlchemy URL; default: SQLite in ./var.")
    default_channels: Words = Field((), description="Channels of rules that have no notify.")
    polling: Polling = Polling()
    http: Http = Http()
    stories: Stories = Stories()
    health: HealthSettings = HealthSettings()
    retention: Retention = Retention()
    web: Web = Web()
    metrics: MetricsConfig = MetricsConfig()
    logging: Logging = Logging()
    time_zone: Zone = Field(
        "UTC",
        description="For days and times on pages, in commands and alerts; default: the machine's. Channels may differ.",
    )

    def local(self, now: datetime) -> datetime:
        """Return an instant as the clocks of the configured zone show it."""
        return now.astimezone(ZoneInfo(self.time_zone))


def _mappings(rows: object) -> object:
    """Let a text stand for a feed of which only the address is given."""
    return [{"url": row} if isinstance(row, str) else row for row in rows] if isinstance(rows, list | tuple) else rows


class Config(Section):
    """The whole configuration, checked."""

    feeds: Annotated[tuple[Feed, ...], BeforeValidator(_mappings, json_schema_input_type=tuple[Feed | str, ...])] = ()
    channels: dict[str, Channel] = {}
    rules: tuple[RuleConfig, ...] = ()
    lists: dict[str, ListTerms] = {}
    settings: Settings = Settings()
