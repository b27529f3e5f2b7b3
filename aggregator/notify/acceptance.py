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
# Names are compared in lower case and without underscores: errCode, err_code and ErrCode are one.
ERRORS = ("error", "errors", "fault", "exception")
CODES = ("errcode", "errorcode", "errno", "retcode", "ret", "code", "statuscode")
FLAGS = ("success", "successful", "issuccess", "ok", "sent", "accepted")
STATES = ("status", "result", "state", "type")
WORDS = (
    "errmsg", "errormsg", "errormessage", "msg", "message", "statusmessage", "errordescription", "description",
    "reason",
)  # fmt: skip
ENVELOPES = ("result", "response", "meta", "baseresp")  # where a service may keep code and flag
GOOD = frozenset({
    "", "0", "ok", "success", "successful", "succeed", "succeeded", "true", "none", "null", "no", "false", "no error",
    "no errors",
})  # fmt: skip
BAD = frozenset({
    "error", "err", "fail", "failed", "failure", "rejected", "denied", "unauthorized", "forbidden", "invalid", "ko",
    "nok", "ng", "unsuccessful",
})  # fmt: skip
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
    text = body.decode("utf-8-sig", "replace").lstrip()  # a mark at its start, or words in GBK, hide no refusal
    if schema in OWN_PEERS or text[:1] not in ("{", "["):
        return None
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    answers = said if isinstance(said, list) else [said]
    found = [_answer(schema, answer) if isinstance(answer, dict) else None for answer in answers]
    if not found or found[0] is None or None in found:  # of several recipients, one at least was accepted
        return None
    code, words = found[0]
    number = int(code) if re.fullmatch(r"-?\d{1,9}", code) else None
    if number in TEMPORARY.get(schema, ()):
        final = False
    elif number in FINAL.get(schema, ()):
        final = True
    else:
        final = bool(_FINAL.search(words)) and not _TEMPORARY.search(words)
    return Refusal(f"{code} {words}".strip()[:MAX_WORDS] or "refused without a reason", final)


def _answer(schema: str, said: Mapping[str, Any]) -> tuple[str, str] | None:
    if schema in ("nexmo", "vonage"):
        return _vonage(said)
    named = _named(said)
    found = _reason(schema, named)
    if found is None and not any(_is_yes(named.get(name)) for name in FLAGS):
        inner = [_named(named[name]) for name in ENVELOPES if isinstance(named.get(name), Mapping)]
        found = next(filter(None, (_reason(schema, _verdict(one)) for one in inner)), None)
    return found


def _named(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer by its names in lower case without underscores."""
    return {name.replace("_", "").lower(): value for name, value in said.items()}


def _verdict(inner: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells success in an envelope, which may hold the message itself: its type is no verdict."""
    return {name: inner[name] for name in (*CODES, *FLAGS, *WORDS) if name in inner}


def _reason(schema: str, said: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return code and words of a refusal."""
    error = next((said[name] for name in ERRORS if _is_error(said.get(name))), None)
    code = next((str(said[name]) for name in CODES if _is_bad_code(schema, said.get(name))), "")
    if not code and _is_http_error(said.get("status")):
        code = str(said["status"])
    failed = any(said.get(name) in (False, 0) or _word(said.get(name)) == "false" for name in FLAGS)
    status = any(said.get(name) is False or _word(said.get(name)) in BAD for name in STATES)
    if error is None and not code and not failed and not status and not _only_words(said):
        return None
    inner = _named(error) if isinstance(error, Mapping) else {}
    code = code or next((str(inner[name]) for name in CODES if name in inner), "")
    words = next((_text(said[name]) for name in WORDS if said.get(name)), "")
    return code, " ".join(part for part in (_text(error), words) if part) or json.dumps(said, ensure_ascii=False)


def _only_words(said: Mapping[str, Any]) -> bool:
    """Tell whether an answer has an error message, and nothing that speaks of success."""
    words = next((said[name] for name in ("errmsg", "errormsg", "errormessage") if name in said), None)
    speaks = any(name in said for name in (*CODES, *FLAGS, "status", "result", "id"))
    return not speaks and _word(words) not in GOOD


def _vonage(said: Mapping[str, Any]) -> tuple[str, str] | None:
    """Read Vonage's answer, a 200 with a status for each part of an SMS."""
    parts = said.get("messages")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Mapping) and str(part.get("status", "0")) != "0":
            return str(part["status"]), _text(part.get("error-text"))
    return None


def _is_error(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().rstrip(".").lower() not in GOOD
    if isinstance(value, Mapping):  # {"code": 0, "message": "success"}
        codes = [code for name, code in _named(value).items() if name in CODES and str(code).strip()]
        return bool(value) and not (codes and all(str(code) in GOOD for code in codes))
    return bool(value)


def _is_http_error(value: Any) -> bool:
    """Tell whether a number is one of HTTP's errors; others mean what only the service knows."""
    return not isinstance(value, bool) and bool(re.fullmatch(r"[45]\d\d", str(value)))


def _is_yes(value: Any) -> bool:
    return value is True or _word(value) == "true"


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
        named = _named(value)
        words = next((named[name] for name in ("errors", *WORDS) if named.get(name)), None)
        return _text(words) if words is not None else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
