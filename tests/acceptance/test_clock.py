"""One pass on a machine whose clock was wrong for a while: a board without a battery, a virtual machine that slept."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from tests.support.harness import Publisher, Receiver, Service, configuration

RULES = "  - {id: watch, any: [S-400]}\n"


@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(days=365)], ids=["a day", "a year"])
def test_poll_goes_on_after_a_clock_that_ran_ahead(
    ahead: timedelta, publisher: Publisher, receiver: Receiver, service: Service
) -> None:
    """What one pass wrote under the wrong clock holds nothing back in the next."""
    publisher.publish("wire", "zero", "nothing of note")
    service.write("all.yaml", configuration(publisher, receiver, ["wire"], RULES))
    assert service.call("poll").returncode == 0
    micros = ahead // timedelta(microseconds=1)
    with closing(sqlite3.connect(service.folder / "var" / "aggregator.db")) as database, database:
        database.execute(
            "UPDATE feeds SET last_polled_at = last_polled_at + ?, next_poll_at = next_poll_at + ?", (micros, micros)
        )
    publisher.publish("wire", "one", "S-400 afterwards")
    done = service.json("poll")
    assert (done["feeds"]["polled"], done["hits"], done["deliveries"]["sent"]) == (1, 1, 1)
