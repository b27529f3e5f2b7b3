"""WebSub with the real process: a hub asks back, pushes, and the alert comes long before the next poll."""

import hmac
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode

from tests.support.harness import PATIENCE_S, Answer, Publisher, Receiver, Service, configuration, wait_for
from tests.support.receivers import free_port


class Hub(Publisher):
    """A publisher that is its own hub: it asks back as soon as it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.confirmed: list[str] = []

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if path == "/hub":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self.forms.append(form)
            threading.Thread(target=self._verify, args=(form,), daemon=True).start()
            return 202, {}, b""
        status, sent, document = super().answer(method, path, headers, body)
        return status, sent | {"Link": f'<{self.url}/hub>; rel="hub"'}, document

    def _verify(self, form: Mapping[str, str]) -> None:
        question = {"hub.mode": "subscribe", "hub.topic": form["hub.topic"], "hub.challenge": "mellon"}
        address = f"{form['hub.callback']}?{urlencode({**question, 'hub.lease_seconds': '864000'})}"
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            self.confirmed.append(answer.read().decode())

    def push(self, feed: str, secret: str | None = None) -> int:
        """Bring the feed as it is now; gives the status."""
        form = self.forms[-1]
        body = self._rss(feed)
        signed = hmac.new((secret or form["hub.secret"]).encode(), body, "sha256").hexdigest()
        headers = {"X-Hub-Signature": f"sha256={signed}", "Content-Type": "application/rss+xml"}
        try:
            with urllib.request.urlopen(urllib.request.Request(form["hub.callback"], body, headers)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def test_a_push_alerts_at_once(receiver: Receiver, service: Service) -> None:
    """Asked and confirmed without a credential; a forged push tells nothing, a signed one alerts, once."""
    hub = Hub()
    try:
        hub.publish("alpha", "zero", "nothing of note")
        port = free_port()
        page = f"web: {{listen: '127.0.0.1:{port}', public_url: 'http://127.0.0.1:{port}', password: mellon}}"
        written = configuration(hub, receiver, ["alpha"], "  - {id: watch, any: [S-400]}", every="1h")
        service.write("all.yaml", written.replace("web: {enabled: false}", page))
        service.json("poll", "--force")
        service.start()
        wait_for(lambda: hub.confirmed, what="the confirmation")
        assert hub.confirmed == ["mellon"]
        hub.publish("alpha", "one", "S-400 seen")
        assert hub.push("alpha", secret="forged") == 202
        assert receiver.texts() == []
        assert hub.push("alpha") == 202
        wait_for(lambda: receiver.texts(), what="the alert")
        assert hub.push("alpha") == 202
        assert service.stop() == 0
        assert len(receiver.texts()) == 1
        assert [path for path, _ in hub.requests] == ["alpha"]
        assert "mellon" not in service.log.read_text()
        assert hub.forms[0]["hub.secret"] not in service.log.read_text()
    finally:
        hub.close()
