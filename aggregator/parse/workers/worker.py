"""A parse worker: a process of its own that may be killed, `python -m aggregator.parse.workers.worker`.

It reads frames with batches of jobs from standard input and answers each on standard output. It has no
network, no database and no secrets, and a limit on memory, on time of the processor, and on its age.
"""

import os
import resource
import sys
from typing import BinaryIO

from aggregator.parse.document import read
from aggregator.parse.payload import Rejected
from aggregator.parse.workers import protocol

MAX_DOCUMENTS = 5000
MAX_RESIDENT_BYTES = 100 * 2**20


def serve(requests: BinaryIO, answers: BinaryIO, *, cpu_s: int, max_body_bytes: int) -> None:
    """Answer until the pipe is closed or the worker is too old or too big; the last answer says so."""
    documents = 0
    while header := requests.read(protocol.HEADER.size):
        (length,) = protocol.HEADER.unpack(header)
        jobs = protocol.decode_requests(requests.read(length))
        _allow_cpu(cpu_s)
        replies = [run_job(job, max_body_bytes) for job in jobs]
        documents += len(jobs)
        leaving = documents >= MAX_DOCUMENTS or _resident_bytes() > MAX_RESIDENT_BYTES
        answers.write(_framed(protocol.Answer(leaving, replies)))
        answers.flush()
        if leaving:
            return


def _framed(answer: protocol.Answer) -> bytes:
    """Frame an answer; a reply that is no Unicode text is refused alone."""
    try:
        return protocol.frame(answer)
    except UnicodeEncodeError:
        replies = [_encodable(reply) for reply in answer.replies]
        return protocol.frame(protocol.Answer(answer.leaving, replies))


def _encodable(reply: protocol.Reply) -> protocol.Reply:
    try:
        protocol.frame(protocol.Answer(leaving=False, replies=[reply]))
    except UnicodeEncodeError as error:
        return protocol.Refusal(f"The parser failed on this document ({error.reason}).", "broken", False)
    return reply


def run_job(job: protocol.Request, max_body_bytes: int) -> protocol.Reply:
    """Return the reply to one job: a feed is read with what is remembered of it, a page for its article."""
    try:
        if isinstance(job, protocol.ArticlePage):
            from aggregator.parse import article  # most workers never see a page

            return article.read(job, max_body_bytes)
        return read(job, max_body_bytes)
    except Rejected as refusal:
        return protocol.Refusal(refusal.message, refusal.found, refusal.transient)
    except (MemoryError, RecursionError):
        return protocol.TOO_MUCH_MEMORY
    except Exception as error:  # noqa: BLE001 -- no document ends a worker by what we did not think of
        message = f"The parser failed on this document ({type(error).__name__}: {error})."
        return protocol.Refusal(message.encode("utf-8", "replace").decode("utf-8"), "broken", False)


def _allow_cpu(seconds: int) -> None:
    """Let the kernel end this process if the next batch takes longer than `seconds` of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, hard))


def _resident_bytes() -> int:
    """Return the memory in use now. The peak that getrusage knows includes that of the parent process."""
    try:
        with open("/proc/self/statm", "rb") as figures:
            return int(figures.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0  # no /proc: age and address space limit the worker all the same


def main(arguments: list[str]) -> None:
    """Set the limits `MEMORY_BYTES CPU_SECONDS BODY_BYTES NICE` before the first byte of a document is seen."""
    memory_bytes, cpu_s, max_body_bytes, nice = map(int, arguments)
    os.nice(nice)
    _, hardest = resource.getrlimit(resource.RLIMIT_AS)
    if hardest != resource.RLIM_INFINITY:  # the service itself was given less
        memory_bytes = min(memory_bytes, hardest)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    answers.write(protocol.HELLO)
    try:
        answers.flush()
    except BrokenPipeError:  # who started us was killed meanwhile; his log needs no traceback
        os._exit(0)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    serve(sys.stdin.buffer, answers, cpu_s=cpu_s, max_body_bytes=max_body_bytes)


if __name__ == "__main__":
    main(sys.argv[1:])
