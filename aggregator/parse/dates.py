"""Dates as feeds write them: RFC 822, ISO 8601, and what people type instead.

`instant` reads what feedparser reads, and what that misreads or refuses: offsets without a colon, 24:00,
leap seconds, Y/M/D, epoch numbers, zone names, day and month names in other languages, two-digit years.
"""

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from aggregator.parse import calendar

EARLIEST_YEAR = 1900  # year 1 and the like are an unset field, not a date

_ENGLISH = {
    name: place // 3 + 1
    for place in range(0, 36, 3)
    if (name := "JanFebMarAprMayJunJulAugSepOctNovDec"[place : place + 3])
}
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ENGLISH_MONTHS = {name: n for n, whole in enumerate(_MONTHS, 1) for name in (whole, whole[:3], whole[:4])}
_ENGLISH_DAYS = {whole[:length] for whole in _DAYS for length in (3, 4, 5, len(whole))}
_BUDDHIST = range(2400, 2700)  # years as Thailand counts them
_AHEAD = 543
_ZONES = {  # minutes east of UTC, before those of the time zone database: where one is ambiguous, what feeds mean
    "utc": 0, "gmt": 0, "ut": 0, "z": 0, "wet": 0, "uct": 0,
    "bst": 60, "west": 60, "cet": 60, "met": 60, "mez": 60, "wat": 60,
    "cest": 120, "mest": 120, "mesz": 120, "eet": 120, "sast": 120, "cat": 120,
    "eest": 180, "msk": 180, "trt": 180, "eat": 180, "idt": 180, "irst": 210, "msd": 240, "gst": 240,
    "pkt": 300, "ist": 330, "npt": 345, "ict": 420, "wib": 420,
    "awst": 480, "hkt": 480, "sgt": 480, "pht": 480, "myt": 480, "jst": 540, "kst": 540,
    "acst": 570, "aest": 600, "acdt": 630, "aedt": 660, "nzst": 720, "nzdt": 780,
    "nst": -210, "ndt": -150, "adt": -180, "art": -180, "brt": -180, "ast": -240, "clt": -240, "edt": -240,
    "est": -300, "cdt": -300, "et": -300, "cst": -360, "mdt": -360, "ct": -360, "mst": -420, "pdt": -420,
    "mt": -420, "pst": -480, "akdt": -480, "pt": -480, "akst": -540, "hst": -600,
}  # fmt: skip
_RFC822 = re.compile(
    r"(?:[A-Za-z]{3},? )?\s*(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:([+-])(\d\d)(\d\d)|GMT|UTC|Z)"
)
_CJK = re.compile(r"(\d{4})\s*[年년]\s*(\d{1,2})\s*[月월]\s*(\d{1,2})\s*[日일]")
_TIME = re.compile(
    r"(?<!\d)(\d{1,2})"
    r"(?:(?::|\s?h\s?|\.(?=\d\d(?:\s?uhr|\.\d\d\s?(?:gmt|utc|[+-]\d))))(\d{2})(?:[:.](\d{1,2})(?:[.,]\d+)?)?"
    r"|\s?[時时點点시]\s?(?:(\d{1,2})\s?[分분])?)(?!\d)"
)
_OFFSET = re.compile(r"([+\-−])\s*(\d{1,2}):?(\d{2})?(?!\d|[./-]\s?\d)")
_NUMBERS = re.compile(r"(?<!\d)(\d{1,4})(?:[-/]|\.\s?)(\d{1,2})(?:[-/]|\.\s?)(\d{1,4})(?!\d)")
_ORDINAL = re.compile(r"(\d{4})-(\d{3})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)(?!\d)")
_YEAR_OR_MONTH = re.compile(r"(\d{4})(?:-(\d\d))?")
_TOKEN = re.compile(r"\d+|[^\s\d.,:;/()\[\]«»\"'’–—+−-]+")
_MERIDIEM = re.compile(
    r"(?:(?<![^\W\d_])a\.?m\.?(?![^\W\d_])|오전|上午|午前|π\.?μ)|((?<![^\W\d_])p\.?m\.?(?![^\W\d_])|오후|下午|午後|μ\.?μ)"
)
_PLACE = re.compile(
    r"(?<![\w/])[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_]*(?:[+-]?[A-Za-z0-9]+)*)+|(?<![\w/])[A-Z]{3}\d[A-Z]{3}(?!\w)"
)
_MAX_NAME = 3  # words of a month's or a day's name
_MAX_BETWEEN = 4  # words before a month's name that a number may be among: `the 20th day of`


def instant(text: str) -> datetime | None:
    """Return the instant that `text` names, in UTC; without a zone it is taken as UTC. None if it names none."""
    if found := _RFC822.fullmatch(text):
        day, month, year, hour, minute, second, sign, zone_h, zone_m = found.groups()
        offset = (int(zone_h) * 60 + int(zone_m)) * (-1 if sign == "-" else 1) if sign else 0
        if number := _ENGLISH.get(month):
            return _utc(_year(year), number, int(day), int(hour), int(minute), int(second), offset)
    try:
        return _checked(datetime.fromisoformat(text)) if text[4:5] == "-" or text[8:9] == "T" else _loosely(text)
    except (ValueError, OverflowError):
        return _loosely(text)


def _loosely(text: str) -> datetime | None:
    text = text[:100].strip()
    if text.startswith("-"):  # a year before the first
        return None
    place = _PLACE.search(text)
    text = _fold(f"{text[: place.start()]} {text[place.end() :]}" if place else text).strip()
    if text.isdecimal() and len(text) in (9, 10, 13):
        return datetime.fromtimestamp(int(text[:10]) if len(text) > 9 else int(text), UTC)
    if found := _YEAR_OR_MONTH.fullmatch(text):
        return _utc(int(found[1]), int(found[2] or 1), 1, 0, 0, 0, 0)
    time = _TIME.search(text)
    before, after = (text[: time.start()], text[time.end() :]) if time else (text, "")
    day = _date(before, after)
    if not day:
        return None
    hour, minute, second = _clock(*time.groups()) if time else (0, 0, 0)
    half = _MERIDIEM.search(text)
    if half and half[1] and hour < 12:
        hour += 12
    elif half and not half[1] and hour == 12:
        hour = 0
    offset = _zone(after)
    when = _utc(*day, hour, minute, second, offset or 0)
    return _in_place(when, place[0]) if when and place and offset is None else when


def _clock(hour: str, minute: str | None, second: str | None, spelled: str | None) -> tuple[int, int, int]:
    """Return the time of day; `spelled`: the minutes as they are written in East Asia."""
    return int(hour), int(minute or spelled or 0), int(second or 0)


def _in_place(when: datetime, place: str) -> datetime:
    """Return when clocks in `America/New_York` show what UTC shows at `when`; UTC without a place."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # few dates name a place

    try:
        return when.replace(tzinfo=ZoneInfo(place)).astimezone(UTC)
    except (ZoneInfoNotFoundError, ValueError, OverflowError, OSError):
        return when


def _date(before: str, after: str) -> tuple[int, int, int] | None:
    """Return year, month and day from the text around the time of day."""
    whole = f"{before} {after}"
    if found := _CJK.search(whole):
        year, month, day = map(int, found.groups())
        return year, month, day
    if found := _NUMBERS.search(before) or _NUMBERS.search(after):
        return _ordered(*found.groups(), american=bool(_MERIDIEM.search(whole)))
    if found := _ORDINAL.match(before):
        return _day_of(_year(found[1]), int(found[2]))
    if found := _COMPACT.search(before):
        year, month, day = map(int, found.groups())
        return year, month, day
    tokens, rest = _TOKEN.findall(before), _TOKEN.findall(after)
    return _spelled(tokens + [token for token in rest if token not in _ZONES]) or _spelled(tokens + rest)


def _day_of(year: int, number: int) -> tuple[int, int, int] | None:
    """Return the day with this number in its year (ISO 8601)."""
    try:
        when = date(year, 1, 1) + timedelta(days=number - 1)
    except (ValueError, OverflowError):
        return None
    return (year, when.month, when.day) if when.year == year else None


def _ordered(first: str, second: str, third: str, *, american: bool) -> tuple[int, int, int]:
    if len(first) == 4:
        return _year(first), int(second), int(third)
    day, month = int(first), int(second)
    if month > 12 or (american and day <= 12):
        day, month = month, day
    return _year(third), month, day


class _Named(NamedTuple):
    """Words that name months or days of the week: their place among the tokens, and all that they may mean."""

    start: int
    end: int
    name: str
    months: tuple[int, ...]
    days: frozenset[int]


def _spelled(tokens: list[str]) -> tuple[int, int, int] | None:
    """`5 March 2024`, `March 5, 2024`, `5. März 24`: a month's name and the two numbers nearest to it.

    Where all names are English, so is the month: elsewhere, `Mar` and `Sun` are other days and other months. Else a
    word that also names a day of the week is the month where no other word is, and a name that means several months
    is the one in which the day of the week agrees with another word.
    """
    found: list[_Named] = []
    place = 0
    while place < len(tokens):
        for end in range(min(len(tokens), place + _MAX_NAME), place, -1):
            name = " ".join(tokens[place:end])
            months, days = calendar.months(name), calendar.days(name)
            if months or days:
                found.append(_Named(place, end, name, months, days))
                place = end - 1
                break
        place += 1
    plain = _english(found) or [one for one in reversed(found) if one.months and not one.days]
    if dates := [date for one in plain for date, _ in _readings(one, found, tokens)]:
        return dates[0]
    doubtful = [reading for one in found if one.months and one.days for reading in _readings(one, found, tokens)]
    return next((date for date, agrees in doubtful if agrees), doubtful[0][0] if doubtful else None)


def _english(found: list[_Named]) -> list[_Named]:
    """Return the names of the month where they and all others are English; none where they differ."""
    months = {number for one in found if (number := _ENGLISH_MONTHS.get(one.name))}
    if len(months) != 1 or any(one.name not in _ENGLISH_MONTHS and one.name not in _ENGLISH_DAYS for one in found):
        return []
    return [one._replace(months=tuple(months)) for one in found if one.name in _ENGLISH_MONTHS]


def _readings(one: _Named, found: list[_Named], tokens: list[str]) -> list[tuple[tuple[int, int, int], bool]]:
    """Return the date that a month's name makes with the numbers around it, and whether another word agrees.

    It is that of the likeliest month in which one does; none without two numbers.
    """
    before, after = (
        [token for token in part if token.isdecimal() and len(token) in (1, 2, 4)]
        for part in (reversed(tokens[max(0, one.start - _MAX_BETWEEN) : one.start]), tokens[one.end :])
    )
    numbers = [*before[:1], *after, *before[1:]]
    days_of_month = [number for number in numbers if len(number) < 3]
    years = [number for number in numbers if len(number) == 4] or days_of_month[1:]
    if not (days_of_month and years):
        return []
    year, day = _year(years[0]), int(days_of_month[0])
    days_of_week = {each for other in found if other is not one for each in other.days}
    agreeing = next((month for month in one.months if _weekday(year, month, day) in days_of_week), None)
    return [((year, agreeing or one.months[0], day), agreeing is not None)]


def _weekday(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).weekday()
    except ValueError:
        return None


def _year(digits: str) -> int:
    """Read two digits as POSIX does: 69 to 99 are the last century."""
    year = int(digits)
    if year in _BUDDHIST:
        return year - _AHEAD
    return year if len(digits) > 2 else year + (1900 if year >= 69 else 2000)


def _zone(after: str) -> int | None:
    """Return minutes east of UTC, from what follows the time of day; None if nothing is said."""
    if found := _OFFSET.search(after):
        sign, hours, minutes = found.groups()
        return (int(hours) * 60 + int(minutes or 0)) * (1 if sign == "+" else -1)
    tokens = [token for token in _TOKEN.findall(after) if token.isalpha()]
    if known := [_ZONES[token] for token in tokens if token in _ZONES]:
        return known[0]
    return next((offset for token in tokens if (offset := calendar.zone(token)) is not None), None)


def _utc(year: int, month: int, day: int, hour: int, minute: int, second: int, offset: int) -> datetime | None:
    """Read 24:00 as the next midnight, and a leap second as the next second."""
    try:
        if hour > 24 or minute > 59 or second > 60 or year < EARLIEST_YEAR:
            return None
        if hour < 24 and second < 60:
            when = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        else:
            when = datetime(year, month, day, tzinfo=UTC) + timedelta(hours=hour, minutes=minute, seconds=second)
        return when - timedelta(minutes=offset) if offset else when
    except (ValueError, OverflowError):
        return None


def _checked(when: datetime) -> datetime | None:
    if when.year in _BUDDHIST:
        when = when.replace(year=when.year - _AHEAD)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when if when.year >= EARLIEST_YEAR else None


def folded_words(text: str) -> list[str]:
    """Return the words and numbers of a text, folded as names of months are."""
    return _TOKEN.findall(_fold(text))


def _fold(text: str) -> str:
    """Lower-case without accents; the Ukrainian and Turkish letters for i become one."""
    flat = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", flat).replace("і", "i").replace("ı", "i")
