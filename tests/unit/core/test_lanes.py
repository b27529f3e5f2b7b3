"""Slots and lanes."""

from aggregator.core.polling.lanes import SLOTS, fair_share, lanes_for, slot_of, slots_of


def test_slot_of_a_host_never_changes() -> None:
    """The numbers are in every database: another hash would be a migration."""
    assert [slot_of(host) for host in ("example.org", "127.0.0.1:8080", "bbc.co.uk")] == [735, 2088, 3125]


def test_every_slot_is_in_one_lane() -> None:
    """Whatever the number of lanes, no host is polled twice or forgotten."""
    for lanes in (16, 256, 4096):
        assert sorted(slot for lane in range(lanes) for slot in slots_of(lane, lanes)) == list(range(SLOTS))


def test_number_of_lanes_follows_the_polls() -> None:
    """About fifty feeds gather in ten seconds; never fewer than 16 lanes, nor more than slots."""
    assert [lanes_for(polls) for polls in (0, 1, 80, 81, 1111, 10**9)] == [16, 16, 16, 32, 256, 4096]


def test_lanes_are_shared_out() -> None:
    """Together the processes may take every lane, and none has more than its part, rounded up."""
    assert [fair_share(16, pollers) for pollers in (0, 1, 2, 3, 16, 40)] == [16, 16, 8, 6, 1, 1]
