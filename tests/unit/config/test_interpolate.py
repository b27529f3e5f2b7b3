"""References to the environment and to files, and what becomes of the secrets."""

from pathlib import Path

import pytest

from aggregator.core.errors import ConfigErrors
from tests.unit.config.config_files import loaded, refused, written

FEED = 'feeds: [{{url: "https://a.example/", headers: {{X: "{value}"}}}}]\n'


def header(folder: Path, value: str, **environ: str) -> str:
    return loaded(folder, FEED.format(value=value), **environ).config.feeds[0].headers["X"].get_secret_value()


def test_environment_variables_and_files_are_put_in(tmp_path: Path) -> None:
    """Anywhere in a text, several times; a file loses only its last line break."""
    (tmp_path / "key").write_text("top secret \n")
    assert header(tmp_path, "Bearer ${TOKEN}/${TOKEN}", TOKEN="abcd") == "Bearer abcd/abcd"
    assert header(tmp_path, "${file:key}") == "top secret "
    assert header(tmp_path, f"${{file:{tmp_path}/key}}") == "top secret "


def test_what_comes_in_is_not_looked_at_again(tmp_path: Path) -> None:
    """A secret that contains a reference stays what it is, and $${ stands for ${."""
    assert header(tmp_path, "${A}", A="${B}", B="no") == "${B}"
    assert header(tmp_path, "$${A} costs $5", A="no") == "${A} costs $5"


def test_rules_and_lists_are_never_expanded(tmp_path: Path) -> None:
    """A term may look like a reference."""
    found = loaded(tmp_path, "rules: [{id: a, any: ['US${AMOUNT}']}]\n", AMOUNT="5")
    assert found.config.rules[0].any == ("US${AMOUNT}",)


def test_secrets_are_known_for_masking(tmp_path: Path) -> None:
    """Expanded values, secret keys and passwords inside URLs, also URL-decoded; not database paths."""
    found = loaded(
        tmp_path,
        """
        channels: {mail: {url: "mailtos://me:p%40ssword@smtp.example"}, chat: {service: slack, token_a: "${TOKEN}"}}
        feeds: [{url: "https://a.example/", auth: {bearer: plainly-written}}]
        settings: {database: "sqlite:///var/x.db", http: {proxy: "http://u:proxypass@p:1"}}
        """,
        TOKEN="xoxb-123",
    )
    assert {"p%40ssword", "p@ssword", "xoxb-123", "plainly-written", "proxypass"} <= found.secrets
    assert not [secret for secret in found.secrets if "sqlite" in secret or "@p:1" in secret]
    assert "xoxb-123" not in repr(found)


def test_secrets_of_channels_need_no_reference(tmp_path: Path) -> None:
    """Keys in addresses and fields as they stand in the file; not hosts, names and numbers of telephones."""
    found = loaded(
        tmp_path,
        """
        channels:
          bark: {url: "barks://bark.example/AEL6cs97bl5gbUjsGHdOEc"}
          bird: {url: "twitter://NHHCNdeABJ2NXsdp2yyn/exGndJF4hBU3yTJxatxG/4fnuBsmbbIU6uICVx1U1/h0lM4fBbYwyaF1lEriy/ann"}
          flow: {url: "workflows://prod-10.westus.logic.example:443/0b8e9a5b5ab89c3049787a5d33aa7e52/vVPn4KCroYhcH9muZ11K"}
          hook: {service: webhook, url: "https://h.example/hook/wEbHoOk1234567890ab", headers: {X-Auth: letmein77}}
          head: {service: webhook, url: "https://h.example/", headers: {Authorization: Bearer hunter3-hunter3}}
          push: {service: pover, user_key: uQiRzpo4DXghDmr9QzzfQu27cmVRsG, token: azGDORePK8, targets: [phone-of-ann]}
          mail: {url: "mailto://alerts@example.org"}
        settings: {database: "postgresql://news@db.example/news?password=hunter2-hunter2"}
        """,
    )
    assert not {"news", "alerts"} & found.secrets  # names, which stand in texts
    keys = {
        "AEL6cs97bl5gbUjsGHdOEc",
        "NHHCNdeABJ2NXsdp2yyn",
        "4fnuBsmbbIU6uICVx1U1",
        "wEbHoOk1234567890ab",
        "letmein77",
    }
    assert (
        keys | {"azGDORePK8", "uQiRzpo4DXghDmr9QzzfQu27cmVRsG", "hunter2-hunter2", "hunter3-hunter3"} <= found.secrets
    )
    assert not [one for one in found.secrets if one.endswith((".example", ":443", "phone-of-ann"))]


def test_errors_never_show_a_secret(tmp_path: Path) -> None:
    """A value that is refused is quoted with *** where it came from outside."""
    errors = refused(tmp_path, 'feeds: [{url: "${ADDRESS}"}]\n', ADDRESS="hunter2-hunter2")
    assert errors == ["1:15: url: '***' is not a web address (it must start with http:// or https://)"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x ${NOPE}", "the environment variable NOPE is not set"),
        ("${file:gone}", "'gone' cannot be read: No such file or directory"),
        ("${}", "${} is not a reference"),
        ("${a b}", "${a b} is not a reference"),
        ("${OPEN", "${ without }"),
    ],
)
def test_failed_references_name_their_place(tmp_path: Path, value: str, message: str) -> None:
    """The column is that of the dollar sign."""
    text = FEED.format(value=value)
    (error,) = refused(tmp_path, text)
    assert error.startswith(f"1:{text.index('$') + 1}: {message}")


def test_a_secret_file_is_short_text(tmp_path: Path) -> None:
    """A large or binary file is not read into a header."""
    (tmp_path / "large").write_text("x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, why in (("large", "larger than 64 kB"), ("binary", "not text")):
        with pytest.raises(ConfigErrors, match=why):
            loaded(tmp_path, FEED.format(value=f"${{file:{name}}}"))


def test_environment_names_are_proposed_but_not_values(tmp_path: Path) -> None:
    """A misspelt name is answered with the one that exists."""
    written(tmp_path, "x", "unused")
    (error,) = refused(tmp_path, FEED.format(value="${FEED_PASSWROD}"), FEED_PASSWORD="hush-hush")
    assert "did you mean 'FEED_PASSWORD'?" in error
    assert "hush" not in error


FLAWS = [
    ("", "error", "is empty"),
    (" \t", "error", "contains only white space"),
    ("\ufeffhunter2", "error", "begins with a byte order mark (BOM)"),
    ("hunter\u200b2", "error", "contains the invisible character U+200B"),
    ("hunter2\u2028", "error", "contains the invisible character U+2028"),
    ("hunter2\x00", "error", "contains the invisible character U+0000"),
    ("hunter2\nhunter3", "error", "has 2 lines"),
    ("hunter2 ", "warning", "begins or ends with white space"),
    ("\xa0hunter2", "warning", "begins or ends with white space"),
    ('"hunter2"', "warning", "is enclosed in quotes"),
    ("'hunter2'", "warning", "is enclosed in quotes"),
    ("“hunter2”", "warning", "is enclosed in quotes"),
    ("SMTP_PASSWORD=hunter2", "warning", "begins like an assignment (NAME=…)"),
    ("export token=hunter2", "warning", "begins like an assignment (NAME=…)"),
    ("hunter2\\n", "warning", "ends with a spelt-out line break (\\n or \\r)"),
    ("hunter\xa02", "warning", "contains a no-break space or the like"),
]


@pytest.mark.parametrize(("value", "severity", "words"), FLAWS)
@pytest.mark.parametrize("source", ["environment", "file"])
def test_what_a_secret_carries_beside_itself_is_named(
    tmp_path: Path, source: str, value: str, severity: str, words: str
) -> None:
    """With its name, and without a sign of its value."""
    name = "the environment variable TOKEN" if source == "environment" else "'token'"
    (tmp_path / "token").write_text(value, encoding="utf-8", newline="")
    text = (
        FEED.format(value="${TOKEN}" if source == "environment" else "${file:token}") + "rules: [{id: a, any: [x]}]\n"
    )
    try:
        found = loaded(tmp_path, text, TOKEN=value).warnings
    except ConfigErrors as errors:
        found = errors.errors
    (flaw,) = found
    assert (flaw.line, flaw.severity) == (1, severity)
    assert flaw.message == f"{name} {words}"
    assert "hunter" not in str(flaw)


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n"])
def test_a_line_break_at_the_end_belongs_to_a_file_only(tmp_path: Path, ending: str) -> None:
    """Of a file it is no part of the secret; in the environment nobody takes it away."""
    (tmp_path / "token").write_text(f"hunter2{ending}", newline="")
    assert header(tmp_path, "${file:token}") == "hunter2"
    (error,) = refused(tmp_path, FEED.format(value="${TOKEN}"), TOKEN=f"hunter2{ending}")
    assert "the environment variable TOKEN ends with a line break" in error


@pytest.mark.parametrize(
    "value", ["-----BEGIN KEY-----\nabc\n-----END KEY-----", '{"key":\n "abc"}', "two words", "a'b"]
)
def test_a_secret_that_is_meant_so_is_taken(tmp_path: Path, value: str) -> None:
    """Keys and JSON have several lines; blanks and quotes inside are nobody's mistake."""
    text = 'channels: {push: {service: fcm, project: p, keyfile: "${KEY}"}}\n'
    assert loaded(tmp_path, text, KEY=value).config.channels["push"].fields["keyfile"].get_secret_value() == value


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("lists: {a: '${file:names.txt}'}\n", "1:12", "${file:names.txt} is not replaced in rules and lists"),
        ("lists: {a: [x, '${file:names.txt}']}\n", "1:16", "${file:names.txt} is not replaced in rules and lists"),
        (
            "rules: [{id: a, any: '${file:names.txt}'}]\n",
            "1:22",
            "${file:names.txt} is not replaced in rules and lists",
        ),
        ("rules: [{id: a, any: ['${NAMES}']}]\n", "1:23", "${NAMES} is not replaced in rules and lists"),
        ("lists: '${file:names.txt}'\n", "1:8", "'lists' cannot come from a reference"),
        ("feeds: '${file:names.txt}'\n", "1:8", "'feeds' cannot come from a reference"),
        ("channels: ${file:names.txt}\n", "1:11", "'channels' cannot come from a reference"),
        ("feeds: [{url: 'https://a.example/', tags: '${file:names.txt}'}]\n", "1:44", "'names.txt' has 2 lines"),
    ],
)
def test_a_list_does_not_come_through_a_reference(tmp_path: Path, text: str, place: str, what: str) -> None:
    """Neither as one term with that name nor as one text of several lines; the hint says what to write."""
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    (error,) = refused(tmp_path, text)
    assert error.startswith(f"{place}: {what} (")
    assert "write" in error


def test_a_term_that_only_holds_such_signs_is_a_term(tmp_path: Path) -> None:
    """People watch for exploits that are written so."""
    found = loaded(tmp_path, "rules: [{id: a, any: ['${jndi:ldap', 'US${AMOUNT}', '$${HOME}']}]\n")
    assert len(found.rules) == 1


def test_a_variable_as_a_shell_reads_it(tmp_path: Path) -> None:
    """`$TOKEN` is sent as it stands: where it is set, or named like a secret, a warning says how it is written."""
    address = "http://a.example/$DESK?k=$5&x=$other&y=a$B_KEY"
    text = f'feeds: [{{url: "{address}"}}]\nrules: [{{id: a, any: [$DESK]}}]\nlists: {{DESK: [x]}}\n'
    assert not loaded(tmp_path, text).warnings
    (warning,) = loaded(tmp_path, text, DESK="1").warnings
    assert (warning.line, warning.column) == (1, 15)
    assert (warning.message, warning.hint) == (
        "$DESK is read as it is written",
        "write ${DESK} for the variable's value",
    )
    (warning,) = loaded(tmp_path, text.replace("$DESK?", "$HOOK_TOKEN?")).warnings
    assert warning.hint == "write ${HOOK_TOKEN} for the variable's value"
