"""What is learnt of the words of the stream, by which reports of one event are recognised.

It is frozen for each poll, and so part of the question that its routing asks; what a poll brings is learnt after its
commit. A process that dies loses the latest of it only, which shifts weights a little and nothing else.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aggregator.core.errors import StoreError
from aggregator.core.model import NO_FREQUENCIES, NO_VOCABULARY, Frequencies, Report, Vocabulary
from aggregator.ports import Clock, Feeds

if TYPE_CHECKING:  # a pass without hits does without them
    from aggregator.core.events import FrequencyModel
    from aggregator.core.settings import Stories

log = logging.getLogger(__name__)

NAME = "frequencies"
RECENT = 200  # reports of a feed in which words recur …
REFRESH = 10  # … which are looked at again after this many more


@dataclass(slots=True)
class StreamVocabulary:
    """The vocabulary of one process; the database keeps the frequencies for the next, where there is one."""

    store: Feeds | None = None
    clock: Clock | None = None
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _model: "FrequencyModel | None" = None
    _saved: Frequencies = NO_FREQUENCIES
    _recurring: dict[str, frozenset[str]] = field(default_factory=dict)
    _since: dict[str, int] = field(default_factory=dict)
    _encodes: bool | None = None  # None: nobody asked yet

    async def of(self, feeds: Collection[str], stories: "Stories") -> Vocabulary:
        """Return what is known now, with the words that recur in these feeds. Raises StoreError."""
        if not feeds:
            return NO_VOCABULARY
        from aggregator.core.events import recurring

        for feed in feeds:
            if self._since.get(feed, REFRESH) >= REFRESH:
                self._recurring[feed] = recurring(await self.store.recent_features(feed, RECENT) if self.store else ())
                self._since[feed] = 0
        frequencies, recur = await self.frequencies(), {feed: self._recurring[feed] for feed in feeds}
        return Vocabulary(frequencies, recur, stories.languages == "model" and await self._load_encoder())

    async def frequencies(self) -> Frequencies:
        """Return how frequent words are by what is known now. Raises StoreError."""
        if self._model is None:
            from aggregator.core.events import FrequencyModel

            async with self._loading:  # of several polls that want it at once, one reads it
                if self._model is None:
                    self._saved = await self._load()
                    self._model = FrequencyModel(self._saved)
        frequencies = self._model.frozen()
        if self.store and frequencies is not self._saved:
            await self._save(self.store, frequencies)
        return frequencies

    def note(self, reports: Iterable[Report]) -> None:
        """Note that feeds had reports, in which other words may recur by now."""
        for report in reports:
            self._since[report.feed] = self._since.get(report.feed, 0) + 1

    def learn(self, reports: Iterable[Report]) -> None:
        """Learn from reports that were routed."""
        if self._model is not None:
            self._model.add(report.features for report in reports)

    def forget(self) -> None:
        """Read what is known again: another process has learnt meanwhile."""
        self._model = None

    async def _load_encoder(self) -> bool:
        """Load the encoder while others have their turn; tell whether it is there."""
        from aggregator.core.events import encoder

        async with self._loading:  # of several polls that want it at once, one loads it
            if self._encodes is None:
                try:
                    await asyncio.to_thread(encoder.load)
                    self._encodes = True
                except ImportError as error:  # check and doctor name the extra; names and numbers are left
                    log.warning("events are recognised across languages by names only: %s", error)
                    self._encodes = False
        return self._encodes

    async def _load(self) -> Frequencies:
        from aggregator.core.events import load_frequencies

        stored = await self.store.learned(NAME) if self.store else None
        try:
            return load_frequencies(stored) if stored else await self._begin()
        except ValueError as error:
            log.warning("the stored frequencies of the stream's words are damaged (%s); learning them anew", error)
            return NO_FREQUENCIES

    async def _begin(self) -> Frequencies:
        """Learn from what is stored, where nothing was learnt yet: stories of before events can be joined then."""
        if self.store is None or self.clock is None:
            return NO_FREQUENCIES
        from aggregator.pipeline.old_stories import describe_old_stories

        frequencies = await describe_old_stories(self.store, self.clock.now())
        if frequencies.documents:
            await self._save(self.store, frequencies)
        return frequencies

    async def _save(self, store: Feeds, frequencies: Frequencies) -> None:
        from aggregator.core.events import dump_frequencies

        self._saved = frequencies
        try:
            await store.learn(NAME, dump_frequencies(frequencies))
        except StoreError as error:  # the poll that comes will say so, if it cannot be stored either
            log.warning("what was learnt of the stream's words could not be stored: %s", error)
