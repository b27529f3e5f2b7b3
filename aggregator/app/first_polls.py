"""When the sentence of the first look is said: once no further first poll comes."""

import asyncio
from collections.abc import Callable

from aggregator.pipeline.first_look import FirstLook
from aggregator.pipeline.polled import PolledFeed

PAUSE_S = 3.0  # without a further first poll: what was found until then is shown


class FirstPolls:
    """The first polls of a service; `expected` are still to come, `page` is the address of its pages."""

    def __init__(self, say: Callable[[str], object], rules: Callable[[], int]) -> None:
        self._say, self._rules = say, rules
        self._look = FirstLook()
        self._timer: asyncio.TimerHandle | None = None
        self.page: str | None = None
        self.expected = 0

    def add(self, polled: PolledFeed) -> None:
        """Count one; the last that is expected ends the look."""
        self._look.add(polled)
        if self._timer:
            self._timer.cancel()
        wait_s = 0.0 if self._look.feeds == self.expected else PAUSE_S
        self._timer = asyncio.get_running_loop().call_later(wait_s, self.end)

    def end(self) -> None:
        """Say what was found until now."""
        look, self._look = self._look, FirstLook()
        self.expected = max(self.expected - look.feeds, 0)
        self._say(look.sentence(self.page, rules=self._rules()))
