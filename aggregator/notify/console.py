"""The console channel: coloured alerts at a terminal; plain lines into a file or pipe."""

import sys
from collections.abc import Iterable
from typing import IO, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text

from aggregator.core.model import Alert, Receipt
from aggregator.core.settings import Channel
from aggregator.core.text.sanitize import inert
from aggregator.notify.render import AlertContent, build_content, text
from aggregator.notify.render.content import RuleGroup, StoryItem
from aggregator.notify.render.sanitize import TextRuns
from aggregator.notify.render.text import counts

MARK, FEED, DIM, RULE, URGENT = "bold black on yellow", "cyan", "dim", "bold white on blue", "bold white on red"


class _Terminal(Console):
    """A terminal that obeys nothing but our own colours."""

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        """Render everything that rich prints."""
        shown = super()._render_buffer(p if p.control else Segment(inert(p.text), p.style) for p in buffer)
        return encodable(shown, self.file)


def encodable(text: str, stream: IO[str]) -> str:
    """Return the text as a stream can write it: question marks stand for what its encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


class ConsoleNotifier:
    """A printer of alerts on a stream: colours on a terminal, plain text elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, channel: Channel, alert: Alert, *, recipient: str = "") -> Receipt:  # noqa: ARG002
        """Print an alert. A stream that is gone is no failure of the delivery."""
        stream = self._stream or sys.stdout
        content = build_content(alert)
        console = _Terminal(file=stream, highlight=False, soft_wrap=not stream.isatty())
        if console.is_terminal:
            print_alert(console, content)
        else:
            subject = "" if content.pieces and not content.is_digest else f"{content.subject}\n"
            stream.write(encodable(inert(f"\n{subject}{text.render(content, stars=False)}\n"), stream))
        stream.flush()
        return Receipt(detail="printed")


def print_alert(console: Console, content: AlertContent) -> None:
    """Print an alert in colours."""
    console.print()
    if content.is_digest or not content.pieces:
        head = Text.assemble(_badge(content), " ", (content.subject, "bold"))
        console.print(head)
        if content.is_digest and content.pieces:
            console.print(Text(f"{counts(content)} · {content.short_id}", style=DIM))
    reason = Text(content.why, style=DIM)
    if content.why and content.is_digest:
        console.print(reason)
    if content.body:
        console.print(Padding(Text(content.body), (0, 0, 0, 2)))
    for group in content.groups:
        _group(console, content, group)
    if content.why and not content.is_digest:  # below what it is about, which begins with its badge
        console.print(Padding(reason, (0, 0, 0, 2)))
    if content.more:
        console.print(Text(f"… and {content.more} more", style=DIM))


def _group(console: Console, content: AlertContent, group: RuleGroup) -> None:
    if content.is_digest:
        console.print()
        console.print(Text.assemble((f" {group.rule} ", RULE), (f" {group.hits}", DIM)))
    for piece in group.pieces:
        badges = (
            Text() if content.is_digest else Text(" ").join([_badge(content), *map(_rule, piece.rules)]) + Text(" ")
        )
        console.print(badges + _runs(piece.title, "bold"))
        for line in _lines(piece, content):
            console.print(Padding(line, (0, 0, 0, 2)))


def _lines(piece: StoryItem, content: AlertContent) -> list[Text]:
    lines = []
    if piece.sentence:
        lines.append(_runs(piece.sentence, ""))
    source = Text.assemble((piece.feed, FEED), (f" · {piece.when}", DIM))
    if piece.also:
        source.append(f" · also in {piece.also}", DIM)
    if piece.others:
        source.append(f" · +{piece.others} more on this", DIM)
    if not content.is_digest:
        source.append(f" · {content.short_id}", DIM)
    lines.append(source)
    if piece.link:
        lines.append(Text(piece.link, style=f"{DIM} link {piece.link}", overflow="fold"))
    return lines


def _badge(content: AlertContent) -> Text:
    badge = Text(f" {content.label.upper()} ", style=URGENT if content.high else "bold black on green")
    return badge + (Text(" possible repeat ", style="black on magenta") if content.repeat else Text())


def _rule(name: str) -> Text:
    return Text(f" {name} ", style=RULE)


def _runs(runs: TextRuns, style: str) -> Text:
    """Return Text objects, never markup: a feed's [bold] is plain text in brackets."""
    return Text.assemble(*((run.text, MARK if run.marked else style) for run in runs))
