"""What a configuration is made of, and digests that change with any byte of it."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aggregator.config.source import (
    PERMISSIONS,
    Source,
    at_top,
    content,
    decoded,
    files,
    missing,
    named_so,
    no_file,
    secret_content,
    state_directory,
)
from aggregator.core.errors import ConfigError

_FILE_REFERENCE = re.compile(rb"\$\{file:([^}]+)\}")
_VARIABLE = re.compile(rb"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read(path: Path, edited: Mapping[Path, str]) -> tuple[tuple[Source, ...], tuple[ConfigError, ...], str]:
    """Read every readable file behind a path; return the errors of the others, and the digest of all.

    `edited` holds texts that stand for files (which may not exist yet).
    """
    try:
        if not edited and (nothing := missing(path)):
            return (), (nothing,), ""
    except OSError as broken:
        return (), (at_top(path, f"cannot be read: {broken.strerror}", PERMISSIONS),), ""
    sources: list[Source] = []
    errors = [no_file(child) for child in named_so(path) if not child.is_file()] if path.is_dir() else []
    contents: list[tuple[Path, bytes]] = []
    for file in sorted({*files(path), *edited}):
        try:
            raw = edited[file].encode() if file in edited else content(file)
        except OSError as broken:
            errors.append(at_top(file, f"cannot be read: {broken.strerror}", PERMISSIONS))
            continue
        contents.append((file, raw))
        source = decoded(file, raw)
        (sources if isinstance(source, Source) else errors).append(source)  # type: ignore[arg-type]
    return tuple(sources), tuple(errors), _digest(contents)


def digest(path: Path) -> str:
    """Hash names and contents of the files behind a path, and of the files that `${file:…}` names in them.

    Empty if nothing can be read.
    """
    try:
        return _digest([(file, content(file)) for file in files(path)])
    except OSError:
        return ""


class Inputs(NamedTuple):
    """What a configuration is made of: the files' digest, one that also changes with their variables, their content."""

    digest: str = ""
    total: str = ""
    contents: tuple[tuple[Path, bytes], ...] = ()


def inputs(path: Path, environ: Mapping[str, str] = os.environ) -> Inputs:
    """Return the files behind a path with the digests of all that they name.

    Both are empty if nothing can be read, or not all that is named like a configuration file. Variables are hashed
    with the content of the files, so that no short secret can be found by trying.
    """
    try:
        contents = tuple((file, content(file)) for file in (named_so(path) if path.is_dir() else (path,)))
    except OSError:
        return Inputs()
    named = {name.decode() for _, raw in contents for name in _VARIABLE.findall(raw)}
    named |= {name for name in environ if name.startswith("AGGREGATOR_")}
    known = _digest(contents)
    total = hashlib.sha256(b"".join(raw for _, raw in contents))
    for part in (known, *(f"{name}={environ.get(name)}" for name in sorted(named))):
        total.update(f"{len(part)}\0{part}".encode(errors="surrogateescape"))
    return Inputs(known, total.hexdigest() if known else "", contents)


def file_digest(file: Path) -> str:
    """Hash one file alone; empty if it cannot be read."""
    try:
        return _digest([(file, content(file))], references=False)
    except OSError:
        return ""


def _digest(contents: Sequence[tuple[Path, bytes]], *, references: bool = True) -> str:
    total = hashlib.sha256()
    for file, raw in contents:
        total.update(f"{file.name}\0{len(raw)}\0".encode(errors="surrogateescape") + raw)
    if references:
        secrets = {one for path, raw in contents if b"${file:" in raw for one in _referenced(path, raw)}
        lists = {one for path, raw in contents if b"lists" in raw for one in _listed(path, raw)} | set(fetched_files())
        for files_, reading in ((secrets, secret_content), (lists, content)):
            for file in sorted(files_):
                try:
                    found = reading(file)
                except (OSError, ValueError) as none:
                    found = type(none).__name__.encode()
                total.update(f"{file}\0{len(found)}\0".encode(errors="surrogateescape") + found)
    return total.hexdigest()[:32] if contents else ""


def _referenced(path: Path, raw: bytes) -> Iterator[Path]:
    """Yield the files that a configuration file names, as they would be looked for; also those in its comments."""
    for found in _FILE_REFERENCE.finditer(raw):
        yield path.parent / found[1].decode(errors="surrogateescape").strip()


def _listed(path: Path, raw: bytes) -> tuple[Path, ...]:
    from aggregator.config.lists import list_files  # needs what reads YAML, which few configurations do for this

    return list_files(path, raw)


def fetched_files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the files in which the terms behind addresses are kept."""
    try:
        return tuple(sorted((state_directory(environ) / "lists").glob("*.txt")))
    except OSError:
        return ()
