"""No secret is shown: seeded in every place, all at debug, every server failing and telling all that it was sent."""

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.support.harness import PATIENCE_S, Answer, Publisher, Receiver, Server, Service, closing_all, wait_for
from tests.support.receivers import free_port

pytestmark = pytest.mark.slow
NAMES = "PASSWORD BEARER HEADER QUERY USERINFO PROXY HOOK JSONURL SMTP NTFY WEB TOKEN"
SEEDS = {name: f"sEeD-{name.lower()}-q7Zk" for name in NAMES.split()} | {
    "ODD": "sEeD/odd @:%40&=q7Zk",
    "FILE": "sEeD-file-q7Zk",
    "RECIPIENTS": "sEeD-first-q7Zk@x.org, sEeD-second-q7Zk@x.org",
    "WRITTEN": "sEeDwritten42q7Zk",
}

CONFIG = """\
feeds:
  - {{id: wire, url: "{publisher}/wire", every: 1s}}
  - {{id: basic, url: "{teller}/basic", every: 1s, auth: {{user: ann, password: "${{PASSWORD}}"}}}}
  - {{id: bearer, url: "{teller}/bearer", every: 1s, auth: {{bearer: "${{BEARER}}"}}}}
  - {{id: header, url: "{teller}/header", every: 1s, headers: {{X-Key: "${{HEADER}}", X-Odd: "${{ODD}}"}}}}
  - {{id: query, url: "{teller}/query?key=${{QUERY}}", every: 1s}}
  - {{id: userinfo, url: "http://ann:${{USERINFO}}@{teller_host}/userinfo", every: 1s}}
  - {{id: hop, url: "{teller}/hop?key=${{QUERY}}", every: 1s}}
  - {{id: relative, url: "{publisher}/relative?key=${{QUERY}}", every: 1s, first_poll: alert}}
  - {{id: proxied, url: "{publisher}/proxied", every: 1s, proxy: "http://ann:${{PROXY}}@127.0.0.1:{closed}"}}
  - {{id: closed, url: "http://ann:${{USERINFO}}@127.0.0.1:{closed}/x?key=${{QUERY}}", every: 1s}}
channels:
  hook: {{service: webhook, url: "{receiver}/hook/${{HOOK}}", token: "${{TOKEN}}"}}
  odd: {{service: webhook, url: "{receiver}/odd", token: "${{ODD}}"}}
  from-file: {{service: webhook, url: "{receiver}/file", token: "${{file:../secret}}"}}
  json: {{url: "json://ann:${{JSONURL}}@{receiver_host}/json"}}
  mail:
    {{service: mailto, host: 127.0.0.1, port: "{closed}", user: ann, password: "${{SMTP}}", to: "${{RECIPIENTS}}",
     from: a@x.org}}
  ntfy: {{url: "ntfy://${{NTFY}}@{receiver_host}/topic"}}
settings:
  default_channels: [hook, odd, from-file, json, mail, ntfy, bark, way]
  polling: {{every: 1s, min_interval: 1s, per_host: 8}}
  http: {{allow: ["127.0.0.1"]}}
  web: {{listen: "127.0.0.1:{page}", password: "${{WEB}}", token: "${{TOKEN}}"}}
  logging: {{level: debug, format: {format}}}
rules:
  - {{id: s400, any: [S-400]}}
lists:
  keyed: {{url: "{teller}/list?key=${{QUERY}}"}}
  barred: {{url: "http://ann:${{USERINFO}}@127.0.0.1:{closed}/list?key=${{QUERY}}"}}
"""

# In the file itself, and in another one than the rules, which the editor shows.
WRITTEN = """\
feeds:
  - {{id: written, url: "{teller}/written?a=1&key=sEeDwritten42q7Zk", every: 1s}}
  - {{id: login, url: "http://ann:sEeDwritten42q7Zk@{teller_host}/login", every: 1s}}
channels:
  bark: {{url: "bark://{receiver_host}/sEeDwritten42q7Zk"}}
  way: {{service: webhook, url: "{receiver}/sEeDwritten42q7Zk", headers: {{X-Key: sEeDwritten42q7Zk}}}}
lists:
  written: {{url: "{teller}/list?key=sEeDwritten42q7Zk"}}
"""
RELATIVE = b"""<rss version="2.0"><channel><title>r</title><link>/</link>
<item><title>S-400 by a relative link</title><guid>1</guid><link>/story/1</link></item>
<item><title>S-400 by a fragment</title><guid>2</guid><link>#two</link></item>
<item><title>S-400 by a query</title><guid>3</guid><link>?page=3</link></item></channel></rss>"""
COMMANDS = [
    "check", "check --json", "status", "status --json", "doctor", "doctor --json", "poll --force --json",
    "poll --force",
    "feeds list", "feeds list --json", "feeds show query --json",
    "feeds show written", "feeds show login --json", "feeds show userinfo", "feeds show closed --json",
    "feeds export", "rules list --json", "rules show s400", "rules lint", "hits list --json",
    "hits list", "hits export --format atom",
    "search S-400 --json", "deliveries list --limit 0", "deliveries list --json", "channels list --json",
    "channels test hook", "channels test odd --json", "channels test from-file", "channels test json",
    "channels test mail --json", "channels test ntfy",
    "channels test bark", "channels test way", "db stats --json", "db check", "check --online", "schema",
    "silence list --json", "lists list", "lists list --json", "lists fetch", "lists fetch --json",
]  # fmt: skip
PAGES = [
    "/", "/rules", "/rules/s400", "/rules/edit", "/feeds", "/feeds/query", "/feeds/userinfo", "/feeds/hop",
    "/feeds/written",
    "/alerts", "/channels", "/api/v1/channels",
    "/search?q=S-400", "/status", "/metrics", "/healthz", "/readyz", "/feeds.opml", "/feeds/hits.atom", "/api/docs",
    "/api/openapi.json", "/api/v1/feeds", "/api/v1/feeds/closed", "/api/v1/rules", "/api/v1/rules/files",
    "/api/v1/deliveries", "/api/v1/status", "/api/v1/hits", "/login", "/nothing-here",
]  # fmt: skip


class LeakyPublisher(Server):
    """Fails, and says everything that it was sent; /hop leads astray with the whole address."""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if path.startswith("/hop"):
            return 302, {"Location": f"http://127.0.0.1:1{path}"}, b""
        return 401, {"WWW-Authenticate": f'Basic realm="{path}"', "X-Path": path}, _told(path, headers, body)


class LeakyReceiver(Receiver):
    """Refuses every alert with an echo of the request; keeps what the alerts said."""

    heard = ""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.heard += body.decode()
        return 500, {}, _told(path, headers, body)


def _told(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    return f"cannot serve {path} to {dict(headers)}".encode() + body


@pytest.fixture
def receiver() -> Iterator[LeakyReceiver]:
    server = LeakyReceiver()
    with closing_all(server):
        yield server


@pytest.fixture
def seeded(tmp_path: Path, publisher: Publisher, receiver: LeakyReceiver) -> Iterator[Service]:
    """A service whose every secret is known to the test."""
    teller = LeakyPublisher()
    service = Service(tmp_path, {**SEEDS, "PYTHONWARNINGS": "default"})
    (tmp_path / "secret").write_text(SEEDS["FILE"] + "\n")
    places = {
        "publisher": publisher.url,
        "teller": teller.url,
        "teller_host": teller.host,
        "receiver": receiver.url,
        "receiver_host": receiver.host,
        "closed": free_port(),
        "page": free_port(),
    }
    (tmp_path / "places.json").write_text(json.dumps(places))
    service.write("written.yaml", WRITTEN.format(**places))
    publisher.publish("wire", "0", "nothing")
    publisher.publish("proxied", "0", "nothing")
    publisher.special["relative?key=" + SEEDS["QUERY"]] = 200, {"Content-Type": "application/rss+xml"}, RELATIVE
    yield service
    if service.process and service.process.poll() is None:
        service.kill()
    teller.close()


def _places(service: Service) -> dict[str, str]:
    found: dict[str, str] = json.loads((service.folder / "places.json").read_text())
    return found


def _spellings() -> dict[str, str]:
    """Each secret as it is, percent-encoded, in JSON, and in a Basic login."""
    found: dict[str, str] = {}
    seeds = [(name, seed) for name, seed in SEEDS.items()] + [
        (name, one) for name, seed in SEEDS.items() for one in seed.split(", ")
    ]
    for name, seed in seeds:
        for spelling in (seed, quote(seed, safe=""), quote(seed), quote_plus(seed), json.dumps(seed)[1:-1]):
            found[spelling] = name
        for user in ("ann", ""):
            found[base64.b64encode(f"{user}:{seed}".encode()).decode()] = f"{name} in a login"
    return found


def _leaks(outputs: Mapping[str, str]) -> list[str]:
    return sorted(
        {
            f"{name} in {place}: …{text[max(0, at - 60) : at + 60]!r}"
            for place, text in outputs.items()
            for spelling, name in _spellings().items()
            if (at := text.find(spelling)) >= 0
        }
    )


def _page(service: Service, path: str, token: str | None) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{_places(service)['page']}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return f"{answer.status} {answer.headers} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.headers} {error.read().decode()}"


@pytest.mark.parametrize("style", ["json", "console"])
def test_the_running_service_shows_no_secret(seeded: Service, publisher: Publisher, style: str) -> None:
    """Logs at debug, every page, the API and /metrics, while feeds and channels fail; a faulty reload quotes none."""
    text = CONFIG.format(format=style, **_places(seeded))
    seeded.write("all.yaml", text)
    seeded.start()
    wait_for(lambda: publisher.polls("wire") >= 2, what="the baseline")
    publisher.publish("wire", "1", "S-400 seen")
    wait_for(lambda: _log(seeded).count("will be retried") >= 5, what="failed deliveries")
    wait_for(lambda: _log(seeded).lower().count("debug") > 10, what="what a person sees at debug")
    outputs = {path: _page(seeded, path, SEEDS["TOKEN"]) for path in PAGES}
    outputs |= {f"{path} for strangers": _page(seeded, path, "wrong") for path in PAGES}
    assert outputs["/feeds"].startswith("200")
    faulty = text.replace("default_channels: [", 'default_channels: ["${SMTP}", ').replace("1s}", '"${PROXY}"}')
    seeded.write("all.yaml", faulty)
    wait_for(lambda: "invalid configuration" in _log(seeded), what="the refusal")
    assert seeded.stop() == 0
    outputs["log"] = _log(seeded)
    assert outputs["log"].lower().count("debug") > 10, "the test must see what a person would see at debug"
    assert _leaks(outputs) == []


def _log(service: Service) -> str:
    return service.log.read_text(encoding="utf-8", errors="replace")


def test_no_command_shows_a_secret(seeded: Service, publisher: Publisher, receiver: LeakyReceiver) -> None:
    """stdout and stderr of every command that reads, polls or sends, at debug."""
    seeded.write("all.yaml", CONFIG.format(format="console", **_places(seeded)))
    seeded.call("poll", "--force")
    publisher.publish("wire", "1", "S-400 seen")
    outputs = {}
    for command in COMMANDS:
        done = seeded.call(*command.split())
        assert "Traceback" not in done.stderr, done.stderr
        outputs[command] = done.stdout + done.stderr
    listed = json.loads(seeded.call("deliveries", "list", "--json").stdout)
    assert {one["recipient"] for one in listed if one["channel"] == "mail"} == {"***"}
    test = json.JSONDecoder().raw_decode(outputs["channels test mail --json"])[0]
    assert [one["recipient"] for one in test["results"]] == ["*** 1", "*** 2"]
    first = next(one for one in listed if one["channel"] == "mail")
    outputs["deliveries show"] = _words(seeded.call("deliveries", "show", first["id"]))
    outputs["deliveries show --json"] = _words(seeded.call("deliveries", "show", first["id"], "--json"))
    assert "S-400 seen" in outputs["hits list --json"]
    assert "S-400 by a fragment" in outputs["hits list --json"]
    assert "S-400 seen" in receiver.heard
    outputs["what the alerts said"] = receiver.heard.replace(f'"device_key": "{SEEDS["WRITTEN"]}"', "")
    assert _leaks(outputs) == []


def _words(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stdout + done.stderr


def test_a_database_that_cannot_be_reached_keeps_its_password(seeded: Service) -> None:
    """The URL of PostgreSQL holds one; the errors name the host only."""
    text = CONFIG.format(format="json", **_places(seeded))
    url = f"postgresql://ann:${{WEB}}@127.0.0.1:{_places(seeded)['closed']}/news?application_name=${{TOKEN}}"
    seeded.write("all.yaml", text.replace("settings:\n", f'settings:\n  database: "{url}"\n'))
    outputs = {command: _words(seeded.call(*command.split())) for command in ("status", "doctor", "db stats", "run")}
    assert "cannot be reached" in outputs["status"]
    seeded.write("all.yaml", text.replace("settings:\n", 'settings:\n  database: "mysql://ann:${WEB}@x/y"\n'))
    outputs |= {f"{command} on mysql": _words(seeded.call(command)) for command in ("status", "doctor", "run")}
    assert _leaks(outputs) == []


def test_a_server_that_repeats_a_secret(publisher: Publisher, service: Service) -> None:
    """What a pass says of a feed's error is without what the server was sent."""
    key = service.environ["KEY"] = SEEDS["QUERY"]
    service.write(
        "all.yaml",
        f'settings: {{http: {{allow: ["{publisher.host}"]}}}}\n'
        f'feeds: [{{id: a, url: "{publisher.url}/a?key=${{KEY}}"}}]\n',
    )
    publisher.special["a"] = publisher.special[f"a?key={key}"] = (302, {"Location": f"javascript:{key}"}, b"")
    said = _words(service.call("poll"))
    assert "javascript:***" in said
    assert key not in said
