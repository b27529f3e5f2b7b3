"""The restore drill of docs/operations.md, as an operator does it at night."""

import sqlite3
from contextlib import closing

from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for

RULES = "  - {id: s400, any: [S-400]}"


def test_a_backup_of_the_running_service_comes_back(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """Copied while it runs, lost, restored: what was known is known, what came since is alerted, nothing twice."""
    publisher.publish("wire", "0", "nothing")
    service.write("all.yaml", configuration(publisher, receiver, ["wire"], RULES))
    service.start()
    wait_for(lambda: len(publisher.requests) >= 2, what="the baseline")
    publisher.publish("wire", "1", "S-400 before the backup")
    wait_for(lambda: receiver.accepted, what="the first alert")
    wait_for(lambda: service.json("deliveries", "list", "--state", "sent"), what="its receipt")
    copy = service.folder / "copy.db"
    done = service.call("db", "backup", str(copy))
    assert done.returncode == 0, done.stderr
    assert service.call("db", "backup", str(copy)).returncode == 1, "a backup never overwrites another"
    assert "stop it first" in service.call("db", "copy", "--to", f"sqlite:///{copy}.2").stderr
    publisher.publish("wire", "2", "S-400 after the backup")
    wait_for(lambda: len(receiver.accepted) == 2, what="the second alert")
    service.kill()

    for lost in (service.folder / "var").glob("aggregator.db*"):
        lost.unlink()
    copy.rename(service.folder / "var" / "aggregator.db")
    assert "intact" in service.call("db", "check").stdout
    assert service.call("doctor").returncode == 0
    assert [hit["entry"]["title"] for hit in service.json("hits", "list")] == ["S-400 before the backup"]
    service.start()
    wait_for(lambda: len(receiver.accepted) == 3, what="what the backup did not know")
    assert service.stop() == 0
    assert sum("before the backup" in text for text in receiver.texts()) == 1


def test_what_may_be_a_repeat_after_a_restore_says_so(
    publisher: Publisher, receiver: Receiver, service: Service
) -> None:
    """`db restore`: told again is marked, what waited too; what comes afterwards is not; the old file is kept."""
    publisher.publish("wire", "0", "nothing")
    service.write("all.yaml", configuration(publisher, receiver, ["wire"], RULES))
    service.call("poll", "--force")
    copy = service.folder / "copy.db"
    assert service.call("db", "backup", str(copy)).returncode == 0
    publisher.publish("wire", "1", "S-400 after the backup")
    service.call("poll", "--force")
    assert repeats(receiver) == [False]

    done = service.call("db", "restore", str(copy))
    assert done.returncode == 0, done.stderr
    assert "aggregator.db.before-restore" in done.stdout
    assert "a backup was restored" in done.stdout + done.stderr or "possible repeats" in done.stdout
    assert (service.folder / "var" / "aggregator.db.before-restore").exists()
    service.start()
    wait_for(lambda: len(receiver.accepted) == 2, what="what the backup did not know")
    assert "a backup was restored" in service.log.read_text()
    assert service.call("db", "restore", str(copy)).returncode == 1, "the service runs"
    publisher.publish("wire", "2", "S-400 after the restore")
    wait_for(lambda: len(receiver.accepted) == 3, what="news")
    assert service.stop() == 0
    assert repeats(receiver) == [False, True, False]
    service.start()
    wait_for(lambda: "ready" in service.log.read_text().rpartition("shutting down")[2], what="the next start")
    assert service.stop() == 0
    assert service.log.read_text().count("a backup was restored") == 1
    assert repeats(receiver) == [False, True, False]


def test_what_is_no_backup_is_not_restored(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """Damaged, foreign, absent, or the database itself: one sentence, and the database is as it was."""
    publisher.publish("wire", "0", "S-400 seen")
    service.write("all.yaml", configuration(publisher, receiver, ["wire"], RULES))
    service.call("poll", "--force")
    database = service.folder / "var" / "aggregator.db"
    torn, foreign = service.folder / "torn.db", service.folder / "foreign.db"
    assert service.call("db", "backup", str(torn)).returncode == 0
    with torn.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * 65_536)
    with closing(sqlite3.connect(foreign)) as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    for file_, words in (
        (torn, "damaged"),
        (foreign, "not an aggregator database"),
        (service.folder / "none.db", "no backup"),
        (database, "is the database itself"),
    ):
        done = service.call("db", "restore", str(file_))
        assert done.returncode == 1, file_
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert "intact" in service.call("db", "check").stdout
    assert not list(database.parent.glob("*.part*"))


def repeats(receiver: Receiver) -> list[bool]:
    return [message["body"]["possible_repeat"] for message in receiver.accepted]
