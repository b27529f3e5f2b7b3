"""Every pattern behind the parser takes time in proportion to what it reads, whatever that is.

The patterns are found, not listed: those that modules hold, and literals inside functions. Each is tried on
texts made to be hard for it: long runs of what it repeats, of its own literals, of nothing but beginnings.
"""

import ast
import importlib
import pkgutil
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from re import _parser as sre  # type: ignore[attr-defined]
from time import process_time
from typing import Any

import pytest

import aggregator

ROOT = Path(aggregator.__file__).parent
SKIPPED = ("aggregator.parse", "aggregator.demo", "aggregator.store.migrations", "aggregator.__main__")
UNITS = (
    " ", "\u00a0", "\n", " \n", "a", "a ", "A", "A ", "7", "7 ", "1,", "1.", ".", "-", "_", "<", "<a ", "<a", ">", "(",
    "((", "[", "[[", "{", "${", "${a", "&", "&#", "%", "%4", "/", "//", "://", "a://", "@", "a@", "a.", "a:", ":", ";",
    ",", '"', "'", "=", "a=", "=?", "|", "| ", " | ", "*", "**", "+", "\\", "#", "\u2028", "й", "漢", "—",
)  # fmt: skip
LONG, ENOUGH_S, TIMEOUT_S = 8_000, 0.02, 1.5
FUNCTIONS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}


class TooLong(Exception):
    """One application of a pattern took longer than a person waits."""


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages([str(ROOT)], "aggregator."):
        if not found.name.startswith(SKIPPED):
            yield found.name


def held(value: object, depth: int = 2) -> Iterator[re.Pattern[Any]]:
    """The patterns that a value is or contains."""
    if isinstance(value, re.Pattern):
        yield value
    elif depth and isinstance(value, tuple | list | frozenset | set):
        for one in value:
            yield from held(one, depth - 1)
    elif depth and isinstance(value, dict):
        for one in (*value, *value.values()):
            yield from held(one, depth - 1)


def literals(source: str) -> Iterator[tuple[int, re.Pattern[Any], str]]:
    """Patterns written out in calls of re's functions: (line, pattern, function)."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in FUNCTIONS
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            flags = " ".join(ast.unparse(arg) for arg in (*node.args[1:], *(k.value for k in node.keywords)))
            yield node.lineno, re.compile(node.args[0].value, _flags(flags)), node.func.attr


def _flags(written: str) -> int:
    return sum(getattr(re, name).value for name in re.findall(r"re\.([A-Z]+)", written))


def found_patterns() -> dict[str, tuple[re.Pattern[Any], bool]]:
    """By place, each pattern and whether it may begin anywhere in a text."""
    found: dict[str, tuple[re.Pattern[Any], bool]] = {}
    seen: set[tuple[Any, int]] = set()
    for name in modules():
        module = importlib.import_module(name)
        if not module.__file__ or not module.__file__.endswith(".py"):
            continue
        source = Path(module.__file__).read_text(encoding="utf-8")
        for attribute, value in vars(module).items():
            for pattern in held(value):
                uses = set(re.findall(rf"\b{attribute}\.(\w+)\b", source))
                anywhere = not uses or not uses <= {"match", "fullmatch"}
                if (pattern.pattern, pattern.flags) not in seen:
                    seen.add((pattern.pattern, pattern.flags))
                    found[f"{name}.{attribute}: {pattern.pattern!r:.60}"] = pattern, anywhere
        for line, pattern, function in literals(source):
            if (pattern.pattern, pattern.flags) not in seen:
                seen.add((pattern.pattern, pattern.flags))
                found[f"{name}:{line}: {pattern.pattern!r:.60}"] = pattern, function not in ("match", "fullmatch")
    return found


PATTERNS = found_patterns()


def own_units(pattern: re.Pattern[Any]) -> Iterator[str]:
    """What the pattern itself is made of: runs of its literals, and its first ones alone."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    runs, run = [], ""
    for operation, value in _flat(sre.parse(text, pattern.flags & ~re.UNICODE & ~re.DEBUG)):
        if operation is sre.LITERAL and value < 0x110000:
            run += chr(value)
        elif run:
            runs.append(run)
            run = ""
    runs += [run] if run else []
    yield from dict.fromkeys(runs[:4])
    if runs:
        yield "".join(runs[:3])


def _flat(parsed: Any) -> Iterator[tuple[Any, Any]]:
    for operation, value in parsed:
        yield operation, value
        for part in value if isinstance(value, tuple | list) else (value,):
            for inner in part if isinstance(part, list) else (part,):
                if isinstance(inner, sre.SubPattern):
                    yield from _flat(inner)
        yield sre.NOTHING if hasattr(sre, "NOTHING") else None, None


def texts(pattern: re.Pattern[Any], size: int) -> Iterator[Any]:
    mine = tuple(own_units(pattern))
    for unit in (*UNITS, *mine):
        repeated = unit * (size // len(unit))
        for text in (f"{repeated}\0", *(f"{own}{repeated}" for own in mine[:2])):
            yield text if isinstance(pattern.pattern, str) else text.encode("utf-8", "replace")


def spent_s(pattern: re.Pattern[Any], text: Any, anywhere: bool) -> float:
    """Processor time of one application; all matches where the pattern may begin anywhere."""
    signal.setitimer(signal.ITIMER_VIRTUAL, TIMEOUT_S)
    began = process_time()
    try:
        if anywhere:
            for _ in pattern.finditer(text):
                pass
        else:
            pattern.fullmatch(text)
            pattern.match(text)
    except TooLong:
        return TIMEOUT_S
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return process_time() - began


@pytest.fixture(autouse=True)
def _alarm() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    yield
    signal.signal(signal.SIGVTALRM, before)


def grows_too_fast(pattern: re.Pattern[Any], anywhere: bool) -> str:
    """A text on which twice the length takes more than three times as long, twice in a row; or nothing."""
    for index, text in enumerate(texts(pattern, LONG)):
        spent = spent_s(pattern, text, anywhere)
        if spent < ENOUGH_S:
            continue
        if spent >= TIMEOUT_S:
            return f"{text[:12]!r}…: without an end"
        times = []
        for size in (LONG // 4, LONG // 2, LONG):
            scaled = next(t for i, t in enumerate(texts(pattern, size)) if i == index)
            times.append(min(spent_s(pattern, scaled, anywhere) for _ in range(3)))
        if times[2] > ENOUGH_S and times[1] > 3 * times[0] and times[2] > 3 * times[1]:
            return f"{text[:12]!r}…: {times}"
    return ""


def test_the_search_finds_patterns() -> None:
    """Dozens in modules, some in functions, and none of the parser's."""
    assert len(PATTERNS) > 80
    assert any(":" in place.partition(": ")[0] for place in PATTERNS)
    assert not any("aggregator.parse" in place for place in PATTERNS)


@pytest.mark.parametrize("pattern", [r"\s+x", r"(a+)+$", r"\s+[|]\s+[^|]{2,40}$", r"<[^>]*>", rb"\d+\.\d+,"])
def test_the_test_can_fail(pattern: str | bytes) -> None:
    """Patterns known to be slow are found out."""
    assert grows_too_fast(re.compile(pattern), anywhere=True)


@pytest.mark.parametrize("place", PATTERNS)
def test_time_grows_with_the_text(place: str) -> None:
    """At most threefold for twice the length."""
    assert grows_too_fast(*PATTERNS[place]) == ""
