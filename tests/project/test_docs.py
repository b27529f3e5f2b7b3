"""The files beside the code are true: documentation, example, schema, locks, scripts."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from aggregator.config import load, rule_test_errors
from aggregator.config.json_schema import documented_keys

ROOT = Path(__file__).parents[2]
BLOB = "https://github.com/aggregator-watch/aggregator/blob/main/"
RAW = "https://raw.githubusercontent.com/aggregator-watch/aggregator/main/"
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


@pytest.mark.parametrize("script", ["behaviour", "docs", "lock", "messages", "package", "test"])
def test_a_script_that_is_asked_for_help_does_nothing_else(script: str) -> None:
    """It prints how it is called at once, and prepares, writes and tests nothing."""
    path = ROOT / "scripts" / script
    runner = [sys.executable] if "python" in path.read_text(encoding="utf-8").partition("\n")[0] else ["sh"]
    done = subprocess.run([*runner, str(path), "--help"], cwd="/", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert script in done.stdout
    assert "set -eu" not in done.stdout


def test_nothing_names_the_place_where_it_was_made() -> None:
    """No tracked file holds the path of this checkout."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.splitlines()]
    place = f"{ROOT}/".encode()
    assert [str(file) for file in files if file.is_file() and place in file.read_bytes()] == []


def test_the_architecture_page_names_what_exists() -> None:
    """Every path on it exists, and every function and method is defined in a file that its line names."""
    for line in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines():
        quoted = re.findall(r"`([^`]+)`", line)
        paths = [found for name in quoted if re.fullmatch(r"[\w./-]+(/|\.py)", name) for found in locate(name)]
        functions = {name for name in quoted if re.fullmatch(r"([A-Z]\w+\.)\w+|[a-z]+(_[a-z]+)+", name)}
        if line.startswith("| ") and any(path.suffix == ".py" for path in paths):
            assert functions <= {name for path in paths if path.suffix == ".py" for name in defined(path)}, line


def locate(name: str) -> list[Path]:
    """The files or folders that a path of ARCHITECTURE.md may mean; fails where there is none."""
    found = [
        path for path in (ROOT / "aggregator" / name, ROOT / "aggregator/core" / name, ROOT / name) if path.exists()
    ]
    assert found, f"ARCHITECTURE.md names {name}, which does not exist"
    return found


def defined(path: Path) -> set[str]:
    """The functions of a module, and its methods as Class.method."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    return functions | {
        f"{c.name}.{f.name}" for c in classes for f in c.body if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_the_tour_has_ten_files() -> None:
    """From an entry to an alert in ten steps, each with a place to start at."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\| (\d+) \| `([\w/]+\.py)` \| `([\w.]+)`", page, re.MULTILINE)
    assert [int(number) for number, _, _ in steps] == list(range(1, 11))
    assert [place for _, file, place in steps if place not in defined(ROOT / "aggregator" / file)] == []


def test_the_readme_can_be_read_elsewhere() -> None:
    """The package index shows it, too: links and pictures are absolute, and what they name is in the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [target for target in targets if not target.startswith("https://")] == []
    ours = [target.removeprefix(start) for target in targets for start in (BLOB, RAW) if target.startswith(start)]
    assert len(ours) > 10
    assert [name for name in ours if not (ROOT / name.partition("#")[0]).exists()] == []
