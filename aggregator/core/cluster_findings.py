"""What is wrong with a cluster: its nodes and its queue."""

from collections.abc import Iterator, Sequence

from aggregator.core.humanize import span
from aggregator.core.jobs import STALLED_S, UPKEEP
from aggregator.core.model import Finding, Node, Queue, QueuedJob, Severity

SILENT_S = 2 * STALLED_S
WAITING_S = 2 * STALLED_S
RUNNING_S = 600.0  # no job of a lane or a channel works for longer
UPKEEP_S = 3600.0  # a year's worth may have to be pruned
MAX_NAMED = 5


def is_alive(node: Node) -> bool:
    """Tell whether a node was heard of lately."""
    return node.silent_s <= SILENT_S


def present(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the nodes without those that died and were started again, with their name and roles.

    Several on one machine have one name: each start after a death replaces one of the dead.
    """
    started = sorted(nodes, key=lambda node: node.started_at)
    gone: set[str] = set()
    for node in sorted((node for node in nodes if not is_alive(node)), key=lambda node: node.heartbeat_at):
        follows = (
            one
            for one in started
            if (one.name, one.roles) == (node.name, node.roles) and one.started_at > node.heartbeat_at
        )
        if successor := next(follows, None):
            started.remove(successor)
            gone.add(node.id)
    return tuple(node for node in nodes if node.id not in gone)


def cluster_findings(
    nodes: Sequence[Node], queue: Queue | None, engine: tuple[str, str], engine_fault: str
) -> Iterator[Finding]:
    """Yield all that is wrong with a cluster; see `Status`."""
    yield from engine_findings(engine, engine_fault)
    yield from node_findings(nodes)
    if queue is not None:
        yield from queue_findings(queue)


def engine_findings(engine: tuple[str, str], fault: str) -> Iterator[Finding]:
    """Yield why the engine cannot be used here: `fault` says so, or its schema is not the program's."""
    current, newest = engine
    if fault:
        what, _, remedy = fault.partition("; ")
        yield _finding("engine", "error", what, remedy or "see the log")
    elif current < newest:
        what = f"the engine's schema is {current or 'not recorded'}, this program has {newest}"
        yield _finding("engine", "error", what, "run `aggregator db upgrade`, as `aggregator run` does when it starts")
    elif current > newest:
        what = f"the engine's schema is {current}, newer than {newest} of the installed procrastinate"
        yield _finding("engine", "error", what, "install the program that the other nodes have")


def node_findings(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Yield what the list of nodes shows."""
    nodes = present(nodes)
    alive = [node for node in nodes if is_alive(node)]
    for node in [node for node in nodes if not is_alive(node)][:MAX_NAMED]:
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
    for job in [job for job in queue.jobs if _is_stuck(job)][:MAX_NAMED]:
        remedy = "see whether a node with its role and its secrets is running: `aggregator status`"
        if not job.running:
            what = f"job {job.name} has been waiting for {span(job.age_s)}"
            remedy += "; if all are busy, start another worker"
        elif job.silent_s > SILENT_S:
            what = f"job {job.name} is held by a process that was last heard of {span(job.silent_s)} ago"
            remedy = "start `aggregator run` or `aggregator worker`: any process gives it to others within seconds"
        else:
            what = f"job {job.name} has been at work for {span(job.age_s)}"
        yield _finding("queue", "warning", what, remedy)
    if queue.workers == 0:
        remedy = "start `aggregator run` or `aggregator worker`"
        yield _finding("workers", "error", "nobody takes jobs: nothing is polled or sent", remedy)


def _is_stuck(job: QueuedJob) -> bool:
    if not job.running:
        return job.age_s > WAITING_S
    return job.silent_s > SILENT_S or job.age_s > (UPKEEP_S if job.queue.startswith(UPKEEP) else RUNNING_S)


def no_notifications() -> Finding:
    """Return the finding about notifications that do not arrive."""
    what = "notifications of the database do not arrive; jobs are found by looking once a second instead"
    remedy = "connect to PostgreSQL itself, or through a pooler in session mode (PgBouncer: pool_mode = session)"
    return _finding("notify", "note", what, remedy)


def _finding(kind: str, severity: Severity, what: str, remedy: str) -> Finding:
    return Finding(kind=kind, severity=severity, area="service", what=what, remedy=remedy)
