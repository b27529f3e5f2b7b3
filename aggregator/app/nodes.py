"""Whether a process is a node of a cluster: only then is anything of a cluster imported."""

from typing import TYPE_CHECKING

from aggregator.app.application import Application
from aggregator.app.runtime import Runtime

if TYPE_CHECKING:
    from aggregator.app.node import ClusterNode


def make_node(app: Application, runtime: Runtime, roles: frozenset[str]) -> "ClusterNode | None":
    """Return the node that this process is; None: its database holds no cluster. Raises StoreError."""
    if app.store.cluster is None:
        return None
    from aggregator.app.node import ClusterNode

    return ClusterNode(app, runtime, app.store.cluster, roles)
