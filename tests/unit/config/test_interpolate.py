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
