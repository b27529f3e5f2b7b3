"""What is published and what a user needs of it: names, licence, files that the program prints."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from aggregator import DISTRIBUTION
from aggregator.cli.program import program

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FOREIGN = re.compile(r"pip install[^\n]*[ '\"]aggregator(\[|['\"\s]|$)")


def output_of(*arguments: str) -> str:
    result = CliRunner().invoke(program, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_licence_and_metadata() -> None:
    """The licence that is declared is there, and the metadata that an index shows."""
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert PROJECT["name"] == DISTRIBUTION
    assert {"authors", "classifiers", "keywords", "urls"} <= set(PROJECT)


def test_no_remedy_installs_a_foreign_package() -> None:
    """`aggregator` on the index is another project: nothing that we print or write says to install it."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listing.splitlines() if not name.startswith("tests/data/")]
    texts = (ROOT / name for name in names if name.endswith((".py", ".md", ".html", ".toml", ".yaml", ".yml")))
    found = [str(path) for path in texts if path.is_file() and FOREIGN.search(path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell: str) -> None:
    """The script asks the program itself, so it knows every command."""
    assert "_AGGREGATOR_COMPLETE" in output_of("completion", shell)


def test_the_unit_starts_this_program() -> None:
    """The unit names the program that printed it, not a path of somebody else's machine."""
    start = re.search(r"^ExecStart=(\S+) run$", output_of("service", "print-unit"), re.MULTILINE)
    assert start is not None
    assert Path(start.group(1)).is_absolute()


@pytest.mark.parametrize("command", ["print-compose", "print-alert-rules", "print-scrape-config", "print-dashboard"])
def test_deployment_files_are_printed(command: str) -> None:
    """They are the files of deploy/, which are valid YAML (or JSON, which is YAML)."""
    assert isinstance(yaml.safe_load(output_of("service", command)), dict)
