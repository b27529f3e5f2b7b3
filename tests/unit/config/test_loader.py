"""Loading: what is read how, joined how, and given to the rest of the application."""

from pathlib import Path

import pytest

from aggregator.config import channel_errors, digest, load, rule_test_errors
from aggregator.core.errors import ConfigErrors, Problem
from tests.unit.config.config_files import loaded, refused, written


def test_scalars_in_rules_are_the_text_that_was_written(tmp_path: Path) -> None:
    """No keyword is taken for a truth value, a number, a date or nothing."""
    found = loaded(
        tmp_path,
        """
        lists: {odd: [NO, 0x1F, Off]}
        rules:
          - {id: a, any: [NO, on, 007, 12:30, 2024-01-01, null, 1e5, .5, 0o14]}
        """,
    )
    assert found.config.rules[0].any == ("NO", "on", "007", "12:30", "2024-01-01", "null", "1e5", ".5", "0o14")
    assert found.config.lists["odd"] == ("NO", "0x1F", "Off")


def test_a_single_value_stands_for_a_list(tmp_path: Path) -> None:
    """Terms, tags, channels, fields and a near mapping need no brackets around one value."""
    found = loaded(
        tmp_path,
        """
        feeds: [{url: "https://a.example/", tags: defence}]
        rules:
          - {id: a, any: CAATSA, in: title, notify: console, near: {terms: [S-400, Ankara]}, tests: {match: x}}
        """,
    )
    rule = found.config.rules[0]
    assert (rule.any, rule.in_, rule.notify, found.config.feeds[0].tags) == (
        ("CAATSA",),
        ("title",),
        ("console",),
        ("defence",),
    )
    assert rule.near[0].terms == ("S-400", "Ankara")
    assert rule.tests.match == ("x",)


def test_console_is_built_in_and_the_default(tmp_path: Path) -> None:
    """A configuration without channels prints its alerts."""
    found = loaded(tmp_path, "rules: [{id: a, any: [x]}]\n")
    assert found.config.channels["console"].service == "console"
    assert found.config.settings.default_channels == ("console",)


def test_feeds_without_id_are_named_by_host_and_path(tmp_path: Path) -> None:
    """The slug is stable; a second feed of the same host and path gets a piece of its hash."""
    found = loaded(
        tmp_path,
        """
        feeds:
          - url: https://www.Example.org/News/Feed.xml
          - url: https://example.org/news/feed.xml?lang=no
          - url: http://127.0.0.1:8080/feed
          - url: https://xn--rksmrgs-5wao1o.example/%C3%A9t%C3%A9
        """,
    )
    first, second, third, fourth = (feed.id for feed in found.config.feeds)
    assert first == "example-org-news-feed-xml"
    assert second.startswith("example-org-news-feed-xml-")
    assert third == "127-0-0-1-8080-feed"
    assert fourth == "xn-rksmrgs-5wao1o-example-ete"


def test_a_folder_is_the_union_of_its_files(tmp_path: Path) -> None:
    """Lists are joined, mappings merged deeply in settings; hidden and other files are not read."""
    written(tmp_path, "feeds: [{url: 'https://a.example/'}]\nsettings: {polling: {every: 5m}}\n", "a.yaml")
    written(tmp_path, "feeds: [{url: 'https://b.example/'}]\nsettings: {polling: {per_host: 2}}\n", "b.yml")
    written(tmp_path, "rules:\n# all of it is commented out\n", "c.yaml")
    written(tmp_path, "nonsense: [", ".hidden.yaml")
    written(tmp_path, "nonsense: [", "notes.txt")
    found = load(tmp_path, {})
    assert [feed.id for feed in found.config.feeds] == ["a-example", "b-example"]
    assert (found.config.settings.polling.every_s, found.config.settings.polling.per_host) == (300, 2)


def test_the_same_name_in_two_files_names_both_places(tmp_path: Path) -> None:
    """Neither file wins silently."""
    one = written(tmp_path, "channels: {mail: {url: 'mailto://a'}}\nsettings: {polling: {every: 5m}}\n", "a.yaml")
    two = written(tmp_path, "settings:\n  polling:\n    every: 9m\nchannels: {mail: {url: 'mailto://b'}}\n", "b.yaml")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, {})
    assert [str(error) for error in caught.value.errors] == [
        f"{two}:3:5: error: 'every' is defined twice (first in {one}:2; keep one of them)",
        f"{two}:4:12: error: channel 'mail' is defined twice (first in {one}:1; keep one of them)",
    ]


def test_a_broken_file_does_not_make_names_of_the_others_unknown(tmp_path: Path) -> None:
    """Channels that could not be read are not called missing; other mistakes still are."""
    written(tmp_path, "channels: {desk: {url: [}\n", "channels.yaml")
    written(tmp_path, "rules: [{id: a, any: [x], notify: [desk], tittle: x}]\n", "rules.yaml")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, {})
    assert [error.line for error in caught.value.errors] == [1, 1]
    assert "unknown key 'tittle'" in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_nothing_to_read_proposes_init(tmp_path: Path, name: str) -> None:
    """A missing path and a folder without YAML are told with the way out."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigErrors, match="aggregator init"):
        load(tmp_path / name, {})


@pytest.mark.parametrize("name", ["x" * 5000, "file.yaml/below", "/dev/null", "/dev/zero"])
def test_paths_that_cannot_be_read_are_reported(tmp_path: Path, name: str) -> None:
    """No path makes the loader hang or fail in its own words."""
    written(tmp_path, "feeds: []\n", "file.yaml")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / name, {})
    assert len(caught.value.errors) == 1


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """More than 1 MB of YAML is not parsed."""
    file = written(tmp_path, "# x\n" * 300_000)
    with pytest.raises(ConfigErrors, match="larger than 1 MB"):
        load(file, {})


def test_numbers_of_channels_keep_their_spelling(tmp_path: Path) -> None:
    """A service's field is a number or a truth value only where that loses nothing."""
    found = loaded(
        tmp_path,
        """
        channels:
          a: {service: slack, port: 587, verify: false, token: 007, chat: -100123, ratio: 0.5, text: "12", none: null}
        """,
    )
    fields = {"port": 587, "verify": False, "token": "007", "chat": -100123, "ratio": 0.5, "text": "12"}
    assert found.config.channels["a"].fields == fields
    assert found.config.channels["a"].name == "a"


def test_warnings_do_not_stop_the_load(tmp_path: Path) -> None:
    """An unverified feed, a tag that no feed has, a lower-case operator: told, not refused."""
    found = loaded(
        tmp_path,
        """
        feeds: [{url: "https://a.example/", tags: [defence], verify_tls: false}]
        rules: [{id: a, any: [x], feeds: {tags: [defense]}}]
        """,
    )
    assert [(warning.line, warning.severity) for warning in found.warnings] == [(1, "warning"), (2, "warning")]
    assert found.warnings[1].hint == "did you mean 'defence'?"


@pytest.mark.parametrize(
    ("filters", "dead"),
    [
        ("tags: [defence], not_tags: [defence]", True),
        ("ids: [a], not_ids: [a]", True),
        ("ids: [a], tags: [energy]", True),
        ("tags: [energy], not_ids: [b]", True),
        ("tags: [defence], not_ids: [a]", False),
        ("ids: [a, b], tags: [energy]", False),
        ("not_ids: [a], not_tags: [energy]", False),
        ("ids: [b], tags: [defence]", True),
    ],
)
def test_filters_that_no_feed_passes_are_warned_of(tmp_path: Path, filters: str, dead: bool) -> None:
    """Each filter has feeds, and together they leave none: the rule would be silent for good."""
    found = loaded(
        tmp_path,
        f"""
        feeds:
          - {{url: "https://a.example/", id: a, tags: [defence]}}
          - {{url: "https://b.example/", id: b, tags: [energy]}}
          - {{url: "https://c.example/", id: c, tags: defence}}
        rules: [{{id: r, any: [S-400], feeds: {{{filters}}}}}]
        """,
    )
    assert [warning.message for warning in found.warnings] == ["no feed passes all of these filters"] * dead


def test_a_login_in_an_address_is_warned_of(tmp_path: Path) -> None:
    """It is never sent there, so the feed would fail at each poll; a mailbox names its user like that."""
    found = loaded(
        tmp_path,
        """
        feeds:
          - {url: "https://ann:hunter2@a.example/"}
          - {url: "imaps://ann@mail.example/INBOX", kind: mail, auth: {password: hunter2}}
        rules: [{id: a, any: [x]}]
        """,
    )
    assert [(warning.line, warning.hint) for warning in found.warnings] == [(2, "write it as auth: {user:, password:}")]
    assert "hunter2" not in str(found.warnings[0])


def test_places_say_where_things_are_written(tmp_path: Path) -> None:
    """Feeds, rules, channels and lists are found again in their file."""
    found = loaded(
        tmp_path,
        """
        feeds:
          - url: https://a.example/
        rules:
          - id: a
            any: [x]
        channels:
          mail: {url: "mailto://x"}
        """,
    )
    assert found.places["feed", "a-example"][1:] == (2, 5)
    assert found.places["rule", "a"][1:] == (4, 5)
    assert found.places["channel", "mail"][1:] == (7, 3)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    """Any changed byte, added or renamed file changes it; touching a file does not."""
    file = written(tmp_path, "feeds: []\n", "a.yaml")
    first = digest(tmp_path)
    assert load(tmp_path, {}).digest == first
    file.touch()
    assert digest(tmp_path) == first
    file.write_text("feeds: [] \n")
    second = digest(tmp_path)
    file.rename(tmp_path / "b.yaml")
    assert len({first, second, digest(tmp_path)}) == 3
    assert digest(tmp_path / "missing") == ""


def test_an_edit_can_be_tried_before_it_is_saved(tmp_path: Path) -> None:
    """`edited` stands for the file on disk, and only for this load."""
    file = written(tmp_path, "rules: [{id: a, any: [x]}]\n", "rules.yaml")
    tried = load(tmp_path, {}, edited={file: "rules: [{id: b, any: [y]}]\n"})
    assert [rule.id for rule in tried.rules] == ["b"]
    assert [rule.id for rule in load(tmp_path, {}).rules] == ["a"]


def test_a_reload_compiles_only_what_changed(tmp_path: Path) -> None:
    """A rule whose text and lists are the same is the same object; its neighbours are made anew."""
    text = "lists: {{t: [{term}]}}\nrules: [{{id: a, any: [x]}}, {{id: b, any: [$t]}}, {{id: c, any: [{term}]}}]\n"
    first = loaded(tmp_path, text.format(term="Ankara"))
    written(tmp_path, text.format(term="Oslo"))
    second = load(tmp_path / "config.yaml", {}, before=first)
    assert [old is new for old, new in zip(first.rules, second.rules, strict=True)] == [True, False, False]


def test_failing_inline_tests_point_at_their_text(tmp_path: Path) -> None:
    """The text that should, or should not, have matched is where the error is."""
    found = loaded(
        tmp_path,
        """
        rules:
          - id: a
            any: [CAATSA]
            tests:
              match: [CAATSA waiver]
              no_match:
                - nothing of the kind
                - a CAATSA waiver
        """,
    )
    (error,) = rule_test_errors(found)
    assert (error.line, error.column) == (8, 11)


def test_problems_of_channels_get_their_places(tmp_path: Path) -> None:
    """What the notifier finds in a channel is told at the key it is about, without secrets."""
    found = loaded(tmp_path, 'channels:\n  chat:\n    service: slack\n    token_a: "${TOKEN}"\n', TOKEN="xoxb-12")
    problem = Problem(path=("chat", "token_a"), message="'xoxb-12' is too short", hint="12 characters")
    (error,) = channel_errors(found, [problem])
    assert str(error).endswith(":4:14: error: '***' is too short (12 characters)")


def test_several_syntax_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """A slip that stops the YAML parser does not hide the next one."""
    errors = refused(
        tmp_path,
        """
        rules:
          - id: a
            query: "S-400" OR CAATSA
          - id: b
            any:
              - @potus
          - id: c
            any: [x]
            priority: urgent
        """,
    )
    assert [error.split(":")[0] for error in errors] == ["3", "6", "9"]


def test_a_query_for_a_feed_that_is_not_there_is_warned_of(tmp_path: Path) -> None:
    """`feed:` looks at the words of ids; one that none of them has would never match."""
    path = tmp_path / "all.yaml"
    feeds = "feeds:\n  - {id: bbc-world, url: 'https://bbc.example/feed'}\n"
    rules = "rules:\n  - {id: a, query: 'feed:bbc deal'}\n  - {id: b, query: 'feed:bbc-wrold deal'}\n"
    path.write_text(feeds + rules, encoding="utf-8")
    (warning,) = load(path, {}).warnings
    assert str(warning).endswith("all.yaml:5:20: warning: no feed id contains 'bbc-wrold' (did you mean 'bbc-world'?)")


def test_a_list_is_checked_before_a_rule_uses_it(tmp_path: Path) -> None:
    """What is wrong with a list is told although no rule names it yet."""
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, "lists: {loop: [$loop, x], loose: [$gone], fine: [a, b]}")
    assert [error.column for error in caught.value.errors] == [15, 34]


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"])
def test_a_page_for_others_needs_more_than_a_guess(tmp_path: Path, listen: str) -> None:
    """A short token or password beyond loopback is refused with the words that `run` would say."""
    (error,) = refused(tmp_path, f'settings: {{web: {{listen: "{listen}", token: "1"}}}}\n')
    assert f"{listen} is not a loopback address, and settings.web.token has fewer than 12 characters" in error
    (error,) = refused(tmp_path, f'settings: {{web: {{listen: "{listen}", password: "${{P}}"}}}}\n', P="short")
    assert "settings.web.password has fewer than 8 characters" in error
    loaded(tmp_path, f'settings: {{web: {{listen: "{listen}", token: "{"x" * 12}"}}}}\n')
    loaded(tmp_path, 'settings: {web: {listen: "127.0.0.1:80", token: "1"}}\n')


@pytest.mark.parametrize("proxy", ["*", "0.0.0.0/0", "::/0", "proxy.example", ""])
def test_a_proxy_is_trusted_only_by_name(tmp_path: Path, proxy: str) -> None:
    """A proxy is named by its address or network; everybody is no proxy."""
    (error,) = refused(tmp_path, f'settings: {{web: {{trusted_proxies: ["{proxy}"]}}}}\n')
    assert "trusted_proxies" in error
    assert "127.0.0.1" in error
    for named in ("127.0.0.1", "::1", "10.0.0.0/8"):
        loaded(tmp_path, f'settings: {{web: {{trusted_proxies: ["{named}"]}}}}\n')


@pytest.mark.parametrize("nothing", ["", "~", "null"])
def test_a_known_key_without_a_value_is_as_if_it_were_not_there(tmp_path: Path, nothing: str) -> None:
    """A section whose keys are all commented out stays valid, a database without an address is the default."""
    found = loaded(
        tmp_path,
        f"""
        feeds: [{{url: "https://a.example/", auth: {nothing}}}]
        rules: {nothing}
        settings: {{database: {nothing}, web: {nothing}, health: {{notify: {nothing}}}}}
        """,
    )
    assert (found.config.settings.database, found.config.settings.health.notify) == (None, None)
    assert (found.config.rules, found.config.feeds[0].auth) == ((), None)


@pytest.mark.parametrize("off", ["off", "no", "False", "0", "n"])
def test_a_page_that_is_switched_off_needs_no_password(tmp_path: Path, off: str) -> None:
    """In whatever word it is switched off."""
    found = loaded(tmp_path, f"settings: {{web: {{enabled: {off}, listen: 0.0.0.0:8080}}}}\n")
    assert not found.config.settings.web.enabled


def test_a_value_behind_a_reference_is_not_shown_where_a_header_cannot_hold_it(tmp_path: Path) -> None:
    """The sentence says what is wrong with it all the same."""
    text = 'feeds: [{url: "https://a.example/", headers: {X: "${KEY}"}}]\n'
    (error,) = refused(tmp_path, text, KEY="-----BEGIN KEY-----\nhunter2\n-----END KEY-----")
    assert "hunter" not in error
    assert "'***' is a header whose value has a line break (write a single line)" in error
