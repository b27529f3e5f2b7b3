"""A parser without processes: the same decisions, made where the test stands."""

from aggregator.parse.parser import LadderParser
from aggregator.parse.workers.pool import Reply
from aggregator.parse.workers.protocol import Job, Page
from aggregator.parse.workers.worker import answer

MAX_BODY_BYTES = 10 * 2**20


class Here:
    """Answers jobs in this process, within no limits at all."""

    async def ask(self, job: Job | Page, source: str = "", *, proven: bool = False) -> Reply:
        return answer(job, MAX_BODY_BYTES)


def inline_parser() -> LadderParser:
    """The parser over `Here`."""
    return LadderParser(Here())
