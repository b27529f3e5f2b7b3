"""The restore drill of docs/operations.md, as an operator does it at night."""

from tests.acceptance.world import Publisher, Receiver, Service, configuration, wait_for

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
    assert "sound" in service.call("db", "check").stdout
    assert service.call("doctor").returncode == 0
    assert [hit["entry"]["title"] for hit in service.json("hits", "list")] == ["S-400 before the backup"]
    service.start()
    wait_for(lambda: len(receiver.accepted) == 3, what="what the backup did not know")
    assert service.stop() == 0
    assert sum("before the backup" in text for text in receiver.texts()) == 1
