"""The operator's night in a real browser, beside the real service: a refused edit, a broken channel, both mended."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.supervisor import get
from tests.support.harness import Publisher, Receiver, Service, closing_all, configuration, wait_for
from tests.support.receivers import free_port

RULES = "  - {id: watch, any: [S-400]}\n"
FAILING = ("{id: watch, any: [S-400]}", "{id: watch, any: [S-400], tests: {match: [nothing like it]}}")
PAGES = (
    "/",
    "/alerts",
    "/search",
    "/rules",
    "/rules/new",
    "/feeds",
    "/feeds/wire",
    "/channels",
    "/silences",
    "/status",
)
PAGER = "night-shift-pager@example.org, second-pager@example.org"
MAIL = 'pager: {service: mailto, host: 127.0.0.1, port: "%d", to: "${PAGER}", from: a@example.org}'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Service, Receiver, str]]:
    """The service with a page; its channel answers 401 until the receiver is mended."""
    publisher, receiver, port = Publisher(), Receiver(), free_port()
    service = Service(tmp_path, {"PAGER": PAGER})
    publisher.publish("wire", "0", "nothing of note")
    text = configuration(publisher, receiver, ["wire"], RULES, every="1h")
    text = text.replace("enabled: false", f"listen: '127.0.0.1:{port}'")
    service.write("all.yaml", text.replace("channels:\n", f"channels:\n  {MAIL % free_port()}\n"))
    with closing_all(publisher, receiver):
        service.start()
        try:
            wait_for(lambda: "ready" in service.log.read_text(), what="the service")
            wait_for(lambda: publisher.requests, what="the first poll")
            yield service, receiver, f"127.0.0.1:{port}"
        finally:
            service.stop()


class Surfaces:
    """What the terminal, the probe, the API and the page say about the service; all of them must say the same."""

    def __init__(self, service: Service, address: str, page: Page) -> None:
        self.service, self.address, self.page = service, address, page

    def agree(self, *kinds: str) -> list[dict[str, Any]]:
        """Expect these findings everywhere; return those of the status."""
        host, port = self.address.split(":")
        wait_for(
            lambda: [*kinds] == [one["kind"] for one in self._api("/api/v1/findings")["findings"]], what=str(kinds)
        )
        status, ready = self._api("/api/v1/status"), json.loads(get(int(port), "/readyz")[1])
        said = self.service.json("status")
        assert said["ok"] is (not kinds), said["findings"]
        doctor = [one for one in self.service.json("doctor")["findings"] if one["kind"] != "unpatched"]
        for findings in (status["findings"], said["findings"], doctor):
            assert [one["kind"] for one in findings] == [*kinds], (host, findings)
        assert status["ok"] is said["ok"] is ready["ok"] is (not kinds)
        self.page.goto(f"http://{self.address}/status")
        expect(self.page.locator("[data-pulse]")).to_have_class(f"pulse {'late' if kinds else 'ok'}")
        expect(self.page.locator(".verdict")).to_have_class(f"verdict {'bad' if kinds else 'good'}")
        listed: list[dict[str, Any]] = status["findings"]
        return listed

    def _api(self, path: str) -> Any:
        return json.loads(get(int(self.address.split(":")[1]), path)[1])


def test_an_operator_mends_what_is_broken(browser: Browser, world: tuple[Service, Receiver, str]) -> None:
    """Each fault is on every page and in every verdict, with the words of `check`; each of them ends when mended."""
    service, receiver, address = world
    page = browser.new_context(reduced_motion="reduce").new_page()
    surfaces = Surfaces(service, address, page)
    assert surfaces.agree() == []

    # An edit that is refused: a banner on every page, in the words of `check`.
    text = (service.config / "all.yaml").read_text()
    service.write("all.yaml", text.replace(*FAILING))
    [finding] = surfaces.agree("config")
    checked = service.call("check")
    [words] = [line for line in checked.stderr.splitlines() if "does not match" in line]
    assert checked.returncode == 2
    assert words in finding["what"]
    for path in PAGES:
        page.goto(f"http://{address}{path}")
        expect(page.locator(".refused code")).to_have_text(words)
    service.write("all.yaml", text)
    assert surfaces.agree() == []
    for path in PAGES:
        page.goto(f"http://{address}{path}")
        expect(page.locator(".refused")).to_have_count(0)

    # A channel that is broken: never tried, then red after Send test, with what each recipient answered.
    receiver.refuse = lambda _: 401
    page.goto(f"http://{address}/channels")
    desk, pager = page.locator("#channel-desk"), page.locator("#channel-pager")
    expect(pager).to_contain_text("never tried")
    expect(pager.locator("h2 .dot")).to_have_class("dot new")
    for channel in (desk, pager):
        channel.get_by_role("button", name="Send test").click()
        expect(channel.locator(".notice.bad")).to_be_visible()
        expect(channel.locator("h2 .dot")).to_have_class("dot dead")
    expect(desk.locator(".notice")).to_contain_text("HTTP 401")
    expect(pager.locator(".notice li b")).to_have_text(["*** 1", "*** 2"])
    assert not [word for word in PAGER.split(", ") if word in page.content()]
    channels = [one["what"] for one in surfaces.agree("channel", "channel")]
    assert "channel desk" in channels[0]
    assert "HTTP 401" in channels[0]
    listed = {one["name"]: one["state"] for one in service.json("channels", "list")}
    assert listed == {"console": "never", "desk": "dead", "pager": "dead"}

    # Mended: the receiver takes alerts again, the pager is taken out of the configuration.
    receiver.refuse = lambda _: None
    page.goto(f"http://{address}/channels")
    desk.get_by_role("button", name="Send test").click()
    expect(desk.locator("h2 .dot")).to_have_class("dot sent")
    [finding] = surfaces.agree("channel")
    assert "channel pager" in finding["what"]
    service.write("all.yaml", "".join(line for line in text.splitlines(keepends=True) if "pager:" not in line))
    assert surfaces.agree() == []
    assert service.call("doctor").returncode == 0
