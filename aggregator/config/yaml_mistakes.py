"""Common YAML mistakes, each with the corrected line."""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import yaml

from aggregator.config.source import Source
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError

_LEAD = re.compile(r"""\s*(?:-\s+)*(?:[^\s'"\[{#:-][^:#'"\[{]*:(?:\s+|$))?""")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^']|'')*'")
_COMMENT = re.compile(r"(?<!\s)\s+#")  # of one line, where a run of blanks begins
_ESCAPE = re.compile(r'\\(?![0abtnvfre "/\\N_LP]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})(.)')
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_TIGHT_COLON = re.compile(r"(\s*(?:- +)*[A-Za-z_]+):(?!//)([^\s:].*)")
_BULLET = re.compile(r"(\s*)([*\u00b7\u2010-\u2015\u2022\u2023\u2043\u2212\u25aa\u25cf\u25e6\u2796\uff0d])\s+(\S.*)")
_TIGHT_DASH = re.compile(r"(\s*)-((?:[A-Za-z_]+:(?:\s.*)?|[\[{].*))")
_NEXT_KEY = re.compile(r"(?<=\s)([a-z_]+):(?!\S)")
_SEVERAL_QUOTED = re.compile(rf"({_QUOTED.pattern})(?:\s+({_QUOTED.pattern}))+")
_LOST = re.compile(r"\s*(?:- +)*(?:-|[\w-]+:)\s+(#\S.*)")
_OPENED = {"sequence": ("list", "]"), "flow": ("mapping", "}"), "": ("quote", "the closing quote")}


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlMistake:
    """A mistake in YAML; `corrected` is the whole line as it was meant, if that is known."""

    line: int
    column: int
    message: str
    hint: str | None = None
    corrected: str | None = None

    def error(self, source: Source) -> ConfigError:
        hint = self.hint or (f"write: {self.corrected.strip()}" if self.corrected is not None else None)
        return ConfigError(file=source.name, line=self.line, column=self.column, message=self.message, hint=hint)


def syntax_mistake(source: Source, problem: yaml.MarkedYAMLError) -> YamlMistake:
    """Return the mistake behind a parser's error: a known one in the lines it names, else its own words."""
    for number in _suspects(source, problem):
        if mistake := _in_line(source, number):
            return mistake
    return _in_words(source, problem)


def tree_mistakes(root: Node) -> Iterator[ConfigError]:
    """Find what YAML accepts but nobody means: lost items, texts cut by a comment, control characters."""
    yield from _lost_items(root)
    if isinstance(root, MappingNode):
        for section in ("rules", "lists"):
            if (node := root.get(section)) and not (isinstance(node, ScalarNode) and node.absent):
                yield from _lost_values(node)
                yield from _controls(node)


def run_together(root: MappingNode) -> Iterator[ConfigError]:
    """Warn about terms written over several lines: YAML joins them into one, dashes were forgotten."""
    for node in _terms(root):
        lines = [line for line in node.source.text[node.start : node.end].split("\n") if line.strip()]
        count = len(lines) - (node.style in ("|", ">"))
        shown = " ".join(node.text.split())
        if count > 1 and not (len(shown) > 2 and shown[0] == shown[-1] == '"'):
            message = f"these {count} lines form a single term: {shown[:80]!r}"
            hint = _apart(lines) or f"start each line with a dash, or quote it twice: '\"{shown[:80]}\"'"
            yield replace(node.source.error(node.start, message, hint), severity="warning")


def _apart(lines: Sequence[str]) -> str | None:
    """Return how lines are written that were meant as items, and begin with something like a dash."""
    if any(line.lstrip().startswith("- ") for line in lines):
        return "indent their dashes alike"
    if all(re.match(r"\s*-\S", line) for line in lines):
        return f"put a space after each dash: - {lines[0].lstrip().removeprefix('-')}"
    if found := _BULLET.fullmatch(lines[0]):
        return f"begin each line with a dash, not with {found[2]}: - {found[3].strip()}"
    return None


def _terms(root: MappingNode) -> Iterator[ScalarNode]:
    """Yield all terms of rules and of lists."""
    rules, lists = root.get("rules"), root.get("lists")
    for rule in rules.nodes if isinstance(rules, SequenceNode) else ():
        for key, value in rule.pairs if isinstance(rule, MappingNode) else ():
            if key.text in ("any", "all", "none", "regex"):
                yield from _scalars(value)
            elif key.text == "near":
                for near in value.nodes if isinstance(value, SequenceNode) else (value,):
                    if isinstance(near, MappingNode) and (terms := near.get("terms")):
                        yield from _scalars(terms)
    if isinstance(lists, MappingNode):
        for _, value in lists.pairs:
            yield from _scalars(value)


def _scalars(node: Node) -> Iterator[ScalarNode]:
    nodes = node.nodes if isinstance(node, SequenceNode) else (node,)
    yield from (each for each in nodes if isinstance(each, ScalarNode) and not each.absent)


def single_quoted(text: str) -> str:
    """Quote a YAML scalar so that nothing in it is special."""
    return "'" + text.replace("'", "''") + "'"


# --- syntax --------------------------------------------------------------------------------------


def _suspects(source: Source, problem: yaml.MarkedYAMLError) -> list[int]:
    """Return line numbers to check: the error's own, the last written one before it, its context's."""
    at = min(_line(problem.problem_mark), len(source.starts))
    before = next((n for n in range(at - 1, 0, -1) if source.line(n).strip()), at)
    context = min(_line(problem.context_mark) if problem.context_mark else at, len(source.starts))
    return list(dict.fromkeys((at, context, before)))


def _line(mark: object) -> int:
    return int(getattr(mark, "line", 0)) + 1


def _in_line(source: Source, number: int) -> YamlMistake | None:
    line = source.line(number)
    if found := re.match(r"( *\t[ \t]*)(\S.*)", line):
        width = _indent(source, number, found[2])
        return YamlMistake(
            line=number,
            column=line.index("\t") + 1,
            message="this line is indented with a tab; YAML requires spaces",
            hint=f"write {width} spaces before: {found[2]}",
            corrected=" " * width + found[2],
        )
    if line.lstrip().startswith("#"):
        return None
    if re.match(r"(<{7}|={7}|>{7})( |$)", line):
        return YamlMistake(line=number, column=1, message="unresolved merge conflict", hint="keep one side")
    if found := _BULLET.fullmatch(line):
        message = f"{found[2]} does not begin an item"
        return YamlMistake(line=number, column=found.end(1) + 1, message=message, corrected=f"{found[1]}- {found[3]}")
    if found := _TIGHT_DASH.fullmatch(line):
        message, corrected = "missing space after the dash", f"{found[1]}- {found[2]}"
        return YamlMistake(line=number, column=found.end(1) + 1, message=message, corrected=corrected)
    if found := re.match(r"(\s*)//+\s*(.*)", line):
        message = "// does not begin a comment in YAML"
        return YamlMistake(line=number, column=found.end(1) + 1, message=message, corrected=f"{found[1]}# {found[2]}")
    if line.startswith("\ufeff"):
        message = "a byte order mark (U+FEFF) in the middle of the file"
        return YamlMistake(line=number, column=1, message=message, hint="remove it", corrected=line[1:])
    if (found := _TIGHT_COLON.match(line)) and not _QUOTED.match(line.strip()):
        message, corrected = "missing space after the colon", f"{found[1]}: {found[2]}"
        return YamlMistake(line=number, column=found.end(1) + 1, message=message, corrected=corrected)
    return _in_values(number, line)


def _indent(source: Source, number: int, text: str) -> int:
    """Return where a line was meant to begin, from the line above it."""
    above = [source.line(n) for n in range(number - 1, 0, -1) if source.line(n).strip()]
    if not above:
        return 0
    widths = [len(line) - len(line.lstrip()) for line in above]
    key = widths[0] + (2 if above[0].lstrip().startswith("- ") else 0)
    if above[0].rstrip().endswith(":"):
        return key + 2
    if text.startswith("- "):
        return next((w for w, line in zip(widths, above, strict=True) if line.lstrip().startswith("- ")), key)
    return key


def _in_values(number: int, line: str) -> YamlMistake | None:
    """Return the first value of a line that must be quoted; all of them are in the corrected line."""
    first: tuple[int, str] | None = None
    corrected, done = "", 0
    for start, end, flow in _values(line):
        if verdict := _verdict(line[start:end], flow=flow):
            message, better = verdict
            first = first or (start, message)
            corrected += line[done:start] + better
            done = end
    if not first:
        return None
    return YamlMistake(line=number, column=first[0] + 1, message=first[1], corrected=corrected + line[done:])


def _values(line: str) -> Iterator[tuple[int, int, bool]]:
    """Return the spans of the values on one line: one, or (True) those between brackets and commas."""
    lead = _LEAD.match(line)
    start = lead.end() if lead else 0
    value = line[start:]
    if not value.startswith(("[", "{")) or re.match(r"\[[^\[\]]*\]\s+[^\s#,\]}]|\{[^{}]*\}\s+[^\s#,\]}]", value):
        quoted = _QUOTED.match(value)
        cut = _COMMENT.search(value, quoted.end() if quoted else 0)
        end = cut.start() if cut else len(value.rstrip())
        if end:
            yield start, start + end, False
        return
    for part in re.finditer(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|\$\{[^{}]*\}|[^\[\]{},])+""", value):
        key = re.match(r"\s*(?:[A-Za-z_]+:\s+)?", part[0])
        left = part.start() + (key.end() if key else 0)
        right = part.start() + len(part[0].rstrip())
        if left < right:
            yield start + left, start + right, True


def _verdict(value: str, *, flow: bool) -> tuple[str, str] | None:
    """Return what is wrong with an unquoted (or badly quoted) value, and how it is written."""
    quoted = _QUOTED.match(value)
    if flow and _SEVERAL_QUOTED.fullmatch(value):
        return "a comma is missing between these texts", ", ".join(one[0] for one in _QUOTED.finditer(value))
    if quoted and (rest := value[quoted.end() :]):
        if not flow and rest.lstrip().startswith(":"):  # a key
            return None
        if rest[0].isspace() or rest[0] in "~*)":
            return "unexpected text after the closing quote", single_quoted(value)
        if value.endswith(value[0]):
            return "a quote inside quotes ends the text", single_quoted(value[1:-1])
        return "unexpected text after the closing quote", single_quoted(value)
    if quoted:
        if value[0] == '"' and (wrong := _ESCAPE.search(value)):
            return f"\\{wrong[1]} is not a valid escape in double quotes", single_quoted(
                value[1:-1].replace('\\"', '"')
            )
        return None
    if flow and "${" in value:
        return "${…} between brackets must be quoted", f'"{value}"'
    if value[0] in "@`%*&!|>#" or (value[0] in "[{" and value[-1] not in "]}"):
        if value in ("|", ">", "|-", ">-", "|+", ">+"):
            return None
        if value[0] == "#":
            return "# begins a comment, the rest of this list is lost", single_quoted(value)
        return f"{value[0]} at the start has a special meaning in YAML", single_quoted(value)
    if flow and (found := deque(_NEXT_KEY.finditer(value), maxlen=1)) and found[0][1] in _keys():
        before, after = value[: found[0].start()].rstrip(), value[found[0].start() :]
        return f"a comma is missing before {found[0][1]}:", f"{before.removesuffix(';')}, {after}"
    if re.search(r":(\s|$)", value):
        return "unquoted text contains a colon", single_quoted(value)
    return None


@cache
def _keys() -> frozenset[str]:
    """Return the keys of what is written between braces."""
    from aggregator.config.messages import known_keys  # which loads all models

    paths = (("feeds", 0), ("channels", ""), ("rules", 0), ("rules", 0, "near", 0), ("rules", 0, "tests"))
    return frozenset(key for path in paths for key in known_keys(path))


def _in_words(source: Source, problem: yaml.MarkedYAMLError) -> YamlMistake:
    """Return the parser's error, if no mistake is known."""
    mark, context = problem.problem_mark, problem.context_mark
    line, column = _line(mark), int(getattr(mark, "column", 0)) + 1
    words, hint = f"invalid YAML: {problem.problem}", "check indentation, quotes and brackets"
    said = f"{problem.context} {problem.problem}"
    here = source.line(line)[column - 1 : column] if line <= len(source.starts) else ""
    if "flow" in said and here in ("]", "}"):
        words, hint = f"this {here} closes nothing that is open", "remove it, or open what it closes"
    elif context and ("flow" in said or "end of stream" in said):
        line, column = _line(context), context.column + 1
        opened, closing = next(pair for key, pair in _OPENED.items() if key in said)
        words, hint = f"this {opened} is never closed", f"add {closing}"
    elif re.match(r"\s*[\w.-]+\s*=\s", source.line(min(line, len(source.starts)))):
        words, hint = "this is not YAML", "write key: value, not key = value"
    elif "mapping values" in said:
        words, hint = "unexpected key", "indent it like the keys above"
    elif "expected '-'" in said or "expected key" in said or "block end" in said:
        block = f" in the block that starts in line {_line(context)}" if context else ""
        words, hint = f"inconsistent indentation{block}", "check the indentation and quotes"
    elif "expected ':'" in said:
        words, hint = "missing colon after this key", "write key: value"
        line, column = (_line(context), context.column + 1) if context else (line, column)
    return YamlMistake(line=line, column=column, message=words, hint=hint)


# --- meaning -------------------------------------------------------------------------------------


def _lost_items(node: Node) -> Iterator[ConfigError]:
    if isinstance(node, SequenceNode):
        for item in node.nodes:
            if isinstance(item, ScalarNode) and item.absent:
                yield _lost(item, "empty item", "write a value, or remove the dash")
            else:
                yield from _lost_items(item)
    elif isinstance(node, MappingNode):
        for _, value in node.pairs:
            yield from _lost_items(value)


def _lost_values(node: Node) -> Iterator[ConfigError]:
    if isinstance(node, MappingNode):
        for key, value in node.pairs:
            if isinstance(value, ScalarNode) and value.absent:
                yield _lost(value, f"{key.text!r} has no value", "write a value, or remove the key", key)
            else:
                yield from _lost_values(value)
    elif isinstance(node, SequenceNode):
        for item in node.nodes:
            yield from _lost_values(item)


def _lost(empty: ScalarNode, message: str, hint: str, key: ScalarNode | None = None) -> ConfigError:
    source = empty.source
    number, _ = source.place(key.start if key else empty.start)
    line = source.line(number)
    if found := _LOST.match(line):
        quoted = f'"{found[1].rstrip()}"' if '"' not in found[1] else single_quoted(found[1].rstrip())
        mistake = YamlMistake(
            line=number,
            column=found.start(1) + 1,
            message=f"{message}: # begins a comment",
            corrected=line[: found.start(1)] + quoted,
        )
        return mistake.error(source)
    return source.error(key.start if key else empty.start, message, hint)


def _controls(node: Node) -> Iterator[ConfigError]:
    if isinstance(node, ScalarNode):
        if node.style == '"' and (found := _CONTROL.search(node.text)):
            yield _control(node, found[0])
    elif isinstance(node, SequenceNode):
        for item in node.nodes:
            yield from _controls(item)
    else:
        for _, value in node.pairs:
            yield from _controls(value)


def _control(scalar: ScalarNode, character: str) -> ConfigError:
    source = scalar.source
    number, column = source.place(scalar.start)
    line = source.line(number)
    written = source.text[scalar.start : scalar.end]
    name = {"\b": "a backspace", "\a": "a bell", "\f": "a form feed", "\v": "a vertical tab", "\x1b": "an escape"}
    what = name.get(character, "a control")
    message = f"this text contains {what} character: in double quotes a backslash starts an escape"
    better = single_quoted(written[1:-1].replace('\\"', '"'))
    corrected = line.replace(written, better) if "\n" not in written else better
    return YamlMistake(line=number, column=column, message=message, corrected=corrected).error(source)
