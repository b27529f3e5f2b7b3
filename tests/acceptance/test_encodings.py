"""Output to a terminal or file in an old encoding: what it cannot show is replaced, and nothing ends in a traceback."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.harness import PATIENCE_S, Publisher, Receiver, Service, configuration

TITLE = "«Триумф» S-400 — Ankara’s “second” battery – 导弹 😀"
RULES = "  - {id: watch, title: Триумф, any: [S-400], notify: [desk, console]}\n"
LISTS = (
    ("hits", "list"),
    ("deliveries", "list"),
    ("feeds", "list"),
    ("rules", "list"),
    ("search", "S-400"),
    ("hits", "export", "--format", "csv"),
    ("check",),
    ("doctor",),
)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Publisher]]:
    """A feed in many scripts that was polled, and a channel that prints."""
    publisher, receiver = Publisher(), Receiver()
    service = Service(tmp_path_factory.mktemp("encodings"))
    written = configuration(publisher, receiver, ["wire"], RULES, every="1h")
    service.write("all.yaml", written.replace("channels:\n", "channels:\n  console: {service: console}\n"))
    publisher.publish("wire", "zero", "nothing of note")
    service.call("poll", "--force")
    publisher.publish("wire", "one", TITLE, TITLE)
    service.call("poll", "--force")
    yield service, publisher
    publisher.close()
    receiver.close()


def call(service: Service, encoding: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environ = {**service.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"}
    return subprocess.run(
        service.command(*arguments),
        capture_output=True,
        timeout=PATIENCE_S,
        env=environ,
        cwd=service.folder,
        check=False,
    )


@pytest.mark.parametrize("arguments", LISTS, ids=" ".join)
def test_lists_in_ascii(installation: tuple[Service, Publisher], arguments: tuple[str, ...]) -> None:
    """Every list is printed, with question marks for what ASCII lacks."""
    service, _ = installation
    done = call(service, "ascii", *arguments)
    assert b"Traceback" not in done.stderr
    assert b"codec" not in done.stderr
    assert done.returncode in (0, 1 if arguments == ("doctor",) else 0), done.stderr
    assert done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_alerts_on_the_console(installation: tuple[Service, Publisher], encoding: str) -> None:
    """The console channel prints what it can, and its alert is sent, not tried for ever."""
    service, publisher = installation
    publisher.publish("wire", encoding, f"{TITLE} {encoding}", TITLE)
    done = call(service, encoding, "poll", "--force")
    assert b"Traceback" not in done.stderr
    assert f"battery – 导弹 😀 {encoding}".encode(encoding, "replace") in done.stdout
    states = {row["state"] for row in service.json("deliveries", "list") if row["channel"] == "console"}
    assert states == {"sent"}


def test_json_loses_nothing(installation: tuple[Service, Publisher]) -> None:
    """A JSON document in ASCII has everything, escaped."""
    service, _ = installation
    done = call(service, "ascii", "hits", "list", "--json")
    assert TITLE in {hit["entry"]["title"] for hit in json.loads(done.stdout)}
    done.stdout.decode("ascii")
