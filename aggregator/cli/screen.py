"""The terminal as rich draws on it; imported only by commands that draw."""

from collections.abc import Iterable

from rich.console import Console
from rich.segment import Segment

from aggregator.core.text.sanitize import inert


class PipeSafeConsole(Console):
    """A console on which text only shows: what steers is rich's own, and a closed pipe is the program's affair."""

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        """Render everything that rich prints: tables, texts and progress bars alike."""
        return super()._render_buffer(
            part if part.control else Segment(inert(part.text), part.style) for part in buffer
        )

    def on_broken_pipe(self) -> None:
        """Handle a broken pipe; rich calls this while handling the error."""
        raise BrokenPipeError
