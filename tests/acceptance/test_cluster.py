"""Several nodes on one PostgreSQL: one configuration, shared work, nothing lost when one dies."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from aggregator import __version__
from aggregator.store import SCHEMA
from tests.support.cluster import Cluster, FeedServer, analysed, compose_service, files, told
from tests.support.harness import PATIENCE_S, Publisher, Receiver, Service, configuration, wait_for
from tests.support.postgres import PostgresServer, postgres
from tests.support.receivers import free_port

__all__ = ["postgres"]

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def cluster(postgres: PostgresServer, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, postgres.create())
    yield made
    made.close()


@pytest.fixture
def feeds() -> Iterator[FeedServer]:
    server = FeedServer([f"feed{number}" for number in range(24)], hosts=12, delay_s=0.02)
    yield server
    server.close()


def test_nothing_is_lost_when_nodes_die(cluster: Cluster, feeds: FeedServer, receiver: Receiver) -> None:
    """Workers and the planner are killed, one is frozen, the engine's jobs are wiped: every alert arrives.

    No feed is polled twice at once, and what arrives twice says that it may be a repeat.
    """
    chance = random.Random(20)
    for name, text in files(feeds, receiver, every="1s").items():
        cluster.desk.write(name, text)
    cluster.run("desk", "--roles", "plan,deliver", command="run")
    wait_for(lambda: "ready" in cluster.desk.log.read_text(), what="the planner")
    for name in ("w1", "w2"):
        cluster.run(name)
    wait_for(lambda: len({asked.feed for asked in feeds.log}) == 24, what="a look at every feed")
    every = [("desk", 1), ("w1", 1), ("w2", 1)]
    wait_for(
        lambda: every == sorted((node["name"], node["config"]) for node in cluster.desk.json("status")["nodes"]),
        what="three nodes",
    )
    wait_for(
        lambda: (q := cluster.desk.json("queue")) and not q["findings"] and q["notified"] and q["workers"] >= 3,
        what="a queue with three workers and no finding",
    )
    marks = [f"mark{number:05d}" for number in range(60)]
    for number, mark in enumerate(marks):
        feeds.publish(chance.choice(feeds.feeds), mark, f"S-400 {mark}")
        time.sleep(0.05)
        if number in (10, 40):
            cluster.nodes["w1"].kill()
            cluster.again("w1")
        if number == 20:
            cluster.desk.kill()
            cluster.again("desk")
        if number == 30:
            cluster.rows("TRUNCATE procrastinate_jobs CASCADE")
            cluster.freeze("w2")
    wait_for(lambda: set(marks) <= told(receiver)[0].keys(), what="every mark")
    cluster.thaw("w2")
    time.sleep(1.5)
    accepted, marked = told(receiver)
    unmarked = {mark: count for mark, count in accepted.items() if count - marked[mark] > 1}
    assert (unmarked, analysed(feeds.log).twice_at_once) == ({}, [])
    assert [cluster.nodes[name].stop() for name in ("w1", "w2", "desk")] == [0, 0, 0]
    assert not any("is started again" in cluster.nodes[name].log.read_text() for name in ("w1", "desk"))
    assert cluster.desk.call("db", "check").returncode == 0


def test_one_configuration_for_all(cluster: Cluster, publisher: Publisher, receiver: Receiver, tmp_path: Path) -> None:
    """An edit of the files reaches a node that has none; a command with an old folder changes nothing for anybody."""
    publisher.publish("one", "zero", "nothing of note")
    text = configuration(publisher, receiver, ["one"], "  - {id: watch, any: [S-400]}")
    text = text.replace("  desk: {", "  mail: {service: webhook, url: 'http://RECEIVER/${SCALE_PASSWORD}'}\n  desk: {")
    text = text.replace("RECEIVER", receiver.host)
    old = Service(tmp_path / "old", {"AGGREGATOR_DATABASE": cluster.url, "SCALE_PASSWORD": "sesame1"})
    desk = cluster.desk
    desk.environ["SCALE_PASSWORD"] = "sesame1"
    for service in (desk, old):
        service.write("all.yaml", text)
    desk.start("--roles", "plan,deliver,web")
    wait_for(lambda: cluster.rows("SELECT id FROM feeds") if "ready" in desk.log.read_text() else None, what="a push")
    worker = cluster.run("worker")
    wait_for(lambda: "ready" in worker.log.read_text(), what="the worker")
    assert "lacks a part of configuration 1" in worker.log.read_text()  # and what it is, in one line
    assert "SCALE_PASSWORD is not set" in worker.log.read_text()

    desk.write("all.yaml", text.replace("[S-400]}", "[S-400]}\n  - {id: late, any: [CAATSA], notify: [mail, desk]}"))
    wait_for(lambda: "following configuration 2" in worker.log.read_text(), what="the edit to arrive")
    publisher.publish("one", "new", "CAATSA waiver")
    # The worker lacks a secret of the one channel: it leaves that to the other node, and buries nothing.
    wait_for(
        lambda: {"/sesame1", "/desk"} <= {one["path"] for one in receiver.accepted}, what="alerts on both channels"
    )

    before = cluster.rows("SELECT id, enabled, configured, configured_url, options FROM feeds ORDER BY id")
    old.write("all.yaml", text.replace("id: one", "id: other"))
    assert old.call("hits", "list").returncode == 0
    assert old.call("rules", "apply", "--since", "1d").returncode == 0
    assert cluster.rows("SELECT id, enabled, configured, configured_url, options FROM feeds ORDER BY id") == before

    log = desk.json("config", "log")
    assert [row["number"] for row in log] == [2, 1]
    assert "sesame1" not in json.dumps(desk.json("config", "show", "1"))
    assert desk.json("config", "diff", "1")["same"] is False
    assert desk.json("config", "rollback", "1")["number"] == 3
    wait_for(lambda: "following configuration 3" in worker.log.read_text(), what="the rollback to arrive")
    wait_for(lambda: "following configuration 3" in desk.log.read_text(), what="the node with the files to follow")
    assert [node.stop() for node in (worker, desk)] == [0, 0]


def test_nodes_are_upgraded_one_after_the_other(cluster: Cluster, feeds: FeedServer, receiver: Receiver) -> None:
    """A newer program joins and changes the schema: older ones go on, and end by themselves when they may not.

    Nothing published meanwhile is lost.
    """
    for name, text in files(feeds, receiver, every="1s").items():
        cluster.desk.write(name, text)
    cluster.release("new", "99.0", needs="97.0")
    for name in ("desk", "w1", "w2", "w3"):
        cluster.release(name, "97.0")
    marks: list[str] = []

    def publish(count: int) -> None:
        for _ in range(count):
            marks.append(f"mark{len(marks):05d}")
            feeds.publish(feeds.feeds[len(marks) % 24], marks[-1], f"S-400 {marks[-1]}")
            time.sleep(0.05)

    cluster.run("desk", "--roles", "plan,web", command="run")
    wait_for(lambda: '"ready"' in cluster.desk.log.read_text(), what="the planner")
    old = cluster.run("w1")
    wait_for(lambda: len({asked.feed for asked in list(feeds.log)}) == 24, what="a look at every feed")
    publish(5)
    cluster.release("desk", "99.0", needs="97.0")  # from its next start on
    assert cluster.desk.json("db", "upgrade")["revision"] == "9001"
    cluster.run("new")
    wait_for(lambda: '"ready"' in cluster.nodes["new"].log.read_text(), what="the new release")
    publish(10)
    cluster.run("w2")  # it finds a schema that it does not know
    wait_for(lambda: '"ready"' in cluster.nodes["w2"].log.read_text(), what="a further old worker")
    assert "which may use it" in cluster.nodes["w2"].log.read_text()
    publish(10)
    wait_for(lambda: set(marks) <= told(receiver)[0].keys(), what="what both had in hand")
    assert {row[0] for row in cluster.rows("SELECT version FROM nodes")} == {"97.0", "99.0"}
    assert all(node.process and node.process.poll() is None for node in (cluster.desk, old, cluster.nodes["w2"]))

    cluster.rows("UPDATE cluster SET value = '98.0' WHERE name = 'oldest_program'")
    publish(20)
    for name in ("desk", "w1", "w2"):
        node = cluster.nodes[name]
        assert node.process
        assert node.process.wait(PATIENCE_S) == 1
        assert "the cluster needs aggregator 98.0 or newer, this is 97.0" in node.log.read_text()
    assert "needs aggregator 98.0 or newer" in cluster.nodes["w3"].call("worker").stderr
    cluster.run("desk", "--roles", "plan,web", command="run")
    publish(5)
    wait_for(lambda: set(marks) <= told(receiver)[0].keys(), what="every mark")
    accepted, marked = told(receiver)
    assert {mark for mark, count in accepted.items() if count - marked[mark] > 1} == set()
    assert analysed(feeds.log).twice_at_once == []
    assert [cluster.nodes[name].stop() for name in ("new", "desk")] == [0, 0]


def test_nodes_are_shown_and_what_is_wrong_with_them(
    cluster: Cluster, publisher: Publisher, receiver: Receiver
) -> None:
    """The services of deploy/compose.scale.yaml, on every surface that shows nodes; then what goes wrong.

    It is asked on a machine without files.
    """
    publisher.publish("one", "zero", "nothing of note")
    listen = f"127.0.0.1:{free_port()}"
    text = configuration(publisher, receiver, ["one"], "  - {id: watch, any: [S-400]}", every="5m")
    for name in ("plan", "poll", "deliver"):
        command, environ = compose_service(name, cluster.url)
        if "AGGREGATOR_LISTEN" in environ:
            environ["AGGREGATOR_LISTEN"] = listen
        cluster.node(name, **environ)
        cluster.started[name] = command[0], tuple(command[1:])
    plan = cluster.nodes["plan"]
    plan.write("all.yaml", text.replace("web: {enabled: false}", "web: {}"))
    cluster.again("plan")
    wait_for(lambda: "ready" in plan.log.read_text(), what="the planner")
    for name in ("poll", "deliver"):
        cluster.again(name)
    stranger = cluster.node("elsewhere")

    def nodes() -> dict[str, dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(read(f"http://{listen}/api/v1/status"))["nodes"]
        return {node["name"]: node for node in found}

    def settled() -> bool:
        found = nodes().values()
        return [node["config"] for node in found] == [1, 1, 1] and all(node["silent_s"] < 30 for node in found)

    wait_for(settled, what="three nodes")
    shown = nodes()
    assert {name: node["roles"] for name, node in shown.items()} == {
        "plan": ["plan", "web"],
        "poll": ["poll", "route"],
        "deliver": ["deliver", "route"],
    }
    assert {(node["version"], node["schema"], node["config"]) for node in shown.values()} == {(__version__, SCHEMA, 1)}
    assert all(node["heartbeat_at"] >= node["started_at"] for node in shown.values())
    words = {"en": "heard from", "de": "gemeldet", "fr": "vu", "nb": "sett"}
    for language, word in words.items():
        page = read(f"http://{listen}/status", language)
        assert all(f"{name}</b>" in page for name in shown)
        assert word in page
    status = wait_for(lambda: (s := stranger.json("status")) and s["ok"] and s, what="a status without findings")
    assert (status["running"], status["findings"]) == (True, [])
    assert status["jobs"].keys() == {"waiting", "running", "failed", "workers", "oldest_s"}
    gauges = wait_for(
        lambda: found if 'aggregator_nodes{role="route"} 2.0' in (found := read(f"http://{listen}/metrics")) else None,
        what="the gauges",
    )
    assert 'aggregator_node_silent_seconds{node="deliver"}' in gauges
    assert 'aggregator_node_config{node="plan"} 1.0' in gauges
    assert 'aggregator_jobs{state="waiting"}' in gauges

    publisher.publish("one", "new", "S-400 delivered")
    cluster.rows("UPDATE feeds SET next_poll_at = 0")
    wait_for(receiver.texts, what="an alert")

    cluster.nodes["deliver"].kill()
    plan.kill()
    away = "heartbeat_at = heartbeat_at - 40000000, started_at = started_at - 40000000"
    cluster.rows(f"UPDATE nodes SET {away} WHERE name <> 'poll'")
    cluster.rows(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock) "
        "VALUES ('deliver:gone', 'aggregator', 'deliver:gone', 'deliver:gone')"
    )
    lost = "SELECT id FROM procrastinate_jobs WHERE queue_name = 'deliver:gone'"
    cluster.rows(f"UPDATE procrastinate_events SET at = at - interval '40 seconds' WHERE job_id IN ({lost})")
    ((engine,),) = cluster.rows("SELECT value FROM cluster WHERE name = 'engine'")
    cluster.rows("UPDATE cluster SET value = '03.03.00' WHERE name = 'engine'")
    kinds = ["engine", "node", "node", "planner", "queue"]
    wait_for(
        lambda: kinds == sorted(finding["kind"] for finding in stranger.json("status")["findings"]),
        what="five findings",
    )
    assert not stranger.json("status")["ok"]
    found = {one["kind"] for one in stranger.json("doctor")["findings"]}
    assert {"engine", "node", "planner", "queue"} <= found
    queue = stranger.call("queue")
    assert (queue.returncode, "job deliver:gone has been waiting" in queue.stdout) == (1, True)

    cluster.rows(f"UPDATE cluster SET value = '{engine}' WHERE name = 'engine'")
    cluster.again("deliver")
    back = [("deliver", False), ("plan", True), ("poll", False)]
    wait_for(
        lambda: back == [(node["name"], node["silent_s"] > 30) for node in stranger.json("status")["nodes"]],
        what="a node in the place of the one that died",
    )


def read(url: str, language: str = "en") -> str:
    with urlopen(Request(url, headers={"Accept-Language": language}), timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def test_second_installation_is_refused(cluster: Cluster, publisher: Publisher, receiver: Receiver) -> None:
    """Two installations on one database by mistake: the second says so, and the first goes on."""
    desk, stranger = cluster.desk, cluster.node("stranger")
    desk.write("all.yaml", configuration(publisher, receiver, ["one"], "  - {id: watch, any: [S-400]}"))
    stranger.write("all.yaml", configuration(publisher, receiver, ["two"], "  - {id: watch, any: [S-400]}"))
    assert desk.call("config", "push").returncode == 0
    done = stranger.call("run")
    assert done.returncode == 1
    assert "none of its feeds is in" in done.stderr
    assert "put these files in force with `aggregator config push`" in done.stderr
    assert cluster.rows("SELECT id, enabled FROM feeds") == [("one", True)]


def test_sqlite_has_no_stored_configuration(tmp_path: Path) -> None:
    """The commands say where a configuration is kept in a database."""
    service = Service(tmp_path)
    service.write("all.yaml", f"feeds: []\nsettings: {{database: 'sqlite:///{tmp_path}/a.db'}}\n")
    done = service.call("config", "log")
    assert (done.returncode, "with PostgreSQL only" in done.stderr) == (1, True)
