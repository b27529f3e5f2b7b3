"""The line at the foot of the terminal while the service runs; logs and alerts appear above it."""

import shutil
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO, cast

from aggregator.cli.output import plural, style, wrapped
from aggregator.core.humanize import span
from aggregator.core.text.sanitize import inert

if TYPE_CHECKING:
    from aggregator.pipeline.delivery_counts import DeliveryCounts
    from aggregator.pipeline.polled import PolledFeed

CLEAR = "\r\x1b[K"


class LiveLine:
    """Counts since the start, and when the next poll is due (`app.service.Watch`)."""

    def __init__(self, stderr: TextIO, stdout: TextIO) -> None:
        self._terminal = stderr
        self._at_start = True
        self._polls = self._new = self._hits = self._alerts = self._failed = 0
        self._next = ""
        self.stderr = cast(TextIO, _Above(stderr, self))
        self.stdout = cast(TextIO, _Above(stdout, self) if stdout.isatty() else stdout)

    def polled(self, polled: "PolledFeed") -> None:
        """Count one poll."""
        self._polls += 1
        self._new += polled.new
        self._hits += polled.hits
        self._failed += polled.error is not None

    def delivered(self, counts: "DeliveryCounts") -> None:
        """Count what was sent."""
        self._alerts += counts.sent

    def due(self, at: datetime | None, now: datetime) -> None:
        """Show when the next poll is due; called every second."""
        if at is not None:
            self._next = f"next poll in {span(at - now)}" if at > now else "polling"
        self.draw()

    def say(self, sentence: str) -> None:
        """Print a sentence that stays."""
        self.stderr.write(style(wrapped(sentence, stderr=True), bold=True) + "\n")

    def text(self) -> str:
        """Return the line: quiet figures, failures only where there are some."""
        failed = f", {self._failed:,} failed" if self._failed else ""
        figures = (plural(self._polls, "poll") + failed, f"{self._new:,} new", plural(self._hits, "hit"))
        return " · ".join(filter(None, (*figures, plural(self._alerts, "alert"), self._next)))

    def clear(self) -> None:
        """Take the line away, for what is printed in its place."""
        self._terminal.write(CLEAR)

    def wrote(self, text: str) -> None:
        """Draw the line again below a text that ends its own."""
        self._at_start = text.endswith("\n") if text else self._at_start
        self.draw()

    def draw(self) -> None:
        """Draw the line, no wider than the terminal."""
        if not self._at_start:
            return
        shown = inert(self.text())[: max(shutil.get_terminal_size().columns - 1, 10)]
        self._terminal.write(CLEAR + style(shown, dim=True))
        self._terminal.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self.clear()
        self._terminal.flush()


class _Above:
    """A stream of the terminal whose texts appear above the line."""

    def __init__(self, stream: TextIO, line: LiveLine) -> None:
        self._stream = stream
        self._line = line

    def write(self, text: str) -> int:
        self._line.clear()
        written = self._stream.write(text)
        self._stream.flush()
        self._line.wrote(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
