"""A client that calls an ASGI app directly, with a cookie jar and no sockets."""

import asyncio
import json
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.types import ASGIApp, Message


@dataclass
class HttpAnswer:
    """What came back; headers are in order, names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def cookies(self) -> list[str]:
        return [value for key, value in self.headers if key == "set-cookie"]


@dataclass
class HttpClient:
    """A browser's good manners (Host, Origin, cookies) unless told otherwise."""

    app: ASGIApp
    host: str = "127.0.0.1:8080"
    address: str = "127.0.0.1"
    scheme: str = "http"
    token: str | None = None
    jar: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **more: Any) -> HttpAnswer:
        """As `call`, from where no loop runs."""
        return asyncio.run(self.call(method, path, **more))

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str | None] | None = None,
        form: dict[str, str] | None = None,
        data: Any = None,
        body: bytes = b"",
    ) -> HttpAnswer:
        """One request; a header given as None is left out."""
        sent: dict[str, str | None] = {"host": self.host}
        if method not in ("GET", "HEAD", "OPTIONS") and not self.token:
            sent["origin"] = f"{self.scheme}://{self.host}"
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        if self.jar:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        if form is not None:
            body = urlencode(form).encode()
            sent["content-type"] = "application/x-www-form-urlencoded"
        if data is not None:
            body = json.dumps(data).encode()
            sent["content-type"] = "application/json"
        sent |= headers or {}
        return await self._call(method, path, {k: v for k, v in sent.items() if v is not None}, body)

    def get(self, path: str, **more: Any) -> HttpAnswer:
        return self.ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> HttpAnswer:
        return self.ask("POST", path, **more)

    async def _call(self, method: str, path: str, headers: dict[str, str], body: bytes) -> HttpAnswer:
        parts = urlsplit(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.scheme,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
            "client": (self.address, 40000),
            "server": ("127.0.0.1", 8080),
        }
        if body and "content-length" not in headers:
            scope["headers"].append((b"content-length", str(len(body)).encode()))  # type: ignore[attr-defined]
        sent: list[Message] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if waiting:
                return waiting.pop()
            await asyncio.sleep(3600)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = next(message for message in sent if message["type"] == "http.response.start")
        answer = HttpAnswer(
            start["status"],
            [(k.decode().lower(), v.decode()) for k, v in start["headers"]],
            b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body"),
        )
        for line in answer.cookies():
            for name, morsel in SimpleCookie(line).items():
                if morsel.value and morsel["max-age"] != "0":
                    self.jar[name] = morsel.value
                else:
                    self.jar.pop(name, None)
        return answer
