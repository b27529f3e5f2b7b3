"""Stories in the real process: one alert for one event, lookalikes apart, and what people correct."""

from typing import Any

from tests.support.harness import Publisher, Receiver, Service, configuration

RULES = """\
  - {id: s400, any: [S-400]}
  - {id: quakes, any: [earthquake]}
"""
SEED = (
    "Turkey takes delivery of second S-400 battery from Russia",
    (
        "ANKARA - Turkey received the second battery of Russian S-400 air defence missiles at Murted air base on "
        "Monday, the defence ministry said, defying threats of sanctions by the United States."
    ),
)
RETOLD = (
    "Second Russian S-400 battery arrives at Turkish base of Murted",
    (
        "The Turkish defence ministry announced on Monday that the second S-400 battery bought from Russia has reached "
        "the Murted air base. Washington has threatened sanctions over the air defence missiles."
    ),
)
PAPER = (
    "Murted air base receives second S-400 battery from Russia",
    (
        "Turkey's defence ministry said the second battery of Russian S-400 missiles was received at Murted air base "
        "on Monday despite threats of sanctions by the United States."
    ),
)
BLOG = ("Nytt S-400-batteri fra Russland til Tyrkia", f"{SEED[1]} (Gjengitt etter byrået.)")
QUAKE = "Magnitude {0} earthquake shakes the coast of {1} province, no damage reported"
QUAKE_TEXT = "An earthquake of magnitude {0} shook {1} province at a depth of ten kilometres; no damage was reported."


def poll(service: Service) -> dict[str, Any]:
    return dict(service.json("poll", "--force"))


def test_one_event_is_one_alert_and_people_have_the_last_word(
    publisher: Publisher, receiver: Receiver, service: Service
) -> None:
    """An agency, a paper, a site (teaser, then article) and a Norwegian copy: one alert, updates in its thread.

    What was folded is alerted when somebody takes it out; two earthquakes stay two, and each alert says why.
    """
    feeds = ["agency", "paper", "site", "blog"]
    for feed in feeds:
        publisher.publish(feed, "old", "Nothing in particular")
    text = configuration(publisher, receiver, feeds, RULES).replace("  stories: {collapse: false}\n", "")
    service.write("all.yaml", text)
    poll(service)
    publisher.publish("agency", "1", *SEED)
    poll(service)
    publisher.publish("paper", "1", *PAPER)
    poll(service)
    publisher.publish("site", "1", RETOLD[0], "The ministry in Ankara announced it.")
    poll(service)
    publisher.entries["site"][-1] = ("1", *RETOLD)
    poll(service)
    publisher.publish("blog", "1", *BLOG)
    poll(service)

    first, *updates = [message["body"] for message in receiver.accepted]
    assert (first["update"], {one["update"] for one in updates}) == (False, {True})
    assert {one["thread"] for one in updates} == {first["thread"]}
    [listed] = service.json("stories", "list", "--rule", "s400")
    assert (sorted(listed["feeds"]), listed["hits"], listed["updates"]) == (sorted(feeds), 4, len(updates))
    shown = service.json("stories", "show", listed["id"])
    folded = next(hit for hit in shown["hits"] if hit["feed"] == "paper")
    assert (folded["state"], folded["because"]["kind"]) == ("folded", "retelling")
    assert "battery" in " ".join(folded["because"]["words"]).lower()
    assert "same event as “Turkey takes delivery" in service.call("stories", "show", listed["id"]).stdout
    assert "same event as “Turkey takes delivery" in service.call("hits", "show", folded["id"]).stdout

    split = service.json("stories", "split", folded["id"])
    assert (split["story"], split["queued"]) == (listed["id"], 1)
    poll(service)
    assert receiver.accepted[-1]["body"]["hits"][0]["id"] == folded["id"]
    assert {rule["id"]: rule["undone"] for rule in service.json("rules", "list")}["s400"] == 1
    assert len(service.json("stories", "list", "--rule", "s400")) == 2
    joined = service.json("stories", "join", listed["id"], split["other"])
    assert (joined["story"], joined["hits"]) == (listed["id"], 1)
    assert service.json("stories", "show", split["other"])["id"] == listed["id"]
    assert service.call("undo", split["undo"]).returncode == 1, "its alert has left"
    service.json("undo", joined["undo"])
    assert len(service.json("stories", "list", "--rule", "s400")) == 2
    assert service.json("stories", "show", split["other"])["id"] == split["other"]

    before = len(receiver.accepted)
    publisher.publish("agency", "2", QUAKE.format("5.1", "Van"), QUAKE_TEXT.format("5.1", "Van"))
    poll(service)
    publisher.publish("site", "2", QUAKE.format("4.6", "Van"), QUAKE_TEXT.format("4.6", "Van"))
    poll(service)
    quakes = [message["body"] for message in receiver.accepted[before:]]
    assert [one["update"] for one in quakes] == [False, False]
    assert "not joined: numbers differ (4.6 / 5.1)" in quakes[1]["why"]
    assert len(service.json("stories", "list", "--rule", "quakes")) == 2
