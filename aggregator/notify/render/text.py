"""Plain text: the text part of mails, webhooks, and services that know no markup."""

from aggregator.notify.render.content import AlertContent, RuleGroup, StoryItem
from aggregator.notify.render.sanitize import TextRuns, cut, plain

BAR = 24


def render(content: AlertContent, *, stars: bool = True) -> str:
    """The whole alert; `stars` marks *terms* in sentences."""
    parts = [_opening(content), *_body(content, stars), _closing(content)]
    return "\n\n".join(part for part in parts if part)


def short(content: AlertContent, length: int) -> str:
    """A push message or SMS: the sentence, where from, when; or the first headlines of a digest."""
    pieces = content.pieces
    if not pieces:
        return cut(content.body or content.subject, length)
    if len(pieces) == 1:
        piece = pieces[0]
        tail = f"{piece.feed} · {piece.when}{_brief(content)}"
        head = plain(piece.sentence) or plain(piece.title)
        return f"{cut(head, max(20, length - len(tail) - 1))}\n{tail}"[:length]
    lines, left = [], length - 16
    for piece in pieces:
        line = f"• {cut(plain(piece.title), 100)} ({piece.feed})"
        if len(line) + 1 > left:
            break
        lines.append(line)
        left -= len(line) + 1
    rest = content.hits - len(lines)
    return "\n".join([*lines, *([f"… and {rest} more"] if rest > 0 else [])])[:length]


def counts(content: AlertContent) -> str:
    """`12 hits in 5 stories from 3 feeds`"""

    def say(number: int, one: str, many: str) -> str:
        return f"{number} {one if number == 1 else many}"

    stories, feeds = len(content.pieces), len(content.sources)
    return (
        f"{say(content.hits, 'hit', 'hits')} in {say(stories, 'story', 'stories')} from {say(feeds, 'feed', 'feeds')}"
    )


def charted(content: AlertContent) -> bool:
    """Is there enough to draw?"""
    return len(content.sources) > 1 and content.sources[0][1] > 1


def _opening(content: AlertContent) -> str:
    return " ".join(part for part in ("[possible repeat]" if content.repeat else "", content.why) if part)


def _body(content: AlertContent, stars: bool) -> list[str]:
    if content.body:
        return [content.body]
    if not content.is_digest:
        return [_piece(piece, stars) for piece in content.pieces]
    chart = f"\n{_chart(content)}" if charted(content) else ""
    return [counts(content) + chart] + [_group(group, stars) for group in content.groups]


def _group(group: RuleGroup, stars: bool) -> str:
    head = f"{group.rule} ({group.hits})"
    return "\n\n".join([f"{head}\n{'-' * min(len(head), 60)}", *(_piece(piece, stars) for piece in group.pieces)])


def _piece(piece: StoryItem, stars: bool) -> str:
    others = f" (+{piece.others} more on this)" if piece.others else ""
    lines = [
        plain(piece.title) + others,
        f"{piece.feed} · {piece.when} · {', '.join(piece.rules)}",
        f"“{_runs(piece.sentence, stars)}”" if piece.sentence else "",
        piece.link or "",
        f"also in {piece.also}" if piece.also else "",
    ]
    return "\n".join(line for line in lines if line)


def _chart(content: AlertContent) -> str:
    most = max((count for _, count in content.sources), default=1)
    width = min(max((len(name) for name, _ in content.sources), default=0), 28)
    return "\n".join(
        f"  {cut(name, width):<{width}} {'█' * max(1, round(count * BAR / most))} {count}"
        for name, count in content.sources
    )


def _closing(content: AlertContent) -> str:
    more = f"… and {content.more} more\n" if content.more else ""
    page = f" · {content.page}" if content.page else ""
    return f"{more}[{content.short_id}] times in {content.zone}{page}"


def _brief(content: AlertContent) -> str:
    return f" · {content.short_id}{' · possible repeat' if content.repeat else ''}"


def _runs(runs: TextRuns, stars: bool) -> str:
    return "".join(f"*{run.text}*" if run.marked and stars else run.text for run in runs)
