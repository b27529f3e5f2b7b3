"""What `check` refuses no command runs on and no reload takes over; what is half written is no configuration."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.supervisor import get
from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for
from tests.support.receivers import free_port

RULES = "  - {id: watch, any: [S-400]}\n"
CHANNEL = "  desk: {service: webhook, "
FAILING = ("{id: watch, any: [S-400]}", "{id: watch, any: [S-400], tests: {match: [nothing like it]}}")


@contextmanager
def running(publisher: Publisher, receiver: Receiver, service: Service) -> Iterator[tuple[int, str]]:
    """The service with a page, past its first poll; gives the port and the configuration."""
    port = free_port()
    publisher.publish("wire", "zero", "nothing of note")
    text = configuration(publisher, receiver, ["wire"], RULES)
    text = text.replace("enabled: false", f"listen: '127.0.0.1:{port}'")
    service.write("all.yaml", text)
    service.start()
    wait_for(lambda: len(publisher.requests) >= 2, what="two polls")
    yield port, text
    assert service.stop() == 0


def save_on_page(port: int, name: str, old: str, new: str) -> None:
    """Replace a word of a file as the editor of the page does."""
    files = json.loads(get(port, "/api/v1/rules/files")[1])
    (file,) = (one for one in files if one["name"].endswith(name))
    body = json.dumps({"name": file["name"], "text": file["text"].replace(old, new), "digest": file["digest"]})
    page = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{port}"}
    page.request("PUT", "/api/v1/rules/file", body, headers)
    assert page.getresponse().status == 200
    page.close()


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        (
            [
                FAILING,
                (
                    CHANNEL,
                    f"  a: {{service: carrier-pigeon}}\n  b: {{url: 'tgram://x'}}\n{CHANNEL}template: gone.txt, ",
                ),
            ],
            ["nothing like it", "carrier-pigeon", "tgram://", "config/gone.txt"],
        ),
        ([(CHANNEL, f"{CHANNEL}token: '${{EMPTY}}', ")], ["EMPTY is empty"]),
    ],
    ids=["rules and channels", "secrets"],
)
def test_what_check_refuses_nothing_runs_on(
    edits: list[tuple[str, str]], words: list[str], publisher: Publisher, receiver: Receiver, tmp_path: Path
) -> None:
    """`check`, `poll` and `run` say the same and exit with 2; nothing was polled."""
    service = Service(tmp_path, {"EMPTY": ""})
    text = configuration(publisher, receiver, ["wire"], RULES)
    for before, after in edits:
        text = text.replace(before, after)
    service.write("all.yaml", text)
    said = [service.call(command) for command in ("check", "poll", "run")]
    assert [done.returncode for done in said] == [2, 2, 2]
    assert [word for word in words if word not in said[0].stderr] == []
    assert said[0].stderr == said[1].stderr == said[2].stderr
    assert publisher.requests == []


def test_a_reload_refuses_it_too(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """The old configuration goes on, a notice goes out once, page and readiness say so until it is corrected."""
    with running(publisher, receiver, service) as (port, text):
        service.write("all.yaml", text.replace(*FAILING))
        [notice] = wait_for(lambda: [t for t in receiver.texts() if "configuration" in t], what="the notice")
        assert "all.yaml" in notice
        assert json.loads(get(port, "/readyz")[1])["loops"]["configuration"] is False
        assert "the previous one is still running" in get(port, "/status")[1]
        publisher.publish("wire", "one", "S-400 meanwhile")
        wait_for(lambda: any("meanwhile" in t for t in receiver.texts()), what="an alert by the old rules")
        service.write("all.yaml", text.replace("[S-400]", "[S-400, Triumf]"))
        wait_for(lambda: get(port, "/readyz")[0] == 200, what="readiness")
        assert len([t for t in receiver.texts() if "configuration" in t]) == 1


def test_a_file_that_is_still_written_is_no_configuration(
    publisher: Publisher, receiver: Receiver, service: Service
) -> None:
    """Its first half is valid YAML with fewer rules: what comes in meanwhile is matched by the old ones.

    Somebody who saves another file on the page meanwhile does not put that half in force, either.
    """
    service.write("more.yaml", "rules:\n  - {id: other, any: [Other]}\n")
    with running(publisher, receiver, service) as (port, text):
        whole = text.replace(RULES, "".join(f"  - {{id: r{n}, any: [word{n}x]}}\n" for n in range(60)) + RULES)
        lines, file = whole.splitlines(keepends=True), service.config / "all.yaml"
        half = len(lines) // 2
        with file.open("w") as saving:
            for number, line in enumerate(lines[: half + 40]):
                saving.write(line)
                saving.flush()
                if number == half:
                    save_on_page(port, "more.yaml", "Other", "Another")
                    publisher.publish("wire", "one", "S-400 during the save")
                if number >= half:
                    time.sleep(0.1)
            saving.writelines(lines[half + 40 :])
        wait_for(lambda: any("during the save" in t for t in receiver.texts()), what="the alert")
        wait_for(lambda: '"rules": 62' in service.log.read_text(), what="the whole file")
        assert service.log.read_text().count("configuration reloaded") == 1
        assert "Another" in (service.config / "more.yaml").read_text()


def test_a_rotated_secret_is_taken_over(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """Nobody touches the YAML: the file that it names has another content."""
    token = service.config / "token"
    token.write_text("first-token\n")
    publisher.publish("wire", "zero", "nothing of note")
    text = configuration(publisher, receiver, ["wire"], RULES)
    service.write("all.yaml", text.replace(CHANNEL, f"{CHANNEL}token: '${{file:token}}', "))
    service.start()
    publisher.publish("wire", "zero", "nothing of note")
    wait_for(lambda: len(publisher.requests) >= 2, what="two polls")
    token.write_text("second-token\n")
    wait_for(lambda: "configuration reloaded" in service.log.read_text(), what="the new token")
    publisher.publish("wire", "one", "S-400 seen")
    wait_for(lambda: receiver.accepted, what="the alert")
    assert receiver.accepted[0]["headers"]["authorization"] == "Bearer second-token"
    assert service.stop() == 0
