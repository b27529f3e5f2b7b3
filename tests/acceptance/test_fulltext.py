"""Full text with the real process: what only the article says is alerted, once."""

import pytest

from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for
from tests.support.postgres import PostgresServer, postgres

__all__ = ["postgres"]

pytest.importorskip("trafilatura")

RULE = "  - {id: watch, any: [S-400]}"
ARTICLE = "<!doctype html><html><body><article>{}</article></body></html>"
WORDS = "{} The delegation left the building at noon and said nothing about the {} to those who waited outside."


def page(about: str) -> bytes:
    """A page with an article about something."""
    places = ("In Ankara.", "In Oslo.", "In Riga.")
    return ARTICLE.format("".join(f"<p>{WORDS.format(place, about)}</p>" for place in places)).encode()


def prepare(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """A feed with full_text after its first poll."""
    publisher.publish("alpha", "zero", "nothing of note")
    written = configuration(publisher, receiver, ["alpha"], RULE)
    service.write("all.yaml", written.replace("every: 1s}\nchannels", "every: 1s, full_text: true}\nchannels"))
    service.json("poll", "--force")


def test_the_service_reads_articles(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """A summary without the word, an article with it: one alert; a summary with it: no second one."""
    prepare(publisher, receiver, service)
    publisher.special["alpha/hidden"] = (200, {"Content-Type": "text/html"}, page("S-400"))
    publisher.special["alpha/open"] = (200, {"Content-Type": "text/html"}, page("S-400"))
    publisher.special["alpha/gone"] = (410, {}, b"")
    for key, title in (("hidden", "A visit"), ("open", "The S-400 again"), ("gone", "Nothing left")):
        publisher.publish("alpha", key, title)
    service.start()
    wait_for(lambda: len(receiver.texts()) >= 2, what="two alerts")
    wait_for(lambda: any(path == "alpha/gone" for path, _ in publisher.requests), what="the last page")
    assert service.stop() == 0
    titles = sorted(title for title in ("A visit", "The S-400 again") for text in receiver.texts() if title in text)
    assert titles == ["A visit", "The S-400 again"]
    visited = [path for path, _ in publisher.requests if path.startswith("alpha/")]
    assert sorted(visited) == ["alpha/gone", "alpha/hidden", "alpha/open"]


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_one_pass_reads_articles(
    database: str, request: pytest.FixtureRequest, publisher: Publisher, receiver: Receiver, service: Service
) -> None:
    """`aggregator poll` alerts on summaries first, then reads the articles, and alerts on those."""
    if database == "postgresql":  # where hits are routed after their commit
        server: PostgresServer = request.getfixturevalue("postgres")
        service.environ["AGGREGATOR_DATABASE"] = server.create()
    prepare(publisher, receiver, service)
    publisher.special["alpha/hidden"] = (200, {"Content-Type": "text/html"}, page("S-400"))
    publisher.publish("alpha", "hidden", "A visit")
    shape = service.json("poll", "--force")
    assert (shape["entries"]["new"], shape["hits"], shape["deliveries"]["sent"]) == (1, 0, 1)
    assert len(receiver.texts()) == 1
