"""The backend over a real application: files on disk, a real database, no network."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from aggregator.app.application import open_application
from aggregator.app.backend import AppBackend
from aggregator.app.turns import MAX_WAITING
from aggregator.config import load
from aggregator.core.errors import BadStatus, Busy, ConfigErrors, Conflict, Forbidden, NotFound, ParseError
from aggregator.core.model import HitFilter
from aggregator.core.results import RuleEdit
from aggregator.web import create_app
from tests.support.http_client import HttpClient
from tests.support.loopback import FEED, Loopback, answer
from tests.support.records import entry, stored

pytestmark = pytest.mark.anyio

RULES = "rules:\n  - id: s400\n    any: [S-400]\n"


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[AppBackend]:
    """A desk over a folder of two files."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "feeds.yaml").write_text("feeds:\n  - url: https://a.example/feed\n")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "settings.yaml").write_text(
        f"settings: {{database: 'sqlite:///{tmp_path}/a.db', web: {{enabled: false}}}}\n"
    )
    async with open_application(load(folder, {})) as app:
        yield AppBackend(app, folder)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://127.0.0.1/feed", 'http: {allow: ["127.0.0.1:80"]}'),
        ("https://10.1.2.3:8443/feed", 'http: {allow: ["10.1.2.3:8443"]}'),
        ("http://[::1]:8080/feed", 'http: {allow: ["[::1]:8080"]}'),
        ("http://localhost:9000/feed", 'http: {allow: ["localhost:9000"]}'),
    ],
)
async def test_private_addresses_are_not_added(backend: AppBackend, url: str, line: str) -> None:
    """The refusal names the very line that opens the address, the line does open it, and nothing is written before."""
    before = (backend.path / "feeds.yaml").read_text()
    with pytest.raises(Forbidden) as refused:
        await backend.add_feed(url)
    assert line in str(refused.value)
    assert (backend.path / "feeds.yaml").read_text() == before
    (backend.path / "opened.yaml").write_text(f"settings: {{{line}}}\n")
    async with open_application(load(backend.path, {})) as app:
        assert await AppBackend(app, backend.path).add_feed(url)
    assert url in (backend.path / "feeds.yaml").read_text()


async def test_unresolvable_names_may_be_added(backend: AppBackend) -> None:
    """Being offline keeps nobody from adding a feed; the address is judged when it is dialled."""
    assert await backend.add_feed("https://nosuch.invalid/feed")


async def test_what_runs_is_not_loaded_again(backend: AppBackend) -> None:
    """The files are read anew when they change, an edit is judged, and the text that runs has its known verdict."""
    (file,) = await backend.rules_files()
    assert (await backend.check_rules(file.name, file.text)).rules == ("s400",)
    assert (await backend.rules_files())[0] is file
    assert not (await backend.check_rules(file.name, "rules:\n  - id: s400\n    anny: [x]\n")).ok
    (backend.path / "rules.yaml").write_text(RULES + "  - id: caatsa\n    any: [CAATSA]\n")
    (changed,) = await backend.rules_files()
    assert (await backend.check_rules(changed.name, changed.text)).rules == ("s400", "caatsa")
    with pytest.raises(NotFound):
        await backend.check_rules("feeds.yaml", "")


async def test_only_rules_and_lists_are_edited(backend: AppBackend) -> None:
    """Check, preview and save refuse everything else alike, whoever asks, and read no file for it."""
    (file,) = await backend.rules_files()
    evil = RULES + "channels: {x: {url: 'json://evil.example', template: /etc/passwd}}\n"
    for tried in (
        backend.check_rules(file.name, evil),
        backend.preview(file.name, evil, backend.clock.now()),
        backend.save_rules(file.name, evil, file.digest),
    ):
        with pytest.raises(Conflict, match="only rules and lists can be changed here"):
            await tried
    verdict = await backend.check_rules(file.name, RULES.replace("S-400", '"${file:/etc/passwd}"'))
    assert [problem.message for problem in verdict.problems] == [
        "the file on disk does not contain the reference ${file:/etc/passwd}"
    ]
    assert (backend.path / "rules.yaml").read_text() == RULES


async def test_a_new_part_of_the_configuration_has_a_place(backend: AppBackend) -> None:
    """In the folder, in a file of its own; in the one file where there is no folder."""
    assert backend.file_for("channels.yaml") == str(backend.path / "channels.yaml")
    alone = backend.path / "rules.yaml"
    assert AppBackend(backend.app, alone).file_for("channels.yaml") == str(alone)


async def test_running_rules_are_tried_on_what_is_stored(backend: AppBackend) -> None:
    """What each of them matches among entries of the last days, without a hit being recorded."""
    now, titles = backend.clock.now(), ("S-400s arrive", "AS-400 museum opens", "Ankara and the S400")
    ages = (timedelta(hours=1), timedelta(hours=2), timedelta(days=40))
    for number, (title, age) in enumerate(zip(titles, ages, strict=True)):
        await stored(backend.app.store, entry(str(number), title=title, seen_at=now - age))
    found = await backend.matches(now - timedelta(days=30))
    assert (found.entries, found.complete) == (2, True)
    (change,) = found.changes
    assert (change.rule, change.before, change.after, change.added, change.removed) == ("s400", 0, 1, 1, 0)
    assert [sample.entry.title for sample in change.added_samples] == ["S-400s arrive"]
    assert await backend.catalog.hits(HitFilter()) == ()


async def test_each_way_to_edit_a_rule_keeps_the_contract(backend: AppBackend) -> None:
    """A rule's own YAML brings in no reference and no section, changes no other byte, and is no blind overwrite."""
    head = "# a note\r\nsettings: {}   # kept\r\nlists: {a: [b]}\r\n"
    (backend.path / "rules.yaml").write_bytes((head + RULES.replace("\n", "\r\n")).encode())
    for item in ("id: x\nany: ['${HOME}']\n", "id: x\nany: ['${file:/etc/passwd}']\n"):
        for kind, rule in (("new", ""), ("put", "s400")):
            edited = await backend.edit_rule(RuleEdit(kind=kind, rule=rule, item=item))  # type: ignore[arg-type]
            with pytest.raises(ConfigErrors, match="does not contain the reference"):
                await backend.save_rules(edited.name, edited.text, edited.digest)
            assert not (await backend.check_rules(edited.name, edited.text)).ok
    edited = await backend.edit_rule(RuleEdit(kind="new", item="id: x\nany: [y]\n"))
    saved = await backend.save_rules(edited.name, edited.text, edited.digest, about="x")
    text = (backend.path / "rules.yaml").read_bytes().decode()
    assert text == (head + RULES.replace("\n", "\r\n") + "  - id: x\r\n    any: [y]\r\n")
    assert saved.edit is not None
    with pytest.raises(Conflict, match="changed on disk"):
        await backend.save_rules(edited.name, edited.text, edited.digest)
    await backend.undo_edit(saved.edit)
    assert (backend.path / "rules.yaml").read_bytes().decode() == head + RULES.replace("\n", "\r\n")


async def test_an_edit_with_a_secret_is_not_kept(backend: AppBackend) -> None:
    """It is written, but the history holds no secret."""
    backend.app.redact.set_secrets({"hunter2secret"})
    edited = await backend.edit_rule(RuleEdit(kind="new", item="id: x\nany: [hunter2secret]\n"))
    saved = await backend.save_rules(edited.name, edited.text, edited.digest)
    assert saved.edit is None
    assert await backend.catalog.edits() == ()


async def test_line_ends_of_windows_are_kept(backend: AppBackend) -> None:
    """A browser sends every line end alike; the file keeps its own."""
    (backend.path / "rules.yaml").write_bytes(b"# note\r\nsettings: {}\r\n" + RULES.replace("\n", "\r\n").encode())
    (file,) = await backend.rules_files()
    text = file.text.replace("\r\n", "\n").replace("S-400", "S-400, S-500")
    assert (await backend.check_rules(file.name, text)).ok
    saved = await backend.save_rules(file.name, text, file.digest)
    assert saved.text.count("\r\n") == saved.text.count("\n") == 5
    assert "S-500" in saved.text


async def test_checks_take_turns(backend: AppBackend) -> None:
    """One check is at work, few wait, and the others are asked to come back."""
    (file,) = await backend.rules_files()
    texts = [RULES + f"  - id: r{n}\n    any: [x{n}]\n" for n in range(12)]
    async with backend._checks.turn():  # one is at work until all others have been admitted or turned away
        asked = [asyncio.create_task(backend.check_rules(file.name, text)) for text in texts]
        first_to_end = asyncio.as_completed(asked)
        for _ in range(len(texts) - MAX_WAITING):
            with pytest.raises(Busy):
                await next(first_to_end)
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Busy) for one in done) == len(texts) - MAX_WAITING
    assert [one for one in done if not isinstance(one, Busy) and (isinstance(one, BaseException) or not one.ok)] == []
    assert (await backend.check_rules(file.name, texts[0])).ok


def opml(*urls: str) -> bytes:
    """A subscription list."""
    lines = "".join(f'<outline type="rss" text="x" xmlUrl="{url}"/>' for url in urls)
    return f'<opml version="2.0"><body>{lines}</body></opml>'.encode()


async def test_an_import_adds_no_private_address(backend: AppBackend) -> None:
    """Every address of the document is judged as if it had been added alone."""
    private = ("http://127.0.0.1/feed", "http://[::1]:8080/feed", "http://169.254.169.254/latest", "http://10.0.0.7/x")
    report = await backend.import_opml(opml("https://nosuch.invalid/feed", *private, "http://localhost:9/feed"))
    assert report.added == ("nosuch-invalid-feed",)
    assert len(report.problems) == 5
    assert "127.0.0.1" not in (backend.path / "feeds.yaml").read_text()


async def test_an_import_is_counted_first(backend: AppBackend) -> None:
    """A document of 60,000 feeds is refused before it is read, in any spelling and encoding."""
    many = opml(*(f"https://h{number}.example/" for number in range(60_000)))
    for document in (many, many.replace(b"xmlUrl", b"XMLURL"), many.decode().encode("utf-16")):
        with pytest.raises(ParseError, match="more than 10000 feeds"):
            await backend.import_opml(document)


async def test_keys_are_neither_exported_nor_found(backend: AppBackend) -> None:
    """A key with signs of XML is masked in the OPML; a search finds what is shown, and no part of a key."""
    key = 'k3y&"<more>'
    (backend.path / "feeds.yaml").write_text(
        'feeds: [{url: "https://u:pass-in-yaml@a.example/f?key=${KEY}&x=1", id: a}]\n'
    )
    loaded = load(backend.path, {"KEY": key})
    async with open_application(loaded) as app:
        keyed = AppBackend(app, backend.path)
        document = await keyed.export_opml()
        assert "https://***@a.example/f?key=***&amp;x=1" in document
        client = HttpClient(create_app(keyed))
        found = {}
        for words in ("a.example", "key=***", "k3y", "k3", "more", "pass-in", "u:"):
            page = (await client.call("GET", f"/feeds?find={quote(words)}")).text
            found[words] = 'href="/feeds/a"' in page
    assert found == {"a.example": True, "key=***": True, "k3y": False, "k3": False, "more": False, "pass-in": False,
                     "u:": False}  # fmt: skip
    assert "k3y" not in document
    assert "pass-in-yaml" not in document


async def test_what_is_sent_is_no_reference(backend: AppBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address, a title and a tag that look like references are written as the texts they are."""
    monkeypatch.setenv("LEAK", "of-the-environment")
    url, name = "https://nosuch.invalid/${LEAK}/${file:/etc/passwd}", "$${LEAK} ${LEAK}"
    await backend.add_feed(url, title=name, tags=["${LEAK}"])
    sent = opml("https://nosuch.invalid/2/${LEAK}").replace(b'text="x"', b'text="${LEAK}"')
    await backend.import_opml(sent)
    feeds = load(backend.path, {"LEAK": "of-the-environment"}).config.feeds
    assert [(feed.url, feed.title) for feed in feeds[1:]] == [
        (url, name),
        ("https://nosuch.invalid/2/${LEAK}", "${LEAK}"),
    ]
    assert feeds[1].tags == ("${LEAK}",)


async def test_the_feed_behind_a_site_is_added(backend: AppBackend) -> None:
    """As `feeds add` finds it: the feed's own address and title; what is no site with a feed is said."""
    async with Loopback() as site:
        (backend.path / "opened.yaml").write_text('settings: {http: {allow: ["127.0.0.0/8"]}}\n')
        site.script("/", answer(200, b"<link rel=feed href='/data'>", Content_Type="text/html"))
        site.script("/data", answer(200, FEED))
        async with open_application(load(backend.path, {})) as app:
            here = AppBackend(app, backend.path)
            await here.add_feed(f"http://me:pw%21@127.0.0.1:{site.port}/", find=True)
            (feed,) = [one for one in load(backend.path, {}).config.feeds if one.url == site.url("/data")]
            assert feed.title == "Loopback News"
            assert feed.auth
            assert (feed.auth.user, feed.auth.password and feed.auth.password.get_secret_value()) == ("me", "pw!")
            site.script("/none", answer(200, b"<html>", Content_Type="text/html"))
            with pytest.raises(NotFound, match="no feed is linked there"):
                await here.add_feed(f"127.0.0.1:{site.port}/none", find=True)
            with pytest.raises(BadStatus, match="404"):
                await here.add_feed(site.url("/missing"), find=True)
            assert await here.add_feed("feed://nosuch.invalid/rss", find=True)
    assert "https://nosuch.invalid/rss" in (backend.path / "feeds.yaml").read_text()


async def test_what_is_watched_is_not_added_again(backend: AppBackend) -> None:
    """Neither by its address nor by that of its site."""
    async with Loopback() as site:
        (backend.path / "opened.yaml").write_text('settings: {http: {allow: ["127.0.0.0/8"]}}\n')
        site.script("/", answer(200, b"<link rel=feed href='/data'>", Content_Type="text/html"))
        site.script("/data", answer(200, FEED))
        (backend.path / "feeds.yaml").write_text(f"feeds:\n  - {{url: '{site.url('/data')}', id: own}}\n")
        async with open_application(load(backend.path, {})) as app:
            with pytest.raises(Conflict, match="already watched as own"):
                await AppBackend(app, backend.path).add_feed(site.url("/"), find=True)


async def test_an_import_says_what_it_left_out(backend: AppBackend) -> None:
    """Watched already, named twice, no address; and a login is nowhere in it."""
    urls = [
        "https://a.example/feed/",
        "https://u:secret@b.example/",
        "https://u:secret@b.example",
        "feed://c.example",
        "x",
    ]
    outlines = "".join(f'<outline text="t" xmlUrl="{url}"/>' for url in [*urls, urls[3]])
    report = await backend.import_opml(f"<opml version='2.0'><body>{outlines}</body></opml>".encode())
    assert len(report.added) == 2
    assert report.known == ("https://a.example/feed/",)
    assert report.repeated == ("https://b.example", "https://c.example")
    assert report.problems == ("x: not a web address",)
    assert "secret" not in repr(report)


async def test_edits_at_once_undo_nothing(backend: AppBackend) -> None:
    """Feeds that are added and imported at the same moment are all there."""
    await asyncio.gather(
        *(backend.add_feed(f"https://nosuch.invalid/{number}") for number in range(6)),
        backend.import_opml(opml("https://nosuch.invalid/a", "https://nosuch.invalid/b")),
    )
    assert len(load(backend.path, {}).config.feeds) == 1 + 6 + 2
