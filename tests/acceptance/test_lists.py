"""A term list behind an address: fetched, applied, changed, broken; on the real process."""

from hashlib import sha256

from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for

RULES = "  - {id: names, any: [$names]}"
LISTED = "\nlists:\n  names: {{url: '{url}/names.txt', every: 1s{more}}}\n"


def test_a_list_is_fetched_applied_and_kept(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """What is new in it is matched, what goes is told to people, and a broken answer changes nothing."""
    publisher.special["names.txt"] = (200, {"Content-Type": "text/plain"}, b"# whom we follow\nRosoboronexport\n")
    publisher.publish("wire", "0", "nothing")
    text = configuration(publisher, receiver, ["wire"], RULES)
    service.write("all.yaml", text + LISTED.format(url=publisher.url, more=""))
    assert "matches nothing" in service.call("check").stderr
    first = service.json("lists", "fetch")
    assert [(one["name"], one["ok"], one["terms"]) for one in first] == [("names", True, 1)]
    assert service.json("lists", "show", "names") == {"name": "names", "terms": ["Rosoboronexport"]}

    service.start()
    wait_for(lambda: publisher.polls("wire") >= 2, what="the baseline")
    publisher.publish("wire", "1", "Rosoboronexport signs in Bengaluru")
    wait_for(lambda: any("signs in Bengaluru" in text for text in receiver.texts()), what="an alert by the list")

    publisher.special["names.txt"] = (200, {}, b"Almaz-Antey\n***\n")
    wait_for(lambda: any("1 added, 1 removed" in text for text in receiver.texts()), what="the notice")
    assert any("Almaz-Antey" in text and "***" in text for text in receiver.texts())
    wait_for(lambda: "configuration reloaded" in service.log.read_text(), what="the new list")
    publisher.publish("wire", "2", "Almaz-Antey opens a plant")
    wait_for(lambda: any("opens a plant" in text for text in receiver.texts()), what="an alert by the new term")

    publisher.special["names.txt"] = (200, {}, b"<!doctype html><p>moved</p>")
    wait_for(lambda: any("could not be fetched" in text for text in receiver.texts()), what="the report")
    assert service.stop() == 0
    assert service.json("lists", "show", "names")["terms"] == ["Almaz-Antey"]


def test_a_pinned_list_takes_nothing_else(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """With sha256, what is not exactly that list is refused, with the digest that it had."""
    body = b"Rosoboronexport\n"
    publisher.publish("wire", "0", "nothing")
    publisher.special["names.txt"] = (200, {}, b"something else\n")
    text = configuration(publisher, receiver, ["wire"], RULES)
    service.write("all.yaml", text + LISTED.format(url=publisher.url, more=f", sha256: {sha256(body).hexdigest()}"))
    (refused,) = service.json("lists", "fetch")
    assert not refused["ok"]
    assert sha256(b"something else\n").hexdigest() in refused["error"]
    publisher.special["names.txt"] = (200, {}, body)
    assert service.json("poll", "--force")["entries"]["new"] == 1
    assert service.json("lists", "show", "names")["terms"] == ["Rosoboronexport"]
