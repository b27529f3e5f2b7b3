"""One alert to one recipient through Apprise, with a hard deadline and an honest answer.

A send runs in a thread of its own, at most a few per channel: Apprise blocks, and a thread that
hangs in a dead service cannot be stopped, only left. It is left to its socket's own time-outs,
holds its channel's place meanwhile, and nobody else's.
"""

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

from aggregator.core.errors import DeliveryError
from aggregator.core.model import Alert, Receipt
from aggregator.core.redaction import Redactor, hide_credentials
from aggregator.core.settings import Channel
from aggregator.core.text.sanitize import clean_text
from aggregator.notify import webhook
from aggregator.notify.acceptance import refusal
from aggregator.notify.apprise_loader import load
from aggregator.notify.formats import RenderedMessage, compose, link_of
from aggregator.notify.http_capture import HttpCapture, capturing
from aggregator.notify.render import AlertContent, build_content, template, text
from aggregator.notify.render.template import BadTemplate
from aggregator.notify.replies import Reply
from aggregator.notify.secrets import secrets_of
from aggregator.notify.services import BadChannel, Target, alone, instantiate, signing_secret, targets_for
from aggregator.notify.signing import signed
from aggregator.ports import Clock

log = logging.getLogger(__name__)

MAX_THREADS = 4  # per channel
CONNECT_SHARE, READ_SHARE = 0.35, 0.55  # of the channel's deadline: sockets give up before we do
MAX_UNFINISHED = 1000  # long alerts of which a part was accepted
MAX_WORDS = 500  # characters of what a receiver said
TRANSIENT_STATUS = frozenset({408, 409, 423, 425, 429})


class AppriseNotifier:
    """Sends through Apprise. One per process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: dict[str, asyncio.Semaphore] = {}
        self._parts = AcceptedParts()
        self._loading: asyncio.Task[None] | None = None

    async def send(self, channel: Channel, alert: Alert, *, recipient: str = "") -> Receipt:
        """Send an alert. Raises DeliveryError."""
        await self._loaded()
        notes = HttpCapture(sign=self._signer(channel))
        places = self._places.setdefault(channel.name, asyncio.Semaphore(MAX_THREADS))
        try:
            async with asyncio.timeout(channel.timeout_s):
                await places.acquire()
                receipt = await _in_thread(lambda: _send(channel, alert, recipient, notes, self._parts), places.release)
        except TimeoutError:
            # A thread that has not written yet will not; one that has may still succeed.
            notes.deadline_passed = True
            raise DeliveryError(
                f"channel {channel.name}: no response within {channel.timeout_s:g} s",
                channel=channel.name,
                unknown=notes.written,
            ) from None
        return receipt

    def _signer(self, channel: Channel) -> Callable[[bytes], Mapping[str, str]] | None:
        """Return the signer of each request of a webhook with a secret, called at the moment of sending."""
        secret = signing_secret(channel)
        return (lambda body: signed(body, secret, self._clock.now())) if secret else None

    async def _loaded(self) -> None:
        """Load Apprise once, before any deadline runs: on a busy machine it takes seconds."""
        failed = self._loading is not None and self._loading.done() and self._loading.exception() is not None
        if self._loading is None or failed:
            self._loading = asyncio.create_task(asyncio.to_thread(load))
        await asyncio.shield(self._loading)


class AcceptedParts:
    """The accepted parts of long alerts, so that a retry goes on where the last attempt ended.

    Kept in memory only: after a crash the alert is a possible repeat in any case.
    """

    def __init__(self) -> None:
        self._accepted: dict[str, set[str]] = {}

    def has(self, key: str, body: str) -> bool:
        return body in self._accepted.get(key, ())

    def add(self, key: str, body: str) -> None:
        """Remember a part; the oldest alerts are forgotten if there are too many."""
        self._accepted.setdefault(key, set()).add(body)
        while len(self._accepted) > MAX_UNFINISHED:
            del self._accepted[next(iter(self._accepted))]

    def forget(self, key: str) -> None:
        self._accepted.pop(key, None)


def _send(channel: Channel, alert: Alert, recipient: str, notes: HttpCapture, parts: AcceptedParts) -> Receipt:
    """Do everything that blocks: load, compose, send. Return what the services answered."""
    try:
        chosen = targets_for(channel, recipient)
        if not chosen:
            raise _error(channel, f"{recipient!r} is no longer a recipient of this channel", transient=False)
        content = build_content(alert)
        sent = [_compose_and_send(channel, alert, content, target, notes, parts) for target in chosen]
        message_id = sent[0].message_id if len(sent) == 1 else ""
        put_off = tuple(one for each in sent for one in each.put_off)
        return Receipt(detail="; ".join(one.detail for one in sent), message_id=message_id, put_off=put_off)
    except (BadChannel, BadTemplate) as error:
        raise _error(channel, str(error), transient=False) from error


def _compose_and_send(
    channel: Channel,
    alert: Alert,
    content: AlertContent,
    target: Target,
    notes: HttpCapture,
    parts: AcceptedParts,
) -> Receipt:
    """Send the parts of an alert that were not accepted before, one after the other, for half of the deadline."""
    until = monotonic() + channel.timeout_s / 2
    service = _service(channel, alert, content, target, notes)
    messages = compose(content, channel, target.schema, service)
    key = f"{alert.id}/{target.label}"
    said, reply = "", Reply(target.schema, alert.reply_to)
    notes.amend, notes.read_answer = reply.amend, reply.read
    for number, message in enumerate(messages, 1):
        if parts.has(key, message.body):
            continue
        if number > 1 and monotonic() > until:
            raise _error(channel, f"{target.label}: {number - 1} of {len(messages)} parts were sent, the rest follows")
        if number > 1:
            service = _service(channel, alert, content, target, notes)
        _prepare(service, channel, alert, content, target, message, notes)
        said = _send_reply(channel, target, service, notes, message, reply)
        if len(messages) > 1:
            parts.add(key, message.body)
    parts.forget(key)
    message_id = reply.message_id or getattr(service, "message_id", "")
    cut = Redactor(secrets_of(channel))
    put_off = tuple((alone(to, target), hide_credentials(cut(words))) for to, words in notes.put_off.items())
    return Receipt(detail=said or f"{target.label}: accepted", message_id=message_id, put_off=put_off)


def _send_reply(
    channel: Channel, target: Target, service: Any, notes: HttpCapture, message: RenderedMessage, reply: Reply
) -> str:
    """Send a part as a reply, or as a message of its own if the service takes no reply (the first one is gone)."""
    try:
        return _send_part(channel, target, service, notes, message)
    except DeliveryError as error:
        if not reply.reply_to or error.transient or error.unknown:
            raise
        log.info("channel %s takes no reply to an earlier message, so an update is a message of its own", channel.name)
        reply.reply_to = ""
        notes.refused, notes.answer = None, ""
        return _send_part(channel, target, service, notes, message)


def _send_part(channel: Channel, target: Target, service: Any, notes: HttpCapture, message: RenderedMessage) -> str:
    """Speak, and hear the answer. Raises DeliveryError."""
    notes.read_refusal = partial(refusal, target.schema)
    with capturing(notes):
        result = _notify(service, message)
    if result and notes.refused is None:
        accepted = f"{target.label}: accepted" + (f" ({notes.status})" if notes.status else "")
        without = notes.answer if target.schema in ("mailto", "mailtos") else ""
        return accepted + (
            f", but not for {hide_credentials(Redactor(secrets_of(channel))(without))}" if without else ""
        )
    refused = notes.refused.words if notes.refused else ""
    said = refused or notes.answer or notes.failure or _apprise_error(result)
    status = f"HTTP {notes.status}: " if notes.status and not said.startswith(str(notes.status)) else ""
    raise _verdict(channel, target, notes, hide_credentials(Redactor(secrets_of(channel))(f"{status}{said}")))


def _service(channel: Channel, alert: Alert, content: AlertContent, target: Target, notes: HttpCapture) -> Any:
    """Make a fresh service for one delivery: it has no state that another send could see."""
    if channel.service == "webhook":
        words = template.render(channel.template, content) if channel.template else text.render(content)
        fields = {**webhook.RESERVED_KEYS, **webhook.document(alert, content, words)}
        headers = {**target.arguments.get("headers", {}), **webhook.headers(alert)}
        return instantiate(target, payload=fields, headers=headers)
    if target.schema in ("mailto", "mailtos"):
        from aggregator.notify.smtp import SmtpService

        return instantiate(target, SmtpService)
    notes.headers = webhook.headers(alert) if target.schema in ("json", "jsons", "xml", "xmls", "form", "forms") else {}
    return instantiate(target)


def _prepare(
    service: Any,
    channel: Channel,
    alert: Alert,
    content: AlertContent,
    target: Target,
    message: RenderedMessage,
    notes: HttpCapture,
) -> None:
    """Disable what we do ourselves: pausing, retrying, redirecting, converting."""
    service.retry, service.wait, service.redirects, service.request_rate_per_sec = 0, 0.0, False, 0
    service.socket_connect_timeout = min(10.0, channel.timeout_s * CONNECT_SHARE)
    service.socket_read_timeout = channel.timeout_s * READ_SHARE
    notes.answer_by = monotonic() + channel.timeout_s * (CONNECT_SHARE + READ_SHARE)
    if message.exact:
        service.dialect_convert = lambda body, *_, **__: body
    if hasattr(service, "mail_of"):
        service.notes, service.mail = notes, service.mail_of(alert, message)
    link = link_of(content)
    for field in ("click", "supplemental_url"):
        if link and hasattr(service, field) and not getattr(service, field):
            setattr(service, field, link)
    if target.schema in ("discord", "guilded", "fluxer"):
        _mention_nobody(service)
    if target.schema == "gchat" and alert.thread and not service.thread_key:
        service.thread_key = f"story-{alert.thread}"


def _mention_nobody(service: Any) -> None:
    """Let a message mention those whom the operator named (`ping=`), and nobody else."""
    send = service._send

    def without_mentions(payload: Any, *args: Any, **options: Any) -> Any:
        named = payload.pop("allow_mentions", None) if getattr(service, "ping", None) else None
        return send({**payload, "allowed_mentions": named or {"parse": []}}, *args, **options)

    service._send = without_mentions


def _notify(service: Any, message: RenderedMessage) -> Any:
    import apprise

    speaker = apprise.Apprise(asset=service.asset)
    speaker.add(service)
    kind = apprise.NotifyFormat(message.format)
    return speaker.notify(body=message.body, title=message.title, body_format=kind, log_level=logging.WARNING)


def _apprise_error(result: Any) -> str:
    """Return Apprise's last words about a send that made no request."""
    lines = [entry.message for one in result for entry in one.logs()] or [e.message for e in result.call_logs()]
    return " ".join(lines[-1].split()) if lines else "rejected without a reason"


def _verdict(channel: Channel, target: Target, notes: HttpCapture, said: str) -> DeliveryError:
    status = notes.status
    smtp = target.schema in ("mailto", "mailtos")
    if notes.refused is not None:
        return _error(channel, f"{target.label}: {said}", transient=not notes.refused.final)
    if status is None:
        return _error(channel, f"{target.label}: {said}", unknown=notes.written)
    refused = 500 <= status < 600 if smtp else 300 <= status < 500 and status not in TRANSIENT_STATUS
    wait_s = notes.retry_after_s if notes.retry_after_s is not None else _retry_after_s(notes.answer)
    return _error(channel, f"{target.label}: {said}", transient=not refused, retry_after_s=wait_s)


def _retry_after_s(answer: str) -> float | None:
    """Read `retry_after` in the answers of Discord, Telegram (s) and Matrix (`retry_after_ms`)."""
    found = re.search(r'"retry_after(_ms)?"\s*:\s*(\d+(?:\.\d+)?)', answer)
    return float(found[2]) / (1000 if found[1] else 1) if found else None


def _error(channel: Channel, message: str, **flags: Any) -> DeliveryError:
    """Build the error; its words come from a receiver or a library and are untrusted wherever they are shown."""
    words = clean_text(f"channel {channel.name}: {message}", MAX_WORDS)
    return DeliveryError(words, channel=channel.name, **flags)


async def _in_thread(work: Callable[[], Receipt], done: Callable[[], None]) -> Receipt:
    """Run blocking work in a daemon thread; `done` is called when it really ends, waited for or not."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Receipt] = loop.create_future()

    def settle(result: Receipt | None, error: BaseException | None) -> None:
        done()
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result or Receipt())

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:  # noqa: BLE001 -- carried over to the task that awaits it
            error = caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            log.debug("a delivery ended after shutdown")

    threading.Thread(target=run, name="notify", daemon=True).start()
    return await future
