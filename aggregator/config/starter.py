"""The first configuration: small, commented, working, with the schema that editors ask for."""

import json
from importlib.resources import files
from pathlib import Path

from aggregator.config.json_schema import build_schema
from aggregator.core.errors import AggregatorError


def write_starter(folder: Path) -> tuple[Path, ...]:
    """Write the starter files into a folder; return their paths.

    Raises AggregatorError if one of them exists: nothing is ever overwritten.
    """
    home = files("aggregator.config").joinpath("starter")
    texts = {file.name: file.read_text("utf-8") for file in home.iterdir() if file.name.endswith(".yaml")}
    texts["schema.json"] = json.dumps(build_schema(), indent=1, ensure_ascii=False) + "\n"
    present = sorted(name for name in texts if (folder / name).exists())
    if present:
        raise AggregatorError(
            f"{folder / present[0]} already exists; nothing was written. Use it as it is, or name another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in sorted(texts.items()):
            with open(folder / name, "x", encoding="utf-8") as file:
                file.write(text)
    except OSError as broken:
        raise AggregatorError(f"cannot write {folder}: {broken.strerror}") from broken
    return tuple(folder / name for name in sorted(texts))
