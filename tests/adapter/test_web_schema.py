"""schemathesis over every route of the OpenAPI document: no answer that it does not promise, no 5xx."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from aggregator.web import create_app
from aggregator.web.server import bind, serve
from tests.support.sample_data import sample_tables

EXAMPLES = "8"


@pytest.mark.slow
def test_the_api_keeps_its_promises(tmp_path: Path) -> None:
    """Valid requests are accepted, others refused, answers have their shape; the live stream has tests of its own."""

    async def story() -> tuple[int, str]:
        bound = bind("127.0.0.1:0")
        address = f"http://127.0.0.1:{bound.getsockname()[1]}/api/openapi.json"
        task = asyncio.create_task(serve(create_app(sample_tables()), bound=bound))
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", address, "--max-examples", EXAMPLES, "--seed", "1",
            "--exclude-path", "/api/v1/events", "--workers", "1", "--generation-database", "none", "--no-color",
        ]  # fmt: skip
        child = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path
        )
        said, _ = await child.communicate()
        task.cancel()
        await asyncio.wait([task])
        return child.returncode or 0, said.decode(errors="replace")

    status, said = asyncio.run(story())
    assert status == 0, said[-6000:]
