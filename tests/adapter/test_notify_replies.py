"""Updates answer the alert that their recipient got before, where a service can."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from msgspec import structs
from pydantic import SecretStr
from requests.adapters import HTTPAdapter

from aggregator.core.model import Alert, Receipt
from aggregator.core.settings import Channel
from aggregator.notify import open_notifier
from benchmarks.alert_payloads import attacked
from benchmarks.alert_samples import NOW

pytestmark = pytest.mark.anyio
Said = tuple[int, Mapping[str, Any]]
FIRST = structs.replace(attacked("Ankara receives S-400"), thread="5f1c")
SLACK = "slack://xoxb-1234-1234-abc124/#ops"
TELEGRAM = "tgram://123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc/4242"
MATRIX = "matrixs://user:pass@matrix.example/!room:matrix.example?discovery=no"
MATTERMOST = "mmosts://mm.example/abcdefghijklmnopqrstuvwxyz?mode=bot&to=%2B4xp9fdt77pncbef59f4k1qe83o"
LOGIN = {"access_token": "t", "user_id": "@u:matrix.example", "home_server": "matrix.example", "room_id": "!room"}


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


class Clock:
    def now(self) -> Any:
        return NOW


@contextmanager
def answering(answer: Callable[[str, dict[str, Any]], Said]) -> Iterator[list[dict[str, Any]]]:
    """Answer each request by its address and document; keep the documents."""
    sent: list[dict[str, Any]] = []

    def send(_self: HTTPAdapter, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        assert isinstance(body, bytes)
        assert int(request.headers.get("Content-Length", 0)) == len(body)
        document = json.loads(body or b"{}")
        sent.append(document)
        response = requests.Response()
        response.status_code, said = answer(str(request.url), document)
        response.request, response.url, response._content = request, str(request.url), json.dumps(said).encode()
        response._content_consumed = True
        return response

    real = HTTPAdapter.send
    setattr(HTTPAdapter, "send", send)  # noqa: B010 -- a type checker sees no method to assign to
    try:
        yield sent
    finally:
        setattr(HTTPAdapter, "send", real)  # noqa: B010


async def send(url: str, alert: Alert) -> Receipt:
    channel = Channel(name="chat", url=(SecretStr(url),))
    return await open_notifier(Clock()).send(channel, alert)


@pytest.mark.parametrize(
    ("url", "said", "message_id", "fields"),
    [
        pytest.param(
            SLACK,
            {"ok": True, "channel": "C1", "ts": "1503435956.000247"},
            "1503435956.000247",
            {"thread_ts": "1503435956.000247", "reply_broadcast": True},
            id="Slack",
        ),
        pytest.param(
            TELEGRAM,
            {"ok": True, "result": {"message_id": 77, "chat": {"id": 4242}}},
            "77",
            {"reply_parameters": {"message_id": 77, "allow_sending_without_reply": True}},
            id="Telegram",
        ),
        pytest.param(
            MATRIX,
            {**LOGIN, "event_id": "$event"},
            "$event",
            {"m.relates_to": {"m.in_reply_to": {"event_id": "$event"}}},
            id="Matrix",
        ),
        pytest.param(MATTERMOST, {"id": "post1", "username": "u"}, "post1", {"root_id": "post1"}, id="Mattermost"),
    ],
)
async def test_an_update_answers_the_alert(
    url: str, said: dict[str, Any], message_id: str, fields: dict[str, Any]
) -> None:
    """The service's own id of the first message is learnt from its answer, and the update is a reply to it."""
    with answering(lambda *_: (200, said)) as sent:
        receipt = await send(url, FIRST)
        (first,) = [one for one in sent if "S-400" in json.dumps(one)]
        sent.clear()
        await send(url, structs.replace(FIRST, update=True, reply_to=receipt.message_id))
        (update,) = [one for one in sent if "S-400" in json.dumps(one)]
    assert receipt.message_id == message_id
    assert not fields.keys() & first.keys()
    assert {name: update[name] for name in fields} == fields
    assert update.keys() == first.keys() | fields.keys()


@pytest.mark.parametrize(
    ("url", "refused", "accepted"),
    [
        pytest.param(SLACK, (200, {"ok": False, "error": "thread_not_found"}), {"ok": True, "ts": "2.0"}, id="Slack"),
        pytest.param(
            TELEGRAM,
            (400, {"ok": False, "description": "no"}),
            {"ok": True, "result": {"message_id": 2}},
            id="Telegram",
        ),
        pytest.param(MATTERMOST, (400, {"message": "Invalid RootId"}), {"id": "2", "username": "u"}, id="Mattermost"),
    ],
)
async def test_nothing_is_lost_where_no_reply_is_taken(url: str, refused: Said, accepted: dict[str, Any]) -> None:
    """The first message is gone: the update is a message of its own, once."""

    def answer(_url: str, document: dict[str, Any]) -> Said:
        replies = {"thread_ts", "reply_parameters", "root_id"}
        return refused if replies & document.keys() else (200, accepted)

    with answering(answer) as sent:
        receipt = await send(url, structs.replace(FIRST, update=True, reply_to="1"))
    assert receipt.message_id.startswith("2")
    assert len([one for one in sent if "S-400" in json.dumps(one)]) == 2


@pytest.mark.parametrize("said", [{"ok": True}, {"ok": True, "ts": ["x"]}, {"ok": True, "ts": "1\n2"}])
async def test_an_answer_without_an_id_is_accepted(said: Any) -> None:
    """What a receiver says is not trusted: only a short word counts as an id."""
    with answering(lambda *_: (200, said)):
        assert (await send(SLACK, FIRST)).message_id == ""


async def test_google_chat_makes_threads_by_our_key() -> None:
    """All alerts about a story have one key; a thread that the channel's own address names stays."""
    url = "gchat://workspace/webhookkey/webhooktoken"
    with answering(lambda *_: (200, {})) as sent:
        await send(url, FIRST)
        await send(url, structs.replace(FIRST, update=True))
        await send(f"{url}/ours", FIRST)
        await send(url, structs.replace(FIRST, thread=""))
    assert [one.get("thread") for one in sent] == [
        {"thread_key": "story-5f1c"}, {"thread_key": "story-5f1c"}, {"thread_key": "ours"}, None,
    ]  # fmt: skip
