"""What is wrong with a cluster."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aggregator.core.cluster_findings import cluster_findings, node_findings, present, queue_findings
from aggregator.core.model import Node, Queue, QueuedJob

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def node(name: str = "a", **given: Any) -> Node:
    base = {"id": name, "name": name, "roles": ("plan", "poll"), "version": "1", "config": 7}
    heard_at = NOW - timedelta(seconds=given.get("silent_s", 0.0))
    return Node(**{**base, "started_at": NOW - timedelta(days=1), "heartbeat_at": heard_at, **given})


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


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


def dead(number: int, silent_s: float, **given: Any) -> Node:
    return node("a", id=f"dead{number}", silent_s=silent_s, **given)


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([dead(1, 60), node("a", id="new", started_at=ago(50))], ["new"]),  # killed, and started again
        ([dead(1, 60), node("a", id="sibling", started_at=ago(70))], ["dead1", "sibling"]),  # it ran all the time
        ([dead(1, 60), dead(2, 60), node("a", id="new", started_at=ago(50))], ["dead2", "new"]),  # one of two
        ([dead(1, 600), dead(2, 300, started_at=ago(500)), node("a", id="new", started_at=ago(200))], ["new"]),
        ([dead(1, 600), dead(2, 300, started_at=ago(500))], ["dead2"]),  # started again, and dead again
        ([dead(1, 60), node("a", id="new", roles=("web",), started_at=ago(50))], ["dead1", "new"]),
        ([dead(1, 60), node("b", id="new", started_at=ago(50))], ["dead1", "new"]),
    ],
)
def test_who_was_started_again_is_not_missed(nodes: list[Node], left: list[str]) -> None:
    """A node is named by its machine, where several may run: each start makes good for one death before it."""
    assert [one.id for one in present(nodes)] == left


def job(age_s: float, *, running: bool = False, **given: Any) -> QueuedJob:
    return QueuedJob(**{"name": "poll:1", "queue": "poll", "running": running, "age_s": age_s, **given})


@pytest.mark.parametrize(
    ("queue", "kinds"),
    [
        (Queue(workers=1), []),
        (Queue(), ["workers"]),
        (Queue(jobs=(job(29), job(599, running=True)), workers=1), []),
        (Queue(jobs=(job(31), job(601, running=True)), workers=1), ["queue", "queue"]),
        (Queue(jobs=(job(5, running=True, silent_s=31.0),), workers=1), ["queue"]),  # nobody gives it to others
        (Queue(jobs=(job(1800, running=True, queue="upkeep:prune"),), workers=1), []),
        (Queue(jobs=(job(3601, running=True, queue="upkeep:prune"),), workers=1), ["queue"]),
    ],
)
def test_queue(queue: Queue, kinds: list[str]) -> None:
    """A job that nobody takes, one that never ends, nobody who takes any."""
    assert [finding.kind for finding in queue_findings(queue)] == kinds


@pytest.mark.parametrize(
    ("engine", "fault", "remedy"),
    [
        (("03.04", "03.04"), "", None),
        (("", ""), "", None),  # nobody looked
        (("", "03.04"), "", "db upgrade"),
        (("03.03", "03.04"), "", "db upgrade"),
        (("03.05", "03.04"), "", "the other nodes have"),
        (("", ""), "it is not installed; pip install it", "pip install it"),
    ],
)
def test_engine(engine: tuple[str, str], fault: str, remedy: str | None) -> None:
    """A schema that is behind or ahead, an engine that is not installed or not to be reached."""
    found = list(cluster_findings((), None, engine, fault))
    assert [(one.kind, one.severity) for one in found] == ([("engine", "error")] if remedy else [])
    assert all(str(remedy) in one.remedy for one in found)
