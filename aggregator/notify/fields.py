"""Fields of a service's structured form, from Apprise's own details of its services."""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aggregator.core.errors import Problem, did_you_mean
from aggregator.core.text.headers import is_header
from aggregator.notify.apprise_loader import plugins

# What this program decides itself, for every service.
RULED = frozenset(
    {"retry", "wait", "redirect", "rto", "cto", "overflow", "format", "emojis", "optional", "store", "tz", "schema"}
)


def fields_of(schema: str) -> dict[str, dict[str, Any]]:
    """Return the fields of a service's structured form, by key, from Apprise's own details."""
    details = details_of(schema)
    fields = {**details["args"], **details["kwargs"], **details["tokens"]}
    known = {}
    for name, field in fields.items():
        alias = field.get("alias_of")
        meant = fields.get(alias, field) if isinstance(alias, str) else field
        if name not in RULED and "map_to" in meant:
            known[name] = meant
    if "targets" in known:
        known["to"] = known["targets"]
    return known


def missing(schema: str, given: set[str]) -> list[Problem]:
    """Return required fields that were left out; a service with several forms needs those of one of them."""
    details = details_of(schema)
    tokens = details["tokens"]
    has = {tokens.get(name, {}).get("map_to", name) for name in given} | given
    if "to" in given:
        has.add("targets")
    wants = []
    for form in details["templates"]:
        names = [
            name for name in re.findall(r"{(\w+)}", form) if name != "schema" and tokens.get(name, {}).get("required")
        ]
        wants.append([name for name in names if name not in has and tokens[name]["map_to"] not in has])
    least = min(wants, key=len, default=[])
    return [Problem(path=(), message=f"{schema} needs {name!r}", hint=f"{tokens[name]['name']}") for name in least]


def typed(field: Mapping[str, Any], value: Any) -> Any:
    """Convert a value to the plug-in's type. Raises ValueError in words for a person."""
    kind = str(field.get("type", "string")).partition(":")[0]
    if kind == "list" or field["map_to"] == "targets":
        return [str(one) for one in (value if isinstance(value, (list, tuple)) else [value])]
    if kind == "bool":
        return value if isinstance(value, bool) else str(value).strip().lower() in ("true", "yes", "on", "1")
    if kind in ("int", "float"):
        try:
            return int(value) if kind == "int" else float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is not a number") from None
    if kind == "choice":
        values = [str(one) for one in field.get("values", ())]
        if values and str(value) not in values:
            raise ValueError(f"{value!r} is not one of {', '.join(values)}{did_you_mean(str(value), values)}")
    return value if isinstance(value, dict) else str(value)


def mail_defaults(schema: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Derive mail fields: `host` is the mail server, `user` the login, and an address as login is the sender."""
    if schema in ("mailto", "mailtos") and "host" in arguments:
        arguments.setdefault("smtp_host", arguments["host"])
        if "@" in str(arguments.get("user", "")):
            arguments.setdefault("from_addr", arguments["user"])
    return arguments


def field_help(schema: str) -> str:
    """Return how a URL of this service is written."""
    forms = details_of(schema)["templates"]
    return str(forms[0]).replace("{schema}", schema)


@lru_cache(maxsize=256)
def details_of(schema: str) -> dict[str, Any]:
    """Return Apprise's own description of a service."""
    from apprise.plugins import details

    known: dict[str, Any] = details(plugins()[schema])
    return known


def header_fault(name: str, value: str) -> str:
    """Return why a header cannot be sent, as the end of a sentence; "" if it can."""
    if not is_header(name, value):
        return "has a line break, or is a header that the program itself sets"
    return "" if _fits_header(value) else "has characters that a header cannot have"


def login_header(user: str, password: str) -> str:
    """Write Basic authentication with characters beyond Latin-1, in UTF-8 (RFC 7617, 2.1); "" where none needs it."""
    login = f"{user}:{password}"
    return "" if _fits_header(login) else "Basic " + b64encode(login.encode()).decode()


def is_host(host: str) -> bool:
    """Tell whether a host name could be looked up at all: no part is empty or too long, and there are no blanks."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return not any(map(str.isspace, host))


def _fits_header(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeError:
        return False
    return True
