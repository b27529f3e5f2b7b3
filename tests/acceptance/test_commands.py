"""Every command on one installation with real data, and every mistake a person may make: exit codes, shapes, words.

The commands run in this process (starting it anew each time is tried elsewhere); all below them is real.
"""

import gzip
import json
import logging
import os
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from aggregator.app.clock import SystemClock
from aggregator.cli.program import COMMANDS, SYNONYMS, program
from aggregator.core.schemas.actions import ChannelStatus
from aggregator.store.migrations import REVISIONS
from tests.support.certificates import server_context
from tests.support.harness import Publisher, Receiver, configuration

RULES = """\
  - {id: s400, title: Triumf, any: [S-400], tests: {match: [S-400s arrive], no_match: [AS-400]}}
  - {id: caatsa, all: [CAATSA], any: [Turkey, Ankara], priority: high}
"""
ENTRY = {"id", "title", "link", "published_at"}
HIT = {"id", "rule", "feed", "entry", "spans", "snippet", "story", "created_at", "state"}
FEED = {
    "id", "url", "title", "tags", "state", "etag", "last_modified", "last_polled_at", "next_poll_at", "last_status",
    "failures", "last_error", "entries", "newest_at", "interval_s",
}  # fmt: skip
DELIVERY = {
    "id", "channel", "rules", "hits", "state", "reason", "attempts", "due_at", "sent_at", "last_error", "title",
    "acknowledged_at",
}  # fmt: skip


@contextmanager
def here(folder: Path) -> Iterator[None]:
    before, level, handlers = Path.cwd(), logging.getLogger().level, logging.getLogger().handlers[:]
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        logging.getLogger().setLevel(level)
        logging.getLogger().handlers[:] = handlers


class Installation:
    """A folder with a configuration; commands are called in it."""

    def __init__(self, folder: Path, publisher: Publisher, receiver: Receiver) -> None:
        self.folder, self.publisher, self.receiver = folder, publisher, receiver
        self.config = folder / "config"
        self.config.mkdir(parents=True)

    def write(self, text: str, name: str = "all.yaml") -> None:
        (self.config / name).write_text(text, encoding="utf-8")

    def call(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        """Run a command; what it says never holds a traceback."""
        with here(self.folder):
            done = CliRunner().invoke(program, arguments, input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "Traceback" not in done.output
        return done

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.call(*arguments, stdin=stdin)
        assert done.exit_code == 0, (arguments, done.exit_code, done.output)
        return done.stdout

    def json(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Any:
        """The document: nothing else is on stdout."""
        done = self.call(*arguments, "--json", stdin=stdin)
        assert done.exit_code == code, (arguments, done.exit_code, done.output)
        return json.loads(done.stdout)

    def completed(self, *arguments: str) -> list[str]:
        """What a shell offers for the last argument."""
        with here(self.folder):
            found = ShellComplete(program, {}, "aggregator", "").get_completions([*arguments[:-1]], arguments[-1])
        return [str(item.value) for item in found]

    def refused(self, *arguments: str, code: int = 1, stdin: str | bytes | None = None) -> str:
        """What a refusal says on stderr; stdout is empty."""
        done = self.call(*arguments, stdin=stdin)
        assert (done.exit_code, done.stdout) == (code, ""), (arguments, done.exit_code, done.output)
        return done.stderr


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Publisher, Receiver]]:
    publisher, receiver = Publisher(), Receiver()
    publisher.dated_at = SystemClock().now()  # `--since` means the time of publication
    yield publisher, receiver
    publisher.close()
    receiver.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, servers: tuple[Publisher, Receiver]) -> Installation:
    """A baseline, then four entries of which three hit; one feed is gone."""
    made = Installation(tmp_path_factory.mktemp("installed"), *servers)
    publisher = made.publisher
    publisher.publish("wire", "zero", "nothing of note")
    publisher.publish("blog", "zero", "nothing of note either")
    made.write(configuration(publisher, made.receiver, ["wire", "blog", "missing"], RULES, every="1h"))
    assert made.call("poll", "--force").exit_code == 1, "one feed is missing"
    publisher.publish("wire", "one", "S-400s reach Ankara", "<p>CAATSA sanctions loom over Turkey.</p>")
    publisher.publish("wire", "two", "IBM AS-400 museum opens")
    publisher.publish("blog", "three", "Why the S-400 matters")
    publisher.publish("blog", "four", "Grain prices fall")
    return made


def _labels_notes_and_views(world: Installation, story: str) -> None:
    """Each is made, listed, found by, removed and taken back."""
    assert world.json("stories", "label", story) == {"story": story, "labels": [], "undo": None}
    assert world.json("stories", "label", story, "Turkey", "follow  up")["labels"] == ["follow up", "turkey"]
    assert world.json("stories", "labels") == [{"label": label, "stories": 1} for label in ("follow up", "turkey")]
    assert {hit["story"] for hit in world.json("hits", "list", "--label", "turkey")} == {story}
    removed = world.json("stories", "label", story, "turkey", "--remove")
    assert removed["labels"] == ["follow up"]
    assert world.json("undo", removed["undo"])["kind"] == "labelled"
    assert "turkey" in world.ok("stories", "label", story)
    assert "40 characters" in world.refused("stories", "label", story, "x" * 41, code=2)
    assert "no story named" in world.refused("stories", "label", "nosuch", "x")

    note = world.json("stories", "note", story, "-", stdin="Ankara denies it.\n")
    assert (note["story"], note["text"]) == (story, "Ankara denies it.")
    assert [one["id"] for one in world.json("stories", "note", story)] == [note["id"]]
    assert "Ankara denies it" in world.ok("stories", "note", story)
    gone = world.json("stories", "note", story, "--remove", str(note["id"]))
    assert world.json("stories", "note", story) == []
    assert world.json("undo", gone["undo"])["count"] == 1
    assert "empty" in world.refused("stories", "note", story, " ", code=2)
    assert "no note named '999'" in world.refused("stories", "note", story, "--remove", "999")

    view = world.json("views", "save", "Sanctions, all", "rule=caatsa&since=..2099-01-01")
    assert (view["id"], view["atom"]) == ("sanctions-all", "/feeds/views/sanctions-all.atom")
    assert [one["id"] for one in world.json("views", "list")] == ["sanctions-all"]
    assert {hit["rule"] for hit in world.json("hits", "list", "--view", "sanctions-all")} == {"caatsa"}
    assert "mark" in world.refused("views", "save", "x", "mark=splendid", code=2)
    assert "did you mean 'rule'" in world.refused("views", "save", "x", "rul=caatsa", code=2)
    assert "filters are rule, feed" in world.refused("views", "save", "x", "foo=bar", code=2)
    assert "did you mean 'caatsa'" in world.refused("views", "save", "x", "rule=catsa")
    pasted = world.json(
        "views", "save", "Pasted", "http://127.0.0.1:8080/?rule=caatsa&show=relevant&facets=1&n=3#hit-1"
    )
    assert pasted["query"] == "rule=caatsa&mark=relevant"
    world.ok("undo", pasted["undo"])
    assert "did you mean 'sanctions-all'" in world.refused("hits", "list", "--view", "sanction-all")
    gone = world.json("views", "remove", "sanctions-all")
    assert world.json("views", "list") == []
    assert world.json("undo", gone["undo"])["kind"] == "view removed"
    assert world.completed("views", "remove", "") == ["sanctions-all"]
    assert world.completed("rules", "show", "ca") == ["caatsa"]
    assert world.completed("hits", "list", "--feed", "") == ["wire", "blog", "missing"]
    assert world.completed("stories", "show", story[:4]) == [story]
    assert world.completed("channels", "test", "--config", "nowhere", "") == []


def test_the_way_of_an_analyst(world: Installation) -> None:
    """Poll, look, mark, search, explain, silence, acknowledge, back up: each answers in its promised shape."""
    done = world.json("poll", "wire", "blog", "--force")
    assert done["feeds"] == {"polled": 2, "changed": 2, "unchanged": 0, "failed": 0}
    assert (done["entries"], done["hits"]) == ({"new": 4, "updated": 0}, 3)
    assert done["deliveries"] == {"sent": 2, "retry": 0, "dead": 0, "held": 0}
    assert done["seconds"] > 0

    hits = world.json("hits", "list")
    assert len(hits) == 3
    assert set(hits[0]) >= HIT
    assert set(hits[0]["entry"]) >= ENTRY
    assert {hit["rule"] for hit in world.json("hits", "list", "--rule", "caatsa")} == {"caatsa"}
    assert {hit["rule_title"] for hit in hits if hit["rule"] == "s400"} == {"Triumf"}, "as the API calls it"
    assert len(world.json("hits", "list", "--limit", "1", "--feed", "wire", "--since", "1h")) == 1
    story = world.json("hits", "list", "--rule", "caatsa")[0]["story"]
    assert {hit["feed"] for hit in world.json("hits", "list", "--story", story)} == {"wire"}
    marked = world.json("hits", "mark", hits[0]["id"], "relevant")
    assert marked == {"id": hits[0]["id"], "mark": "relevant", "undo": marked["undo"]}
    assert world.json("hits", "list", "--limit", "0")[0]["mark"] == "relevant"
    assert [hit["id"] for hit in world.json("hits", "list", "--mark", "relevant")] == [hits[0]["id"]]
    assert hits[0]["id"] not in {hit["id"] for hit in world.json("hits", "list", "--todo")}
    assert world.json("undo", marked["undo"])["kind"] == "relevant"
    assert world.json("hits", "list", "--mark", "relevant") == []
    assert "undone already" in world.refused("undo", marked["undo"])
    assert "did you mean" not in world.refused("hits", "mark", "nosuch", "relevant")
    assert world.refused("hits", "mark", hits[0]["id"], "splendid", code=2)
    assert world.ok("hits", "export", "--format", "csv").count("\n") == 4
    assert [json.loads(line)["id"] for line in world.ok("hits", "export", "--format", "jsonl").splitlines()]
    assert world.ok("hits", "export", "--format", "atom").startswith("<?xml")

    [found] = world.json("search", "museum AND title:IBM")
    assert found["title"] == "IBM AS-400 museum opens"
    assert world.json("search", "kangaroo", code=3) == []
    said = world.refused("search", 'S-400 "open', code=2)
    assert said.startswith("query:1:7: error: this quotation mark is never closed")
    assert said.splitlines()[1:3] == ['    S-400 "open', "          ^"]
    assert "write NEAR/5" in world.call("search", "S-400 W5 Ankara", "--json").stderr
    [explained, *_] = world.json("rules", "explain", str(hits[0]["entry"]["id"]), hits[0]["rule"])
    assert explained
    world.ok("rules", "explain", str(found["id"]))
    assert world.json("rules", "explain", hits[0]["id"][:8]) == [explained], "a hit names its entry and its rule"
    assert world.json("rules", "explain", hits[0]["entry"]["link"], hits[0]["rule"]) == [explained]
    assert "its number" in world.refused("rules", "explain", "nosuch")
    assert "no entry at 'http://a.example/'" in world.refused("rules", "explain", "http://a.example/")
    assert world.json("hits", "show", hits[0]["id"][:8])["id"] == hits[0]["id"]
    assert str(hits[0]["entry"]["id"]) in world.ok("hits", "show", hits[0]["id"])

    rows = world.json("deliveries", "list", "--state", "sent")
    assert len(rows) == 2
    assert set(rows[0]) >= DELIVERY
    assert world.json("deliveries", "list", "--state", "dead") == []
    shown = world.json("deliveries", "show", rows[0]["id"])
    assert [attempt["outcome"] for attempt in shown["attempt_history"]] == ["sent"]
    assert {detail["rule_title"] for detail in shown["hit_details"]} <= {"Triumf", "caatsa"}
    assert "1 of 2 acknowledged" in world.ok("deliveries", "ack", rows[0]["id"], "nosuch")
    assert world.call("deliveries", "ack", rows[0]["id"]).exit_code == 3
    assert world.json("deliveries", "show", rows[0]["id"])["acknowledged_at"]
    assert "acknowledged" in world.ok("deliveries", "list")
    assert "acknowledged" in world.ok("deliveries", "show", rows[0]["id"])
    assert world.call("deliveries", "retry", rows[0]["id"]).exit_code == 3, "what is sent stays sent"
    assert "nosuch" in world.refused("deliveries", "show", "nosuch")

    world.ok("silence", "add", "--rule", "s400", "--for", "4h", "--reason", "parade day")
    [silence] = world.json("silence", "list")
    assert (silence["rule"], silence["reason"]) == ("s400", "parade day")
    world.ok("silence", "remove", str(silence["id"]))
    assert world.json("silence", "list") == []
    assert world.refused("silence", "remove", "999")
    assert "did you mean 's400'" in world.refused("silence", "add", "--rule", "s4000", "--for", "4h")
    assert world.refused("silence", "add", "--rule", "s400", "--for", "soon", code=2)
    assert world.refused("silence", "add", "--rule", "s400", "--until", "2020-01-01", code=2)
    assert world.refused("silence", "add", "--rule", "s400", code=2)
    until = world.json("silence", "add", "--rule", "s400", "--until", "2099-12-31")["until_at"]
    assert until.startswith(("2099-12-31", "2100-01-01"))
    _labels_notes_and_views(world, story)
    assert world.refused("silence", "add", "--for", "4h", code=2)


def test_feeds_rules_channels_and_the_database(world: Installation) -> None:
    """What is watched, by what, for whom, and where it is kept."""
    world.call("poll", "wire", "blog", "--force")
    feeds = world.json("feeds", "list")
    assert [feed["id"] for feed in feeds] == ["blog", "missing", "wire"]
    wire = world.json("feeds", "show", "wire")
    assert set(wire) >= FEED
    assert (wire["state"], wire["entries"], wire["failures"]) == ("ok", 3, 0)
    missing = world.json("feeds", "show", "missing")
    assert (missing["last_status"], missing["failures"]) == (404, 1)
    assert "404" in missing["last_error"]
    assert "did you mean 'wire'" in world.refused("feeds", "show", "wir")
    assert "did you mean 'wire'" in world.refused("poll", "wir")
    assert "<opml" in world.ok("feeds", "export")

    assert [rule["id"] for rule in world.json("rules", "list")] == ["s400", "caatsa"]
    shown, listed = world.json("rules", "show", "s400"), world.json("rules", "list")[0]
    assert {name: shown[name] for name in listed} == listed
    assert shown.keys() - listed.keys() == {"query", "spellings", "version", "place"}
    assert (shown["title"], shown["hits"] > 0) == ("Triumf", True)
    assert "did you mean" in world.refused("rules", "show", "s40")
    assert world.json("rules", "test") == {"tests": 2, "failed": []}
    assert isinstance(world.json("rules", "lint"), list)
    backtest = world.json("rules", "backtest", "s400", "--since", "30d")
    assert backtest
    edited = (world.config / "all.yaml").read_text(encoding="utf-8").replace("any: [S-400]", "any: [S-400, museum]", 1)
    (world.folder / "edited.yaml").write_text(edited, encoding="utf-8")
    compared = world.json("rules", "backtest", "s400", "--against", "edited.yaml")
    assert (compared["added"], compared["removed"]) == (1, 0)
    assert "+ IBM AS-400 museum opens" in world.ok("rules", "backtest", "s400", "--against", "edited.yaml")
    alone = "rules: [{id: s400, any: [museum], notify: [desk]}]\n"
    (world.folder / "alone.yaml").write_text(alone, encoding="utf-8")
    assert world.call("rules", "backtest", "s400", "--against", "alone.yaml").stderr.startswith("alone.yaml:1:")
    applied = world.json("rules", "apply", "s400", "--since", "7d")
    assert applied["recorded"] == 0, "a dry run"

    [matched] = world.json("match", "--rule", "s400", stdin="Two S-400s arrived")
    assert matched["rule"] == "s400"
    assert set(matched["spans"][0]) >= {"field", "start", "end", "text", "term"}
    assert world.json("match", "--term", "F-35", stdin="An F35 landed")
    assert world.json("match", "--term", "F-35", code=3, stdin="nothing") == []
    assert world.refused("match", "--rule", "nosuch", stdin="x")
    assert "term:1:1: error: '*'" in world.refused("match", "--term", "*", code=2, stdin="x")
    for term, said in (("S-400 && x", "single term"), ("$turkey", "configuration")):
        done = world.call("match", "--term", term, "--json", stdin="S-400 for Turkey")
        assert (done.exit_code, json.loads(done.stdout)) == (3, [])
        assert "term:1:1: warning: " in done.stderr
        assert said in done.stderr

    channels = world.json("channels", "list")
    assert all(channel.keys() == ChannelStatus.model_fields.keys() for channel in channels)
    services = {channel["name"]: channel["service"] for channel in channels}
    assert services == {"desk": "webhook", "console": "console"}
    assert world.json("channels", "test", "desk")["results"][0]["ok"] is True
    assert "did you mean 'desk'" in world.refused("channels", "test", "desc")
    world.receiver.refuse = lambda _: 500
    failed = world.json("channels", "test", "desk", code=1)["results"][0]
    world.receiver.refuse = lambda _: None
    assert not failed["ok"]
    assert "500" in failed["detail"]

    assert set(world.json("db", "stats")) >= {"feeds", "entries", "hits", "deliveries", "bytes"}
    assert "intact" in world.ok("db", "check")
    world.ok("db", "upgrade")
    world.ok("db", "prune")
    world.ok("db", "backup", "copy.db")
    assert "exists" in world.refused("db", "backup", "copy.db")
    status = world.json("status")
    assert status["outbox"]["sent"] >= 2
    assert status["feeds"]["ok"] == 2
    assert (status["running"], status["processes"]) == (False, [])
    assert "not running" in world.ok("status")
    assert world.json("check")["ok"] is True
    assert world.json("check", "--online", code=1)["unreachable"][0]["feed"] == "missing"
    assert json.loads(world.ok("schema"))["type"] == "object"


def test_feeds_are_added_and_removed(world: Installation, tmp_path: Path) -> None:
    """In the file, with its comments; OPML in and out."""
    made = Installation(tmp_path / "other", world.publisher, world.receiver)
    made.write("# mine\n" + configuration(world.publisher, world.receiver, ["wire"], RULES))
    [candidate] = made.json("feeds", "discover", f"{world.publisher.url}/blog")
    assert candidate["url"].endswith("/blog")
    assert made.call("feeds", "discover", f"{world.publisher.url}/nothing").exit_code in (1, 3)
    made.ok("feeds", "add", f"{world.publisher.url}/blog", "--id", "diary", "--yes")
    assert [feed["id"] for feed in made.json("feeds", "list")] == ["diary", "wire"]
    assert "# mine" in (made.config / "all.yaml").read_text()
    made.ok("feeds", "remove", "diary")
    assert "did you mean" in made.refused("feeds", "remove", "wiree")
    outlines = f'<outline type="rss" text="B" xmlUrl="{world.publisher.url}/blog"/>'
    (made.folder / "subscriptions.opml").write_text(f'<opml version="2.0"><body>{outlines}</body></opml>')
    made.ok("feeds", "import", "subscriptions.opml")
    assert len(made.json("feeds", "list")) == 2
    assert made.call("feeds", "import", "subscriptions.opml").exit_code == 3, "all are known"
    assert made.refused("feeds", "import", "none.opml", code=2)
    (made.folder / "broken.opml").write_bytes(b"\x00\xff not xml")
    assert made.refused("feeds", "import", "broken.opml")


def test_a_new_installation(tmp_path: Path) -> None:
    """`init` writes what `check` accepts, and never over something."""
    made = Installation(tmp_path / "new", None, None)  # type: ignore[arg-type]
    made.ok("init", "fresh")
    assert "second/feeds.yaml" in made.ok("init", "--config", "second")
    assert "third/feeds.yaml" in made.ok("--config", "third", "init")
    assert made.json("check", "--config", "fresh/config" if (made.folder / "fresh/config").exists() else "fresh")["ok"]
    assert made.call("init", "fresh").exit_code in (1, 2)


def test_help_is_everywhere(world: Installation) -> None:
    """Every command explains itself with examples; an unknown one is answered with the nearest."""
    for name in COMMANDS:
        assert "Usage:" in world.ok(name, "--help")
        command = program.get_command(click.Context(program), name)
        assert command
        for path in [[name, child] for child in command.commands] if isinstance(command, click.Group) else [[name]]:
            text = world.ok(*path, "--help")
            assert f"aggregator {' '.join(path)}" in text.partition("Examples:")[2], path
            assert max(map(len, text.splitlines())) <= 80, path
    assert "did you mean 'status'" in world.refused("statsu", code=2)
    assert "did you mean 'list'" in world.refused("silence", "ls", code=2)
    assert "did you mean 'deliveries'" in world.refused("alerts", code=2)  # the word of the pages
    assert "No such option" in world.refused("poll", "--frce", code=2)
    assert "did you mean 'dead'" in world.refused("deliveries", "list", "--state", "deda", code=2)
    assert "'--listen': 'foo' is not an address" in world.refused("demo", "--listen", "foo", code=2)
    assert "'--metrics': 'x' is not an address" in world.refused("run", "--metrics", "x", code=2)


def test_other_words_lead_to_commands_that_exist() -> None:
    """What a person of another program types is answered with a command of ours."""
    assert isinstance(program, click.Group)
    found = set(COMMANDS) | {name for name, _ in leaves(program)}
    assert not set(SYNONYMS.values()) - found
    assert not set(SYNONYMS) & set(COMMANDS)


DOCUMENTS = {  # commands whose stdout is a document of another kind, or a service's
    "demo", "run", "worker", "schema", "completion", "feeds export", "hits export", "service print-unit",
    "service print-compose", "service print-alert-rules", "service print-scrape-config", "service print-dashboard",
}  # fmt: skip


def leaves(group: click.Group, name: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """Every command with its options."""
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command
        if isinstance(command, click.Group):
            yield from leaves(command, f"{name}{word} ")
        else:
            yield f"{name}{word}", frozenset(option for one in command.params for option in one.opts)


def test_every_command_that_answers_takes_json() -> None:
    """Those that act as well as those that list; whoever scripts them need not read sentences."""
    assert isinstance(program, click.Group)
    assert {name for name, options in leaves(program) if "--json" not in options} == DOCUMENTS


def test_every_command_takes_config_and_what_lists_takes_a_limit() -> None:
    """Also those that read no configuration: whoever scripts them writes it everywhere."""
    assert isinstance(program, click.Group)
    found = dict(leaves(program))
    assert not [name for name, options in found.items() if "--config" not in options]
    listing = [name for name in found if name.endswith((" list", " log", "search", " labels", "queue"))]
    assert not [name for name in listing if "--limit" not in found[name]]


def test_a_name_that_does_not_exist_has_a_next_step(world: Installation) -> None:
    """The nearest name, else the command that lists them; a number that is none is called so."""
    assert world.refused("stories", "show", "nosuch").endswith("; see `aggregator stories list`\n")
    assert world.refused("deliveries", "show", "nosuch").endswith("; see `aggregator deliveries list`\n")
    assert world.refused("hits", "list", "--feed", "nosuch").endswith("; see `aggregator feeds list`\n")
    assert world.refused("stories", "list", "--rule", "s40").endswith("no rule named 's40' (did you mean 's400'?)\n")
    assert "no change named 'edit-99'" in world.refused("undo", "edit-99")
    said = world.call("deliveries", "retry", "nosuch")
    assert (said.exit_code, said.stdout) == (3, "0 of 1 queued\n")
    assert said.stderr.endswith("; see `aggregator deliveries list`\n")
    assert "'x' is not a whole number" in world.refused("hits", "list", "--limit", "x", code=2)
    assert "-1 is less than 0" in world.refused("hits", "list", "--limit", "-1", code=2)


def test_an_error_is_a_document_where_json_was_asked_for(world: Installation, tmp_path: Path) -> None:
    """The same as the API's; the sentence for people stays on stderr."""
    assert world.json("feeds", "show", "nosuch", code=1) == {"detail": "no feed named 'nosuch'"}
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text("rules: [{id: a, any: [x], titel: y}]\n")
    answer = world.json("rules", "list", "--config", str(tmp_path / "nosuch"), code=2)
    assert answer["problems"][0].keys() == {"file", "line", "column", "message", "hint", "severity"}
    answer = world.json("rules", "test", "--config", str(faulty), code=2)
    assert [(one["line"], one["column"]) for one in answer["problems"]] == [(1, 27)]
    assert "unknown key 'titel'" in answer["detail"]


def test_commands_that_act_answer_in_json(tmp_path: Path, servers: tuple[Publisher, Receiver]) -> None:
    """One document each, with what was done; where nothing was to be done, exit 3 and the same shape."""
    made = Installation(tmp_path, *servers)
    made.publisher.publish("wire", "zero", "nothing of note")
    made.publisher.publish("json", "zero", "nothing of note")
    made.write(configuration(made.publisher, made.receiver, ["wire"], RULES, every="1h"))
    url = f"{made.publisher.url}/json"

    assert made.json("db", "upgrade") == {"revision": REVISIONS[-1], "before": None, "copy_file": None}
    refused: dict[str, object] = {
        "added": False,
        "id": None,
        "url": url,
        "title": "json",
        "tags": ["t"],
        "kind": "feed",
        "select": {},
        "undo": None,
    }
    assert made.json("feeds", "add", url, "--tag", "t", code=3, stdin="n\n") == refused
    added = made.json("feeds", "add", url, "--tag", "t", "--id", "news", "--yes")
    assert added == refused | {"added": True, "id": "news", "undo": "edit-1"}
    opml = made.folder / "feeds.opml"
    opml.write_text(f"<opml><body><outline xmlUrl='{url}'/><outline xmlUrl='{url}?2'/></body></opml>")
    imported = made.json("feeds", "import", str(opml))
    assert (len(imported["added"]), imported["known"], imported["problems"]) == (1, [url], [])
    assert made.json("feeds", "import", str(opml), code=3)["added"] == []
    removed = made.json("feeds", "remove", "news")
    assert (removed["id"], Path(removed["file"]).name) == ("news", "all.yaml")
    assert made.json("undo", removed["undo"])["kind"] == "edit of feeds: news"
    changed = made.json("feeds", "change", "news", "--title", "The news", "--tag", "x", "--every", "2h")
    feed = made.json("feeds", "show", "news")
    assert (changed["feed"], feed["title"], feed["tags"]) == ("news", "The news", ["x"])
    paused = made.json("feeds", "pause", "news", "wire")
    assert (paused["paused"], made.json("feeds", "show", "news")["state"]) == (True, "paused")
    made.ok("undo", paused["undo"])
    assert made.json("feeds", "show", "news")["state"] != "paused"
    assert made.refused("feeds", "resume", "wiree")
    text = (made.config / "all.yaml").read_text()
    gone = made.json("rules", "remove", "s400")
    assert made.json("undo", f"edit-{gone['edit']}")["kind"] == "edit of s400"
    assert (made.config / "all.yaml").read_text() == text
    made.ok("rules", "pause", "s400")
    paused_text = (made.config / "all.yaml").read_text()
    assert paused_text.count("enabled: false") == text.count("enabled: false") + 1
    made.ok("rules", "resume", "s400")
    backup = made.json("db", "backup", "copy.db")
    assert (backup["file"], backup["bytes"] > 0) == ("copy.db", True)
    assert made.json("db", "check") == {"ok": True, "problems": []}
    assert made.json("db", "prune") == {"removed": 0, "emptied": 0}
    restored = made.json("db", "restore", "copy.db")
    assert (restored["file"], restored["revision"]) == ("copy.db", REVISIONS[-1])
    assert Path(restored["kept_file"]).name == "aggregator.db.before-restore"
    silence = made.json("silence", "add", "--rule", "s400", "--for", "4h")
    assert silence["rule"] == "s400"
    assert made.json("silence", "remove", str(silence["id"])).keys() == {"id", "undo"}
    nothing = {"given": 1, "changed": 0, "unknown": ["nosuch"], "undo": None}
    assert made.json("deliveries", "retry", "nosuch", code=3) == nothing
    assert made.json("deliveries", "ack", "nosuch", code=3) == nothing
    assert made.json("deliveries", "cancel", "nosuch", code=3) == nothing
    assert len(made.json("init", "fresh")["files"]) == 5


def test_commands_that_only_read_change_no_feed(tmp_path: Path, servers: tuple[Publisher, Receiver]) -> None:
    """Called with an old folder, they leave the feeds of the service alone; what is new there is shown as new."""
    made = Installation(tmp_path, *servers)
    made.publisher.publish("wire", "zero", "nothing of note")
    made.write(configuration(made.publisher, made.receiver, ["wire"], RULES, every="1h"))
    assert [(feed["id"], feed["state"]) for feed in made.json("feeds", "list")] == [("wire", "new")], "before any poll"
    made.ok("poll", "--force")
    database = made.folder / "var" / "aggregator.db"
    with closing(sqlite3.connect(database)) as reader:
        before = reader.execute("SELECT * FROM feeds").fetchall()
    made.write(configuration(made.publisher, made.receiver, ["blog"], RULES, every="1h"))
    for command in (("feeds", "list"), ("feeds", "show", "blog"), ("hits", "list"), ("status",), ("rules", "list"),
                    ("deliveries", "list"), ("silence", "list"), ("channels", "list"), ("db", "stats")):  # fmt: skip
        made.json(*command)
    made.call("search", "S-400")
    with closing(sqlite3.connect(database)) as reader:
        assert reader.execute("SELECT * FROM feeds").fetchall() == before
    assert [feed["id"] for feed in made.json("feeds", "list")] == ["blog"]


def test_init_then_check_inside_the_folder(tmp_path: Path) -> None:
    """A folder that holds configuration is found; YAML of other programs is none."""
    runner = CliRunner()
    with here(tmp_path):
        assert runner.invoke(program, ["init", "mine"]).exit_code == 0
    with here(tmp_path / "mine"):
        done = runner.invoke(program, ["check"])
        assert (done.exit_code, done.stderr) == (0, "")
        assert "\x1b[32m" in runner.invoke(program, ["check"], color=True, env={"NO_COLOR": None}).output
        assert "\x1b" not in runner.invoke(program, ["check"], color=True, env={"NO_COLOR": "1"}).output
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "compose.yaml").write_text("services: {aggregator: {image: x}}\n")
    with here(tmp_path / "other"):
        done = runner.invoke(program, ["check"])
        assert done.exit_code == 2
        assert "aggregator init" in done.stderr


def faulty(text: str) -> Callable[[Installation], None]:
    return lambda made: made.write(text)


def binary(made: Installation) -> None:
    (made.config / "all.yaml").write_bytes(bytes(range(256)))


HUGE = "feeds: []\n" + "# " + "x" * 1_100_000
FAULTS: list[tuple[str, Callable[[Installation], None], str]] = [
    ("missing", lambda made: made.config.rmdir(), "config"),
    ("huge", faulty(HUGE), "1 MB"),
    ("binary", binary, "all.yaml:1:"),
    ("not yaml", faulty("feeds: [\n"), "all.yaml:"),
    ("alias", faulty("a: &a 1\nb: *a\n"), "alias"),
    ("unknown key", faulty("fedes: []\n"), "did you mean 'feeds'"),
    ("empty", faulty(""), "empty"),
    ("duplicate id", faulty("feeds:\n  - {id: a, url: 'https://a.org/'}\n  - {id: a, url: 'https://b.org/'}\n"), ":3:"),
    ("bad duration", faulty("feeds:\n  - {url: 'https://a.example/', every: soon}\n"), "duration"),
    ("bad url", faulty("feeds:\n  - {url: 'ftp:/a'}\n"), "all.yaml:2:"),
    ("bad regex", faulty("rules:\n  - {id: r, regex: 'a(b'}\n"), "all.yaml:2:"),
    ("unknown channel", faulty("rules:\n  - {id: r, any: [x-ray], notify: [nobody]}\n"), "nobody"),
    ("missing secret", faulty("channels: {a: {service: webhook, url: 'https://a.org/', token: '${NONE}'}}\n"), "NONE"),
]  # fmt: skip


UNREADABLE = ("missing", "huge", "binary", "not yaml", "empty")  # nothing is left that could name a database


@pytest.mark.parametrize(("name", "spoil", "words"), FAULTS, ids=[name for name, *_ in FAULTS])
def test_a_faulty_configuration(name: str, spoil: Callable[[Installation], None], words: str, tmp_path: Path) -> None:
    """Exit 2 with the place and a word that helps, from whatever writes or runs; who only reads goes on if he can."""
    made = Installation(tmp_path / "x", None, None)  # type: ignore[arg-type]
    spoil(made)
    writing: list[tuple[str, ...]] = [("check",), ("poll",), ("hits", "mark", "1", "none")]
    for command in writing:
        assert words in made.refused(*command, code=2)
    assert made.call("run").exit_code == 2
    reading: list[tuple[str, ...]] = [("hits", "list"), ("status",), ("search", "x-ray"), ("feeds", "list")]
    for command in (*reading, ("deliveries", "list")):
        done = made.call(*command, "--json")
        assert words in done.stderr
        assert done.exit_code == (2 if name in UNREADABLE else 3 if command[0] == "search" else 0)


def test_a_configuration_without_anything(tmp_path: Path) -> None:
    """Nothing is watched: that is said, and nothing else is wrong."""
    made = Installation(tmp_path / "x", None, None)  # type: ignore[arg-type]
    made.write("feeds: []\n")
    assert "no feeds are configured" in made.call("check").stderr
    assert made.json("check")["feeds"] == 0
    assert made.json("poll")["feeds"]["polled"] == 0
    assert made.json("hits", "list") == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"no database at all " * 500), "not an SQLite database"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: _sql(path, "CREATE TABLE songs (name TEXT)"), "another program"),
        (lambda path: _sql(path, "CREATE TABLE feeds (id)", "CREATE TABLE alembic_version (version_num)",
                           "INSERT INTO alembic_version VALUES ('9999')"), "newer"),
    ],
    ids=["corrupt", "directory", "foreign", "newer"],
)  # fmt: skip
def test_a_database_that_cannot_be_used(spoil: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    """Exit 1 with one sentence, from commands and from the service."""
    made = Installation(tmp_path / "x", None, None)  # type: ignore[arg-type]
    watched = "feeds: [{url: 'https://a.example/feed'}]\nrules: [{id: a, any: [x]}]\n"
    made.write(f"{watched}settings: {{database: 'sqlite:///some.db'}}\n")
    spoil(made.folder / "some.db")
    for command in (("poll",), ("hits", "list"), ("run",), ("db", "stats"), ("status",)):
        said = made.refused(*command)
        assert words in said
        assert len(said.strip().splitlines()) == 1, said


def _sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_databases_that_cannot_be_reached(tmp_path: Path) -> None:
    """A folder that is not there, a server that is not there, and a URL that is none."""
    made = Installation(tmp_path / "x", None, None)  # type: ignore[arg-type]
    for url, words in (
        ("sqlite:////proc/nowhere/a/some.db", "cannot be created"),
        ("postgresql+psycopg://u:kiswahili@127.0.0.1:9/db", "127.0.0.1"),
    ):
        made.write(f"settings: {{database: '{url}'}}\n")
        said = made.refused("hits", "list")
        assert words in said
        assert "kiswahili" not in said
    made.write("settings: {database: 'oracle://u@h/db'}\n")
    done = made.call("hits", "list")
    assert done.exit_code in (1, 2)
    assert "sqlite" in done.stderr


@pytest.mark.parametrize(("login", "warned"), [("u:kiswahili@", True), ("u@", False), ("", False)])
def test_a_password_in_a_command_is_warned_of(tmp_path: Path, login: str, warned: bool) -> None:
    """Others see it in the list of processes."""
    made = Installation(tmp_path / "x", None, None)  # type: ignore[arg-type]
    made.write("settings: {database: 'sqlite:///a.db'}\n")
    said = made.refused("db", "copy", "--to", f"postgresql://{login}127.0.0.1:9/db")
    assert ("set PGPASSWORD" in said) == warned
    assert "kiswahili" not in said


def test_a_port_in_use(tmp_path: Path) -> None:
    """The service says which address is taken, and ends."""
    made = Installation(tmp_path / "x", None, None)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        made.write(f"settings: {{web: {{listen: '{address}'}}}}\n")
        said = made.refused("run")
    assert address in said or address.rpartition(":")[2] in said
    assert "in use" in said


class Drip:
    """A server that accepts and then sends a byte now and then, over TLS without a known signer or plainly."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.context, self.open = self.socket.getsockname()[1], context, True
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while self.open:
            try:
                peer, _ = self.socket.accept()
                threading.Thread(target=self._drip, args=(peer,), daemon=True).start()
            except OSError:
                return

    def _drip(self, peer: socket.socket) -> None:
        try:
            if self.context:
                peer = self.context.wrap_socket(peer, server_side=True)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\n\r\n<rss>")
            stop = threading.Event()
            while self.open and not stop.wait(0.2):
                peer.sendall(b" ")
        except OSError:
            pass
        finally:
            peer.close()

    def close(self) -> None:
        self.open = False
        self.socket.close()


ENTITIES = "".join(f'<!ENTITY x{n + 1} "{f"&x{n};" * 10}">' for n in range(9))
BOMB = f'<!DOCTYPE rss [<!ENTITY x0 "ha">{ENTITIES}]><rss><channel><title>&x9;</title></channel></rss>'
RSS = {"Content-Type": "application/rss+xml"}


def test_feeds_that_fail(tmp_path: Path, servers: tuple[Publisher, Receiver]) -> None:
    """Fourteen ways to fail in one pass: each feed says its own sentence, the healthy one is read, exit 1."""
    publisher, receiver = servers
    made = Installation(tmp_path / "x", publisher, receiver)
    publisher.publish("healthy", "one", "S-400 news")
    publisher.special = {
        "gone": (410, {}, b""),
        "broken": (500, {}, b"oops"),
        "html": (200, {"Content-Type": "text/html"}, b"<!doctype html><html><body><p>Welcome</p></body></html>"),
        "empty": (200, RSS, b""),
        "truncated": (200, RSS | {"Content-Encoding": "gzip"}, gzip.compress(b"<rss>" + os.urandom(4000))[:2000]),
        "large": (200, RSS, b"<rss>" + b" " * 50_000_000),
        "bomb": (200, RSS, BOMB.encode()),
        "busy": (429, {"Retry-After": "7200"}, b""),
        "loop": (302, {"Location": "/loop"}, b""),
        "binary": (200, RSS, bytes(range(256)) * 40),
    }
    drip, tls = Drip(), Drip(server_context())
    names = ["healthy", "absent", *publisher.special]
    text = configuration(publisher, receiver, names, RULES, every="1h")
    odd = {
        "dns": "http://no-such-host.invalid/feed",
        "refused": "http://127.0.0.1:9/feed",
        "drip": f"http://127.0.0.1:{drip.port}/feed",
        "tls": f"https://127.0.0.1:{tls.port}/feed",
        "private": f"http://127.0.0.2:{drip.port}/feed",
    }
    rows = "".join(f"  - {{id: {name}, url: '{url}'}}\n" for name, url in odd.items())
    allowed = ", ".join(f'"127.0.0.1:{port}"' for port in (9, drip.port, tls.port))
    text = text.replace("feeds:\n", f"feeds:\n{rows}").replace("allow: [", f"timeout: 2s, allow: [{allowed}, ")
    made.write(text.replace("per_host: 8", "per_host: 30"))
    done = made.call("poll", "--force", "--json")
    assert done.exit_code == 1
    shape = json.loads(done.stdout)
    bad = {*odd, "absent", *publisher.special}
    assert shape["feeds"] == {"polled": len(bad) + 1, "changed": 1, "unchanged": 0, "failed": len(bad)}
    said = {feed["id"]: feed["last_error"] for feed in made.json("feeds", "list", "--limit", "0")}
    assert said.pop("healthy") is None
    assert set(said) == bad
    expected = {
        "absent": "404", "gone": "410", "broken": "500", "html": "HTML", "empty": "empty", "truncated": "",
        "large": "10", "bomb": "", "busy": "429", "loop": "redirect", "binary": "", "dns": "no-such-host.invalid",
        "refused": "refused", "drip": "", "tls": "certificate", "private": "127.0.0.2",
    }  # fmt: skip
    for name, word in expected.items():
        assert said[name], name
        assert word in said[name], (name, said[name])
        assert "\n" not in said[name]
        assert not any(odd in said[name] for odd in ("Error(", "Exception", "Traceback", "0x")), (name, said[name])
    drip.close()
    tls.close()
    publisher.special = {}
