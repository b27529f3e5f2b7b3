"""Verdicts of services in the body of a 200: accepted, not now, or never."""

import json

import pytest

from aggregator.notify.acceptance import refusal

TAKEN = [
    ("synology", {"success": True}),
    ("dingtalk", {"errcode": 0, "errmsg": "ok"}),
    ("wecombot", {"errcode": 0, "errmsg": "ok"}),
    ("feishu", {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}),
    ("pushdeer", {"code": 0, "content": {"result": ["{}"]}, "error": ""}),
    ("pushplus", {"code": 200, "msg": "请求成功", "data": "5f1"}),
    ("bark", {"code": 200, "message": "success", "timestamp": 1}),
    ("wxpusher", {"code": 1000, "msg": "处理成功", "success": True}),
    ("schan", {"code": 0, "message": "", "data": {"errno": 0, "error": "SUCCESS"}}),
    ("tgram", {"ok": True, "result": {"message_id": 1}}),
    ("slack", {"ok": True}),
    ("zulip", {"result": "success", "msg": "", "id": 4}),
    ("rocket", {"success": True, "error": None}),
    ("nexmo", {"message-count": "1", "messages": [{"status": "0"}]}),
    ("mastodon", {"id": "1", "visibility": "private", "content": "error: failed"}),
    ("gotify", {"id": 1, "appid": 2, "message": "code 5"}),
    ("one_of_tomorrow", {"error": {"code": 0, "message": "Success"}}),
    ("one_of_tomorrow", {"error": "No error."}),
    ("one_of_tomorrow", {"status": 1, "errorMessage": "x"}),
    ("one_of_tomorrow", {"ok": True, "result": {"type": "error", "code": 7}}),
    ("one_of_tomorrow", {"result": {"type": "error", "message": "of the text that was sent"}}),
    ("one_of_tomorrow", [{"success": True}, {"success": False}]),
    ("json", {"code": 5, "error": "any 2xx accepts, as the documentation promises"}),
]
REFUSED = [
    ("synology", {"error": {"code": 407, "errors": "invalid token"}, "success": False}, True, "407 invalid token"),
    ("synology", {"error": {"code": 411, "errors": "create post too fast"}, "success": False}, False, "411"),
    ("dingtalk", {"errcode": 310000, "errmsg": "keywords not in content"}, True, "310000 keywords"),
    ("dingtalk", {"errcode": 130101, "errmsg": "send too fast"}, False, "130101"),
    ("wecombot", {"errcode": 93000, "errmsg": "invalid webhook url"}, True, "93000"),
    ("wecombot", {"errcode": 45009, "errmsg": "api freq out of limit"}, False, "45009"),
    ("feishu", {"code": 19001, "data": {}, "msg": "param invalid"}, True, "19001 param invalid"),
    ("lark", {"code": 11232, "msg": "frequency limited"}, False, "11232"),
    ("pushdeer", {"code": 80403, "error": "invalid key"}, True, "80403 invalid key"),
    ("pushplus", {"code": 900, "msg": "用户账号使用受限"}, False, "900"),
    ("tgram", {"ok": False, "description": "Unauthorized"}, True, "Unauthorized"),
    ("slack", {"ok": False, "error": "ratelimited"}, False, "ratelimited"),
    ("rocket", {"success": False}, False, "success"),
    ("nexmo", {"messages": [{"status": "4", "error-text": "Bad Credentials"}]}, True, "4 Bad Credentials"),
    ("onebot", {"status": "failed", "retcode": 1200}, False, "1200"),
    ("one_of_tomorrow", {"errors": ["no such user"]}, True, "no such user"),
    ("one_of_tomorrow", {"errcode": "7"}, False, "7"),
    ("one_of_tomorrow", {"Success": False, "Message": "bad token"}, True, "bad token"),
    ("one_of_tomorrow", {"Code": 40001, "Message": "x"}, False, "40001 x"),
    ("one_of_tomorrow", {"status": False, "reason": "token invalid"}, True, "token invalid"),
    ("one_of_tomorrow", {"status": 403, "message": "Forbidden"}, True, "403 Forbidden"),
    ("one_of_tomorrow", {"sent": "false", "message": "wait"}, False, "wait"),
    ("one_of_tomorrow", {"state": "KO"}, False, "KO"),
    ("one_of_tomorrow", {"result": {"code": 19001, "msg": "x"}}, False, "19001 x"),
    ("one_of_tomorrow", {"meta": {"code": 401}}, False, "401"),
    ("one_of_tomorrow", {"errorMessage": "bad key"}, True, "bad key"),
    ("one_of_tomorrow", [{"error": "no such user"}, {"error": "no such user"}], True, "no such user"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "said"), TAKEN)
def test_taken(schema: str, said: object) -> None:
    """A success in the service's own way of saying so is none of the errors that look like it."""
    assert refusal(schema, json.dumps(said).encode()) is None


@pytest.mark.parametrize(("schema", "said", "final", "words"), REFUSED)
def test_refused(schema: str, said: object, final: bool, words: str) -> None:
    """An error is one whatever the status says; its words are kept, and whether another try can help."""
    found = refusal(schema, json.dumps(said, ensure_ascii=False).encode())
    assert found is not None
    assert found.words.startswith(words) or words in found.words
    assert found.final is final


@pytest.mark.parametrize("body", [b"", b"ok", b"1", b"[1]", b"{", b"{" * 9000, b'{"a": "\xff"}', b"null"])
def test_what_is_no_document_says_nothing(body: bytes) -> None:
    """An empty, plain or broken answer leaves the status as the only word."""
    assert refusal("synology", body) is None


@pytest.mark.parametrize(
    "body",
    [b'\xef\xbb\xbf{"errcode": 310000, "errmsg": "keywords"}', '{"errcode": 310000, "errmsg": "无效"}'.encode("gbk")],
    ids=["byte order mark", "GBK"],
)
def test_refused_in_odd_bytes(body: bytes) -> None:
    """A byte order mark, or words in another encoding than JSON's, hide no refusal."""
    found = refusal("dingtalk", body)
    assert found is not None
    assert found.final
