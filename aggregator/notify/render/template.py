"""Templates of the operator: Jinja2, in a sandbox, over plain values."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from jinja2 import StrictUndefined, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aggregator.notify.render.content import AlertContent
from aggregator.notify.render.sanitize import cut, plain

MAX_CHARS = 50_000
STRANGERS = ("subject", "body", "why")  # values that hold a feed's words
STRANGERS_OF_PIECE = ("title", "sentence", "feed", "also")
MAX_FILE_BYTES = 100_000
# Those that cannot make much of little (as center(10**9) does) and reach no attribute.
FILTERS = (  # noqa: SIM905 -- a list of words reads best as words
    "capitalize count d default e escape first groupby int join last length list lower map rejectattr replace reverse"
    " safe selectattr sort string striptags title tojson trim truncate unique upper urlencode wordcount"
).split()


class BadTemplate(ValueError):
    """A template that cannot be read, parsed or filled; the text says why and where."""


def render(path: str, content: AlertContent, words: Callable[[str], str] = str) -> str:
    """Render the template of a file with the alert, cut at MAX_CHARS. Raises BadTemplate.

    `words` makes untrusted text literal for the service that the template is for; addresses stay.
    """
    try:
        pieces, left = [], MAX_CHARS
        for piece in (
            _environment(path.endswith((".html", ".htm"))).from_string(_source(path)).generate(_values(content, words))
        ):
            pieces.append(piece[:left])
            left -= len(piece)
            if left <= 0:
                break
        return "".join(pieces)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise BadTemplate(f"template {path}{f' line {line}' if line else ''}: {cut(str(error), 300)}") from error
    except (ArithmeticError, LookupError, TypeError, ValueError, MemoryError) as error:
        raise BadTemplate(f"template {path}: {cut(str(error), 300)}") from error


def _values(content: AlertContent, words: Callable[[str], str]) -> Mapping[str, object]:
    """Return strings, numbers, lists: nothing in a template can be called except Jinja2's own."""
    values = asdict(content)
    for group in values["groups"]:
        for piece in group["pieces"]:
            piece["parts"] = {"title": piece["title"], "sentence": piece["sentence"]}
    for group, source in zip(values["groups"], content.groups, strict=True):
        for piece, original in zip(group["pieces"], source.pieces, strict=True):
            piece["title"], piece["sentence"] = plain(original.title), plain(original.sentence)
    for name in STRANGERS:
        values[name] = words(values[name])
    values["sources"] = [(words(feed), hits) for feed, hits in content.sources]
    for group in values["groups"]:
        group["rule"] = words(group["rule"])
        for piece in group["pieces"]:
            piece.update({name: words(piece[name]) for name in STRANGERS_OF_PIECE})
            piece["rules"] = [words(rule) for rule in piece["rules"]]
            piece["parts"] = {
                name: [{**run, "text": words(run["text"])} for run in runs] for name, runs in piece["parts"].items()
            }
    values["pieces"] = [piece for group in values["groups"] for piece in group["pieces"]]
    return values


def _source(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise BadTemplate(f"template {path} is larger than {MAX_FILE_BYTES} bytes")
        return text.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadTemplate(f"template {path} cannot be read: {error}") from error


class _Sandbox(ImmutableSandboxedEnvironment):
    """Values can be shown, compared and filtered; nothing can be called, multiplied or raised to a power."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, _context: object, operator: str, left: object, right: object) -> object:
        raise SecurityError(f"{left!r:.20} {operator} {right!r:.20} is not allowed here")

    def is_safe_callable(self, obj: object) -> bool:
        """Allow callers behind `loop` or a macro, which are ours; a method of a string could fill the memory."""
        return isinstance(obj, Macro)


@lru_cache(maxsize=2)
def _environment(html: bool) -> _Sandbox:
    environment = _Sandbox(autoescape=html, undefined=StrictUndefined, trim_blocks=True)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    return environment
