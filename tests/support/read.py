"""Reads one document as a worker does, in this process."""

from aggregator.parse.workers.protocol import EntryRecord, How, Job, ParseReply, Refusal
from aggregator.parse.workers.worker import run_job

MAX_BODY_BYTES = 10 * 2**20
URL = "https://site.example/news/"
SUMMARY, CONTENT, PUBLISHED = 3, 4, 7


def reading(body: bytes | str, how: How | None, *, url: str = URL, memory: bytes | None = None) -> ParseReply:
    """What a document holds."""
    reply = _reply(body, how, url, memory)
    assert isinstance(reply, ParseReply), reply
    return reply


def refusal(body: bytes | str, how: How | None, *, url: str = URL) -> Refusal:
    """Why a document is not read."""
    reply = _reply(body, how, url, None)
    assert isinstance(reply, Refusal), reply
    return reply


def titles(reply: ParseReply) -> list[str]:
    return [entry[2] for entry in reply.entries]


def links(reply: ParseReply) -> list[str | None]:
    return [entry[1] for entry in reply.entries]


def contents(reply: ParseReply) -> list[str]:
    return [entry[4] for entry in reply.entries]


def first(reply: ParseReply) -> EntryRecord:
    return reply.entries[0]


def _reply(body: bytes | str, how: How | None, url: str, memory: bytes | None) -> object:
    data = body.encode() if isinstance(body, str) else body
    return run_job(Job(data, url, "text/html; charset=utf-8", "", memory, how), MAX_BODY_BYTES)
