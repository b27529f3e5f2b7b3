"""What stands beside the code tells the truth: documentation, example, schema, locks, scripts."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from aggregator.config import load, rule_test_errors
from aggregator.config.json_schema import documented_keys

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def test_generated_docs_are_current() -> None:
    """docs/configuration.md and config/schema.json are what scripts/docs writes."""
    done = subprocess.run([sys.executable, "scripts/docs", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"run scripts/docs: {done.stdout}{done.stderr}"


def test_every_setting_is_documented() -> None:
    """Each key of each section stands in docs/configuration.md."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    sections = {"feeds", "channels", "rules", "lists", "settings"}
    assert [key for section, key in documented_keys() if f"| `{key}` |" not in page] == []
    assert [section for section in sections if f"`{section}`" not in page] == []


def test_the_example_configuration_works() -> None:
    """It loads without a warning, its rules pass their own tests, and it is as rich as promised."""
    found = load(ROOT / "config", {})
    assert found.warnings == ()
    assert rule_test_errors(found) == ()
    assert len(found.config.feeds) >= 25
    assert len(found.config.rules) >= 12
    assert all(rule.tests.match and rule.tests.no_match for rule in found.config.rules)


def test_commented_channels_would_load(tmp_path: Path) -> None:
    """Taking away the # in front of a channel of the example gives a channel."""
    text = (ROOT / "config" / "channels.yaml").read_text(encoding="utf-8")
    opened = "\n".join(
        "  " + line[4:] if re.match(r"  # ( {2,}|[a-z-]+:)", line) else line for line in text.splitlines()
    )
    file = tmp_path / "channels.yaml"
    file.write_text(opened + "\n", encoding="utf-8")
    known = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", opened), "x-secret")
    channels = load(file, known).config.channels
    assert {"console", "desk-email", "ops-slack", "telegram", "phone", "matrix", "webhook"} <= set(channels)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_pin_hashes_and_name_no_place(lock: Path) -> None:
    """Every requirement is pinned and hashed; no URL, path or index stands in a lock."""
    text = lock.read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9][\w.\[\],-]*==\S+", text, re.MULTILINE)
    entries = [block for block in re.split(r"\n(?=\S)", text) if block.strip()]
    assert len(pins) == len(entries)
    assert all("--hash=sha256:" in block for block in entries)
    assert not re.search(r"://|^-|#|/(home|root|tmp|opt)/", text, re.MULTILINE)


def test_the_locks_agree_and_cover_the_project() -> None:
    """Tests run on the versions that people run; no direct dependency is missing, no extra comes uninvited."""
    pin = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)
    pins = {lock.stem.partition("-")[2]: dict(pin.findall(lock.read_text(encoding="utf-8"))) for lock in LOCKS}
    run, test = pins[""], pins["dev"]
    assert {(lock, name) for lock in pins for name, version in pins[lock].items() if test.get(name) != version} == set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert required(project["dependencies"]) - set(run) == set()
    for extra in set(pins) - {"", "dev", "build"}:
        assert required(project["optional-dependencies"][extra]) <= set(pins[extra]) - set(run)
        assert set(run) <= set(pins[extra])


def required(dependencies: list[str]) -> set[str]:
    """The names of the distributions that a list of requirements asks for."""
    return {re.split(r"[\s\[<>=;!~]", wanted)[0].lower().replace("_", "-") for wanted in dependencies}


@pytest.mark.parametrize(
    "script", ["scripts/run", "scripts/test", "scripts/environment", "scripts/lock", "scripts/package", ".ci/run"]
)
def test_scripts_are_plain_shell(script: str) -> None:
    """They parse in a POSIX shell and can be run."""
    assert subprocess.run(["/bin/sh", "-n", script], cwd=ROOT).returncode == 0
    assert script.endswith("environment") or (ROOT / script).stat().st_mode & 0o111


def test_nothing_names_the_place_where_it_was_made() -> None:
    """No tracked file holds the path of this checkout."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.splitlines()]
    place = f"{ROOT}/".encode()
    assert [str(file) for file in files if file.is_file() and place in file.read_bytes()] == []
