"""`aggregator doctor` on broken installations: it reports problems and remedies, and changes nothing."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import Publisher, Receiver, Server, Service, closing_all, configuration, wait_for
from tests.support.receivers import free_port

pytestmark = pytest.mark.slow
RULES = "  - {id: s400, any: [S-400]}"
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installation that made one pass over one feed; nothing is wrong with it."""
    publisher, receiver = Publisher(), Receiver()
    service = Service(tmp_path_factory.mktemp("master"))
    publisher.publish("wire", "0", "S-400 in 2019")
    service.write("all.yaml", configuration(publisher, receiver, ["wire"], RULES, every="1h"))
    with closing_all(publisher, receiver):
        assert service.call("poll", "--force").returncode == 0
        yield service.folder


@pytest.fixture
def installed(master: Path, service: Service) -> Service:
    """A copy of it, to be broken."""
    shutil.copytree(master, service.folder, dirs_exist_ok=True)
    return service


def examined(service: Service) -> dict[str, Any]:
    """The report; nothing in the installation may differ after it, and the exit code follows it."""
    before = _contents(service)
    done = service.call("doctor", "--json")
    assert _contents(service) == before, "doctor changed something"
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    assert all(finding["remedy"] and finding["message"] for finding in report["findings"])
    return report


def kinds(report: dict[str, Any]) -> set[str]:
    """The kinds of what was found; the age of the Python that runs the tests is beside the point."""
    return {finding["kind"] for finding in report["findings"]} - {"unpatched"}


def remedy(report: dict[str, Any], kind: str) -> str:
    return next(str(finding["remedy"]) for finding in report["findings"] if finding["kind"] == kind)


def _contents(service: Service) -> dict[str, str]:
    files = (file for file in service.folder.rglob("*") if file.is_file())
    return {str(file): sha256(file.read_bytes()).hexdigest() for file in files}


def _execute(service: Service, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(service.folder / "var" / "aggregator.db")) as database, database:
        database.execute(statement, values)


def test_a_healthy_installation_is_called_healthy(installed: Service) -> None:
    """Exit 0, no finding, and every area was checked."""
    report = examined(installed)
    assert set(report) == {"ok", "findings", "checked", "troubles", "looked_at"}  # the last two: names of 0.2
    assert report["ok"]
    assert kinds(report) == set()
    assert {"configuration", "channels", "database", "disk", "feeds", "alerts", "clock"} <= set(report["checked"])
    assert "healthy" in installed.call("doctor").stdout


def test_a_faulty_configuration(installed: Service) -> None:
    """Each mistake with its place and the proposal of the loader."""
    installed.write("more.yaml", "rules:\n  - {id: f35, anny: [F-35]}\n  - {id: t, any: [x y z], notify: [desc]}\n")
    report = examined(installed)
    assert kinds(report) == {"config"}
    assert any("more.yaml:2:" in finding["about"] and "any" in finding["remedy"] for finding in report["findings"])
    assert any("desc" in finding["message"] for finding in report["findings"])


def test_a_channel_that_cannot_work_and_a_rule_that_fails_its_test(installed: Service) -> None:
    """Both are found although the configuration loads."""
    rule = "{id: f35, any: [F-35], tests: {match: [nothing of the kind]}}"
    installed.write("more.yaml", f"channels:\n  chat: {{service: slack, targets: ['#ops']}}\nrules:\n  - {rule}\n")
    report = examined(installed)
    assert kinds(report) == {"config"}
    assert len(report["findings"]) >= 2


@pytest.mark.parametrize(
    ("breakage", "kind", "words"),
    [("newer", "newer", "restore"), ("torn", "database", "backup"), ("foreign", "database", "settings.database")],
)
def test_a_broken_database(installed: Service, breakage: str, kind: str, words: str) -> None:
    """From a later program, damaged, or somebody else's: each with its own remedy."""
    file = installed.folder / "var" / "aggregator.db"
    if breakage == "newer":
        _execute(installed, "UPDATE alembic_version SET version_num = '9999'")
    elif breakage == "torn":
        file.write_bytes(b"not a database at all" * 500)
    else:
        file.unlink()
        _execute(installed, "CREATE TABLE songs (name TEXT)")
    report = examined(installed)
    assert kinds(report) == {kind}
    assert words in remedy(report, kind)


def test_a_page_of_the_database_is_torn(installed: Service) -> None:
    """Damage inside a database that still opens is found by reading it."""
    file = installed.folder / "var" / "aggregator.db"
    content = bytearray(file.read_bytes())
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content[(page - 1) * size : page * size] = b"\xff" * size
    file.write_bytes(content)
    report = examined(installed)
    assert kinds(report) & {"damaged", "database"}


def test_no_database(installed: Service) -> None:
    """A missing database is a note, as a fresh installation has none: it comes with the first run, not with doctor."""
    (installed.folder / "var" / "aggregator.db").unlink()
    report = examined(installed)
    assert kinds(report) == {"missing"}
    assert report["ok"]
    assert "aggregator run" in remedy(report, "missing")


def test_a_service_that_stopped_a_week_ago(installed: Service) -> None:
    """The last poll was long ago and feeds wait: the service does not run."""
    statement = "UPDATE feeds SET last_polled_at = last_polled_at - ?, next_poll_at = next_poll_at - ?"
    _execute(installed, statement, 7 * DAY_US, 7 * DAY_US)
    report = examined(installed)
    assert kinds(report) == {"stopped"}
    assert "aggregator run" in remedy(report, "stopped")


def test_a_clock_that_was_set_back(installed: Service) -> None:
    """The database has seen a later time than this machine shows."""
    _execute(installed, "UPDATE feeds SET last_polled_at = last_polled_at + ?", 2 * DAY_US)
    report = examined(installed)
    assert kinds(report) == {"clock"}
    assert "clock" in remedy(report, "clock")


def test_dead_feeds_and_dead_deliveries(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """A feed that is gone, one that fails, and an alert that its channel refused."""
    for feed in ("wire", "gone", "failing"):
        publisher.publish(feed, "0", "nothing")
    service.write("all.yaml", configuration(publisher, receiver, ["wire", "gone", "failing"], RULES, every="1h"))
    service.call("poll", "--force")
    publisher.special = {"gone": (410, {}, b""), "failing": (404, {}, b"")}
    publisher.publish("wire", "1", "S-400 seen")
    receiver.refuse = lambda _: 403
    for _ in range(3):
        service.call("poll", "--force")
    report = examined(service)
    assert {"gone", "failing", "dead"} <= kinds(report)
    assert "feeds remove gone" in remedy(report, "gone")
    assert "retry" in remedy(report, "dead")


class Stranger(Server):
    """Some other web server on our port."""

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Any:
        return 200, {}, b"<html>hello</html>"


def test_a_taken_port_and_an_open_secret(installed: Service) -> None:
    """Another program answers where the page should be, and a secret lies about for everybody."""
    stranger = Stranger()
    secret = installed.folder / "token"
    secret.write_text("kiswahili-token\n")
    secret.chmod(0o644)
    text = (installed.config / "all.yaml").read_text()
    web = f"web: {{listen: '{stranger.host}', token: '${{file:../token}}', password: plain-as-day}}"
    (installed.config / "all.yaml").write_text(text.replace("web: {enabled: false}", web))
    (installed.config / "all.yaml").chmod(0o666)
    installed.write("plain.yaml", "channels:\n  plain: {url: 'json://127.0.0.1:9/desk'}\n")
    (installed.config / "plain.yaml").chmod(0o644)
    installed.write("open.yaml", "channels:\n  open: {url: 'json://ann:wide-open@127.0.0.1:9/desk'}\n")
    (installed.config / "open.yaml").chmod(0o644)
    report = examined(installed)
    stranger.close()
    assert kinds(report) == {"port", "secret", "writable"}
    found = {finding["about"] for finding in report["findings"] if finding["kind"] == "secret"}
    assert {name.rpartition("/")[2] for name in found} == {"all.yaml", "open.yaml", "token"}
    assert "plain-as-day" not in str(report)


def test_it_knows_the_running_service(installed: Service) -> None:
    """Beside the running service it finds its page and calls it healthy."""
    text = (installed.config / "all.yaml").read_text()
    listen = f"127.0.0.1:{free_port()}"
    installed.write("all.yaml", text.replace("web: {enabled: false}", f"web: {{listen: '{listen}'}}"))
    installed.start()
    wait_for(lambda: "ready" in installed.log.read_text(), what="the service")
    done = installed.call("doctor", "--json")
    assert installed.stop() == 0
    assert kinds(json.loads(done.stdout)) == set()


def test_a_database_that_others_may_read(installed: Service) -> None:
    """Named with its mode and the remedy; the next start closes it by itself."""
    file = installed.folder / "var" / "aggregator.db"
    file.chmod(0o644)
    report = examined(installed)
    [finding] = [found for found in report["findings"] if found["kind"] == "secret"]
    assert "mode 644" in finding["message"]
    assert finding["remedy"] == f"chmod 600 {file.relative_to(installed.folder)}"
    assert installed.call("feeds", "list").returncode == 0
    assert kinds(examined(installed)) == set()
