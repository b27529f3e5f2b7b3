"""Inputs that kill the service: under any supervisor, no such input becomes a restart loop."""

import sys
from pathlib import Path

import pytest

from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for

RULES = "  - {id: watch, any: [S-400]}\n"


class Deadly(Service):
    """The program in which BOMB kills, under somebody who restarts it."""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tests.acceptance.deadly", *arguments, "--config", str(self.config)]

    def supervise(self, deaths: int) -> None:
        """Restart whenever it dies, until it has died so often; it runs afterwards."""
        self.start()
        for _ in range(deaths):
            wait_for(lambda: self.process and self.process.poll() is not None, what="the next death")
            self.start()


@pytest.fixture
def deadly(tmp_path: Path) -> Deadly:
    return Deadly(tmp_path, {"PYTHONPATH": str(Path(__file__).parents[2])})


def test_a_document_that_kills_rests_and_is_reported(publisher: Publisher, receiver: Receiver, deadly: Deadly) -> None:
    """A few deaths, then the feed rests, the others are polled and told, and everybody says so."""
    publisher.publish("bomb", "b0", "nothing of note")
    publisher.publish("wire", "w0", "nothing of note")
    deadly.write("all.yaml", configuration(publisher, receiver, ["bomb", "wire"], RULES))
    assert deadly.call("poll", "--force").returncode == 0
    publisher.publish("bomb", "b1", "BOMB in a document")
    try:
        deadly.supervise(deaths=3)
        publisher.publish("wire", "w1", "S-400 seen")
        wait_for(lambda: any("S-400 seen" in text for text in receiver.texts()), what="the healthy feed's alert")
        assert deadly.process
        assert deadly.process.poll() is None, "the fourth try is not due yet"
        status = deadly.json("status")
        [finding] = [one for one in status["findings"] if one["kind"] == "deadly"]
        assert "crashed 3 times while processing feed bomb" in finding["what"]
        assert status["ok"] is False
        kinds = {finding["kind"] for finding in deadly.json("doctor")["troubles"]}
        assert "deadly" in kinds
        wait_for(lambda: any("Feed bomb may be crashing" in text for text in receiver.texts()), what="the notice")
        assert deadly.stop() == 0
    finally:
        if deadly.process and deadly.process.poll() is None:
            deadly.kill()


def test_an_alert_that_kills_is_given_up_and_reported(publisher: Publisher, receiver: Receiver, deadly: Deadly) -> None:
    """After three deaths it is dead and visible, on another channel too; the other alerts were sent."""
    publisher.publish("wire", "w0", "nothing of note")
    text = configuration(publisher, receiver, ["wire"], RULES)
    ops = f'  ops: {{service: webhook, url: "http://{receiver.host}/ops"}}\n'
    deadly.write(
        "all.yaml", text.replace("channels:\n", f"channels:\n{ops}").replace('/desk"}', '/desk", fallback: ops}')
    )
    assert deadly.call("poll", "--force").returncode == 0
    publisher.publish("wire", "w1", "S-400 BOMB in an alert")
    publisher.publish("wire", "w2", "S-400 seen")
    try:
        deadly.supervise(deaths=3)
        [dead] = wait_for(lambda: deadly.json("deliveries", "list", "--state", "dead"), what="the end")
        assert "crashed 3 times while sending it" in dead["last_error"]
        wait_for(lambda: any("Not delivered to desk" in text for text in receiver.texts()), what="the report")
        wait_for(lambda: any("S-400 seen" in text for text in receiver.texts()), what="the other alert")
        assert deadly.stop() == 0
    finally:
        if deadly.process and deadly.process.poll() is None:
            deadly.kill()
