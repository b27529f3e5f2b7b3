"""What publishers and receivers write is shown, and steers nothing: every command, export, page and log line.

Once as it comes in today, and once as a release without the sanitiser left it in the database.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aggregator.web.templating import environment
from tests.acceptance.test_commands import Installation
from tests.support.harness import Publisher, Receiver, configuration

STEER = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202egnp.elif\u2069\u200b\u00ad\r"
ARRIVES = "\x9b2J\u202egnp.elif\u2069\u200b\u00ad"  # what of it an XML document can hold
TITLE = "=cmd|'/C calc'!A0 S-400"
HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
OLD = """
UPDATE entries SET title = title || :steer || :long, author = author || :steer, content = content || :steer;
UPDATE hits SET snippet = snippet || :steer, reason = reason || :steer;
UPDATE feeds SET title = title || :steer || :long, last_error = 'the answer was ' || :steer;
UPDATE stories SET title = title || :steer;
UPDATE deliveries SET title = title || :steer || :long, last_error = :steer;
UPDATE attempts SET detail = detail || :steer
"""
RULES = "  - {id: s400, title: Triumf, any: [S-400]}\n"


def steering(text: str) -> set[str]:
    """The characters of an output that do more than show."""
    return {char for char in text if unicodedata.category(char) in HARMFUL} - {"\n", "\t"}


@pytest.fixture(scope="module", params=["arrived", "stored before"])
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose publisher and receiver are hostile."""
    publisher, receiver = Publisher(), Receiver()
    made = Installation(tmp_path_factory.mktemp("attacked"), publisher, receiver)
    publisher.publish("wire", "zero", "nothing of note")
    publisher.special["page"] = (
        200,
        {"Content-Type": "text/html"},
        f"<html><title>{STEER} a page</title><body>no feed</body></html>".encode(),
    )
    made.write(configuration(publisher, receiver, ["wire", "page"], RULES, every="1h"))
    made.call("poll", "--force")
    publisher.publish("wire", "one", TITLE + ARRIVES, f"The S-400 {ARRIVES} text")
    made.call("poll", "--force")
    if request.param == "stored before":
        [database] = made.folder.rglob("*.db")
        with closing(sqlite3.connect(database)) as connection, connection:
            for statement in OLD.split(";"):
                connection.execute(statement, {"steer": STEER, "long": "x" * 1_000_000})
    yield made
    publisher.close()
    receiver.close()


def _first(made: Installation, *listing: str) -> str:
    return str(made.json(*listing)[0]["id"])


def test_every_command(attacked: Installation) -> None:
    """Whatever a command prints holds words and lines only, and a title that had no end has one."""
    hit, delivery = _first(attacked, "hits", "list"), _first(attacked, "deliveries", "list")
    entry = str(attacked.json("search", "S-400")[0]["id"])
    page = f"{attacked.publisher.url}/page"
    for command in (
        ["poll", "--force"],
        ["status"],
        ["doctor"],
        ["check"],
        ["check", "--online"],
        ["feeds", "list"],
        ["feeds", "show", "wire"],
        ["feeds", "show", "page"],
        ["feeds", "discover", page],
        ["feeds", "export"],
        ["hits", "list"],
        ["hits", "show", hit],
        ["hits", "mark", hit, "relevant"],
        ["search", "S-400"],
        ["rules", "list"],
        ["rules", "explain", entry],
        ["rules", "backtest", "s400"],
        ["rules", "apply", "s400"],
        ["deliveries", "list"],
        ["deliveries", "show", delivery],
        ["deliveries", "retry", delivery],
        ["silence", "list"],
        ["match", "--term", "S-400"],
    ):
        said = attacked.call(*command, stdin=f"S-400 {STEER}")
        assert steering(said.output) == set(), command
        assert len(said.output) < 20_000, command


@pytest.mark.parametrize("command", ["hits list", "feeds list", "deliveries list", "search S-400", "status"])
def test_json(attacked: Installation, command: str) -> None:
    """A document for programs may be looked at by people, too."""
    said = attacked.call(*command.split(), "--json").stdout
    assert steering(said) == set()
    json.loads(said)


@pytest.mark.parametrize("style", ["csv", "jsonl", "atom"])
def test_exports(attacked: Installation, style: str) -> None:
    """Of bounded size, and no cell is a formula."""
    said = attacked.call("hits", "export", "--format", style).stdout
    assert steering(said.replace("\r\n", "\n")) == set()
    assert len(said) < 20_000
    if style == "csv":
        assert ",\"'=cmd" in said


def test_the_page() -> None:
    """Whatever a template prints, a text or markup made of one."""
    shown = environment().from_string("{{ text }}<b>{{ text | whole }}</b>{{ 3 }}").render(text=f"S-400{STEER}<")
    assert steering(shown) == set()
    assert shown.endswith('<b><span class="whole">S-400</span>]0;owned[2J2Jgnp.elif&lt;</b>3')


def test_no_command_prints_past_the_sink() -> None:
    """click's own functions know nothing of what they print; cli/output.py stands before them."""
    pattern = re.compile(r"click\.s?echo\(|click\.style\(|^ *print\(", re.MULTILINE)
    files = sorted((Path(__file__).parents[2] / "aggregator" / "cli").glob("*.py"))
    assert [file.name for file in files if pattern.search(file.read_text(encoding="utf-8"))] == ["output.py"]
