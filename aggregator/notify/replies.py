"""Updates as replies: an update answers the alert that its recipient received before, where a service can.

Apprise gives no ids of messages away and takes none; but the ids are in the answers, which are read here anyway, and
a reply is one more field of the message. Google Chat makes threads by a key of our own. Webhooks of chats (Discord,
Slack, Mattermost) return no id, or can answer nothing: there, an update is a message of its own.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests

MAX_ID_CHARS = 255


@dataclass(frozen=True, slots=True)
class ReplySyntax:
    """How a service answers a message: part of the address of a post, where its id is, and what a reply says of it."""

    post: str
    path: tuple[str, ...]
    fields: Callable[[str], Mapping[str, Any]]


_SYNTAX: Mapping[str, ReplySyntax] = {
    # Shown in the channel as well: who does not follow the thread hears of the update.
    "slack": ReplySyntax("/chat.postMessage", ("ts",), lambda name: {"thread_ts": name, "reply_broadcast": True}),
    "tgram": ReplySyntax(
        "/sendMessage",
        ("result", "message_id"),
        lambda name: {"reply_parameters": {"message_id": int(name), "allow_sending_without_reply": True}},
    ),
    # In a room with encryption the message is not to be seen here.
    "matrix": ReplySyntax(
        "/send/m.room.message/",
        ("event_id",),
        lambda name: {"m.relates_to": {"m.in_reply_to": {"event_id": name}}},
    ),
    "mmost": ReplySyntax("/api/v4/posts", ("id",), lambda name: {"root_id": name}),
}
_SYNTAX = {**_SYNTAX, "matrixs": _SYNTAX["matrix"], "mmosts": _SYNTAX["mmost"]}


class Reply:
    """One send of an alert: `message_id` is what the service called it, `reply_to` the message that it answers."""

    def __init__(self, schema: str, reply_to: str = "") -> None:
        self._syntax = _SYNTAX.get(schema)
        self.reply_to = reply_to if self._syntax else ""
        self.message_id = ""

    def amend(self, request: requests.PreparedRequest) -> None:
        """Make a post a reply; leave every other request as it is."""
        if self._syntax is None or not self.reply_to or self._syntax.post not in (request.url or ""):
            return
        document = _object(request.body)
        try:
            fields = self._syntax.fields(self.reply_to)
        except ValueError:  # an id that an edited database holds
            return
        if document is not None:
            request.prepare_body(json.dumps({**document, **fields}).encode(), None)

    def read(self, response: requests.Response) -> None:
        """Keep the id of the first part that was accepted."""
        if self._syntax is None or self.message_id or self._syntax.post not in (response.request.url or ""):
            return
        found: Any = _object(response.content)
        for name in self._syntax.path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str | int) and str(found).isprintable():
            self.message_id = str(found) if len(str(found)) <= MAX_ID_CHARS else ""


def _object(body: Any) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
