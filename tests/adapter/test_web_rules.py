"""Rules on the pages: new ones, one rule's form and YAML, actions on the list, and the history of edits."""

import re
from html import unescape

import pytest

from aggregator.web import create_app
from tests.support.http_client import HttpAnswer, HttpClient
from tests.support.memory_backend import RULES_TEXT, MemoryBackend
from tests.support.sample_data import sample_tables

ITEM = "id: caatsa\ntitle: CAATSA sanctions\nany: [CAATSA]\n"
FIELDS = "id,title,query,priority,deliver,any,all,none,notify,enabled"


@pytest.fixture
def backend() -> MemoryBackend:
    return sample_tables()


@pytest.fixture
def client(backend: MemoryBackend) -> HttpClient:
    return HttpClient(create_app(backend))


def yaml_of(answer: HttpAnswer) -> str:
    """The YAML that the page's editor holds."""
    found = re.search(r'name="item"[^>]*>\n(.*?)</textarea>', answer.text, re.DOTALL)
    assert found
    return unescape(found[1])


def form(item: str = ITEM, **more: str) -> dict[str, str]:
    """The form as a browser sends it when nothing was touched."""
    shown = {"id": "caatsa", "title": "CAATSA sanctions", "any": "CAATSA", "enabled": "true"}
    return {"item": item, "opened": ITEM, "shown": ITEM, "fields": FIELDS, "do": "save", **shown, **more}


def test_a_rule_is_shown_as_it_is_written(client: HttpClient) -> None:
    """The YAML without its dash, and the form filled from it."""
    page = client.get("/rules/s400-turkey/edit")
    assert yaml_of(page).startswith("id: s400-turkey\ntitle: S-400 and Turkey\n")
    assert 'value="S-400 and Turkey"' in page.text
    assert client.get("/rules/nosuch/edit").status == 404


def test_the_form_changes_its_own_lines_only(client: HttpClient, backend: MemoryBackend) -> None:
    """Without a script: what differs from what the form showed comes into the YAML, and no other line changes."""
    answer = client.post("/rules/caatsa/edit", form=form(any="CAATSA\r\nsecondary sanctions"))
    assert answer.status == 303
    assert backend.text == RULES_TEXT.replace("[CAATSA]", "[CAATSA, secondary sanctions]")


def test_the_yaml_counts_where_the_form_was_left_alone(client: HttpClient, backend: MemoryBackend) -> None:
    """An edit of the text is saved as it was typed, comments too."""
    client.post("/rules/caatsa/edit", form=form("id: caatsa\nany: [CAATSA]   # why\nlang: en\n"))
    assert "  - id: caatsa\n    any: [CAATSA]   # why\n    lang: en\n\n  - id: f35" in backend.text


def test_a_rule_that_changed_meanwhile_is_not_overwritten(client: HttpClient, backend: MemoryBackend) -> None:
    """Somebody else's change of this rule is a conflict, and what was typed stays; one of another rule is none."""
    backend.text = backend.text.replace("[CAATSA]", "[CAATSA, somebody else]")
    refused = client.post("/rules/caatsa/edit", form=form(title="Mine"))
    assert refused.status == 409
    assert "has changed in rules.yaml" in refused.text
    assert yaml_of(refused) == ITEM.replace("CAATSA sanctions", "Mine")
    backend.text = RULES_TEXT.replace("[F-35,", "[F-35, F35,")
    assert client.post("/rules/caatsa/edit", form=form(title="Mine")).status == 303
    assert "title: Mine" in backend.text


def test_a_mistake_is_shown_at_its_line_and_loses_nothing(client: HttpClient, backend: MemoryBackend) -> None:
    """Lines count from the rule's first one."""
    refused = client.post("/rules/caatsa/edit", form=form("id: caatsa\nbad: x\n"))
    assert refused.status == 422
    assert yaml_of(refused) == "id: caatsa\nbad: x\n"
    assert 'data-line="2"' in refused.text
    assert backend.text == RULES_TEXT


def test_a_check_and_a_preview_write_nothing(client: HttpClient, backend: MemoryBackend) -> None:
    """They show the verdict and the effect on the same page."""
    for do, words in (("check", "No errors"), ("preview", "+14")):
        answer = client.post("/rules/caatsa/edit", form=form(title="Other", do=do))
        assert (answer.status, words in answer.text) == (200, True)
        assert "title: Other" in yaml_of(answer)
    assert backend.text == RULES_TEXT


def test_new_rules_come_from_nothing_a_search_and_a_hit(client: HttpClient, backend: MemoryBackend) -> None:
    """The editor is filled with what is known, and saving writes the rule behind the others."""
    assert yaml_of(client.get("/rules/new")).strip() == ""
    assert yaml_of(client.get("/rules/new?query=S-400+Turkey")) == "id: s-400-turkey\nquery: S-400 Turkey\n"
    from_hit = yaml_of(client.get("/rules/new?hit=00001389"))
    assert from_hit.startswith("id: ")
    assert "any:" in from_hit
    created = client.post(
        "/rules/new", form={"item": "", "fields": FIELDS, "do": "save", "title": "Été", "any": "été", "enabled": "true"}
    )
    assert created.status == 303
    assert (created.header("location") or "").startswith("/rules/ete?done=saved&undo=edit-")
    assert backend.text == RULES_TEXT + "  - id: ete\n    title: Été\n    any: [été]\n"


def test_actions_change_the_file_and_can_be_undone(client: HttpClient, backend: MemoryBackend) -> None:
    """Pause, resume, duplicate, move and remove; each is an edit, and the last undo is the file of the beginning."""
    for do in ("pause", "copy", "down", "up", "remove"):
        before = backend.text
        answer = client.post("/rules/caatsa/do", form={"do": do, "next": "/rules"})
        assert answer.status == 303, do
        assert backend.text != before
        undo = re.search(r"undo=edit-(\d+)", answer.header("location") or "")
        assert undo
        assert client.post(f"/undo/edit-{undo[1]}", form={"next": "/rules"}).status == 303
        assert backend.text == before
    assert "done=nothing" in (client.post("/rules/caatsa/do", form={"do": "resume"}).header("location") or "")
    assert client.post("/rules/nosuch/do", form={"do": "pause"}).status == 404


def test_the_history_shows_each_edit_until_it_is_taken_back(client: HttpClient, backend: MemoryBackend) -> None:
    """An edit whose lines changed since is not undone blindly."""
    client.post("/rules/caatsa/edit", form=form(title="First"))
    client.post("/rules/caatsa/edit", form=form(title="Second", opened=ITEM.replace("CAATSA sanctions", "First")))
    page = client.get("/rules/history")
    assert page.text.count('action="/rules/history/') == 2
    assert "<del>    title: CAATSA sanctions</del>" in page.text
    first, second = sorted(one.id or 0 for one in backend.tables.edits.values())
    assert client.post(f"/rules/history/{first}/undo", form={}).status == 409
    assert client.post(f"/rules/history/{second}/undo", form={}).status == 303
    assert client.post(f"/rules/history/{first}/undo", form={}).status == 303
    assert backend.text == RULES_TEXT


def test_rules_are_sorted_and_found(client: HttpClient) -> None:
    """By each figure of the list, by words, by state."""
    order = {
        path: re.findall(r'id="rule-([\w-]+)"', client.get(path).text)
        for path in ("/rules", "/rules?sort=title", "/rules?sort=hits", "/rules?sort=precision", "/rules?find=CAATSA",
                     "/rules?state=off", "/rules?find=zebra")
    }  # fmt: skip
    assert order["/rules"] == ["s400-turkey", "caatsa", "f35", "cve-edge", "hypersonic"]
    assert order["/rules?sort=title"] == ["caatsa", "cve-edge", "f35", "hypersonic", "s400-turkey"]
    assert order["/rules?sort=hits"][:2] == ["s400-turkey", "f35"]
    assert order["/rules?sort=precision"][-1] == "hypersonic"
    assert order["/rules?find=CAATSA"] == ["caatsa"]
    assert order["/rules?state=off"] == ["hypersonic"]
    assert order["/rules?find=zebra"] == []


def test_the_api_does_all_of_it(client: HttpClient, backend: MemoryBackend) -> None:
    """Check, preview, create, replace, pause, copy, move, remove, history and undo."""
    checked = client.ask(
        "POST", "/api/v1/rules/check-item", data={"rule": "caatsa", "item": ITEM, "form": {"title": "X"}}
    )
    assert checked.json() == {
        "ok": True, "item": ITEM.replace("CAATSA sanctions", "X"), "problems": [], "form": checked.json()["form"],
    }  # fmt: skip
    wrong = client.ask("POST", "/api/v1/rules/check-item", data={"rule": None, "item": "id: x\nbad: y\n"}).json()
    assert [(one["file"], one["line"]) for one in wrong["problems"]] == [("", 2)]
    assert (
        client.ask("POST", "/api/v1/rules/preview-item", data={"rule": "caatsa", "item": "id: caatsa\n"}).status == 200
    )
    made = client.ask("POST", "/api/v1/rules", data={"item": "id: new\nany: [x]\n"})
    assert (made.status, made.json()["rule"]) == (201, "new")
    assert client.get("/api/v1/rules/new/item").json()["item"] == "id: new\nany: [x]\n"
    replaced = {"item": "id: new\nany: [y]\n", "base": "id: new\nany: [x]\n"}
    assert client.ask("PUT", "/api/v1/rules/new/item", data=replaced).status == 200
    assert client.ask("PUT", "/api/v1/rules/new/item", data=replaced).status == 409
    assert client.ask("PUT", "/api/v1/rules/new/enabled", data={"enabled": False}).status == 200
    assert client.ask("POST", "/api/v1/rules/new/copy").json()["rule"] == "new-copy"
    assert client.ask("POST", "/api/v1/rules/new/move", data={"by": -1}).status == 200
    assert client.ask("DELETE", "/api/v1/rules/new-copy").status == 200
    edits = client.get("/api/v1/rules/edits").json()
    assert len(edits) == 6
    for edit in edits:
        assert client.ask("POST", f"/api/v1/rules/edits/{edit['id']}/undo").status == 200
    assert backend.text == RULES_TEXT
