"""A parser without processes: the same decisions, made in the test's own process."""

from aggregator.parse.parser import IncrementalParser
from aggregator.parse.workers.protocol import Reply, Request
from aggregator.parse.workers.worker import run_job

MAX_BODY_BYTES = 10 * 2**20


class InlineRunner:
    """Answers jobs in this process, within no limits at all."""

    async def ask(self, job: Request, source: str = "", *, proven: bool = False) -> Reply:
        return run_job(job, MAX_BODY_BYTES)


def inline_parser() -> IncrementalParser:
    """The parser over `InlineRunner`."""
    return IncrementalParser(InlineRunner())
