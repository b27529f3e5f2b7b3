"""Plain text: the text part of mails, webhooks, and services that know no markup."""

from collections.abc import Callable

from aggregator.notify.render.content import AlertContent, RuleGroup, StoryItem
from aggregator.notify.render.sanitize import TextRuns, cut, plain

BAR = 24


def render(content: AlertContent, *, stars: bool = True) -> str:
    """Render the whole alert; `stars` marks *terms* in sentences."""
    parts = [_opening(content), *_body(content, stars), _closing(content)]
    return "\n\n".join(part for part in parts if part)


def short(
    content: AlertContent,
    length: int,
    *,
    title: bool = True,
    words: Callable[[str], str] = str,
    link: Callable[[str], str] = str,
    linked: bool = True,
) -> str:
    """Write a push message or SMS of at most `length` code points: the match, where and when, and the link.

    Of a digest, the first headlines. `title`: the service shows the subject itself. `words` and `link` write
    untrusted text and an address; `linked`: the address belongs in the text.
    """
    pieces = content.pieces
    if len(pieces) == 1:
        return _short_story(content, pieces[0], length, title=title, words=words, link=link if linked else None)
    subject = [] if title and (pieces or content.body) else [words(content.subject)]
    if not pieces:
        return cut("\n".join([*subject, *map(words, content.body.splitlines())]), length)
    page = link(content.page) if content.page else ""
    page = page if len(page) < length // 2 else ""
    lines, left = subject, length - 16 - len(page) - sum(map(len, subject))
    for piece in pieces:
        line = words(f"• {cut(plain(piece.title), 100)} ({piece.feed})")
        if len(line) + 1 > left:
            break
        lines.append(line)
        left -= len(line) + 1
    rest = content.hits - sum(piece.hits for piece in pieces[: len(lines) - len(subject)])
    more = [f"… and {rest} more"] if rest > 0 else []
    return "\n".join(part for part in (*lines, *more, page) if part)[:length]


def _short_story(
    content: AlertContent,
    piece: StoryItem,
    length: int,
    *,
    title: bool,
    words: Callable[[str], str],
    link: Callable[[str], str] | None,
) -> str:
    """Write one story; the link is what remains if there is room for nothing else."""
    urls = [link(url) for url in (piece.link, content.page) if url and link]
    url = next((one for one in urls if len(one) <= length - 40), "")
    tail = words(f"{piece.feed} · {piece.when}{_brief(content)}")
    room = length - len(url) - len(tail) - 2
    if room < 40:
        tail, room = "", length - len(url) - 1
    headline, sentence = words(plain(piece.title)), words(plain(piece.sentence))
    if not title:
        head = headline if len(headline) + 24 > room or not sentence else f"{headline}\n{sentence}"
    else:
        head = sentence
    return "\n".join(part for part in (cut(head, max(0, room)), tail, url) if part)[:length]


def counts(content: AlertContent) -> str:
    """Write `12 hits in 5 stories from 3 feeds`."""

    def say(number: int, one: str, many: str) -> str:
        return f"{number} {one if number == 1 else many}"

    stories, feeds = say(content.stories, "story", "stories"), say(content.feeds, "feed", "feeds")
    return f"{say(content.hits, 'hit', 'hits')} in {stories} from {feeds}"


def charted(content: AlertContent) -> bool:
    """Tell whether there is enough to draw a chart."""
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
    act = f"\nRelevant, irrelevant, mute: {content.act}" if content.act else ""
    return f"{more}[{content.short_id}] times in {content.zone}{page}{act}"


def _brief(content: AlertContent) -> str:
    return f" · {content.short_id}{' · possible repeat' if content.repeat else ''}"


def _runs(runs: TextRuns, stars: bool) -> str:
    return "".join(f"*{run.text}*" if run.marked and stars else run.text for run in runs)
