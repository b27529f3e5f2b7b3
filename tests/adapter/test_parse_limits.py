"""Documents made to harm: refused in words, or the worker dies and no other feed notices."""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psutil
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aggregator.core.errors import ParseError
from aggregator.core.model import FeedState, Fetched, ParsedFeed
from aggregator.parse import open_parser
from aggregator.parse.document import read
from aggregator.parse.payload import Rejected
from aggregator.parse.replies import parsed_feed
from aggregator.parse.workers import pool, worker
from aggregator.parse.workers.pool import Pool, Worker, WorkerLimits, WorkerUnusable
from aggregator.parse.workers.protocol import Answer, Job, ParseReply, Refusal, Reply, Request
from aggregator.ports import Parser
from tests.support.hostile_documents import GOOD, HEAVY, REFUSED, SURVIVED, rss

URL = "https://feeds.example/f"
pytestmark = pytest.mark.anyio
STATE = FeedState(id="f", url=URL, configured_url=URL)


@pytest.mark.parametrize("case", REFUSED)
def test_a_hostile_document_is_refused_at_once(case: str) -> None:
    """Before feedparser sees it, with a sentence for the person who reads the feed's error."""
    began = time.process_time()
    with pytest.raises(Rejected) as caught:
        read(Job(REFUSED[case](), URL, "application/xml", "", None), 10 * 2**20)
    assert caught.value.found == "hostile"
    assert not caught.value.transient
    assert time.process_time() - began < 8


@pytest.mark.parametrize("case", SURVIVED)
def test_a_clumsy_document_costs_seconds_at_most(case: str) -> None:
    """No reader goes quadratic on it; its entry is found, or it is refused."""
    began = time.process_time()
    try:
        answer = read(Job(SURVIVED[case](), URL, "application/xml", "", None), 10 * 2**20)
        assert len(answer.entries) == 1
    except Rejected:
        assert case == "a declaration of encodings"
    assert time.process_time() - began < 8


def test_a_text_without_an_end_is_cut() -> None:
    """A title, an author, a category of a megabyte; the words of the title are kept where it stands alone."""
    long = "S-400 \u00a0\u202e" * 100_000
    item = f"<item><title>{long}</title><author>{long}</author><category>{long}</category></item>"
    body = f"<?xml version='1.0'?><rss version='2.0'><channel><title>{long}</title>{item}</channel></rss>".encode()
    found = read(Job(body, URL, "application/xml", "", None), 10 * 2**20)
    (row,) = found.entries
    assert len(found.title) <= 1000
    assert (len(row[2]) <= 1000, len(row[5]) <= 1000, len(row[6][0]) <= 200) == (True, True, True)
    assert row[2].endswith("…")
    assert len(row[3]) > 100_000
    assert "\u202e" not in "".join((found.title, row[2], row[3], row[5], *row[6]))


def test_a_page_is_named_without_what_steers() -> None:
    """The title of a page in place of a feed is part of a sentence, which a terminal shows."""
    page = "<html><title>\x1b[2J\x9b2J\u202enigol</title></html>".encode()
    with pytest.raises(Rejected) as caught:
        read(Job(page, URL, "text/html", "", None), 10 * 2**20)
    with pytest.raises(ParseError, match=r'^This is an HTML page \("\[2J2Jnigol"\) instead of a feed\.$'):
        parsed_feed(Refusal(caught.value.message, caught.value.found, caught.value.transient), b"")


def test_no_exception_ends_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody thought of costs one document: it is refused with the exception's own words."""

    def unforeseen(*_: object) -> None:
        raise LookupError("unknown encoding: x")

    monkeypatch.setattr(worker, "read", unforeseen)
    refusal = worker.run_job(Job(GOOD, URL, "application/xml", "", None), 2**20)
    message = "The parser failed on this document (LookupError: unknown encoding: x)."
    assert refusal == Refusal(message, "broken", False)


@given(
    st.binary(max_size=40),
    st.sampled_from(["utf-8", "gb2312", "x-y", "utf-16", "utf-7", "hz", "euc-kr", "\udc80", "idna", "rot13", ""]),
    st.sampled_from(
        ["text/xml; charset=big5", "text/html", "application/json; charset=utf-32", "", "\udcff/;charset=\udcff"]
    ),
)
@settings(max_examples=150, deadline=None)
def test_no_bytes_under_any_label_are_more_than_refused(raw: bytes, label: str, sent: str) -> None:
    """Every charset that a declaration or a header can name, over whatever bytes."""
    declaration = f"<?xml version='1.0' encoding='{label}'?>".encode("utf-8", "surrogatepass")
    for body in (
        raw,
        declaration + raw,
        declaration + GOOD.replace(b"fine", raw),
        b"<!DOCTYPE rss [" + raw + b"]>" + GOOD,
    ):
        reply = worker.run_job(Job(body, URL, sent, "", None), 2**20)
        assert not isinstance(reply, Refusal) or "The parser failed" not in reply.message


def fetched(body: bytes) -> Fetched:
    """A response with this body."""
    return Fetched(url=URL, status=200, body=body, content_type="application/xml")


async def ended(worker: psutil.Process) -> None:
    """Wait for the end of a process without taking its exit status from the event loop."""
    for _ in range(200):
        if not worker.is_running():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the worker lives on")


async def outcome(parser: Parser, body: bytes, feed: str = "f") -> ParsedFeed | ParseError:
    """The feed or the error."""
    try:
        return await parser.parse(fetched(body), replace(STATE, id=feed), None)
    except ParseError as error:
        return error


@pytest.mark.slow
async def test_heavy_documents() -> None:
    """Each is read or refused in words, whether or not a worker dies of it; the next document is read."""
    async with open_parser(1, cpu_s=0) as parser:
        for case, make in HEAVY.items():
            found = await outcome(parser, make(), case)
            assert isinstance(found, ParsedFeed) or found.found == "hostile"
            assert isinstance(await outcome(parser, GOOD), ParsedFeed)


def endless() -> bytes:
    """Well over a second of honest work."""
    return rss(b"</item><item>".join(b"<guid>%d</guid>" % number for number in range(90_000)))


async def test_a_document_that_takes_too_long_hurts_only_itself() -> None:
    """The worker is killed; documents of the same batch are read by the next one."""
    async with open_parser(1, wall_s=0.4) as parser:
        await outcome(parser, GOOD)
        bodies = [GOOD, endless(), GOOD, GOOD]
        found = await asyncio.gather(*(outcome(parser, body) for body in bodies))
    assert [isinstance(one, ParsedFeed) for one in found] == [True, False, True, True]
    assert isinstance(found[1], ParseError)
    assert (found[1].found, found[1].transient) == ("hostile", False)
    assert "took longer than 0.4 s" in str(found[1])


async def test_a_slow_feed_waits_apart() -> None:
    """Once it was too much for a quick worker, nobody waits for a feed; when it mends, it is one like the others."""
    async with open_parser(1, wall_s=0.4) as parser:
        await outcome(parser, endless(), "slow")
        again = asyncio.create_task(outcome(parser, endless(), "slow"))
        assert isinstance(await outcome(parser, GOOD), ParsedFeed)
        assert not again.done()
        await again
        many = await asyncio.gather(*(outcome(parser, GOOD, "slow") for _ in range(12)))
        assert [isinstance(one, ParsedFeed) for one in many] == [True] * 8 + [False] * 4
        assert isinstance(many[-1], ParseError)
        assert many[-1].transient
        repaired = await asyncio.gather(*(outcome(parser, GOOD, "slow") for _ in range(12)))
        assert all(isinstance(one, ParsedFeed) for one in repaired)


async def test_unproven_feeds_do_not_slow_a_proven_one() -> None:
    """Forty feeds come at once, each with a document for which a quick worker does not suffice; a feed that did well
    is read before a second one of them is given up."""
    proven = replace(STATE, id="proven", last_ok_at=datetime(2026, 1, 1, tzinfo=UTC))
    async with open_parser(2) as parser:
        await parser.parse(fetched(GOOD), proven, None)
        strangers = [asyncio.create_task(outcome(parser, endless(), f"stranger {n}")) for n in range(40)]
        await asyncio.sleep(0)
        for _ in range(3):
            assert (await parser.parse(fetched(GOOD), proven, None)).items == 1
            assert sum(task.done() for task in strangers) <= 2
        for task in strangers:
            task.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)


async def test_proven_feeds_use_every_worker_if_there_is_much_to_read() -> None:
    """What is kept for them is not all that they get; but no process is started for little."""
    before = set(psutil.Process().children())
    proven = replace(STATE, last_ok_at=datetime(2026, 1, 1, tzinfo=UTC))
    async with open_parser(2) as parser:
        await asyncio.gather(*(parser.parse(fetched(GOOD), proven, None) for _ in range(40)))
        assert len(set(psutil.Process().children()) - before) == 1
        large = GOOD + b"<!--%s-->" % bytes(500_000).replace(b"\0", b"x")
        await asyncio.gather(*(parser.parse(fetched(large), proven, None) for _ in range(40)))
        assert len(set(psutil.Process().children()) - before) == 2


async def test_a_document_that_takes_too_much_memory_is_refused() -> None:
    """The limit is the process's own; the message says what happened."""
    async with open_parser(1, memory_bytes=96 * 2**20) as parser:
        assert isinstance(await outcome(parser, GOOD), ParsedFeed)
        error = await outcome(parser, rss(b"<a b='c'/>" * 450_000))
        assert isinstance(error, ParseError)
        assert error.found == "hostile"
        assert isinstance(await outcome(parser, GOOD), ParsedFeed)


async def test_the_kernel_ends_what_burns_too_much_time() -> None:
    """The limit of processor time works where the wall clock does not."""
    async with open_parser(1, cpu_s=0) as parser:
        found = [await outcome(parser, endless()) for _ in range(2)]
    assert any(isinstance(one, ParseError) and "processor time" in str(one) for one in found)


async def test_no_process_without_work_and_none_after_rest() -> None:
    """Workers start with the first document that needs one, and end when idle."""
    before = set(psutil.Process().children())
    async with open_parser(2, idle_s=0.2) as parser:
        assert set(psutil.Process().children()) == before
        assert isinstance(await outcome(parser, GOOD), ParsedFeed)
        (worker,) = set(psutil.Process().children()) - before
        assert worker.memory_info().rss < 60 * 2**20
        await ended(worker)
        assert isinstance(await outcome(parser, GOOD), ParsedFeed)
    assert set(psutil.Process().children()) == before


async def test_a_worker_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment is empty but for the path to this package."""
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    before = set(psutil.Process().children())
    async with open_parser(1) as parser:
        await outcome(parser, GOOD)
        (worker,) = set(psutil.Process().children()) - before
        assert "hunter2" not in str(worker.environ())


async def test_ctrl_c_does_not_reach_a_worker() -> None:
    """A terminal signals its whole group, also workers that are just starting: those have one of their own."""
    before = set(psutil.Process().children())
    async with open_parser(1) as parser:
        await outcome(parser, GOOD)
        (worker,) = set(psutil.Process().children()) - before
        assert os.getpgid(worker.pid) == worker.pid != os.getpgrp()


async def test_a_killed_worker_is_replaced() -> None:
    """Whoever kills it: the next document gets another one."""
    before = set(psutil.Process().children())
    async with open_parser(1) as parser:
        await outcome(parser, GOOD)
        (worker,) = set(psutil.Process().children()) - before
        worker.kill()
        await ended(worker)
        found = [await outcome(parser, GOOD) for _ in range(2)]
    assert all(isinstance(one, ParsedFeed) for one in found)


async def test_a_worker_killed_while_idle_costs_no_document() -> None:
    """Whether or not the loop has heard of the death: no document is lost, and no feed suspected."""
    before = set(psutil.Process().children())
    async with open_parser(2) as parser:
        for waits in (False, True, False, True):
            await asyncio.gather(*(outcome(parser, GOOD, f"feed {n}") for n in range(20)))
            workers = set(psutil.Process().children()) - before
            assert workers
            for worker in workers:
                worker.kill()
            if waits:
                await asyncio.gather(*map(ended, workers))
            found = await asyncio.gather(*(outcome(parser, GOOD, f"feed {n}") for n in range(20)))
            assert all(isinstance(one, ParsedFeed) for one in found), found
        assert not parser._workers._queues._suspects  # type: ignore[attr-defined]


async def test_a_worker_killed_while_busy_costs_no_document() -> None:
    """What it was reading goes to a new process, each document by itself."""
    before = set(psutil.Process().children())
    limits = WorkerLimits(max_body_bytes=2**24, memory_bytes=2**29, cpu_s=20, wall_s=20, idle_s=5)
    queues = Pool(1, limits)
    job, long = (Job(body, URL, "application/xml", "", None) for body in (GOOD, endless()))
    try:
        await queues.ask(job)
        (worker,) = set(psutil.Process().children()) - before
        asked = [asyncio.create_task(queues.ask(one)) for one in (long, job, job)]
        await asyncio.sleep(0.1)
        worker.kill()
        replies = await asyncio.gather(*asked)
    finally:
        await queues.close()
    assert [type(reply) for reply in replies] == [ParseReply] * 3


async def test_a_bug_in_a_lane_fails_its_jobs_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for an answer that cannot come; the next jobs are answered; the log says what happened."""
    limits = WorkerLimits(max_body_bytes=2**20, memory_bytes=2**29, cpu_s=5, wall_s=5, idle_s=5)
    queues = Pool(2, limits)
    asks = Worker.ask
    broken = 3

    async def ask(worker: Worker, jobs: Sequence[Request]) -> list[Reply]:
        nonlocal broken
        if broken:
            broken -= 1
            raise LookupError("nobody thought of this")
        return await asks(worker, jobs)

    monkeypatch.setattr(Worker, "ask", ask)
    job = Job(GOOD, URL, "application/xml", "", None)
    try:
        async with asyncio.timeout(20):
            failed = await asyncio.gather(*(queues.ask(job) for _ in range(3)), return_exceptions=True)
            while broken:
                await asyncio.gather(queues.ask(job), return_exceptions=True)
            assert isinstance(await queues.ask(job), ParseReply)
    finally:
        await queues.close()
    assert {type(one) for one in failed} <= {WorkerUnusable, ParseReply}
    assert "nobody thought of this" in str(next(one for one in failed if isinstance(one, WorkerUnusable)))
    assert "queue failed" in caplog.text


async def test_old_workers_are_replaced_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that says that it leaves has answered everything it was asked."""
    limits = WorkerLimits(max_body_bytes=2**20, memory_bytes=2**29, cpu_s=5, wall_s=5, idle_s=5)
    queues = Pool(1, limits)
    exchanged = pool._exchange

    async def leaving(process: asyncio.subprocess.Process, jobs: Sequence[Request]) -> Answer:
        return Answer(leaving=True, replies=(await exchanged(process, jobs)).replies)

    monkeypatch.setattr(pool, "_exchange", leaving)
    job = Job(GOOD, URL, "application/xml", "", None)
    try:
        replies = await asyncio.gather(*(queues.ask(job) for _ in range(20)))
    finally:
        await queues.close()
    assert [len(reply.entries) for reply in replies if isinstance(reply, ParseReply)] == [1] * 20


def idle_then_killed(*, heard: bool) -> None:
    """Kill an idle worker below its pool, on the event loop that the service runs on; then ask for two documents."""

    async def main() -> None:
        queues = Pool(1, WorkerLimits(max_body_bytes=2**20, memory_bytes=2**29, cpu_s=5, wall_s=5, idle_s=5))
        job = Job(GOOD, URL, "application/xml", "", None)
        before = set(psutil.Process().children())
        try:
            await queues.ask(job)
            (worker,) = set(psutil.Process().children()) - before
            worker.kill()
            if heard:
                await ended(worker)
                await asyncio.sleep(0.1)
            assert [type(await queues.ask(job)) for _ in range(2)] == [ParseReply] * 2
        finally:
            await queues.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("heard", [True, False])
def test_a_pool_replaces_an_idle_worker_that_was_killed(heard: bool) -> None:
    """Before the next document is written to it, or with the document tried again where nobody could know."""
    idle_then_killed(heard=heard)
