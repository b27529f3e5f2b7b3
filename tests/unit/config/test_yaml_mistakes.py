"""One file for each mistake, named by it, beside the answer that people get."""

from pathlib import Path

import pytest

from aggregator.config import load
from aggregator.core.errors import ConfigErrors

MISTAKES = Path(__file__).parents[2] / "data" / "mistakes"


@pytest.mark.parametrize("file", sorted(MISTAKES.glob("*.yaml")), ids=lambda file: file.stem)
def test_each_mistake_is_answered(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer names file, line, column, the mistake and the way out, and nothing else."""
    monkeypatch.chdir(MISTAKES)
    with pytest.raises(ConfigErrors) as caught:
        load(Path(file.name), {"FEED_PASSWORD": "a known variable"})
    assert f"{caught.value}\n" == file.with_suffix(".expected").read_text(encoding="utf-8")
