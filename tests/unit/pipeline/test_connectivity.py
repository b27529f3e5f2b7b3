"""A local outage is noticed when enough is known, and logged once."""

import logging

import pytest

from aggregator.core.errors import Unreachable
from aggregator.pipeline.connectivity import OutageDetector
from tests.unit.pipeline.builders import FakeClock

LOST = Unreachable("connection refused", url="u")


def test_the_dead_are_first_after_a_start() -> None:
    """While most hosts have only just been asked, those that fail at once prove nothing."""
    clock = FakeClock()
    network = OutageDetector(clock)
    for number in range(20):
        network.begin(f"h{number}")
    assert not any(network.record_outcome(f"dead{number}", LOST) for number in range(8))


def test_long_silence_is_no_proof_of_life() -> None:
    """Where name resolution hangs, nobody answers: hosts that were asked a while ago are not waited for."""
    clock = FakeClock()
    network = OutageDetector(clock)
    for number in range(20):
        network.begin(f"h{number}")
    clock.move(seconds=10)
    assert [network.record_outcome(f"h{number}", LOST) for number in range(5)] == [False, False, False, True, True]


def test_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line when it begins and one when it is over, however many polls fail between."""
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    network = OutageDetector(clock)
    for number in range(30):
        network.record_outcome(f"h{number}", LOST)
    assert [record.message[:10] for record in caplog.records] == ["most hosts"]
    clock.move(seconds=90)
    assert not network.record_outcome("h1", None)
    network.record_outcome("h2", None)
    assert [record.message for record in caplog.records][1:] == ["hosts are reachable again after 90 s"]
