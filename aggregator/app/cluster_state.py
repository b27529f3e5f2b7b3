"""How a cluster is: its nodes, its queue, and whether its engine can be used from here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aggregator.core.cluster_findings import cluster_findings, engine_findings, no_notifications, present
from aggregator.core.errors import DatabaseFault, StoreError
from aggregator.core.model import Finding, Node, Queue
from aggregator.engine import open_jobs, schema_steps
from aggregator.ports import Cluster
from aggregator.ports.jobs import Jobs

HEARD_S = 2.0


class ClusterState(NamedTuple):
    """What `Status` says of a cluster; `engine`: the schema that its engine has, and the one that this program has."""

    nodes: tuple[Node, ...]
    queue: Queue | None = None
    engine: tuple[str, str] = ("", "")
    engine_fault: str = ""

    def fields(self) -> Mapping[str, Any]:
        """Return the fields of `Status`."""
        return self._asdict()


async def cluster_state(cluster: Cluster, jobs: Jobs) -> ClusterState:
    """Look at a cluster. Raises DatabaseFault."""
    nodes = present(await cluster.nodes())
    try:
        queue = await jobs.waiting()
    except DatabaseFault:
        raise
    except StoreError as error:
        return ClusterState(nodes, engine_fault=str(error))
    return ClusterState(nodes, queue, (await cluster.agreed("engine"), schema_steps()[-1][0]))


async def look_at_cluster(cluster: Cluster, url: str) -> tuple[Finding, ...]:
    """Return all that is wrong with a cluster, notifications included. Raises DatabaseFault."""
    try:
        jobs = open_jobs(url, 2)
    except StoreError as error:
        return tuple(engine_findings(("", ""), str(error)))
    try:
        state = await cluster_state(cluster, jobs)
        notified = state.queue is None or await jobs.receives_notifications(HEARD_S)
    finally:
        await jobs.close()
    return (*cluster_findings(*state), *(() if notified else (no_notifications(),)))
