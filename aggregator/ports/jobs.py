"""The engine of a cluster: jobs that exist once, each done by one process at a time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from aggregator.core.model import Job, Queue

Handle = Callable[[Job, str], Awaitable[None]]


class Share(NamedTuple):
    """Jobs that a process takes: of these queues, at most `places` at a time, and none while `enough` of them.

    `queues` and `enough` are asked before each job that is taken.
    """

    queues: Callable[[], Sequence[str]]
    places: int
    enough: Callable[[int], bool] = lambda _: False


class Jobs(Protocol):
    """A queue of jobs in which a name is live once: waiting, or at work somewhere. Every method raises StoreError."""

    async def offer(self, jobs: Sequence[Job]) -> int:
        """Queue jobs, except those whose name waits already; return how many."""
        ...

    async def live(self) -> frozenset[str]:
        """Return the names of jobs that wait or are at work."""
        ...

    async def serve(self, shares: Sequence[Share], handle: Handle, upkeep: Mapping[str, tuple[str, Handle]]) -> None:
        """Work until cancelled, whatever the database does meanwhile.

        `handle` gets a job with a token that no other run of any job has; a job whose process dies is given to
        another one with a new token, after `STALLED_S` seconds. `upkeep`: what is to be done periodically, once in
        the whole cluster: by name a cron expression (with seconds as a sixth field) and its handler.
        """
        ...

    async def stop(self, grace_s: float) -> None:
        """Take no more jobs; those at work get `grace_s` seconds, then are cancelled."""
        ...

    async def waiting(self) -> Queue:
        """Return what waits and what is at work."""
        ...

    async def receives_notifications(self, within_s: float) -> bool:
        """Tell whether a notification arrives, as it does not through a pooler in transaction mode."""
        ...

    async def close(self) -> None: ...
