"""What is wrong with a cluster: its nodes and its queue."""

from collections.abc import Iterator, Sequence

from aggregator.core.humanize import span
from aggregator.core.jobs import STALLED_S
from aggregator.core.model import Finding, Node, Queue, Severity

SILENT_S = 2 * STALLED_S
WAITING_S = 2 * STALLED_S
RUNNING_S = 600.0  # no job works for longer
MAX_NAMED = 5


def node_findings(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Yield what the list of nodes shows."""
    alive = [node for node in nodes if node.silent_s <= SILENT_S]
    for node in [node for node in nodes if node.silent_s > SILENT_S][:MAX_NAMED]:
        what = f"node {node.name} ({', '.join(node.roles)}) was last heard of {span(node.silent_s)} ago"
        yield _finding("node", "warning", what, "start it again, or ignore it: it is forgotten after a day")
    if alive and not any("plan" in node.roles for node in alive):
        remedy = "start a process with the role plan, for example `aggregator run`"
        yield _finding("planner", "error", "no node plans: nothing is polled or sent", remedy)
    newest = max((node.config for node in alive), default=0)
    for node in [node for node in alive if node.config < newest][:MAX_NAMED]:
        what = f"node {node.name} follows configuration {node.config}, others {newest}"
        yield _finding("numbers", "warning", what, "see its log; an older program may not know a key")
    for node in [node for node in alive if node.lacks][:MAX_NAMED]:
        what = f"node {node.name} lacks a part of the configuration: {node.lacks}"
        yield _finding("lacks", "warning", what, "give it the secret, or leave that channel or feed to other nodes")


def queue_findings(queue: Queue) -> Iterator[Finding]:
    """Yield what the queue shows."""
    stuck = [job for job in queue.jobs if job.age_s > (RUNNING_S if job.running else WAITING_S)]
    for job in stuck[:MAX_NAMED]:
        state = "has been at work" if job.running else "has been waiting"
        remedy = "see whether a node with its role and its secrets is running: `aggregator status`"
        yield _finding("queue", "warning", f"job {job.name} {state} for {span(job.age_s)}", remedy)
    if queue.workers == 0:
        remedy = "start `aggregator run` or `aggregator worker`"
        yield _finding("workers", "error", "nobody takes jobs: nothing is polled or sent", remedy)


def deaf() -> Finding:
    """Return the finding about notifications that do not arrive."""
    what = "notifications of the database do not arrive; jobs are found by looking once a second instead"
    remedy = "connect to PostgreSQL itself, or through a pooler in session mode (PgBouncer: pool_mode = session)"
    return _finding("notify", "note", what, remedy)


def _finding(kind: str, severity: Severity, what: str, remedy: str) -> Finding:
    return Finding(kind=kind, severity=severity, area="service", what=what, remedy=remedy)
