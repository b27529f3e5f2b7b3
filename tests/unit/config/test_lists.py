"""Lists from files, from addresses and from the program: what they give, and what is wrong with them."""

import os
from pathlib import Path

import pytest

from aggregator.config import digest, load, shipped_lists
from aggregator.config.lists import NotAList, keep, parse_terms
from aggregator.config.stored import load_texts, read_texts
from aggregator.core.errors import ConfigErrors
from aggregator.core.rules import Document, RuleIndex, compile_rule, usable_terms
from aggregator.core.settings import RuleConfig

FEED = "feeds: [{url: 'https://example.org/feed'}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def loaded(folder: Path, lists: str, rule: str = "{id: a, any: [$x]}") -> tuple[str, ...]:
    (folder / "all.yaml").write_text(f"{FEED}lists: {{x: {lists}}}\nrules: [{rule}]\n")
    return load(folder, {}).config.lists["x"]


def test_a_file_has_one_term_a_line(folder: Path) -> None:
    """A file has one term a line."""
    (folder / "names.txt").write_text('# whom we follow\nErdogan\n  Putin   # him\n\n"#MeToo"\nC#\nErdogan\n')
    assert loaded(folder, "{file: names.txt}") == ("Erdogan", "Putin", '"#MeToo"', "C#")
    assert loaded(folder, "{file: names.txt, terms: [Lavrov]}")[0] == "Lavrov"


def test_an_edit_of_the_file_changes_the_digest(folder: Path) -> None:
    """The service looks at the digest, so it takes over an edited list as it does an edited rule."""
    (folder / "names.txt").write_text("Erdogan\n")
    loaded(folder, "{file: names.txt}")
    before = digest(folder)
    (folder / "names.txt").write_text("Erdogan\nPutin\n")
    assert digest(folder) != before
    assert load(folder, {}).digest == digest(folder)


@pytest.mark.parametrize(
    ("lists", "place", "words"),
    [
        ("{fil: names.txt}", "2:13", "did you mean 'file'"),
        ("{file: none.txt}", "2:19", "no such file"),
        ("{file: page.txt}", "2:19", "one term a line"),
        ("{file: empty.txt}", "2:19", "has no terms"),
        ("{file: binary.txt}", "2:19", "not a text in UTF-8"),
        ("{use: country/turky}", "2:18", "country/turkey"),
        ("{use: turkey}", "2:18", "shipped"),
        ("{url: 'ftp://example.org/x'}", "2:18", "http"),
        ("{url: 'https://example.org/x', sha256: abc}", "2:51", "64 hexadecimal digits"),
        ("{url: 'https://example.org/x', every: often}", "2:50", "duration"),
        ("{}", "2:12", "has no terms"),
        ("[]", "2:12", "is empty"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(folder: Path, lists: str, place: str, words: str) -> None:
    """What is wrong is named with its place."""
    (folder / "page.txt").write_text("<!doctype html><p>Not found</p>")
    (folder / "empty.txt").write_text("# nothing\n")
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigErrors) as wrong:
        loaded(folder, lists)
    assert any(f"all.yaml:{place}:" in str(error) and words in str(error) for error in wrong.value.errors)


def test_inflected_lists_mark_their_terms(folder: Path) -> None:
    """Inflected lists mark their terms."""
    terms = loaded(folder, "{terms: [Erdogan, 'sanction*', \"'US'c\", $y], inflect: true}, y: [Putin]")
    assert terms == ("'Erdogan'i", "sanction*", "'US'c", "$y")


def test_an_address_gives_nothing_until_it_is_fetched(folder: Path) -> None:
    """An address gives nothing until it is fetched."""
    assert loaded(folder, "{url: 'https://example.org/sdn.txt'}") == ()
    (one,) = load(folder, {}).fetched
    assert (one.name, one.url, one.every_s) == ("x", "https://example.org/sdn.txt", 86400)
    assert any("matches nothing" in str(note) for note in load(folder, {}).warnings)
    before = digest(folder)
    keep(one, ("Rosoboronexport", "Almaz-Antey"))
    assert load(folder, {}).config.lists["x"] == ("Rosoboronexport", "Almaz-Antey")
    assert digest(folder) != before
    if os.name == "posix":
        assert one.file.parent.stat().st_mode & 0o077 == 0


def test_a_fetched_list_cannot_break_the_configuration(folder: Path) -> None:
    """Terms that cannot be matched, and references to our lists, are left out where the list is fetched."""
    good, bad = usable_terms(("S-400", "***", "$turkey", "a" * 600, "'US'c", "sanction*"))
    assert good == ("S-400", "'US'c", "sanction*")
    assert bad == ("***", "$turkey", "a" * 600)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n# x\n", b"<html>", b"\xff\xfe", b"a\0b", b"x\n" * 600_000, b"".join(b"%d\n" % n for n in range(20_001))],
)
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    """What is no list is refused."""
    with pytest.raises(NotAList):
        parse_terms(raw)


NAMES = [*shipped_lists.names()]


def test_the_shipped_lists_are_what_they_promise() -> None:
    """The shipped lists are what they promise."""
    kinds = {kind: [n for n in NAMES if n.startswith(f"{kind}/")] for kind in shipped_lists.KINDS}
    assert len(kinds["weapon"]) >= 150
    assert len(kinds["country"]) >= 195
    for name in NAMES:
        for one in shipped_lists.members(name):
            assert one.source
            assert one.terms
    for kind in ("country", "sanctions", "topic"):
        for name in kinds[kind][:-1]:
            (one,) = shipped_lists.members(name)
            assert {lang for lang, _ in one.by_language} >= set(shipped_lists.LANGUAGES), name


@pytest.mark.parametrize("kind", shipped_lists.KINDS)
def test_each_shipped_list_finds_its_headlines(kind: str) -> None:
    """Each shipped list finds its headlines."""
    for name in NAMES:
        if not name.startswith(f"{kind}/") or len(shipped_lists.members(name)) > 1:
            continue
        (one,) = shipped_lists.members(name)
        rule = compile_rule(RuleConfig(id="x", any=("$x",)), {"x": one.terms})
        assert not rule.warnings, (name, rule.warnings)
        index = RuleIndex([rule])
        assert len(one.headlines) >= 2 or kind == "country", name
        for lang, headline in one.headlines:
            assert index.match(Document(title=headline, lang=lang)), (name, headline)


def test_search_finds_a_weapon_by_any_of_its_names() -> None:
    """Search finds a weapon by any of its names."""
    for text in ("S-400", "s400", "SA-21", "triumf", "С-400"):
        assert shipped_lists.search(text)[0][0].name == "weapon/s-400"
    assert not shipped_lists.search("no such thing at all")


SPELLINGS = {
    "names.txt": (
        'lists: {x: {"file": names.txt}}',
        "lists: {x: {file : names.txt}}",
        "lists: {x: {file:\n names.txt}}",
        "lists:\n  x:\n    'file':\n      names.txt",
        "lists:\n  x:\n    file: >-\n      names.txt",
        "lists:\n  x:\n    ? file\n    : names.txt",
        'lists:\n  x:\n    "fil\\x65": "\\x6eames.txt" # whom we follow',
        '"lists" :\r\n  x:\r\n    file: names.txt\r\n',
        "lists:\r  x:\r    file: names.txt",
        "# lists: of names\n? lists\n: {x: {file: names.txt}}",
    ),
    "a,b.txt": ("lists:\n  x:\n    file: a,b.txt",),
    "a}b#c.txt": ("lists:\n  x:\n    file: a}b#c.txt",),
    "it's.txt": ("lists: {x: {file: 'it''s.txt'}}",),
}


@pytest.mark.parametrize(("name", "lists"), [(name, text) for name, some in SPELLINGS.items() for text in some])
def test_an_edit_is_seen_however_the_file_is_named(folder: Path, name: str, lists: str) -> None:
    """The digest changes with the file of a list, and a cluster gets it, in every spelling that YAML has."""
    (folder / name).write_text("Erdogan\n")
    end = "\n" if "\n" in lists else "\r" if "\r" in lists else "\n"
    (folder / "all.yaml").write_bytes(f"{lists}{end}rules: [{{id: a, any: [$x], title: lists}}]{end}{FEED}".encode())
    before = digest(folder)
    assert load(folder, {}).config.lists["x"] == ("Erdogan",)
    assert (name, "Erdogan\n") in read_texts(folder).files
    (folder / name).write_text("Putin\n")
    assert digest(folder) != before


def test_a_list_file_that_no_system_can_have(folder: Path) -> None:
    """A control character in its name is an error with its place, not of the program."""
    with pytest.raises(ConfigErrors, match=r"all.yaml:2:\d+: error: .*control"):
        loaded(folder, r'{file: "a\0b"}')


def test_a_stored_configuration_carries_its_list_files(folder: Path) -> None:
    """A node of a cluster that has no files gets the terms from the database."""
    (folder / "lists").mkdir()
    (folder / "lists" / "names.txt").write_text("Erdogan\n")
    loaded(folder, "{file: lists/names.txt}")
    texts = read_texts(folder)
    assert ("lists/names.txt", "Erdogan\n") in texts.files
    (folder / "lists" / "names.txt").unlink()
    there = load_texts(texts.files, {}, digest=texts.digest, whole=True, web=True)
    assert there.config.lists["x"] == ("Erdogan",)
    assert not there.faults


def test_the_address_of_a_list_may_hold_references(folder: Path) -> None:
    """As that of a feed: expanded, its secret known; an unset one is an error in its place."""
    text = f"{FEED}lists:\n  names: {{url: 'https://example.org/names.txt?key=${{LIST_KEY}}'}}\n"
    (folder / "all.yaml").write_text(text)
    found = load(folder, {"LIST_KEY": "geheim-77"})
    assert [one.url for one in found.fetched] == ["https://example.org/names.txt?key=geheim-77"]
    assert "geheim-77" in found.secrets
    with pytest.raises(ConfigErrors, match=r"all.yaml:3:51: error: the environment variable LIST_KEY is not set"):
        load(folder, {})
    (folder / "all.yaml").write_text(f"{FEED}lists:\n  names: {{url: '${{LIST_KEY}}'}}\n")
    with pytest.raises(ConfigErrors, match="url") as refused:
        load(folder, {"LIST_KEY": "geheim-77"})
    assert "geheim" not in str(refused.value)
