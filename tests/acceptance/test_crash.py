"""Kill -9 at random: nothing that was published is lost, nothing is said more often than there were kills."""

import random
import re
import time

from tests.acceptance.world import Publisher, Receiver, Service, configuration, wait_for

KILLS = 50
FEEDS = ("alpha", "beta", "gamma")


def test_fifty_kills_lose_nothing(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """Every published entry is accepted once; a repeat only where a kill fell between sent and settled."""
    dice = random.Random(20260105)
    for feed in FEEDS:
        publisher.publish(feed, "zero", "nothing of note")
    service.write("all.yaml", configuration(publisher, receiver, FEEDS, "  - {id: watch, any: [S-400]}"))
    service.json("poll", "--force")
    ledger: list[str] = []
    for kill in range(KILLS):
        service.start()
        for _ in range(dice.randint(1, 3)):
            feed, mark = dice.choice(FEEDS), f"mark{len(ledger):04d}"
            ledger.append(mark)
            publisher.publish(feed, mark, f"S-400 {mark} seen near {feed}")
        time.sleep(dice.uniform(0.2, 2.2))
        service.kill()
        assert kill < KILLS
    service.start()
    wait_for(lambda: set(ledger) <= _accepted(receiver).keys(), seconds=120, what="every mark")
    assert service.stop() == 0
    accepted = _accepted(receiver)
    assert set(accepted) == set(ledger)
    repeats = sum(count - 1 for count in accepted.values())
    assert repeats <= KILLS
    print(f"{KILLS} kills, {len(ledger)} published, 0 lost, {repeats} repeated")


def _accepted(receiver: Receiver) -> dict[str, int]:
    counts: dict[str, int] = {}
    for text in receiver.texts():
        for mark in set(re.findall(r"mark\d{4}", text)):
            counts[mark] = counts.get(mark, 0) + 1
    return counts
