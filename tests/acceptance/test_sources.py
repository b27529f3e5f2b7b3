"""Sources without feeds with the real process: kill -9 again and again loses nothing, and no mail is touched."""

import time
from pathlib import Path

import pytest

from tests.support.certificates import FOLDER
from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for
from tests.support.imap_server import ImapServer

KINDS = ("page", "sitemap", "watch", "mail", "maildir")
ROUNDS = 4
TEXT_HTML = {"Content-Type": "text/html; charset=utf-8"}


class Sources:
    """What the sources say, round by round."""

    def __init__(self, publisher: Publisher, server: ImapServer, maildir: Path) -> None:
        self.publisher, self.server, self.maildir = publisher, server, maildir
        self.names: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for part in ("new", "cur", "tmp"):
            (maildir / part).mkdir(parents=True)
        publisher.special["robots.txt"] = (404, {}, b"")
        for kind in KINDS:
            self.say(kind, f"baseline of {kind}")

    def say(self, kind: str, name: str) -> None:
        """Add one thing to a source, beside all that it said before."""
        names = self.names[kind]
        names.insert(0, name)
        slugs = [one.replace(" ", "-") for one in names]
        if kind == "page":
            rows = "".join(f"<li><a href='/a/{slug}'>{one}</a></li>" for slug, one in zip(slugs, names, strict=True))
            self.publisher.special["page"] = (200, TEXT_HTML, f"<ul>{rows}</ul>".encode())
        elif kind == "sitemap":
            rows = "".join(f"<url><loc>{self.publisher.url}/s/{slug}</loc></url>" for slug in slugs)
            self.publisher.special["sitemap"] = (200, {"Content-Type": "text/xml"}, f"<urlset>{rows}</urlset>".encode())
        elif kind == "watch":
            lines = "".join(f"<p>{one}</p>" for one in names)
            self.publisher.special["watch"] = (200, TEXT_HTML, f"<main><p>Top</p>{lines}</main>".encode())
        elif kind == "mail":
            self.server.inbox.add(f"From: a@b.example\r\nSubject: {name}\r\n\r\nText.\r\n".encode())
        else:
            (self.maildir / "tmp" / slugs[0]).write_bytes(f"From: a@b.example\nSubject: {name}\n\nText.\n".encode())
            (self.maildir / "tmp" / slugs[0]).rename(self.maildir / "new" / slugs[0])


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_nothing_of_any_kind(
    publisher: Publisher, receiver: Receiver, tmp_path: Path
) -> None:
    """Each round says something new everywhere and kills the service in the midst of it."""
    with ImapServer(password="s3cret-word") as server:
        sources = Sources(publisher, server, tmp_path / "maildir")
        environ = {"SSL_CERT_FILE": str(FOLDER / "authority.pem"), "IMAP_PASSWORD": "s3cret-word"}
        service = Service(tmp_path / "service", environ)
        service.folder.mkdir(exist_ok=True)
        feeds = f"""feeds:
  - {{id: page, kind: page, url: '{publisher.url}/page', every: 1s, select: {{entry: li}}}}
  - {{id: sitemap, kind: sitemap, url: '{publisher.url}/sitemap', every: 1s}}
  - {{id: watch, kind: watch, url: '{publisher.url}/watch', every: 1s}}
  - {{id: mail, kind: mail, url: '{server.url}', every: 1s, auth: {{password: "${{IMAP_PASSWORD}}"}}}}
  - {{id: maildir, kind: mail, url: 'maildir:{sources.maildir}', every: 1s}}
"""
        written = configuration(publisher, receiver, [], "  - {id: news, any: [missile]}").removeprefix("feeds:\n\n")
        allowed = written.replace(f'allow: ["{publisher.host}"]', "allow: ['127.0.0.0/8']")
        service.write("all.yaml", feeds + allowed)
        first = service.json("poll", "--force")
        assert first["feeds"]["failed"] == 0, first
        before = server.state()
        wanted: list[str] = []
        try:
            for number in range(ROUNDS):
                service.start()
                wait_for(lambda: service.log.read_bytes().count(b'"ready"') > number, what="the start")  # noqa: B023
                for kind in KINDS:
                    wanted.append(f"missile {kind} {'ABCDEFGH'[number]}")
                    sources.say(kind, wanted[-1])
                time.sleep(0.4 + 0.5 * number)  # the kill lands before, amid and after the polls
                service.kill()
            service.start()
            wait_for(lambda: not _missing(wanted, receiver.texts()), what="every alert")
        finally:
            service.kill()
        stored = str(service.json("search", "missile", "--limit", "0"))
    assert [name for name in wanted if name.lower() not in stored.lower()] == []
    texts = receiver.texts()
    for name in wanted:
        times = sum(_arrived(name, [text]) for text in texts)
        assert times <= 1 + ROUNDS, (name, times)
    assert [one[:3] for one in server.state()[: len(before)]] == [one[:3] for one in before]
    assert all(not flags for *_, flags in server.state())
    assert not any(word in said for said in server.said for word in ("SELECT ", "STORE", "EXPUNGE", "BODY["))
    assert sorted(path.name for path in sources.maildir.glob("cur/*")) == []
    assert "s3cret-word" not in "".join(texts)


def _arrived(name: str, texts: list[str]) -> bool:
    """Tell whether an alert is about this: the title of a sitemap's entry comes from its slug."""
    return any(name.lower() in text.lower() for text in texts)


def _missing(wanted: list[str], texts: list[str]) -> list[str]:
    """Return what has no alert; of a watched page only the last: changes between two visits are one entry."""
    last = [name for name in wanted if "watch" in name][-1:]
    return [name for name in wanted if ("watch" not in name or name in last) and not _arrived(name, texts)]
