"""Dates as feeds write them: RFC 822, ISO 8601, and what people type instead.

`instant` reads what feedparser reads, and what it misreads or refuses: offsets without a colon, 24:00,
leap seconds, Y/M/D, epoch numbers, zone names, day and month names in other languages, two-digit years.
"""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

EARLIEST_YEAR = 1900  # year 1 and the like are an unset field, not a date

_MONTHS = """
    jan feb mar apr may jun jul aug sep oct nov dec
    january february march april may june july august september october november december
    januar februar marz april mai juni juli august september oktober november dezember
    janner feber maerz april mai juni juli august september oktober november dezember
    janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
    janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro
    januari februari maart april mei juni juli augustus september oktober november december
    januari februari mars april maj juni juli augusti september oktober november december
    januar februar mars april mai juni juli august september oktober november desember
    stycznia lutego marca kwietnia maja czerwca lipca sierpnia wrzesnia pazdziernika listopada grudnia
    styczen luty marzec kwiecien maj czerwiec lipiec sierpien wrzesien pazdziernik listopad grudzien
    ledna unora brezna dubna kvetna cervna cervence srpna zari rijna listopadu prosince
    ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie
    januar februar marcius aprilis majus junius julius augusztus szeptember oktober november december
    tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesakuuta heinakuuta elokuuta syyskuuta lokakuuta
        marraskuuta joulukuuta
    ocak subat mart nisan mayis haziran temmuz agustos eylul ekim kasim aralik
    ιανουαριου φεβρουαριου μαρτιου απριλιου μαιου ιουνιου ιουλιου αυγουστου σεπτεμβριου οκτωβριου νοεμβριου δεκεμβριου
    января февраля марта апреля мая июня июля августа сентября октября ноября декабря
    январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь
    сiчня лютого березня квiтня травня червня липня серпня вересня жовтня листопада грудня
    يناير فبراير مارس ابريل مايو يونيو يوليو اغسطس سبتمبر اكتوبر نوفمبر ديسمبر
"""
_ZONES = {  # minutes east of UTC; where a name is ambiguous, the one that news feeds mean
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
_TIME = re.compile(r"(?<!\d)(\d{1,2})(?::|h)(\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?!\d)")
_OFFSET = re.compile(r"([+\-−])\s*(\d{1,2}):?(\d{2})?(?!\d)")
_NUMBERS = re.compile(r"(?<!\d)(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)(?!\d)")
_YEAR_OR_MONTH = re.compile(r"(\d{4})(?:-(\d\d))?")
_TOKEN = re.compile(r"\d+|[^\W\d_]+")
_AFTERNOON = ("pm", "오후", "下午", "午後", "μμ")
_MORNING = ("am", "오전", "上午", "午前", "πμ")


def _month_names() -> dict[str, int]:
    """Every name, and every prefix of three letters or more that means one month only."""
    words = _MONTHS.split()
    full = {word: place % 12 + 1 for place, word in enumerate(words)}
    meanings: dict[str, set[int]] = {}
    for word, month in full.items():
        for length in range(3, len(word)):
            meanings.setdefault(word[:length], set()).add(month)
    return {prefix: months.pop() for prefix, months in meanings.items() if len(months) == 1} | full


_MONTH = _month_names()
_ENGLISH = {name.capitalize(): month for name, month in _MONTH.items() if len(name) == 3}


def instant(text: str) -> datetime | None:
    """The instant that `text` names, in UTC; without a zone it is taken as UTC. None if it names none."""
    if found := _RFC822.fullmatch(text):
        day, month, year, hour, minute, second, sign, zone_h, zone_m = found.groups()
        offset = (int(zone_h) * 60 + int(zone_m)) * (-1 if sign == "-" else 1) if sign else 0
        if number := _ENGLISH.get(month):
            return _utc(int(year), number, int(day), int(hour), int(minute), int(second), offset)
    try:
        return _checked(datetime.fromisoformat(text)) if text[4:5] == "-" or text[8:9] == "T" else _loosely(text)
    except (ValueError, OverflowError):
        return _loosely(text)


def _loosely(text: str) -> datetime | None:
    text = _fold(text[:100].strip())
    if text.isdecimal() and len(text) in (9, 10, 13):
        return datetime.fromtimestamp(int(text[:10]) if len(text) > 9 else int(text), UTC)
    if found := _YEAR_OR_MONTH.fullmatch(text):
        return _utc(int(found[1]), int(found[2] or 1), 1, 0, 0, 0, 0)
    time = _TIME.search(text)
    before, after = (text[: time.start()], text[time.end() :]) if time else (text, "")
    date = _date(before, after)
    if not date:
        return None
    hour, minute, second = (int(part or 0) for part in time.groups()) if time else (0, 0, 0)
    if any(mark in text for mark in _AFTERNOON) and hour < 12:
        hour += 12
    elif any(mark in text for mark in _MORNING) and hour == 12:
        hour = 0
    return _utc(*date, hour, minute, second, _zone(after))


def _date(before: str, after: str) -> tuple[int, int, int] | None:
    """Year, month and day from the text around the time of day."""
    whole = f"{before} {after}"
    if found := _CJK.search(whole):
        year, month, day = map(int, found.groups())
        return year, month, day
    if found := _NUMBERS.search(before) or _NUMBERS.search(after):
        return _ordered(*found.groups(), american="am" in whole or "pm" in whole)
    if found := _COMPACT.search(before):
        year, month, day = map(int, found.groups())
        return year, month, day
    return _spelled(_TOKEN.findall(before) + _TOKEN.findall(after))


def _ordered(first: str, second: str, third: str, *, american: bool) -> tuple[int, int, int]:
    if len(first) == 4:
        return int(first), int(second), int(third)
    day, month = int(first), int(second)
    if month > 12 or (american and day <= 12):
        day, month = month, day
    return _year(third), month, day


def _spelled(tokens: list[str]) -> tuple[int, int, int] | None:
    """`5 March 2024`, `March 5, 2024`, `5. März 24`: a month's name and the two numbers nearest to it."""
    for place, token in enumerate(tokens):
        month = _MONTH.get(token)
        if not month:
            continue
        numbers = [t for t in tokens[max(0, place - 2) :] if t.isdecimal() and len(t) in (1, 2, 4)]
        days = [n for n in numbers if len(n) < 3]
        years = [n for n in numbers if len(n) == 4] or days[1:]
        if days and years:
            return _year(years[0]), month, int(days[0])
    return None


def _year(digits: str) -> int:
    """Two digits as POSIX reads them: 69 to 99 are the last century."""
    year = int(digits)
    return year if len(digits) > 2 else year + (1900 if year >= 69 else 2000)


def _zone(after: str) -> int:
    """Minutes east of UTC, from what follows the time of day."""
    if found := _OFFSET.search(after):
        sign, hours, minutes = found.groups()
        return (int(hours) * 60 + int(minutes or 0)) * (1 if sign == "+" else -1)
    return next((_ZONES[token] for token in _TOKEN.findall(after) if token in _ZONES), 0)


def _utc(year: int, month: int, day: int, hour: int, minute: int, second: int, offset: int) -> datetime | None:
    """24:00 is the next midnight, and a leap second the next second."""
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
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when if when.year >= EARLIEST_YEAR else None


def _fold(text: str) -> str:
    """Lower case without accents; the Ukrainian and Turkish letters for i become one."""
    flat = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", flat).replace("і", "i").replace("ı", "i")
