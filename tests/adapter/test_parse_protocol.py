"""The protocol of the parse workers: a worker that was taken over can say typed things, and nothing else."""

import marshal
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.parse.workers.pool import Pool, WorkerDied, WorkerLimits
from aggregator.parse.workers.protocol import (
    HEADER,
    MAX_FRAME,
    Answer,
    Article,
    InvalidMessage,
    Job,
    ParseReply,
    Refusal,
    decode_answer,
    decode_requests,
    frame,
)

ENTRY = ("g", None, "t", "", "", "", (), 0.0, None, (), None, None)
HINTS = (None, 3600.0, (1,), (6,))
REPLY = ParseReply("full", "T", None, "en", (ENTRY,), 1, HINTS, None, None, None, (), ((b"x", "y"),), b"m")
REFUSAL = Refusal("m", "html", True)
JOB = Job(b"<rss/>", "http://x/", "", "", None)
LIMITS = WorkerLimits(max_body_bytes=2**20, memory_bytes=2**29, cpu_s=5, wall_s=5, idle_s=5)

pytestmark = pytest.mark.anyio

LIES = {
    "code objects": marshal.dumps((False, [compile("1", "x", "eval")])),
    "a tuple of old": msgspec.msgpack.encode((False, [("full", "title")])),
    "an unknown kind": msgspec.msgpack.encode((False, [("shell", "rm")])),
    "a level of its own": msgspec.msgpack.encode((False, [("feed", "other", *msgspec.structs.astuple(REPLY)[1:])])),
    "a title of bytes": msgspec.msgpack.encode((False, [("feed", "full", b"T", *msgspec.structs.astuple(REPLY)[2:])])),
    "entries without fields": msgspec.msgpack.encode((False, [("feed", "full", "T", None, None, [["g"]], 1, HINTS)])),
    "no such time": msgspec.msgpack.encode(
        (False, [("feed", *msgspec.structs.astuple(REPLY)[:4], ((*ENTRY[:7], math.nan, *ENTRY[8:]),), 1, HINTS)])
    ),
    "a mapping": msgspec.msgpack.encode({"leaving": False, "replies": []}),
    "nothing": b"",
    "a list without its end": b"\x92\xc2\xdd\xff\xff\xff\xff",
    "half a letter": b"\x92\xc2\x91\x92\xa7article\xa1\xff",
    "depth": b"\x91" * 100_000,
}


@pytest.mark.parametrize(
    "message", [Answer(False, [REPLY, Article("a"), Refusal("m", "html", True)]), Answer(True, [])]
)
def test_answers_come_back_as_they_were(message: Answer) -> None:
    """Encoding and decoding change nothing."""
    framed = frame(message)
    assert HEADER.unpack(framed[: HEADER.size]) == (len(framed) - HEADER.size,)
    assert decode_answer(framed[HEADER.size :]) == message


def test_requests_come_back_as_they_were() -> None:
    """Feeds and pages, with and without a memory."""
    jobs: list[Job] = [JOB, Job(b"\xff", "u", "text/xml", "de", b"memory")]
    assert decode_requests(frame([*jobs])[HEADER.size :]) == jobs


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_lies_are_refused(lie: bytes) -> None:
    """Whatever is not one of the values is an InvalidMessage."""
    with pytest.raises(InvalidMessage):
        decode_answer(lie)


@given(st.binary(max_size=200))
def test_noise_is_refused_or_typed(noise: bytes) -> None:
    """Random bytes are an InvalidMessage, or by chance an answer with nothing but replies in it."""
    try:
        answer = decode_answer(noise)
    except InvalidMessage:
        return
    assert all(isinstance(reply, ParseReply | Article | Refusal) for reply in answer.replies)


def program_that_answers(folder: Path, answer: bytes) -> str:
    """A program that greets as a worker does and then sends `answer`, whatever it is asked."""
    said, script = folder / "answer", folder / "worker"
    said.write_bytes(answer)
    script.write_text(f"#!/bin/sh\nprintf 'ready\\n'\nhead -c {HEADER.size} >/dev/null\ncat '{said}'\n", "ascii")
    script.chmod(0o700)
    return str(script)


def framed(payload: bytes) -> bytes:
    return HEADER.pack(len(payload)) + payload


@pytest.mark.parametrize(
    "answers",
    [
        *(framed(lie) for lie in list(LIES.values())[:6]),
        HEADER.pack(MAX_FRAME + 1),
        HEADER.pack(100) + b"too short",
        frame(Answer(False, [])),
        frame(Answer(False, [REPLY, REPLY])),
    ],
)
async def test_a_hijacked_worker_costs_its_own_document(
    answers: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job fails in words; the next job has a new worker, which answers."""
    honest, pool = sys.executable, Pool(1, LIMITS)
    monkeypatch.setattr(sys, "executable", program_that_answers(tmp_path, answers))
    try:
        with pytest.raises(WorkerDied):
            await pool.ask(JOB)
        monkeypatch.setattr(sys, "executable", honest)
        reply: Sequence[object] | object = await pool.ask(JOB)
        assert isinstance(reply, ParseReply | Refusal)
    finally:
        await pool.close()
