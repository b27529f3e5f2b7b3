"""The examples of docs/sources.md, run as they stand against servers on loopback."""

import re
from pathlib import Path

import pytest

from aggregator.app.application import Application, open_application
from aggregator.app.usable import usage_problems
from aggregator.config import load
from tests.support.certificates import FOLDER
from tests.support.imap_server import ImapServer
from tests.support.loopback import Loopback, answer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sources.md"
LIST = ROOT / "tests" / "data" / "pages" / "news_list.html"
PASSWORD = "s3cret-word"


def examples() -> list[str]:
    """Every block of YAML of the page, without its first line."""
    blocks = re.findall(r"```yaml\nfeeds:\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    return blocks


def test_every_example_is_valid(tmp_path: Path) -> None:
    """All of them in one file, selectors included."""
    file = tmp_path / "config.yaml"
    file.write_text("feeds:\n" + "".join(examples()), encoding="utf-8")
    found = load(file, {"IMAP_PASSWORD": PASSWORD})
    assert usage_problems(found) == ()
    assert {feed.kind for feed in found.config.feeds} == {"feed", "sitemap", "page", "watch", "mail"}


def test_every_short_name_is_in_the_table() -> None:
    """With its options."""
    from aggregator.core.short_names import SERVICES

    text = PAGE.read_text(encoding="utf-8")
    for name, service in SERVICES.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}:`"))
        assert all(f"`{option}`" in row for option in service.options), row


@pytest.mark.anyio
async def test_every_example_finds_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first poll is the baseline; the second finds one new entry of each source."""
    monkeypatch.setenv("SSL_CERT_FILE", str(FOLDER / "authority.pem"))
    maildir = tmp_path / "maildir"
    for part in ("new", "cur", "tmp"):
        (maildir / part).mkdir(parents=True)
    async with Loopback() as site:
        with ImapServer(password=PASSWORD) as server:
            publish(site, server, maildir, "First")
            text = "".join(block for block in examples() if "short" not in block and "telegram:" not in block)
            text = text.replace("https://example.org", site.url("").rstrip("/")).replace("/var/mail/news", str(maildir))
            text = text.replace("imaps://me@mail.example.org/INBOX", server.url)
            file = tmp_path / "config.yaml"
            file.write_text(
                f"settings: {{database: 'sqlite:///{tmp_path}/db.sqlite', http: {{allow: ['127.0.0.0/8']}}}}\n"
                f"feeds:\n{text}rules: []\n",
                encoding="utf-8",
            )
            async with open_application(load(file, {"IMAP_PASSWORD": PASSWORD})) as app:
                assert len(await polled(app)) == 5
                publish(site, server, maildir, "Second")
                new = await polled(app)
    assert new == {
        "institute": ["Second address here"],
        "ministry": ["Second headline on the page"],
        "sanctions": ["Sanctions: Second line of text"],
        "ofac": ["Second message"],
        "local": ["Second file"],
    }


async def polled(app: Application) -> dict[str, list[str]]:
    """The titles of new entries by feed, after a poll of everything that failed nowhere."""
    found: dict[str, list[str]] = {}

    def done(one: object) -> None:
        assert one.error is None, one.error  # type: ignore[attr-defined]
        found[one.feed] = [entry.title for entry in one.entries]  # type: ignore[attr-defined]

    await (await app.runtime()).poller().once(force=True, done=done)
    return found


def publish(site: Loopback, server: ImapServer, maildir: Path, name: str) -> None:
    """Add one thing to each source."""
    slugs = [f"{one}-address-here" for one in ("First", "Second")[: 1 if name == "First" else 2]]
    rows = "".join(f"<url><loc>{site.url(f'/{slug}')}</loc></url>" for slug in slugs)
    site.script("/sitemap.xml", answer(200, f"<urlset>{rows}</urlset>".encode()))
    article = f"<article><h2><a href='/n/{name}'>{name} headline on the page</a></h2></article>"
    page = LIST.read_text(encoding="utf-8").replace("<article", article + "<article", 1)
    site.script("/news", answer(200, page.encode(), Content_Type="text/html"))
    lines = "".join(f"<p>{one}</p>" for one in ("Heading", "5 views", "First line of text"))
    more = "<p>Second line of text</p>" if name == "Second" else ""
    watched = f"<title>Sanctions</title><main>{lines}{more}</main>".replace("5 views", f"{len(name)} views")
    site.script("/sanctions", answer(200, watched.encode(), Content_Type="text/html"))
    server.inbox.add(f"From: a@treasury.example\r\nSubject: {name} message\r\n\r\nText.\r\n".encode())
    (maildir / "new" / name).write_bytes(f"From: a@b.example\nSubject: {name} file\n\nText.\n".encode())
