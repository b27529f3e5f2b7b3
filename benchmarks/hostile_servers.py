"""Every hostile document and server of the tests at an address of its own, for `benchmarks.hostile`.

Prints one line of JSON, {case: URL}, and serves until it is ended.
"""

import asyncio
import json
import os
from contextlib import AsyncExitStack

from tests.support.hostile_documents import ANSWERS, HEAVY, REFUSED, SURVIVED, slow_handshake
from tests.support.loopback import Answer, Loopback, answer


def cases() -> dict[str, Answer]:
    """What is said, by case."""
    documents = {
        f"document: {name}": answer(200, make(), Content_Type="application/xml")
        for name, make in (REFUSED | SURVIVED | HEAVY).items()
    }
    return documents | {f"answer: {name}": said for name, (said, _, _) in ANSWERS.items()}


async def main() -> None:
    urls: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for number, (case, said) in enumerate(cases().items(), 1):
            site = await stack.enter_async_context(Loopback(host=f"127.9.0.{number}"))
            urls[case] = site.script("/", said)
        server = await asyncio.start_server(slow_handshake, "127.9.1.1", 0)
        await stack.enter_async_context(server)
        urls["answer: slow TLS handshake"] = f"https://127.9.1.1:{server.sockets[0].getsockname()[1]}/"
        print(json.dumps(urls), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    os.nice(10)  # what is measured is the poller, not who attacks it
    asyncio.run(main())
