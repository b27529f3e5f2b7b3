"""A database that fails under the running service: readiness, the log and the channels say so, and nothing is lost."""

import json
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.acceptance.supervisor import get
from tests.support.harness import PATIENCE_S, Publisher, Receiver, Service, configuration, wait_for
from tests.support.receivers import free_port

RULES = "  - {id: watch, any: [S-400]}\n"
FULL_BYTES = 64 * 1024


@contextmanager
def running(publisher: Publisher, receiver: Receiver, service: Service) -> Iterator[int]:
    """The service with a page, past its first poll; gives the port."""
    port = free_port()
    publisher.publish("wire", "zero", "nothing of note")
    text = configuration(publisher, receiver, ["wire"], RULES)
    service.write("all.yaml", text.replace("enabled: false", f"listen: '127.0.0.1:{port}'"))
    service.start()
    wait_for(lambda: len(publisher.requests) >= 2, what="two polls")
    wait_for(lambda: get(port, "/readyz")[0] == 200, what="readiness")
    yield port


def test_readiness_ends_with_the_first_write_that_fails(
    publisher: Publisher, receiver: Receiver, service: Service
) -> None:
    """No file may grow: 503 within seconds, one readable line, alive all the while; ready again when there is room."""
    with running(publisher, receiver, service) as port:
        assert service.process
        before = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, before[1]))
        for number in range(20):
            publisher.publish("wire", f"k{number}", f"S-400 number {number}", "word " * 4000)
        wait_for(lambda: get(port, "/readyz")[0] == 503, what="the end of readiness")
        ready = json.loads(get(port, "/readyz")[1])
        assert (ready["ok"], ready["loops"]["database"]) == (False, False)
        assert get(port, "/healthz")[0] == 200
        assert "aggregator_database_up 0.0" in wait_for(
            lambda: "aggregator_database_up 0.0" in get(port, "/metrics")[1] and get(port, "/metrics")[1]
        )
        warnings = json.loads(get(port, "/api/v1/status")[1])["warnings"]
        assert any("cannot" in warning and "; " in warning for warning in warnings), warnings
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, before)
        wait_for(lambda: len(receiver.accepted) >= 20, what="everything")
        wait_for(lambda: get(port, "/readyz")[0] == 200, what="readiness")
        wait_for(lambda: "the database is writable again" in service.log.read_text(), what="the line that says so")
        assert service.stop() == 0
    assert "Traceback" not in service.log.read_text()


def test_damage_is_reported_past_the_database(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """Pages of the file are overwritten: the channel hears of it although no row can be kept, once."""
    with running(publisher, receiver, service) as port:
        damage(service.folder / "var" / "aggregator.db")
        publisher.publish("wire", "one", "S-400 seen")
        wait_for(lambda: get(port, "/readyz")[0] == 503, what="the end of readiness")
        [said] = wait_for(lambda: [t for t in receiver.texts() if "database" in t], what="the report")
        assert "restore the latest backup" in said.lower()
        assert get(port, "/healthz")[0] == 200
        assert service.stop() == 0
    log = service.log.read_text()
    assert "Traceback" not in log
    assert log.count("damaged") < 30, "said, not repeated every second"


def test_deleted_database_ends_the_service(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """The channel hears of it, nothing is written into the void, and the exit code makes a supervisor start it anew."""
    with running(publisher, receiver, service):
        folder = service.folder / "var"
        for file in folder.glob("aggregator.db*"):
            file.unlink()
        publisher.publish("wire", "one", "S-400 seen")
        assert service.process
        assert service.process.wait(PATIENCE_S) == 1
        assert not list(folder.glob("aggregator.db*"))
    [said] = [text for text in receiver.texts() if "database" in text]
    assert "was deleted" in said
    log = service.log.read_text()
    assert "Traceback" not in log
    assert log.count("was deleted") < 30, "said, not repeated every second"


def damage(path: Path) -> None:
    """Overwrite every page but the first, of the database and of its log."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek(0, 2)
        end = file.tell()
        file.seek(size)
        file.write(b"\xa5" * (end - size))
