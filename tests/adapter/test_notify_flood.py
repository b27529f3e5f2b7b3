"""Receivers that answer without an end: no send outlasts its deadline or fills the memory.

The sends run in a child process, whose memory is then looked at; the receivers run here.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from tests.adapter.flood import HTTP, MAIL, flood

CHILD = """
import asyncio, json, resource, sys, threading, time
from aggregator.app.clock import SystemClock
from aggregator.core.errors import DeliveryError
from aggregator.core.settings import Channel
from aggregator.notify import open_notifier
from benchmarks.alert_samples import alerts

def rss_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

async def main(channels):
    notifier, found = open_notifier(SystemClock()), {}
    try:
        await notifier.send(Channel(name="warm", service="webhook", url="http://127.0.0.1:9/"), alerts()["instant"])
    except DeliveryError:
        pass
    before = rss_mb()
    for name, fields in channels.items():
        began = time.monotonic()
        try:
            receipt = await notifier.send(Channel(name=name, **fields), alerts()["instant"])
            said = receipt.detail
        except DeliveryError as error:
            said = f"{'unknown' if error.unknown else 'temporary' if error.transient else 'refused'}: {error}"
        found[name] = {"said": said, "seconds": time.monotonic() - began, "mb": rss_mb() - before}
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(t.name == "notify" for t in threading.enumerate()):
        await asyncio.sleep(0.05)
    threads = sum(t.name == "notify" for t in threading.enumerate())
    return {"found": found, "threads": threads}

print(json.dumps(asyncio.run(main(json.loads(sys.stdin.read())))))
"""
TIMEOUT_S = 3
ROOM_MB = 60  # beyond what Apprise takes; the bombs hold hundreds


def sent(channels: dict[str, Any]) -> dict[str, Any]:
    """What a process that sends on each of these channels in turn found, and what it needed."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD], input=json.dumps(channels), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def judge(answer: dict[str, Any], channels: dict[str, Any]) -> dict[str, str]:
    """What was said by name, after time, memory and threads were found to be bounded."""
    found = answer["found"]
    assert found.keys() == channels.keys()
    assert {name: one["mb"] for name, one in found.items() if one["mb"] > ROOM_MB} == {}
    assert {name: one["seconds"] for name, one in found.items() if one["seconds"] > 2 * TIMEOUT_S} == {}
    assert answer["threads"] == 0, "a thread that a receiver keeps for ever is a place on its channel"
    return {name: one["said"] for name, one in found.items()}


def test_http_receivers_without_an_end() -> None:
    """Bodies, heads, lines, chunks, trailers, interim answers, bombs and drips; a status that came is believed."""
    with ExitStack() as stack:
        channels = {
            answer.__name__: {
                "service": "webhook",
                "url": f"http://127.0.0.1:{stack.enter_context(flood(answer))}/",
                "timeout": f"{TIMEOUT_S}s",
            }
            for answer in HTTP
        }
        said = judge(sent(channels), channels)
    for name in ("endless_body", "endless_chunks", "endless_trailers", "gzip_bomb", "nested_bomb", "slow_body"):
        assert "HTTP 500" in said[name], said[name]
    assert "302" in said["gzip_bomb_of_a_redirect"]
    assert "accepted (200)" in said["endless_accepted_body"]
    for name in ("endless_headers", "endless_header_line", "endless_status_line", "interim_answers"):
        assert said[name].startswith("unknown"), said[name]
    assert "is endless" in said["interim_answers"]
    for name in ("slow_head", "slow_interim_answers"):
        assert "no response in time" in said[name], said[name]


SERVICES = {
    "discord": "discord://{host}/webhookid12345678901/tokentokentokentoken",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "json": "json://127.0.0.1:{port}/",
    "xml": "xml://127.0.0.1:{port}/",
    "form": "form://127.0.0.1:{port}/",
    "matrix": "matrix://user:pass@127.0.0.1:{port}/#room",
    "gotify": "gotify://127.0.0.1:{port}/tokentoken12345",
    "ntfy": "ntfy://127.0.0.1:{port}/topic",
    "mattermost": "mmost://127.0.0.1:{port}/tokentoken1234567890",
    "rocketchat": "rocket://user:pass@127.0.0.1:{port}/#room",
    "nextcloud": "ncloud://user:pass@127.0.0.1:{port}/user",
    "home assistant": "hassio://127.0.0.1:{port}/longlivedtoken",
}


@pytest.mark.parametrize("answer", [HTTP[0], HTTP[1], HTTP[5]], ids=["endless 500", "endless 200", "bomb"])
def test_every_service_over_http(answer: Any) -> None:
    """Whatever Apprise's own service does with an answer, it gets a bounded one."""
    with flood(answer) as port:
        channels = {
            name: {"service": "", "url": url.format(port=port, host="x"), "timeout": f"{TIMEOUT_S}s"}
            for name, url in SERVICES.items()
            if "{port}" in url
        }
        judge(sent(channels), channels)


def test_mail_servers_without_an_end() -> None:
    """Any reply of any command may have no end; only from DATA on there is doubt."""
    with ExitStack() as stack:
        channels = {
            name: {
                "service": "mailto",
                "host": "127.0.0.1",
                "port": str(stack.enter_context(flood(answer, mail=True))),
                "from": "a@example.org",
                "to": ["b@example.org"],
                "timeout": f"{TIMEOUT_S}s",
            }
            for name, answer in MAIL.items()
        }
        said = judge(sent(channels), channels)
    assert {name for name, words in said.items() if words.startswith("unknown")} == {"DATA", "the message"}
