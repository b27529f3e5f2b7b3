"""Types of configuration values: durations, sizes, times, addresses; each explains what is wrong."""

import re
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import ip_network
from typing import Annotated, Literal, NamedTuple
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema

from aggregator.core.model import Period
from aggregator.core.short_names import expand, near_miss
from aggregator.core.text.headers import HEADER_NAME, LINE_BREAK, OWN_HEADERS, is_header
from aggregator.core.text.urls import host_error

DURATION = re.compile(r"(?<![\d.])(\d++(?:\.\d++)?)\s*+(ms|s|m|h|d|w)")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAME = "mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
INSTANT = re.compile(r"\d{4}-\d\d")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
MAX_SPAN_S = 36_500 * 86_400.0  # an instant that far away is still a date
ID = r"^[a-z0-9][a-z0-9._-]{0,99}$"


class Unfit(ValueError):
    """A value that a key cannot have: `wrong` says what it is not, `hint` what to write; neither quotes it."""

    def __init__(self, value: object, wrong: str, hint: str) -> None:
        super().__init__(f"{value!r} {wrong}; {hint}")
        self.wrong = wrong
        self.hint = hint


def revealed(value: object) -> object:
    """Return the text of a resolved reference; nothing else shows it."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _one(value: object) -> object:
    """Refuse a list or a mapping where a single value is read; its contents are not quoted."""
    if isinstance(value, list | tuple | dict):
        found = "a mapping" if isinstance(value, dict) else "a list"
        raise ValueError(f"expected a single value, found {found}; write it without brackets")
    return value


def seconds(value: object) -> float:
    """Parse `15m`, `1h30m`, `30s`, `7d`, `2w` to seconds; a bare number is refused for its missing unit."""
    text = str(_one(value)).strip()
    if text == "0":
        return 0.0
    if not re.fullmatch(rf"(?:{DURATION.pattern}\s*)+", text):
        wrong, hint = "is not a duration", "write a number and s, m, h, d or w:"
        if re.fullmatch(r"\d+", text):
            raise ValueError(f"{text!r} {wrong}; {hint} {text}m")
        if said := re.fullmatch(r"(?:every\s+)?(\d{1,6})\s*(s|m|h|d|w)[a-z]{1,6}", text.casefold()):
            number, unit = (int(said[1]) * 30, "d") if "mon" in text.casefold() else (int(said[1]), said[2])
            raise ValueError(f"{text!r} {wrong}; write {number}{unit}")
        raise Unfit(text, wrong, f"{hint} 15m")
    return sum(float(number) * UNITS[unit] for number, unit in DURATION.findall(text))


def _span(value: object) -> float:
    """Parse a duration of the configuration, which the calendar can be reckoned with."""
    found = seconds(value)
    if found > MAX_SPAN_S:
        raise Unfit(value, "is too long", "write at most 36500d, about 100 years")
    return found


def period(text: str, now: datetime) -> Period:
    """Parse the span of time that `since` names; days are those of `now`'s zone.

    `24h` and `7d` reach back from now; `2026-11-01`, `monday` (the last one), `today`, `yesterday` and instants of
    ISO 8601 are where it begins; `2026-11-01..2026-11-15` has a beginning and an end, both days whole, of which one
    may be left out. Raises ValueError.
    """
    first, dots, last = (part.strip() for part in text.strip().partition(".."))
    if not dots:
        return Period(since=_moment(first, now)[0])
    if not first and not last:
        raise _no_moment(text)
    since, until = _moment(first, now)[0] if first else None, end_of(last, now) if last else None
    if since and until and since >= until:
        raise Unfit(text, "ends before it begins", "write the earlier day first: 2026-11-01..2026-11-15")
    return Period(since=since, until=until)


def end_of(text: str, now: datetime) -> datetime:
    """Parse the instant at which what `until` names is over: a day is whole. Raises ValueError."""
    return _moment(text.strip(), now)[1]


def ahead(text: str, now: datetime) -> datetime:
    """Parse until when something is to last: `4h` from now, a day or the next one of that name (whole), an instant.

    Of a span (`today..friday`) it is the end; the beginning may not lie ahead. Raises ValueError.
    """
    first, dots, last = (part.strip() for part in text.strip().partition(".."))
    word = (last if dots else first).lower()
    if re.fullmatch(DAY_NAME, word):
        until = _day(now.date() + timedelta(days=(DAYS.index(word[:3]) - now.weekday()) % 7), now)[1]
    elif word == "tomorrow":
        until = _day(now.date() + timedelta(days=1), now)[1]
    elif INSTANT.match(word) or word in ("today", "yesterday"):
        until = end_of(word, now)
    else:
        until = _later(word, now)
    if dots and first and _moment(first, now)[0] > now:
        raise Unfit(text, "begins later", "it begins at once: write only the end")
    if until <= now:
        raise Unfit(text, "is over already", "write a length (4h, 7d) or a day to come (2026-12-01, friday)")
    return until


def _later(text: str, now: datetime) -> datetime:
    wanted = "write a length (4h, 7d) or a day (2026-12-01, friday, tomorrow)"
    try:
        return now.astimezone(UTC) + timedelta(seconds=seconds(text))
    except OverflowError:
        raise Unfit(text, "is too long", wanted) from None
    except ValueError:
        raise Unfit(text, "is not a time", wanted) from None


def _moment(text: str, now: datetime) -> tuple[datetime, datetime]:
    """Return where a day, an age or an instant begins and ends, in UTC."""
    word, today = text.lower(), now.date()
    try:
        if word in ("today", "yesterday"):
            return _day(today - timedelta(days=word == "yesterday"), now)
        if re.fullmatch(DAY_NAME, word):
            return _day(today - timedelta(days=(now.weekday() - DAYS.index(word[:3])) % 7), now)
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return _day(date.fromisoformat(text), now)
        at = datetime.fromisoformat(text) if INSTANT.match(text) else now - timedelta(seconds=seconds(text))
        at = (at if at.tzinfo else at.replace(tzinfo=now.tzinfo)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if INSTANT.match(text):
            raise Unfit(text, "is not a day of the calendar", "write for example 2026-11-01") from None
        if isinstance(error, OverflowError):
            raise Unfit(text, "is too long ago", "write for example 30d") from None
        raise _no_moment(text) from None
    return at, at


def _day(day: date, now: datetime) -> tuple[datetime, datetime]:
    """Return both midnights of a day; by the wall clock, so that it may have 23 hours."""
    begin = datetime.combine(day, time(), now.tzinfo)
    return begin.astimezone(UTC), (begin + timedelta(days=1)).astimezone(UTC)


def _no_moment(text: str) -> Unfit:
    wanted = "write an age (24h, 7d), a day (2026-11-01, monday, today) or a span (2026-11-01..2026-11-15)"
    return Unfit(text, "is not a time", wanted)


def size(value: object) -> int:
    """Parse `10MiB`, `500kB`, `1048576` to bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(_one(value)).strip())
    if not found or found[2].upper() not in SIZES:
        raise Unfit(value, "is not a size", "write for example 10MiB")
    return int(float(found[1]) * SIZES[found[2].upper()])


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Unfit(name, "is not a time zone", "write for example Europe/Oslo") from None
    return name


def clock(text: str) -> time:
    """Parse the time of day `07:00`."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
    if not found:
        raise Unfit(text, "is not a time of day", "write for example 07:00")
    return time(int(found[1]), int(found[2]))


def days_and_time(rhythm: str) -> tuple[frozenset[int], time] | None:
    """Parse days (Monday is 0) and time of `daily 07:00`, `weekdays 07:00`, `weekly mon 07:00`.

    None for rhythms that go by no time of day. Raises ValueError for one that would but is misspelt.
    """
    word, _, at = rhythm.partition(" ")
    if word in ("daily", "weekdays") and at:
        return frozenset(range(7 if word == "daily" else 5)), clock(at)
    if word == "weekly":
        day, _, at = at.partition(" ")
        return frozenset([DAYS.index(day[:3].lower())]), clock(at)
    return None


def _quiet(value: object) -> str:
    text = str(_one(value))
    start, dash, end = text.partition("-")
    if not dash or clock(start) == clock(end):
        raise Unfit(text, "is not a span of the day", 'write for example "22:00-07:00"')
    return text


def _rhythm(value: object) -> str:
    text = " ".join(str(_one(value)).split())
    if weekly := re.fullmatch(rf"weekly ({DAY_NAME}) (.*)", text, re.IGNORECASE):
        text = f"weekly {weekly[1][:3].lower()} {weekly[2]}"
    if text.startswith(("daily ", "weekdays ")) or weekly:
        clock(text.rpartition(" ")[2])
    elif text not in ("instant", "hourly"):
        try:
            _span(text)
        except ValueError:
            wanted = "write instant, 15m, hourly, daily 07:00, weekdays 07:00 or weekly mon 07:00"
            raise Unfit(text, "is not a delivery schedule", wanted) from None
    return text


def _recurring(rhythm: str) -> str:
    """Refuse a rhythm without an interval, and one of less than a minute: each message would follow the last."""
    if rhythm == "hourly" or days_and_time(rhythm) or (rhythm != "instant" and seconds(rhythm) >= 60):
        return rhythm
    raise Unfit(rhythm, "is no interval of a message", "write daily 08:00, weekly mon 08:00, or at least 1m")


def _first_poll(value: object) -> str | float:
    if value in ("silent", "alert"):
        return str(value)
    if re.fullmatch(r"[A-Za-z]+", text := str(_one(value)).strip()):
        raise Unfit(text, "is not silent, alert or a duration", "write silent, alert, or for example 24h")
    return _span(value)


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header; write letters, digits and hyphens: X-Key")
        if name.lower() in OWN_HEADERS:
            raise ValueError(f"the program itself sets the header {name}; remove it")
        if not is_header(name, value.get_secret_value()):
            raise Unfit(name, "is a header whose value has a line break", "write a single line")
    return headers


def _header_text(text: str) -> str:
    if LINE_BREAK.search(text):
        raise Unfit(text, "has a line break", "write a single line")
    return text


def named_proxies(places: tuple[str, ...]) -> tuple[str, ...]:
    """Check that proxies are named one by one: a trusted proxy states the visitor's address."""
    for place in places:
        try:
            everybody = ip_network(place.strip(), strict=False).prefixlen == 0
        except ValueError:
            raise Unfit(
                place, "is not the address of a proxy", "write the proxy's own address or network, such as 127.0.0.1"
            ) from None
        if everybody:
            raise Unfit(place, "would trust every client", "write the proxy's own address, such as 127.0.0.1")
    return places


def opened(places: tuple[str, ...]) -> tuple[str, ...]:
    for place in places:
        host, _, port = place.strip().rpartition(":")
        try:
            ip_network(place.strip().strip("[]"), strict=False)
        except ValueError:
            if not host or not port.isdigit() or int(port) > 65_535:
                wanted = "write host:port, an address, or a network such as 10.0.0.0/8"
                raise Unfit(place, "matches no address", wanted) from None
    return places


def _proxy(url: SecretStr) -> SecretStr:
    if not re.match(
        r"(?:http|socks5h?)://(?:[^/@]*@)?(?:[^/:@\[]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?/?$", url.get_secret_value()
    ):
        raise ValueError("not a proxy URL; write http://host:port, socks5://host:port or socks5h://host:port")
    return url


def _http_url(text: str) -> str:
    text = text.strip()
    if not re.match(r"https?://[^/\s?#]+", text, re.IGNORECASE):
        if re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?(?:/\S*)?", text, re.IGNORECASE):
            raise ValueError(f"{text!r} is not a web address; write https://{text}")
        raise Unfit(text, "is not a web address", "it must start with http:// or https://")
    try:
        parts = urlsplit(text)
        host = parts.port != 0 and parts.hostname
    except ValueError as wrong:
        raise ValueError(f"{text!r} is not a web address: {wrong}") from None
    if host and (wrong_host := host_error(host)):
        raise ValueError(f"{text!r} is not a web address: {wrong_host}")
    if not host or re.search(r"\s", text):
        raise Unfit(text, "is not a web address", "write for example https://example.org/feed")
    return text


_MAILBOX = re.compile(
    r"imaps://(?:([^/?#:]+)(:[^/?#]*)?@)?([^/?#@:\s]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?(?:/([^?#]*))?", re.I
)


class Mailbox(NamedTuple):
    """The parts of `imaps://user@host:port/Folder`; empty where the address does not say."""

    user: str
    host: str
    port: int
    folder: str


def mailbox(url: str) -> Mailbox | None:
    """Return the parts of an address of an IMAP mailbox; None: it is none."""
    found = _MAILBOX.fullmatch(url)
    if found is None:
        return None
    user, _, host, port, folder = found.groups()
    return Mailbox(unquote(user or ""), host.strip("[]"), int(port or 993), unquote(folder or "") or "INBOX")


def maildir(url: str) -> str | None:
    """Return the folder that `maildir:/path` names; None: it names none."""
    return url.removeprefix("maildir:") if url.startswith("maildir:") else None


def _source_url(text: str) -> str:
    """Return the address of a source: of the web (a short name stands for one), of a mailbox, or of a Maildir."""
    text = text.strip()
    if (meant := expand(text)) is not None:
        return _http_url(meant)
    if (folder := maildir(text)) is not None:
        if not folder.startswith("/"):
            raise Unfit(text, "does not name a folder", "write the whole path: maildir:/var/mail/name")
        return text
    if re.match(r"imaps?:", text, re.IGNORECASE):
        found = _MAILBOX.fullmatch(text)
        if found is None or host_error(found[3]) or int(found[4] or 993) not in range(1, 65_536):
            plain = "" if text[:6].lower() == "imaps:" else "mail is read over TLS only: "
            raise ValueError(f"not the address of a mailbox; {plain}write imaps://user@mail.example.org/INBOX")
        if found[2]:
            raise ValueError('the address contains a password; write it as auth: {password: "${IMAP_PASSWORD}"}')
        return text
    if near := near_miss(text):
        raise Unfit(text, "is not a web address", f"did you mean {near}:?")
    return _http_url(text)


def _selector(text: str) -> str:
    """Return a CSS selector that may end in `@attribute`; whether a page reader takes it is checked elsewhere."""
    text = text.strip()
    if not re.fullmatch(r"[^@]*(?:@[A-Za-z_:][\w:.-]*)?", text) or text in ("", "@"):
        raise Unfit(text, "is not a selector", 'write CSS, and @attribute for an attribute: "h2 a@href"')
    if len(text) > 500:
        raise Unfit(f"{text[:20]}…", "is too long", "write at most 500 characters")
    return text


_duration_schema = WithJsonSchema(
    {"type": "string", "pattern": r"^(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$|^0$", "examples": ["15m", "6h", "7d"]}
)
Seconds = Annotated[float, BeforeValidator(_span), _duration_schema]
SomeSeconds = Annotated[Seconds, Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(size), WithJsonSchema({"type": "string", "examples": ["10MiB"]})]
SomeBytes = Annotated[Bytes, Field(gt=0)]
Zone = Annotated[str, AfterValidator(_zone)]
QuietHours = Annotated[str, BeforeValidator(_quiet), WithJsonSchema({"type": "string", "examples": ["22:00-07:00"]})]
Rhythm = Annotated[
    str,
    BeforeValidator(_rhythm),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["instant", "15m", "hourly", "daily 07:00", "weekdays 07:00", "weekly mon 07:00"],
        }
    ),
]
Interval = Annotated[Rhythm, AfterValidator(_recurring)]
HeaderText = Annotated[str, AfterValidator(_header_text)]
Headers = Annotated[dict[str, SecretStr], AfterValidator(_headers)]
FirstPoll = Annotated[
    Literal["silent", "alert"] | float,
    BeforeValidator(_first_poll),
    WithJsonSchema({"type": "string", "examples": ["silent", "alert", "24h"]}),
]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
SourceUrl = Annotated[str, AfterValidator(_source_url)]
Selector = Annotated[str, AfterValidator(_selector)]
Identifier = Annotated[str, Field(pattern=ID)]


class Referring(SecretStr):
    """A value with references: `written` is the text with `${…}` in it, the same when the secret is renewed."""

    def __init__(self, value: str, written: str) -> None:
        super().__init__(value)
        self.written = written

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and self.get_secret_value() == other.get_secret_value()

    __hash__ = SecretStr.__hash__


def one_or_many(value: object) -> object:
    """Wrap a single value in a list: `tags: defence` is `tags: [defence]`."""
    return value if isinstance(value, list | tuple) else (value,)


Proxy = Annotated[SecretStr, AfterValidator(_proxy)]

_Word = str | float | bool  # what an editor's YAML takes 007, 12 or NO for; all of it is read as text
Words = Annotated[tuple[str, ...], BeforeValidator(one_or_many, json_schema_input_type=_Word | tuple[_Word, ...])]


MIN_PASSWORD, MIN_TOKEN = 8, 12  # a token is tried faster than a password


class WeakSpot(NamedTuple):
    """Why a page may not be reached by others, as the end of a sentence, and the remedy."""

    wrong: str
    hint: str


def weak_spot(password: str | None, token: str | None) -> WeakSpot | None:
    """Return what is wrong with the credentials of a page that others can reach; None: nothing."""
    if not password and not token:
        return WeakSpot(
            "neither a password nor a token is set",
            "set settings.web.password (or token), or listen on 127.0.0.1",
        )
    for name, secret, fewest in (("password", password, MIN_PASSWORD), ("token", token, MIN_TOKEN)):
        if secret and len(secret) < fewest:
            return WeakSpot(
                f"settings.web.{name} has fewer than {fewest} characters",
                f"generate a longer one, for example with openssl rand -base64 {fewest * 2}, or listen on 127.0.0.1",
            )
    return None
