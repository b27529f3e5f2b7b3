"""A pass with something to do polls by the values of the note, and loads the rest of the configuration when asked."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from aggregator.app.application import open_application
from aggregator.app.idle import KnownPass, known_pass, note_pass, note_postings, noted_rules
from aggregator.config import Loaded, inputs, load
from aggregator.config.plain import SECTIONS
from aggregator.core.errors import ConfigErrors
from aggregator.core.redaction import Redactor
from aggregator.core.rules import Document, RuleIndex
from aggregator.core.settings import Feed
from tests.adapter.test_idle_pass import change

pytestmark = pytest.mark.anyio

SECRETS = {"PATH_KEY": "key-in-a-path", "SHORT": "xyz", "AGENT": "reader/1"}
CONFIG = """\
settings:
  database: "sqlite:///db.sqlite"
  default_channels: [here]
  polling: {every: 5m, concurrency: 7, first_poll: alert}
  http: {user_agent: "${AGENT}", allow: [127.0.0.0/8]}
  stories: {window: 2h}
  health: {notify: [here], silent_after: 7}
  web: {password: literal-password, token: "${PATH_KEY}", public_url: https://desk.example/}
channels: {here: {service: console}, there: {url: "json://localhost/${PATH_KEY}"}}
feeds:
  - https://usual.example/feed
  - {id: told, url: "https://told.example/", every: 2m, tags: [a, b], first_poll: 24h, full_text: false, title: Told}
  - {id: off, url: "https://off.example/", enabled: false, verify_tls: false, max_latency: 3m, user_agent: own/1}
  - {id: page, url: "https://page.example/", kind: page, select: {entry: "li a", link: a@href}}
  - {id: watch, url: "https://watch.example/", kind: watch, ignore: ["[0-9]+"]}
  - {id: key, url: "https://key.example/${PATH_KEY}"}
  - {id: short, url: "https://short.example/", user_agent: "${SHORT}"}
  - {id: login, url: "https://login.example/", auth: {user: me, password: p-own}}
  - {id: header, url: "https://header.example/", headers: {X-Key: of-a-header}}
  - {id: written, url: "https://me:in-an-address@written.example/"}
rules: [{id: r, any: [S-400]}, {id: gone, any: [S-500], enabled: false}]
"""
PLAIN = ("usual-example-feed", "told", "off", "page", "watch")


@pytest.fixture
def anyio_backend() -> str:
    """The service speaks asyncio."""
    return "asyncio"


@pytest.fixture
async def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration after a pass, with feeds that are due."""
    monkeypatch.chdir(tmp_path)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "all.yaml").write_text(CONFIG, encoding="utf-8")
    loaded = load(folder, os.environ)
    async with open_application(loaded):
        pass
    note_pass(loaded, folder)
    return folder


def known(config: Path) -> KnownPass:
    found = known_pass(config)
    assert found is not None
    assert found.why_idle is None
    return found


def settings_of(loaded: Loaded) -> Iterator[tuple[str, object]]:
    for section in SECTIONS:
        values = getattr(loaded.config.settings, section)
        for name in type(getattr(load(Path("config"), os.environ).config.settings, section)).model_fields:
            yield f"{section}.{name}", getattr(values, name)


async def test_the_same_values(config: Path) -> None:
    """Whatever is asked of a feed or a section is what loading gives: noted, or of the whole."""
    real, found = load(config, os.environ), known(config).config()
    assert list(found.feeds) == [feed.id for feed in real.config.feeds]
    for feed in real.config.feeds:
        for name in (*Feed.model_fields, "reading"):
            assert getattr(found.feeds[feed.id], name) == getattr(feed, name), (feed.id, name)
    assert dict(settings_of(found.loaded())) == dict(settings_of(real))
    active = found.active(Redactor())
    assert active.config.channels == real.config.channels
    assert list(active.rules.items()) == [(rule.id, rule) for rule in real.rules]
    assert known(config).rules == 1


async def test_no_secret_is_noted(config: Path) -> None:
    """Neither what comes from a reference, however short, nor what is written as a password or a header."""
    note = Path("var/idle.json").read_text(encoding="utf-8")
    for secret in (*SECRETS.values(), "literal-password", "of-a-header", "p-own", "in-an-address"):
        assert secret not in note
    assert "told.example" in note


async def test_plain_values_need_no_configuration(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a poll of a plain feed asks is known; the first secret loads the configuration, and an error names it."""
    found = known(config).config()
    monkeypatch.delenv("PATH_KEY")  # so that the whole cannot be loaded
    active = found.active(Redactor())
    for name in PLAIN:
        feed = found.feeds[name]
        assert feed.url.startswith("https://")
        assert (feed.auth, feed.proxy, feed.headers, feed.reading.kind) == (None, None, {}, feed.kind)
    assert active.config.settings.polling.concurrency == 7
    assert active.config.settings.health.silent_after == 7
    assert active.config.settings.web.public_url == "https://desk.example/"
    assert found.loaded().config.settings.logging.level == "info"
    asks: tuple[Callable[[], object], ...] = (
        *(partial(getattr, found.feeds[name], "kind") for name in ("key", "short", "login", "header", "written")),
        lambda: active.rules,
        lambda: active.config.settings.http.user_agent,
    )
    for ask in asks:
        with pytest.raises(ConfigErrors, match="PATH_KEY is not set"):
            ask()


async def test_secrets_of_the_whole_are_cut_out(config: Path) -> None:
    """Once something asks for a secret, the texts of the pass are without it."""
    redact = Redactor()
    found = known(config).config()
    active = found.active(redact)
    assert found.feeds["key"].url == "https://key.example/key-in-a-path"
    assert active.router is active.router
    assert redact("at key-in-a-path and literal-password") == "at *** and ***"


def leave_postings(config: Path) -> None:
    """What a pass with new entries leaves."""
    loaded = load(config, os.environ)
    index = RuleIndex(loaded.rules)
    index.prepare()
    note_postings(loaded, index.postings, config)


POSTINGS = Path("var/postings.msgpack")


async def test_entries_that_no_rule_can_match_need_no_rules(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postings of the pass before tell them; of others, the rules that it noted; a hit needs the configuration."""
    leave_postings(config)
    index = known(config).config().active(Redactor()).index
    assert [found.rule for found in index.match(Document(content="An S-400 and an S-500"))] == ["r"]
    assert index.postings is None
    active = known(config).config().active(Redactor())
    monkeypatch.delenv("PATH_KEY")  # so that the whole cannot be loaded
    assert active.index.match(Document(content="An S-500, S 4000, 400")) == ()
    assert [found.rule for found in active.index.match(Document(content="An S-400"))] == ["r"]
    with pytest.raises(ConfigErrors, match="PATH_KEY is not set"):
        active.rule_configs["r"]


async def test_postings_are_noted_by_the_pass_that_made_them(config: Path) -> None:
    """Where there are none, the first entry of a known pass makes them, and the next pass has them."""
    found = known(config).config()
    active = found.active(Redactor())
    assert active.index.postings is None
    assert [match.rule for match in active.index.match(Document(content="An S-400"))] == ["r"]
    note_postings(found.loaded(), active.index.postings, config)
    assert noted_rules(inputs(config)) is not None
    assert POSTINGS.stat().st_mode & 0o777 == 0o600
    for secret in (*SECRETS.values(), "literal-password", "of-a-header", "p-own", "in-an-address"):
        assert secret.encode() not in POSTINGS.read_bytes()


SPOILT: dict[str, Callable[[Path], object]] = {
    "edited rules": lambda config: (config / "all.yaml").write_text(CONFIG.replace("S-400", "S-401")),
    "further file": lambda config: (config / "more.yaml").write_text("rules: [{id: more, any: [S-600]}]"),
    "other variable": lambda _: os.environ.update(SHORT="abc"),
    "none": lambda _: POSTINGS.unlink(),
    "empty": lambda _: POSTINGS.write_bytes(b""),
    "cut short": lambda _: POSTINGS.write_bytes(POSTINGS.read_bytes()[:-1]),
    "one letter": lambda _: POSTINGS.write_bytes(POSTINGS.read_bytes().replace(b"400", b"401")),
    "something else": lambda _: POSTINGS.write_bytes(sha256(b"\x93\x01\x02\x03").digest() + b"\x93\x01\x02\x03"),
    "others may write": lambda _: POSTINGS.chmod(0o620),
}


async def test_postings_of_anything_else(config: Path) -> None:
    """Postings are good for the files and variables that they were made of, as we wrote them; for nothing else."""
    for name, spoil in SPOILT.items():
        leave_postings(config)
        assert noted_rules(inputs(config)) is not None
        spoil(config)
        assert noted_rules(inputs(config)) is None, name
        POSTINGS.unlink(missing_ok=True)
        (config / "more.yaml").unlink(missing_ok=True)
        (config / "all.yaml").write_text(CONFIG, encoding="utf-8")


@pytest.mark.parametrize("part", ["rules", "lists"])
async def test_a_rule_that_holds_a_secret(config: Path, part: str) -> None:
    """The keys of rules are not noted where a secret is written among them."""
    words = {"rules": "rules: [{id: s, any: [Literal-Password]}]\n", "lists": "lists: {s: [p-own]}\n"}
    (config / "more.yaml").write_text(words[part], encoding="utf-8")
    leave_postings(config)
    assert not POSTINGS.exists()


async def test_an_edit_meanwhile(config: Path) -> None:
    """A pass goes on with the files that it began with, whatever becomes of them; the next one sees the edit."""
    active = known(config).config().active(Redactor())
    (config / "all.yaml").write_text("rules: [", encoding="utf-8")
    assert list(active.rules) == ["r", "gone"]
    assert known_pass(config) is None


async def test_feeds_of_the_database(config: Path) -> None:
    """Where another configuration has changed the feeds, this one is loaded and they are synchronised."""
    change("UPDATE feeds SET configured_title = 'other' WHERE id = 'told'")
    assert known_pass(config) is None
