"""Small charts as SVG geometry; templates/charts.html draws it. Colours come from the style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from aggregator.web.language import current, gettext, ngettext

Days = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Bar:
    """A column: `x` and `y` of its upper left corner, in the chart's units; `chosen`: the listing is of this day.

    Its words are made when they are asked for: a page of rules has a thousand columns, and shows none of their words.
    """

    x: float
    y: float
    width: float
    height: float
    value: int
    day: str
    noun: str
    chosen: bool = False

    @property
    def label(self) -> str:
        """Return `Fri 27 Feb: 12 hits`."""
        return f"{current().day(_day(self.day), 'short')}: {_counted(self.value, self.noun)}"

    @property
    def weekend(self) -> bool:
        """Tell whether it is a Saturday or a Sunday."""
        return _day(self.day).weekday() >= 5


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns in a box of `width` × `height`; `summary` says the same in words."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    first: str
    summary: str

    def outline(self, *, full: bool) -> str:
        """Draw the days with a value, or those without, as one SVG path: a page holds many charts."""
        bars = [bar for bar in self.bars if bool(bar.value) is full]
        return "".join(f"M{bar.x:g} {bar.y:g}h{bar.width:g}v{bar.height:g}h-{bar.width:g}z" for bar in bars)


def _day(text: str) -> date:
    return date.fromisoformat(text)


def columns(
    days: Days, *, width: int, height: int, gap: float = 2, noun: str = "hits", chosen: tuple[str, str] | None = None
) -> Chart:
    """Draw a column per day, the highest as high as the box; an empty day keeps a hair line.

    `chosen`: the first and the last day of the listing beside it.
    """
    top = max((value for _, value in days), default=0)
    step = width / max(len(days), 1)
    bars = []
    for index, (day, value) in enumerate(days):
        tall = max(round(height * value / top, 1), 2.0) if value else 1.0
        bars.append(
            Bar(
                x=round(index * step, 2),
                y=round(height - tall, 1),
                width=round(max(step - gap, 1), 2),
                height=tall,
                value=value,
                day=day,
                noun=noun,
                chosen=chosen is not None and chosen[0] <= day <= chosen[1],
            )
        )
    first = current().day(_day(days[0][0]), "day") if days else ""
    return Chart(width, height, tuple(bars), first, _summary(days, noun))


def _counted(number: int, noun: str) -> str:
    """Format `1 hit`, `12 hits`."""
    if noun == "entries":
        return ngettext("%(n)s entry", "%(n)s entries", number) % {"n": current().number(number)}
    return ngettext("%(n)s hit", "%(n)s hits", number) % {"n": current().number(number)}


def _summary(days: Days, noun: str) -> str:
    total = sum(value for _, value in days)
    best, most = max(days, key=lambda pair: pair[1], default=("", 0))
    span = ngettext("in the last day", "in the last %(n)s days", len(days)) % {"n": len(days)}
    if not total:
        return f"{_counted(0, noun)} {span}"
    return gettext("%(hits)s %(span)s, peak: %(day)s (%(most)s)") % {
        "hits": _counted(total, noun), "span": span, "day": current().day(_day(best), "day"),
        "most": current().number(most),
    }  # fmt: skip


def sparkline(days: Days, noun: str = "hits") -> Chart:
    """Draw the same, small enough for a table row."""
    return columns(days, width=120, height=24, gap=1, noun=noun)
