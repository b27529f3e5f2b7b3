"""Several nodes on one PostgreSQL: one configuration, shared work, nothing lost when one dies."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for
from tests.support.postgres import PostgresServer, postgres

__all__ = ["postgres"]

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


class Cluster:
    """Nodes on a database of their own: `desk` has the files, workers need none."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.nodes: list[Service] = []
        self.desk = self.node("desk")

    def node(self, name: str, **environ: str) -> Service:
        made = Service(self.folder / name, {"AGGREGATOR_NODE": name, "AGGREGATOR_DATABASE": self.url, **environ})
        self.nodes.append(made)
        return made

    def worker(self, name: str, **environ: str) -> Service:
        made = self.node(name, **environ)
        made.start(command="worker")
        return made

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url.replace("+psycopg", "")) as connection:
            return connection.execute(query.encode()).fetchall()

    def close(self) -> None:
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.kill()


@pytest.fixture
def cluster(postgres: PostgresServer, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, postgres.create())
    yield made
    made.close()


def test_one_configuration_for_all(cluster: Cluster, publisher: Publisher, receiver: Receiver, tmp_path: Path) -> None:
    """An edit of the files reaches a node that has none; a command with an old folder changes nothing for anybody."""
    publisher.publish("one", "zero", "nothing of note")
    text = configuration(publisher, receiver, ["one"], "  - {id: watch, any: [S-400]}")
    text = text.replace("  desk: {", "  mail: {url: 'json://u:${SCALE_PASSWORD}@127.0.0.1:9'}\n  desk: {")
    old = Service(tmp_path / "old", {"AGGREGATOR_DATABASE": cluster.url, "SCALE_PASSWORD": "sesame1"})
    desk = cluster.desk
    desk.environ["SCALE_PASSWORD"] = "sesame1"
    for service in (desk, old):
        service.write("all.yaml", text)
    desk.start("--roles", "deliver,web")
    wait_for(lambda: cluster.rows("SELECT id FROM feeds") if "ready" in desk.log.read_text() else None, what="a push")
    worker = cluster.worker("worker")
    wait_for(lambda: "ready" in worker.log.read_text(), what="the worker")
    assert "lacks a part of configuration 1" in worker.log.read_text()  # and what it is, in one line
    assert "SCALE_PASSWORD is not set" in worker.log.read_text()

    desk.write("all.yaml", text.replace("[S-400]}", "[S-400]}\n  - {id: late, any: [CAATSA]}"))
    wait_for(lambda: "following configuration 2" in worker.log.read_text(), what="the edit to arrive")
    publisher.publish("one", "new", "CAATSA waiver")
    wait_for(lambda: any("CAATSA" in told for told in receiver.texts()), what="an alert of the new rule")

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
