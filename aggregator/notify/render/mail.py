"""The HTML of a mail: one column, tables and inline styles, because that is what mail programs know.

No picture, font or script is loaded from anywhere. The text part beside it is render/text.py's.
"""

from collections.abc import Sequence
from html import escape

from aggregator.notify.render.content import AlertContent, RuleGroup, StoryItem
from aggregator.notify.render.sanitize import TextRuns, cut
from aggregator.notify.render.text import charted, counts

INK, GREY, LINE, PAPER, ACCENT, GLOW = "#1c2430", "#667085", "#e4e7ec", "#f5f6f8", "#1f4e8c", "#ffe9a8"
URGENT = "#b42318"
FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
CHART_PX = 220
ACTS = (("relevant", "relevant"), ("irrelevant", "irrelevant"), ("mute", "mute"))


def render(content: AlertContent) -> str:
    """Render a complete document."""
    body = [_opening(content), *_middle(content), _closing(content)]
    return _DOCUMENT.format(
        title=escape(content.subject), preview=escape(_preview(content)), paper=PAPER, font=FONT, line=LINE, ink=INK,
        top=URGENT if content.high else ACCENT, body="".join(body),
    )  # fmt: skip


def _opening(content: AlertContent) -> str:
    marker = _tag("possible repeat", URGENT) if content.repeat else ""
    rules = "" if content.is_digest else "".join(_tag(rule, ACCENT) for piece in content.pieces for rule in piece.rules)
    heading = content.subject if content.is_digest or not content.pieces else ""
    title = f'<h1 style="margin:6px 0 0;font-size:20px;line-height:1.3;font-weight:650">{escape(heading)}</h1>'
    summary = counts(content) if content.is_digest and content.pieces else ""
    small = " · ".join(part for part in (content.why, summary) if part)
    note = f'<p style="margin:4px 0 0;color:{GREY};font-size:13px">{escape(small)}</p>' if small else ""
    kicker = (
        f'<span style="font-size:11px;letter-spacing:.08em;'
        f'text-transform:uppercase;color:{GREY}">{content.label}</span>'
    )
    return _row(f"{kicker} {rules}{marker}{title if heading else ''}{note}", top=22, bottom=4)


def _middle(content: AlertContent) -> list[str]:
    if content.body:
        text = escape(content.body).replace("\n", "<br>")
        return [_row(f'<p style="margin:0;font-size:15px;line-height:1.55">{text}</p>', top=10, bottom=14)]
    if not content.is_digest:
        return [_piece(piece, large=True) for piece in content.pieces]
    chart = [_chart(content.sources)] if charted(content) else []
    return chart + [row for group in content.groups for row in _group(group)]


def _group(group: RuleGroup) -> list[str]:
    head = (
        f'<h2 style="margin:0;padding:0 0 6px;border-bottom:2px solid {ACCENT};font-size:15px;color:{ACCENT}">'
        f'{escape(group.rule)} <span style="color:{GREY};font-weight:400">{group.hits}</span></h2>'
    )
    return [_row(head, top=18, bottom=0), *(_piece(piece) for piece in group.pieces)]


def _piece(piece: StoryItem, *, large: bool = False) -> str:
    size = 21 if large else 16
    title = _runs(piece.title)
    if piece.link:
        title = f'<a href="{escape(piece.link)}" style="color:{INK};text-decoration:none">{title}</a>'
    others = f' <span style="color:{GREY};font-weight:400">+{piece.others} more on this</span>' if piece.others else ""
    source = f'<span style="color:{INK};font-weight:600">{escape(piece.feed)}</span> · {escape(piece.when)}'
    lines = [
        f'<div style="font-size:{size}px;line-height:1.35;font-weight:650">{title}{others}</div>',
        f'<div style="margin-top:3px;font-size:13px;color:{GREY}">{source}</div>',
        _sentence(piece.sentence) if piece.sentence else "",
        _foot(piece),
    ]
    return _row("".join(lines), top=12, bottom=12, line=not large)


def _sentence(sentence: TextRuns) -> str:
    style = f"margin:9px 0 0;padding:2px 0 2px 12px;border-left:3px solid {LINE};font-size:15px;line-height:1.55"
    return f'<blockquote style="{style}">{_runs(sentence)}</blockquote>'


def _foot(piece: StoryItem) -> str:
    link = _link(piece.link, piece.host) if piece.link else ""
    also = f'<span style="color:{GREY}">also in {escape(piece.also)}</span>' if piece.also else ""
    parts = " &nbsp; ".join(part for part in (link, also) if part)
    return f'<div style="margin-top:8px;font-size:13px">{parts}</div>' if parts else ""


def _chart(sources: Sequence[tuple[str, int]]) -> str:
    """Draw bars of table cells: the one kind of drawing that every mail program shows."""
    most = max((count for _, count in sources), default=1)
    bars = "".join(
        f'<tr><td style="padding:2px 10px 2px 0;font-size:13px;color:{GREY};white-space:nowrap">'
        f"{escape(cut(name, 34))}</td>"
        f'<td style="padding:2px 0"><div style="width:{max(4, round(count * CHART_PX / most))}px;height:10px;'
        f'border-radius:2px;background:{ACCENT}"></div></td>'
        f'<td style="padding:2px 0 2px 8px;font-size:13px">{count}</td></tr>'
        for name, count in sources
    )
    return _row(
        f'<table role="presentation" cellpadding="0" cellspacing="0" border="0">{bars}</table>', top=12, bottom=2
    )


def _closing(content: AlertContent) -> str:
    more = f'<p style="margin:0 0 8px;font-size:14px">… and {content.more} more</p>' if content.more else ""
    page = f" · {_link(content.page, 'open in aggregator')}" if content.page else ""
    acts = "".join(f" · {_link(f'{content.act}?do={do}', words)}" for do, words in ACTS) if content.act else ""
    note = f"{escape(content.short_id)} · times in {escape(content.zone)}{page}{acts}"
    return _row(f'{more}<p style="margin:0;font-size:12px;color:{GREY}">{note}</p>', top=12, bottom=18, line=True)


def _row(content: str, *, top: int, bottom: int, line: bool = False) -> str:
    border = f"border-top:1px solid {LINE};" if line else ""
    return f'<tr><td style="padding:0 26px"><div style="{border}padding:{top}px 0 {bottom}px">{content}</div></td></tr>'


def _tag(text: str, colour: str) -> str:
    style = f"display:inline-block;margin:0 4px 2px 0;padding:1px 8px;border-radius:9px;background:{colour}"
    return f'<span style="{style};color:#fff;font-size:12px;line-height:18px">{escape(text)}</span>'


def _link(url: str | None, text: str) -> str:
    return f'<a href="{escape(url or "")}" style="color:{ACCENT}">{escape(text)}</a>'


def _runs(runs: TextRuns) -> str:
    glow = f"background:{GLOW};color:{INK};border-radius:2px;padding:0 1px"
    return "".join(
        f'<mark style="{glow}">{escape(run.text)}</mark>' if run.marked else escape(run.text) for run in runs
    )


def _preview(content: AlertContent) -> str:
    """Write what an inbox shows behind the subject."""
    first = next(iter(content.pieces), None)
    return cut("".join(run.text for run in first.sentence) if first else content.body, 140)


_DOCUMENT = """<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light"><title>{title}</title></head>
<body style="margin:0;background:{paper};color:{ink};font-family:{font}">
<div style="display:none;max-height:0;overflow:hidden">{preview}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
<td align="center" style="padding:20px 8px">
<table role="presentation" width="640" cellpadding="0" cellspacing="0" border="0" style="width:100%;max-width:640px;\
background:#fff;border:1px solid {line};border-top:4px solid {top};border-radius:6px">
{body}
</table></td></tr></table></body></html>
"""
