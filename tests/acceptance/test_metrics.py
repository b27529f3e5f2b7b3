"""Metrics of the real process: every documented metric has samples, and a worker has an address for them."""

import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.harness import Publisher, Receiver, Service, closing_all, configuration, wait_for
from tests.support.receivers import free_port

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
DOCUMENTED = re.findall(r"^\| `(aggregator_\w+)`(?!.*\(PostgreSQL\) \|$)", OPERATIONS, re.MULTILINE)
RULES = "  - {id: word, any: [zebra]}\n"


def ask(address: str, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://{address}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except OSError:  # not yet
        return 0, ""


def samples(text: str) -> dict[str, float]:
    """Every sample by its name with labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@pytest.mark.parametrize("command", ["worker", "run"])
def test_a_process_without_a_page_shows_its_figures(tmp_path: Path, command: str) -> None:
    """After one alert: everything that the documentation names is there, and the way of the alert was measured."""
    publisher, receiver = Publisher(), Receiver()
    service = Service(tmp_path)
    address = f"127.0.0.1:{free_port()}"
    with closing_all(publisher, receiver):
        publisher.publish("one", "k1", "Nothing")
        extra = f"  metrics: {{listen: '{address}'}}" if command == "run" else ""
        service.write("all.yaml", configuration(publisher, receiver, ["one"], RULES, extra=extra))
        service.start(*(["--metrics", address] if command == "worker" else []), command=command)
        try:
            wait_for(lambda: ask(address, "/readyz")[0] == 200, what="the address of the figures")
            wait_for(lambda: len(publisher.requests) > 1, what="the baseline")
            publisher.publish("one", "k2", "A zebra in town")
            wait_for(receiver.texts, what="the alert")
            sent = 'aggregator_deliveries_total{outcome="sent"}'
            shown = wait_for(lambda: (s := samples(ask(address, "/metrics")[1])).get(sent) and s, what="its figures")
            assert [n for n in DOCUMENTED if not any(re.match(rf"{n}(_bucket)?(\{{|$)", s) for s in shown)] == []
            assert shown["aggregator_due_to_sent_seconds_count"] == 1
            assert 0 < shown["aggregator_due_to_sent_seconds_sum"] < 30
            assert shown["aggregator_published_to_seen_seconds_count"] == 1
            assert shown["aggregator_poll_seconds_count"] >= 2
            assert shown["aggregator_match_seconds_count"] >= 1
            assert shown["aggregator_hits_total"] == 1
            assert ask(address, "/healthz")[0] == 200
            assert {ask(address, path)[0] for path in ("/", "/api/v1/hits", "/login", "/static/site.js")} == {404}
        finally:
            assert service.stop() == 0, service.log.read_text()[-3000:]
