"""Kinds of jobs, and the queues in which processes look for them."""

from hashlib import sha256

from aggregator.core.model import Job

POLL, DELIVER, ROUTE, UPKEEP = "poll", "deliver", "route", "upkeep"
STALLED_S = 15.0  # a process that was not heard of for so long has lost its jobs
HEARTBEAT_S = 5.0
PLAN_S = 1.0
MAX_QUEUE_CHARS = 40  # PostgreSQL cuts names of notifications at 63 bytes, and the engine adds a prefix


def queue_of(job: Job) -> str:
    """Return the queue of a job: one for each channel, so that who lacks its secrets does not take it."""
    return channel_queue(job.subject) if job.kind == DELIVER else job.kind


def channel_queue(channel: str) -> str:
    """Return the queue of a channel's deliveries."""
    name = f"{DELIVER}:{channel}"
    if len(name.encode()) <= MAX_QUEUE_CHARS:
        return name
    return f"{DELIVER}:#{sha256(channel.encode()).hexdigest()[:24]}"
