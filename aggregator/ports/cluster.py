"""What the processes of a cluster agree on, in one database; without a cluster there is none of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aggregator.core.model import ConfigVersion, Node, StoredConfig

if TYPE_CHECKING:
    from aggregator.core.settings import Feed


class Lane(NamedTuple):
    """One of `of` lanes."""

    number: int
    of: int


class Heartbeat(NamedTuple):
    """What a node learns: the number in force, the oldest program that may still write, lanes, and nodes that poll."""

    config: int
    oldest_program: str
    lanes: int
    pollers: int


class Cluster(Protocol):
    """Configurations, nodes and lanes. Every method raises StoreError; instants are the database's."""

    async def head(self) -> ConfigVersion | None:
        """Return the configuration in force; None: none was ever pushed."""
        ...

    async def config(self, number: int | None = None, *, feeds: bool = False) -> StoredConfig | None:
        """Return a configuration (None: the one in force); with `feeds`, all of its files."""
        ...

    async def history(self, limit: int = 50) -> tuple[ConfigVersion, ...]:
        """Return configurations, the newest first."""
        ...

    async def push(
        self,
        config: StoredConfig,
        feeds: Sequence["Feed"],
        options: Mapping[str, str],
        *,
        base: int | None = None,
    ) -> ConfigVersion:
        """Put a configuration in force, and write its feeds; what is in force already gets no new number.

        `base`: the number on which it is based (None: whatever is in force). Raises Conflict if another is in force.
        """
        ...

    async def is_foreign(self, ids: Sequence[str]) -> bool:
        """Tell whether feeds are configured, and none of these is among them."""
        ...

    async def listen(self, heard: Callable[[], object]) -> None:
        """Call `heard` whenever a configuration is pushed, until cancelled; returns if the connection ends."""
        ...

    async def beat(self, node: Node) -> Heartbeat:
        """Record that a node lives."""
        ...

    async def leave(self, node: str) -> None:
        """Remove a node that ends."""
        ...

    async def nodes(self) -> tuple[Node, ...]:
        """Return the nodes, those that fell silent in the last day too, by name."""
        ...

    async def turn(self, name: str, every_s: float, *, by: str) -> bool:
        """Take the turn at something that one node does every so often; False: it is not time, or another has it."""
        ...

    async def last_turn_s(self, name: str) -> float | None:
        """Return how many seconds ago a turn was taken last; None: never."""
        ...

    async def agreed(self, name: str) -> str:
        """Return a value that the cluster agreed on; empty: none."""
        ...

    async def agree(self, name: str, value: str) -> None: ...

    async def lanes(self) -> int:
        """Return the number of lanes (`agreed("lanes")`)."""
        ...

    async def polls_per_s(self) -> float:
        """Return how many polls a second the feeds ask for, by their intervals."""
        ...

    async def due_lanes(self, now: datetime, lanes: int) -> tuple[int, ...]:
        """Return the lanes with a job's worth of due feeds, or with one that has waited long enough."""
        ...

    async def take_lane(self, lane: Lane, *, owner: str, mine: Collection[str], now: datetime) -> None:
        """Own a lane: nobody else claims in it from now on, and what dead processes held in it is free.

        An owner is `node/job`; dead are those of silent nodes, and those of this node that are not among `mine`.
        """
        ...

    async def take_channel(self, channel: str, *, owner: str, mine: Collection[str], now: datetime) -> None:
        """End the leases that dead processes hold on a channel's deliveries; what was begun may be a repeat."""
        ...

    async def end_silent(self, now: datetime) -> None:
        """End the leases that silent nodes hold on deliveries of any channel, which are due again then.

        Their jobs may have been given to others, or wiped, a moment before they counted as silent.
        """
        ...
