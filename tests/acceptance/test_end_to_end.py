"""From feed bytes to an accepted alert: the real process on loopback."""

import json

from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for

RULES = """\
  - {id: s400, any: [S-400]}
  - {id: caatsa, any: [CAATSA]}
"""


def test_a_new_entry_reaches_its_channel(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """An analyst watches a feed for S-400; what was there before is silent, what is new arrives once."""
    publisher.publish("wire", "old", "S-400 delivered in 2019")
    service.write("all.yaml", configuration(publisher, receiver, ["wire"], RULES))
    service.start()
    wait_for(lambda: len(publisher.requests) >= 2, what="the baseline and one more poll")
    assert receiver.accepted == []
    publisher.publish("wire", "new", "Ankara receives S‑400s", "<p>A second regiment.</p>")
    publisher.publish("wire", "decoy", "IBM AS-400 museum opens")
    wait_for(lambda: receiver.accepted, what="the alert")
    polls = publisher.polls("wire")
    wait_for(lambda: publisher.polls("wire") >= polls + 2, what="two more polls")
    assert len(receiver.accepted) == 1
    assert "Ankara receives" in receiver.texts()[0]
    assert receiver.accepted[0]["headers"].get("idempotency-key")
    assert service.stop() == 0
    hits = service.json("hits", "list")
    assert {(hit["rule"], hit["entry"]["title"]) for hit in hits} == {
        ("s400", "S-400 delivered in 2019"),
        ("s400", "Ankara receives S‑400s"),
    }
    sent = service.json("deliveries", "list", "--state", "sent")
    assert [row["channel"] for row in sent] == ["desk"]
    assert sent[0]["rules"] == ["s400"]


def test_a_poll_by_hand_reports_what_it_did(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """`poll --json` has the contract's shape, and a second poll is conditional."""
    publisher.publish("wire", "1", "first CAATSA news")
    service.write("all.yaml", configuration(publisher, receiver, ["wire", "gone"], RULES))
    done = service.call("poll", "--force", "--json")
    shape = json.loads(done.stdout)
    assert done.returncode == 1, "one feed answers 404"
    assert shape["feeds"] == {"polled": 2, "changed": 1, "unchanged": 0, "failed": 1}
    assert shape["entries"] == {"new": 1, "updated": 0}
    assert set(shape) == {"feeds", "entries", "hits", "deliveries", "seconds", "outcomes", "why"}
    again = service.json("poll", "wire", "--force")
    assert again["feeds"]["unchanged"] == 1
    assert "if-none-match" in publisher.requests[-1][1]
    feed = service.json("feeds", "show", "wire")
    assert feed["state"] == "ok"
    assert feed["entries"] == 1
    assert feed["last_status"] == 304


def test_two_hundred_feeds_are_stored_whole(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """One pass over 200 feeds stores every entry that was published."""
    names = [f"feed-{number}" for number in range(200)]
    for name in names:
        for entry in range(10):
            publisher.publish(name, f"{name}-{entry}", f"Entry {entry} of {name}", "Some text.")
    service.write("all.yaml", configuration(publisher, receiver, names, RULES))
    shape = service.json("poll", "--force")
    assert shape["feeds"] == {"polled": 200, "changed": 200, "unchanged": 0, "failed": 0}
    assert shape["entries"]["new"] == 2000
    assert service.json("db", "stats")["entries"] == 2000


def test_a_faulty_edit_leaves_the_old_rules_running(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """A broken edit is refused and reported; a sound one is taken over within seconds."""
    publisher.publish("wire", "0", "nothing")
    text = configuration(publisher, receiver, ["wire"], RULES)
    service.write("all.yaml", text)
    service.start()
    wait_for(lambda: len(publisher.requests) >= 2)
    service.write("all.yaml", text.replace("any: [CAATSA]", "any: [CAATSA], unknown_key: 1"))
    wait_for(lambda: "unknown_key" in service.log.read_text(), what="the complaint in the log")
    publisher.publish("wire", "1", "CAATSA again")
    wait_for(lambda: any("CAATSA again" in text for text in receiver.texts()), what="an alert by the old rules")
    service.write("all.yaml", text.replace("any: [CAATSA]", "any: [Himars]"))
    wait_for(lambda: "configuration reloaded" in service.log.read_text(), what="the reload")
    publisher.publish("wire", "2", "Himars seen")
    wait_for(lambda: any("Himars seen" in text for text in receiver.texts()), what="an alert by the new rules")
    assert service.stop() == 0


def test_a_channel_that_fails_gets_its_alert_later(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """A webhook that answers 500 is tried again after a back-off; nothing is lost, nothing is said twice."""
    publisher.publish("wire", "0", "nothing")
    service.write("all.yaml", configuration(publisher, receiver, ["wire"], RULES))
    service.json("poll", "--force")
    receiver.refuse = lambda _: 500
    publisher.publish("wire", "1", "S-400 seen")
    shape = service.json("poll", "--force")
    assert shape["deliveries"] == {"sent": 0, "retry": 1, "dead": 0, "held": 0}
    [row] = service.json("deliveries", "list")
    assert row["state"] == "retry"
    assert row["attempts"] == 1
    assert "500" in row["last_error"]
    receiver.refuse = lambda _: None
    assert service.call("deliveries", "retry", row["id"]).returncode == 0
    assert service.json("poll")["deliveries"]["sent"] == 1
    assert len(receiver.accepted) == 1


def test_alerts_on_the_console_do_not_spoil_json(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """With --json, stdout carries one document; what the console channel says goes to stderr."""
    publisher.publish("wire", "0", "nothing")
    text = configuration(publisher, receiver, ["wire"], RULES)
    service.write("all.yaml", text.replace("default_channels: [desk]", "default_channels: [console]"))
    service.json("poll", "--force")
    publisher.publish("wire", "1", "S-400 seen")
    done = service.call("poll", "--force", "--json")
    assert json.loads(done.stdout)["deliveries"]["sent"] == 1
    assert "S-400 seen" in done.stderr
