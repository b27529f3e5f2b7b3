"""Mapping of a configured channel to services of Apprise.

A channel is an Apprise URL, several, or a `service` with its fields; each recipient in it becomes
a `Target` of its own, so that one bad address of three fails alone and is retried alone.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from email.utils import parseaddr
from functools import lru_cache
from hashlib import blake2b
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from aggregator.core.errors import Problem, brief, did_you_mean
from aggregator.core.settings import Channel
from aggregator.core.values import Referring
from aggregator.notify.apprise_loader import asset, library, plugins
from aggregator.notify.fields import (
    RULED,
    field_help,
    fields_of,
    header_fault,
    is_host,
    login_header,
    mail_defaults,
    missing,
    typed,
)
from aggregator.notify.signing import MIN_SECRET_BYTES

OWN = ("console", "webhook")
# They speak to the desktop or the terminal of this machine, run for minutes, or load code from a file.
REFUSED = frozenset({"dbus", "kde", "qt", "glib", "gnome", "macosx", "windows", "blink1", "growl", "syslog"})
NAMES = {
    "email": "mailtos",
    "mail": "mailtos",
    "smtp": "mailto",
    "smtps": "mailtos",
    "telegram": "tgram",
    "teams": "workflows",
}
# A feed's words are published in the operator's name only where somebody asked for it.
PRIVATE_UNLESS_SAID = {
    **dict.fromkeys(("mastodon", "mastodons", "toot", "toots"), ("private", "direct")),
    **dict.fromkeys(("misskey", "misskeys"), ("followers", "followers")),
}
MAIL_LISTS = {"to": "targets", "cc": "cc", "bcc": "bcc", "reply": "reply_to"}  # keys, as Apprise calls them
MARK_DIGITS = 6  # of an address's mark
_MAILS = re.compile(r'(?:"[^"]*"|[^",;])+')
_LOGIN = re.compile(r"//[^/@]*@")
# What Apprise says of one channel's arguments must not be reported as another's.
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True, slots=True)
class Target:
    """One recipient: `label` names it in the outbox, `arguments` make Apprise's service.

    `mark` is made of its address as it is written, and tells it from others of its service or host in any order.
    """

    label: str
    schema: str
    arguments: Mapping[str, Any]
    mark: str = ""


class BadChannel(ValueError):
    """A channel that yields no service."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def targets(channel: Channel) -> tuple[Target, ...]:
    """Return every recipient of a channel that is not the console. Raises BadChannel.

    Those that have a service or a host in common differ by their marks, not by their places in the list.
    """
    found = _found(channel)
    alike = Counter(target.label for target in found)
    labels: dict[str, int] = {}
    unique = []
    for target in found:
        label = f"{target.label}-{target.mark}" if alike[target.label] > 1 and target.mark else target.label
        labels[label] = seen = labels.get(label, 0) + 1
        unique.append(replace(target, label=label if seen == 1 else f"{label}-{seen}"))
    return tuple(unique)


def _found(channel: Channel) -> list[Target]:
    """Return the recipients of a channel in their order; several may have one label. Raises BadChannel."""
    return list(_named(channel) if channel.service else _addressed(channel))


def _mark(secret: SecretStr) -> str:
    """Mark an address: by its text as it is written, less a login, of which a person may renew the password."""
    written = secret.written if isinstance(secret, Referring) else secret.get_secret_value()
    return blake2b(_LOGIN.sub("//", written.strip()).encode(), digest_size=MARK_DIGITS // 2).hexdigest()


def recipients_of(channel: Channel) -> tuple[str, ...]:
    """Return the names of a channel's recipients, one outbox row each; `("",)` for the console."""
    return ("",) if channel.service == "console" else tuple(target.label for target in targets(channel))


def check_channel(channel: Channel) -> tuple[Problem, ...]:
    """Return the problems of a channel; paths lead from the channel."""
    if channel.service == "console":
        unknown = [*channel.fields, *(["template"] if channel.template is not None else ())]
        return tuple(
            Problem(path=(name,), message=f"the console has no field {name!r}", hint="remove it") for name in unknown
        )
    try:
        made = targets(channel)
        for target in made:
            _try(target)
    except BadChannel as error:
        return error.problems
    if not made:
        return (Problem(path=(), message="the channel has no recipients"),)
    return _template(channel)


def _try(target: Target) -> None:
    """Make the service of a target once. Raises BadChannel."""
    for field in ("host", "smtp_host"):
        host = str(target.arguments.get(field) or "")
        if not is_host(host):
            hint = "check the name: its parts are divided by single dots and have at most 63 characters"
            raise BadChannel([Problem(path=("host",), message=f"{brief(host)!r} is not a host name", hint=hint)])
    if target.schema not in ("mailto", "mailtos"):
        instantiate(target)
        return
    from aggregator.notify.smtp import SmtpService

    try:
        service = instantiate(target, SmtpService)
    except BadChannel as error:
        if "~From~" not in str(error):
            raise
        given = "from_addr" in target.arguments
        message = "this is not a mail address" if given else "the mails have no sender"
        hint = "write from: alerts@example.org, an address that the mail server accepts"
        raise BadChannel([Problem(path=("from",), message=f"from: {message}", hint=hint)]) from error
    kinds = {"to": [address for _, address in service.targets], "cc": service.cc, "bcc": service.bcc}
    kinds["reply"] = service.reply_to
    for field, taken in kinds.items():
        for one in _addresses(target.schema, target.arguments.get(MAIL_LISTS[field])):
            if parseaddr(one)[1] not in taken:
                hint = "write it as ann@example.org"
                raise BadChannel([Problem(path=(field,), message=f"{one!r} is not a mail address", hint=hint)])


def _template(channel: Channel) -> tuple[Problem, ...]:
    """Check that an operator's template is there, parses, and fills with an alert and with a notice."""
    if channel.template is None:
        return ()
    from aggregator.notify.render import sample, template

    try:
        for content in sample.sample_contents():
            template.render(channel.template, content)
    except template.BadTemplate as error:
        return (Problem(path=("template",), message=str(error)),)
    return ()


def instantiate(target: Target, kind: type[Any] | None = None, **more: Any) -> Any:
    """Make Apprise's service for a target. Raises BadChannel with Apprise's own words."""
    apprise = library()
    arguments = {**target.arguments, **more, "asset": asset(), "schema": target.schema}
    words: list[str] = []
    try:
        with _ONE_AT_A_TIME, apprise.LogCapture(level=30, fmt="%(message)s") as captured:
            service = (kind or plugins()[target.schema])(**arguments)
            words = captured.getvalue().splitlines()
    except Exception as error:
        # Plugins raise what they like for arguments that they do not like.
        said = _masked(" ".join([*words, str(error)]).strip() or type(error).__name__, arguments)
        raise BadChannel([Problem(path=(), message=f"{target.schema}: {said}")]) from error
    return service


def targets_for(channel: Channel, recipient: str) -> tuple[Target, ...]:
    """Return the targets of an outbox row; without a recipient it is for all. Raises BadChannel.

    Somebody whose mail address is written otherwise now (capitals, a name before it), or who is listed with others
    in one mail, is the same person.
    """
    made = targets(channel)
    if found := tuple(target for target in made if recipient in ("", target.label)):
        return found
    if former := _formerly(_found(channel), recipient):
        return (replace(former, label=recipient),)
    wanted = parseaddr(recipient)[1].casefold()
    for target in made if "@" in wanted else ():
        people = [
            one for key in ("targets", "cc", "bcc") for one in _addresses(target.schema, target.arguments.get(key))
        ]
        same = next((one for one in people if parseaddr(one)[1].casefold() == wanted), None)
        if target.schema in ("mailto", "mailtos") and same:
            alone = {key: value for key, value in target.arguments.items() if key not in ("cc", "bcc")}
            return (Target(recipient, target.schema, {**alone, "targets": [same]}),)
    return ()


def _formerly(found: Sequence[Target], recipient: str) -> Target | None:
    """Return the target of a row from when more or fewer had the same label: alone, with its mark, or with its place.

    Places are of rows that an earlier version made, or of the same address twice.
    """
    bases = {target.label: target for target in reversed(found)}
    if recipient in bases:
        return bases[recipient]
    base, _, suffix = recipient.rpartition("-")
    same = [target for target in found if target.label == base]
    if marked := [target for target in same if target.mark == suffix]:
        return marked[0]
    place = int(suffix) if suffix.isdecimal() and len(suffix) < MARK_DIGITS else 0
    return same[place - 1] if 1 < place <= len(same) else None


def alone(address: str, target: Target) -> str:
    """Name the row of one recipient of a mail to several: not as the mail's own, which is for all of them."""
    return f"<{address}>" if address == target.label else address


def _addressed(channel: Channel) -> Iterator[Target]:
    """Return the targets of `url:`."""
    for position, secret in enumerate(channel.url):
        url = secret.get_secret_value().strip()
        path: tuple[str | int, ...] = ("url", position) if len(channel.url) > 1 else ("url",)
        schema = url.partition("://")[0].lower()
        if schema in ("http", "https") and not _parsed(url):
            hint = "for your own webhook, use service: webhook, url: https://…"
            raise BadChannel([Problem(path=path, message="no Apprise service uses this web address", hint=hint)])
        _admit(schema if schema in plugins() or "://" in url else url, path)
        parsed = _parsed(url)
        if not parsed:
            message = f"{schema}:// is supported, but part of this URL is missing or misspelt"
            raise BadChannel([Problem(path=path, message=message, hint=f"the format is {field_help(schema)}")])
        if "visibility" in parsed and "visibility" not in parsed.get("qsd", {}):
            del parsed["visibility"]  # Apprise's own default is the whole world
        yield from (replace(target, mark=_mark(secret)) for target in _split(parsed["schema"], parsed))


def _named(channel: Channel) -> Iterator[Target]:
    """Return the targets of `service:`."""
    name = (channel.service or "").strip()
    if name == "webhook":
        yield from _webhook(channel)
        return
    schema = _admit(name, ("service",))
    known = fields_of(schema)
    arguments: dict[str, Any] = {}
    problems: list[Problem] = []
    for field, value in channel.fields.items():
        if field not in known:
            others = sorted(known.keys() - {"name"})  # which is the channel's own
            hint = did_you_mean(field, others).strip(" ()") or f"known fields: {', '.join(others)}"
            if schema in ("mailto", "mailtos") and field in ("from_name", "sender", "sender_name", "display_name"):
                hint = "write from: Alerts <alerts@example.org>"
            problems.append(Problem(path=(field,), message=f"{schema} has no field {field!r}", hint=hint))
            continue
        try:
            arguments[known[field]["map_to"]] = typed(known[field], _revealed(value))
        except ValueError as error:
            said = "invalid value" if isinstance(value, SecretStr) else str(error)
            problems.append(Problem(path=(field,), message=f"{field}: {said}"))
    problems += missing(schema, set(channel.fields))
    if schema in ("mailto", "mailtos") and "to" in channel.fields and not _addresses(schema, arguments.get("targets")):
        hint = "write to: ann@example.org, or leave it out for mails to the sender"
        problems.append(Problem(path=("to",), message="the mails have no recipient", hint=hint))
    if channel.url:
        problems.append(Problem(path=("url",), message="write either url or service, not both"))
    if problems:
        raise BadChannel(problems)
    if "targets" in known:
        arguments.setdefault("targets", [])
    secure = schema in _listed(plugins()[schema].secure_protocol)
    yield from _split(schema, {"secure": secure, **mail_defaults(schema, arguments)})


def _webhook(channel: Channel) -> Iterator[Target]:
    """Make the target of a webhook: our own JSON document, posted by Apprise's json service."""
    known = ("headers", "user", "password", "token", "secret")
    unknown = set(channel.fields) - set(known)
    if unknown:
        raise BadChannel(
            [
                Problem(
                    path=(field,),
                    message=f"webhook has no field {field!r}",
                    hint=did_you_mean(field, known).strip(" ()") or None,
                )
                for field in sorted(unknown)
            ]
        )
    if not channel.url:
        raise BadChannel([Problem(path=(), message="a webhook needs url: https://…")])
    if "secret" in channel.fields and len(signing_secret(channel)) < MIN_SECRET_BYTES:
        message = f"a signing secret needs at least {MIN_SECRET_BYTES} characters"
        raise BadChannel([Problem(path=("secret",), message=message, hint="generate one: openssl rand -hex 32")])
    fields = {name: _revealed(value) for name, value in channel.fields.items()}
    headers = dict(fields.get("headers") or {})
    if fields.get("token"):
        headers["Authorization"] = f"Bearer {fields['token']}"
    for name, value in headers.items():
        if fault := header_fault(name, str(value)):
            key = ("token",) if name == "Authorization" and fields.get("token") else ("headers", name)
            raise BadChannel([Problem(path=key, message=f"{key[-1]}: it {fault}", hint="type it again, in one line")])
    for position, secret in enumerate(channel.url):
        path = ("url", position) if len(channel.url) > 1 else ("url",)
        try:
            parts = urlsplit(secret.get_secret_value())
            port = parts.port
        except ValueError:
            raise BadChannel([Problem(path=path, message="a webhook's url must be a web address")]) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadChannel([Problem(path=path, message="a webhook's url must start with https:// or http://")])
        user = fields.get("user") or (unquote(parts.username) if parts.username else None)
        password = fields.get("password") or (unquote(parts.password) if parts.password else None)
        login = login_header(str(user or ""), str(password or ""))
        if login:
            user = password = None
        yield Target(
            parts.hostname,
            "jsons" if parts.scheme == "https" else "json",
            {
                "host": f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname,
                "port": port,
                "fullpath": parts.path or "/",
                "secure": parts.scheme == "https",
                "params": dict(parse_qsl(parts.query, keep_blank_values=True)),
                "user": user,
                "password": password,
                "headers": {**({"Authorization": login} if login else {}), **headers},
            },
            _mark(secret),
        )


def signing_secret(channel: Channel) -> str:
    """Return the secret that signs a webhook's requests; "" without one."""
    secret = _revealed(channel.fields.get("secret")) if channel.service == "webhook" else None
    return str(secret or "")


def _split(schema: str, arguments: Mapping[str, Any]) -> Iterator[Target]:
    """Make one target per recipient if a service sends to each of them on its own anyway."""
    plain = {key: value for key, value in arguments.items() if key not in RULED}
    if schema in PRIVATE_UNLESS_SAID and not plain.get("visibility"):
        plain["visibility"] = PRIVATE_UNLESS_SAID[schema][bool(plain.get("targets"))]
    many = _addresses(schema, plain.get("targets"))
    if schema in ("mailto", "mailtos"):
        plain |= {key: _addresses(schema, plain[key]) for key in MAIL_LISTS.values() if plain.get(key)}
    if len(many) < 2 or plain.get("cc") or plain.get("bcc"):
        yield Target(many[0] if len(many) == 1 else schema, schema, plain)
        return
    for one in many:
        yield Target(one, schema, {**plain, "targets": [one]})


def _addresses(schema: str, targets: object) -> list[str]:
    from apprise.utils.parse import parse_list

    if not targets:
        return []
    if schema in ("mailto", "mailtos"):
        texts = [targets] if isinstance(targets, str) else list(targets)  # type: ignore[call-overload]
        return [one for text in texts for one in _mails(str(text))]
    return [str(one) for one in parse_list(targets, sort=False)]


def _mails(text: str) -> Iterator[str]:
    """Divide a text into mail addresses, with the names before them; what is none stays, so that it can be named."""
    for piece in _MAILS.findall(text):
        yield from [piece.strip()] if "<" in piece else piece.split()


def _admit(name: str, path: tuple[str | int, ...]) -> str:
    """Return the schema of a service, by schema or by the name that people know. Raises BadChannel."""
    schema = NAMES.get(name.lower(), name.lower())
    if schema not in plugins():
        schema = _by_name().get(re.sub(r"[^a-z0-9]", "", name.lower()), schema)
    if schema in REFUSED:
        message = f"{name} needs a desktop session, which a service does not have"
        raise BadChannel([Problem(path=path, message=message)])
    if schema not in plugins():
        known = [*OWN, *plugins(), *NAMES]
        near = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else "see docs/channels.md for the services"
        raise BadChannel([Problem(path=path, message=f"no service named {name!r}", hint=hint)])
    return schema


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _revealed(inner) for key, inner in value.items()}
    return [_revealed(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _masked(text: str, arguments: Mapping[str, Any]) -> str:
    """Mask the arguments in Apprise's words about them."""
    for value in arguments.values():
        if isinstance(value, str) and len(value) > 3:
            text = text.replace(value, "…")
    return text


def _parsed(url: str) -> dict[str, Any] | None:
    from apprise.plugins import url_to_dict

    parsed: dict[str, Any] | None = url_to_dict(url)
    return parsed


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    names: dict[str, str] = {}
    for schema in plugins():
        plugin = plugins()[schema]
        names.setdefault(
            re.sub(r"[^a-z0-9]", "", str(plugin.service_name).lower()),
            _listed(plugin.secure_protocol or plugin.protocol)[0],
        )
    return names


def _listed(protocol: object) -> list[str]:
    return [protocol] if isinstance(protocol, str) else [str(p) for p in (protocol or ())]  # type: ignore[attr-defined]
