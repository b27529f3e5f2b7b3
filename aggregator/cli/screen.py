"""The terminal as rich draws on it; imported only by commands that draw."""

from rich.console import Console


class Screen(Console):
    """A console that leaves a closed pipe to the program: it is no failure."""

    def on_broken_pipe(self) -> None:
        """Called by rich in the midst of handling the error."""
        raise BrokenPipeError
