"""Stories in the real process: one alert for one event, lookalikes apart, and what people correct."""

import signal
from typing import Any

from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for

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


FOURTH = (
    "Turkish base gets another S-400 battery",
    (
        "Russia has handed over the second battery of S-400 air defence missiles at Murted air base, the defence "
        "ministry in Ankara announced on Monday; the United States had threatened sanctions over the missiles."
    ),
)
STRONG = (
    "Strong earthquake of magnitude 6.3 hits Van province in eastern Turkey, dozens hurt",
    (
        "VAN - A strong earthquake of magnitude 6.3 hit Van province in eastern Turkey on Wednesday, injuring dozens "
        "of people, the disaster agency said. Buildings in Ercis collapsed and rescue teams were sent."
    ),
)
STRONG_RETOLD = (
    "Dozens injured as 6.3 magnitude quake strikes Van in eastern Turkey",
    (
        "The disaster agency said an earthquake of magnitude 6.3 struck the province of Van on Wednesday; dozens of "
        "people were injured when buildings in Ercis collapsed, and rescue teams are on their way."
    ),
)


def test_a_week_in_which_two_folds_are_undone(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """From then on the rule's retellings are updates, `status` says so, and Monday's heartbeat accounts for folds."""
    service.program = ("-m", "tests.acceptance.another_day")

    def poll_at(instant: str) -> list[dict[str, Any]]:
        before = len(receiver.accepted)
        service.environ["AT"] = instant
        poll(service)
        return [message["body"] for message in receiver.accepted[before:]]

    feeds = ["agency", "paper", "site", "blog"]
    for feed in feeds:
        publisher.publish(feed, "old", "Nothing in particular")
    health = '  health: {notify: [desk], heartbeat: "daily 08:00"}\n  time_zone: UTC'
    text = configuration(publisher, receiver, feeds, RULES, extra=health)
    service.write("all.yaml", text.replace("  stories: {collapse: false}\n", ""))
    poll_at("2026-03-04T09:00:00+00:00")  # a Wednesday
    publisher.publish("agency", "1", *SEED)
    publisher.publish("agency", "2", *STRONG)
    assert len(poll_at("2026-03-04T10:00:00+00:00")) == 2
    publisher.publish("paper", "1", *PAPER)
    publisher.publish("site", "1", *RETOLD)
    publisher.publish("paper", "2", *STRONG_RETOLD)
    assert poll_at("2026-03-04T11:00:00+00:00") == []
    folded = [hit for hit in service.json("hits", "list", "--rule", "s400") if hit["state"] == "folded"]
    assert [[(one["channel"], one["state"]) for one in hit["earlier_alerts"]] for hit in folded] == [
        [("desk", "sent")]
    ] * 2
    assert "apart · alerted on desk" in service.call("hits", "show", folded[0]["id"]).stdout
    for hit in folded:
        service.json("stories", "split", hit["id"])
    figures = {rule["id"]: (rule["folded"], rule["undone"]) for rule in service.json("rules", "list")}
    assert figures == {"s400": (2, 2), "quakes": (1, 0)}
    assert "2 folds, 2 undone" in service.call("rules", "list").stdout
    found = service.json("status")["findings"]
    assert [one["what"] for one in found if "undone" in one["what"]] == [
        "two folds of rule s400 were undone within a week; its retellings are sent as updates for a month"
    ]
    publisher.publish("blog", "1", *FOURTH)
    *splits, update = poll_at("2026-03-04T12:00:00+00:00")
    assert ([one["update"] for one in splits], update["update"]) == ([False, False], True)
    assert update["subject"].startswith("Update to: ")

    before, polls = len(receiver.accepted), publisher.polls("agency")
    service.environ |= {"AT": "2026-03-09T07:30:00+00:00", "THEN": "2026-03-09T08:00:00+00:00"}
    service.start()
    wait_for(lambda: publisher.polls("agency") > polls, what="the service")
    assert service.process
    service.process.send_signal(signal.SIGUSR1)
    monday, *_ = wait_for(
        lambda: [one["body"] for one in receiver.accepted[before:] if one["body"]["kind"] == "heartbeat"]
    )
    service.stop()
    assert "1 retelling of 1 event folded within a week; the least certain first:" in monday["text"]
    assert f"- {STRONG_RETOLD[0]} (paper): same event as “{STRONG[0]}” (agency" in monday["text"]
    assert "apart · alerted on desk" in monday["text"]
