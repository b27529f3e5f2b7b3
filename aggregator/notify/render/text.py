"""Plain text: the text part of mails, webhooks, and services that know no markup."""

from aggregator.notify.render.content import Group, Letter, Piece
from aggregator.notify.render.sanitize import Runs, cut, plain

BAR = 24


def render(letter: Letter, *, stars: bool = True) -> str:
    """The whole letter; `stars` marks *terms* in sentences."""
    parts = [_opening(letter), *_body(letter, stars), _closing(letter)]
    return "\n\n".join(part for part in parts if part)


def short(letter: Letter, length: int) -> str:
    """A push message or SMS: the sentence, where from, when; or the first headlines of a digest."""
    pieces = letter.pieces
    if not pieces:
        return cut(letter.body or letter.subject, length)
    if len(pieces) == 1:
        piece = pieces[0]
        tail = f"{piece.feed} · {piece.when}{_brief(letter)}"
        head = plain(piece.sentence) or plain(piece.title)
        return f"{cut(head, max(20, length - len(tail) - 1))}\n{tail}"[:length]
    lines, left = [], length - 16
    for piece in pieces:
        line = f"• {cut(plain(piece.title), 100)} ({piece.feed})"
        if len(line) + 1 > left:
            break
        lines.append(line)
        left -= len(line) + 1
    rest = letter.hits - len(lines)
    return "\n".join([*lines, *([f"… and {rest} more"] if rest > 0 else [])])[:length]


def counts(letter: Letter) -> str:
    """`12 hits in 5 stories from 3 feeds`"""

    def say(number: int, one: str, many: str) -> str:
        return f"{number} {one if number == 1 else many}"

    stories, feeds = len(letter.pieces), len(letter.sources)
    return f"{say(letter.hits, 'hit', 'hits')} in {say(stories, 'story', 'stories')} from {say(feeds, 'feed', 'feeds')}"


def charted(letter: Letter) -> bool:
    """Is there enough to draw?"""
    return len(letter.sources) > 1 and letter.sources[0][1] > 1


def _opening(letter: Letter) -> str:
    return " ".join(part for part in ("[possible repeat]" if letter.repeat else "", letter.why) if part)


def _body(letter: Letter, stars: bool) -> list[str]:
    if letter.body:
        return [letter.body]
    if not letter.is_digest:
        return [_piece(piece, stars) for piece in letter.pieces]
    chart = f"\n{_chart(letter)}" if charted(letter) else ""
    return [counts(letter) + chart] + [_group(group, stars) for group in letter.groups]


def _group(group: Group, stars: bool) -> str:
    head = f"{group.rule} ({group.hits})"
    return "\n\n".join([f"{head}\n{'-' * min(len(head), 60)}", *(_piece(piece, stars) for piece in group.pieces)])


def _piece(piece: Piece, stars: bool) -> str:
    others = f" (+{piece.others} more on this)" if piece.others else ""
    lines = [
        plain(piece.title) + others,
        f"{piece.feed} · {piece.when} · {', '.join(piece.rules)}",
        f"“{_runs(piece.sentence, stars)}”" if piece.sentence else "",
        piece.link or "",
        f"also in {piece.also}" if piece.also else "",
    ]
    return "\n".join(line for line in lines if line)


def _chart(letter: Letter) -> str:
    most = max((count for _, count in letter.sources), default=1)
    width = min(max((len(name) for name, _ in letter.sources), default=0), 28)
    return "\n".join(
        f"  {cut(name, width):<{width}} {'█' * max(1, round(count * BAR / most))} {count}"
        for name, count in letter.sources
    )


def _closing(letter: Letter) -> str:
    more = f"… and {letter.more} more\n" if letter.more else ""
    page = f" · {letter.page}" if letter.page else ""
    return f"{more}[{letter.short_id}] times in {letter.zone}{page}"


def _brief(letter: Letter) -> str:
    return f" · {letter.short_id}{' · possible repeat' if letter.repeat else ''}"


def _runs(runs: Runs, stars: bool) -> str:
    return "".join(f"*{run.text}*" if run.marked and stars else run.text for run in runs)
