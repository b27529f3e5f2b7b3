"""What is wrong with a cluster."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aggregator.core.cluster_findings import node_findings, queue_findings
from aggregator.core.model import Node, Queue, QueuedJob


def node(name: str = "a", **given: Any) -> Node:
    base = {"id": name, "name": name, "roles": ("plan", "poll"), "version": "1", "config": 7}
    return Node(**{**base, "started_at": datetime(2026, 1, 1, tzinfo=UTC), **given})


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        ([], []),
        ([node()], []),
        ([node(roles=("poll",))], ["planner"]),
        ([node(), node("b", silent_s=29.0)], []),
        ([node(), node("b", silent_s=31.0)], ["node"]),
        ([node(silent_s=31.0)], ["node"]),  # nobody is left who could plan: the status says that nothing runs
        ([node(), node("b", config=6)], ["numbers"]),
        ([node(), node("b", lacks="SMTP is not set")], ["lacks"]),
    ],
)
def test_nodes(nodes: list[Node], kinds: list[str]) -> None:
    """Silence, a missing planner, different numbers, a missing secret."""
    assert [finding.kind for finding in node_findings(nodes)] == kinds


def job(age_s: float, *, running: bool = False) -> QueuedJob:
    return QueuedJob(name="poll:1", queue="poll", running=running, age_s=age_s)


@pytest.mark.parametrize(
    ("queue", "kinds"),
    [
        (Queue(workers=1), []),
        (Queue(), ["workers"]),
        (Queue(jobs=(job(29), job(599, running=True)), workers=1), []),
        (Queue(jobs=(job(31), job(601, running=True)), workers=1), ["queue", "queue"]),
    ],
)
def test_queue(queue: Queue, kinds: list[str]) -> None:
    """A job that nobody takes, one that never ends, nobody who takes any."""
    assert [finding.kind for finding in queue_findings(queue)] == kinds
