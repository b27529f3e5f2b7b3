"""Lanes: shares of all hosts, each polled by one process of the cluster at a time.

A host has a slot for good; a lane is every slot with the same remainder, so a feed changes its lane with the number
of lanes only, and all feeds of a host are always in one.
"""

from zlib import crc32

SLOTS = 4096
MIN_LANES = 16
FEEDS_PER_JOB = 50  # a job costs about as much as two polls of unchanged feeds
PATIENCE_S = 10.0  # how long feeds wait for others of their lane


def slot_of(host: str) -> int:
    """Return the slot of a host (a host_key), 0 to 4,095; the same on every machine."""
    return crc32(host.encode("utf-8", "surrogatepass")) % SLOTS


def lanes_for(polls_per_s: float) -> int:
    """Return a number of lanes, a power of two, with which a lane gathers about one job within its patience."""
    wanted = polls_per_s * PATIENCE_S / FEEDS_PER_JOB
    lanes = MIN_LANES
    while lanes < wanted and lanes < SLOTS:
        lanes *= 2
    return lanes


def fair_share(lanes: int, pollers: int) -> int:
    """Return how many lanes a process polls at a time, so that something is left for the others."""
    return -(-lanes // max(1, pollers))


def slots_of(lane: int, lanes: int) -> range:
    """Return the slots of a lane."""
    return range(lane, SLOTS, lanes)
