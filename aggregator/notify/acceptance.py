"""Verdicts of services in their answers: a 2xx may hold a refusal.

Many services answer 200 to everything and put the truth into the body: a code that is not zero,
`success: false`, an `error`. Sources: the services' API references; answers that people reported.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Peers that are the operator's own: docs/channels.md promises that any 2xx accepts.
OWN_PEERS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
CODES = ("errcode", "errCode", "err_code", "errorCode", "error_code", "errno", "retcode", "code", "StatusCode")
WORDS = ("errmsg", "errMsg", "err_msg", "msg", "message", "StatusMessage", "error_description", "description", "reason")
GOOD = frozenset({"", "0", "ok", "success", "successful", "succeed", "succeeded", "true", "none", "null"})
BAD = frozenset({"error", "fail", "failed", "failure", "rejected", "denied", "unauthorized", "forbidden"})
# Codes that mean success at a service where they are not 0 or of HTTP's 2xx.
GOOD_CODES: Mapping[str, frozenset[int]] = {"wxpusher": frozenset({1000})}
# Codes that only time or only a person can fix, where the words beside them do not tell.
TEMPORARY: Mapping[str, frozenset[int]] = {
    "dingtalk": frozenset({-1, 130101, 410100}),
    "wecombot": frozenset({-1, 45009}),
    "feishu": frozenset({11232}),
    "lark": frozenset({11232}),
    "synology": frozenset({411}),
}
FINAL: Mapping[str, frozenset[int]] = {
    "dingtalk": frozenset({310000, 300001, 300005, 400013, 400101, 400102}),
    "wecombot": frozenset({40008, 40035, 93000, 93004, 93008}),
    "feishu": frozenset({9499, 19001, 19002, 19021, 19022, 19024}),
    "lark": frozenset({9499, 19001, 19002, 19021, 19022, 19024}),
    "pushdeer": frozenset({80403}),
}
_TEMPORARY = re.compile(
    r"rate|too (?:fast|many|often|frequent)|frequen|limit|quota|busy|later|time.?out|tempor|again|unavailable"
    r"|频率|超限|限制|繁忙|稍后",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"invalid|not.?valid|unauthori[sz]ed|forbidden|denied|not.?found|unknown|no such|does.?n.t exist|not.?exist|expired"
    r"|revoked|permission|signature|sign not match|credential|token|\bkey\b|missing|malformed|bad request"
    r"|不存在|无效|错误|过期",
    re.IGNORECASE,
)
MAX_WORDS = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was not taken, with the service's words. `final`: another try would end the same."""

    words: str
    final: bool


def refusal(schema: str, body: bytes) -> Refusal | None:
    """Return the refusal in the body of a 2xx answer, or None if the service says nothing against the message."""
    if schema in OWN_PEERS or body.lstrip()[:1] != b"{":
        return None
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    found = _vonage(said) if schema in ("nexmo", "vonage") else _reason(schema, said)
    if found is None:
        return None
    code, words = found
    number = int(code) if re.fullmatch(r"-?\d{1,9}", code) else None
    if number in TEMPORARY.get(schema, ()):
        final = False
    elif number in FINAL.get(schema, ()):
        final = True
    else:
        final = bool(_FINAL.search(words)) and not _TEMPORARY.search(words)
    return Refusal(f"{code} {words}".strip()[:MAX_WORDS] or "refused without a reason", final)


def _reason(schema: str, said: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return code and words of a refusal."""
    error = next((said[name] for name in ("error", "errors", "Error") if _is_error(said.get(name))), None)
    code = next((str(said[name]) for name in CODES if _is_bad_code(schema, said.get(name))), "")
    failed = any(said.get(name) in (False, 0) or _word(said.get(name)) == "false" for name in ("success", "ok"))
    status = any(_word(said.get(name)) in BAD for name in ("status", "result", "type"))
    if error is None and not code and not failed and not status:
        return None
    inner = error if isinstance(error, Mapping) else {}
    code = code or next((str(inner[name]) for name in CODES if name in inner), "")
    words = next((_text(said[name]) for name in WORDS if said.get(name)), "")
    return code, " ".join(part for part in (_text(error), words) if part) or json.dumps(said, ensure_ascii=False)


def _vonage(said: Mapping[str, Any]) -> tuple[str, str] | None:
    """Read Vonage's answer, a 200 with a status for each part of an SMS."""
    parts = said.get("messages")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Mapping) and str(part.get("status", "0")) != "0":
            return str(part["status"]), _text(part.get("error-text"))
    return None


def _is_error(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in GOOD
    return bool(value)


def _is_bad_code(schema: str, value: Any) -> bool:
    """Tell whether a number means failure: not 0, not one of HTTP's successes, not the service's own."""
    if isinstance(value, bool) or value is None:
        return False
    if not re.fullmatch(r"-?\d{1,9}", str(value)):
        return False
    return int(value) != 0 and not 200 <= int(value) < 300 and int(value) not in GOOD_CODES.get(schema, ())


def _word(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        named = next((value[name] for name in ("errors", *WORDS) if value.get(name)), None)
        return _text(named) if named is not None else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
