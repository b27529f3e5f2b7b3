"""Edits of single rules in the text of a file: every other byte, comments included, stays as it is.

An item is the YAML of one rule as an editor shows it: without the dash and without indentation. The form beside it
shows some keys of the same item; what is changed there replaces the lines of that key and nothing else.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

from aggregator.config import yaml_edit
from aggregator.config.source import Source
from aggregator.config.values import free_slug
from aggregator.config.yaml_parse import parse
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigErrors, Conflict, NotFound
from aggregator.core.results import FORM_LISTS, FORM_TEXTS, EditedRules, RuleEdit, RuleItem, RulesFile

PLACE = "place-of-the-new-rule"
ON = ("true", "yes", "on")


def apply_edit(files: Sequence[RulesFile], edit: RuleEdit) -> EditedRules:
    """Return the file that an edit changes, with the change; nothing is written.

    Raises NotFound for an unknown rule, Conflict if it is no longer what the edit began from, ConfigErrors.
    """
    file = _file_of(files, edit)
    before = text = file.text.replace("\r\n", "\n")
    rule, line = edit.rule, _line_of(before, edit.rule)
    if edit.kind == "put":
        if edit.base is not None and rule_item(text, rule) != _ended(edit.base):
            raise Conflict(f"rule {rule} has changed in {file.name} since it was opened; compare and save again")
        text = replace_rule(text, rule, edit.item)
        rule = form_of(edit.item).get("id", "")
    elif edit.kind == "new":
        text, rule = append_rule(text, edit.item), form_of(edit.item).get("id", "")
        line = len(before.splitlines()) + (1 if "rules:" in before else 2)
    elif edit.kind == "copy":
        text, rule = copy_rule(text, rule)
    elif edit.kind == "remove":
        text, line = remove_rule(text, rule), 0
    elif edit.kind == "move":
        text = move_rule(text, rule, edit.by)
    else:
        text = switch_rule(text, rule, edit.kind == "resume")
    return EditedRules(name=file.name, text=text, digest=file.digest, rule=rule, line=_line_of(text, rule) or line)


def item_of(files: Sequence[RulesFile], rule_id: str) -> RuleItem:
    """Return a rule as an editor shows it. Raises NotFound; Conflict where a file cannot be read."""
    file = _file_of(files, RuleEdit(kind="put", rule=rule_id))
    item = rule_item(file.text.replace("\r\n", "\n"), rule_id)
    return RuleItem(rule=rule_id, name=file.name, item=item, form=form_of(item))


def _file_of(files: Sequence[RulesFile], edit: RuleEdit) -> RulesFile:
    if not files:
        raise NotFound("file of rules", "rules.yaml")
    if edit.kind == "new":
        named = [file for file in files if Path(file.name).stem == "rules"]
        return (named or files)[-1]
    known = {name: file for file in reversed(files) for name in rule_ids(file.text)}
    if edit.rule not in known:
        for file in files:  # a rule that runs may be in a file that was broken since
            root, errors = parse(_source(file.text))
            if root is None and errors:
                where = f"line {errors[0].line}: {errors[0].message}"
                raise Conflict(f"the file {Path(file.name).name} is not valid YAML ({where}); correct it first")
        raise NotFound("rule", edit.rule, list(known))
    return known[edit.rule]


def _line_of(text: str, rule_id: str) -> int:
    try:
        source, _, node = _find(text, rule_id)
    except (NotFound, ConfigErrors):
        return 0
    return source.place(yaml_edit.item_start(text, node.start))[0]


def rule_item(text: str, rule_id: str) -> str:
    """Return the item of a rule. Raises NotFound."""
    source, _, node = _find(text, rule_id)
    return _item(source, node)


def replace_rule(text: str, rule_id: str, item: str) -> str:
    """Put another item in the place of a rule's. Raises NotFound."""
    source, items, node = _find(text, rule_id)
    if _item(source, node) == _ended(item):
        return text
    if yaml_edit.is_flow(items):  # a list on one line cannot hold lines: it becomes a block
        rest = [_ended(item) if one is node else _item(source, one) for one in items.nodes]
        start, end = items.start, yaml_edit.last(items)
        return text[:start].rstrip(" ") + "\n" + "".join(_block(one, "  ") for one in rest) + text[end:].lstrip(" \n")
    return yaml_edit.replace(source, node, _block(_ended(item), _indent(source, node)))


def with_keys(source: Source, items: SequenceNode, node: Node, values: Mapping[str, object]) -> str:
    """Return a file with keys of one item of a list written; an item that is a plain text becomes its `url`."""
    item = f"url: {yaml_edit.to_yaml(_text(node))}\n" if isinstance(node, ScalarNode) else _item(source, node)
    text, changed = source.text, set_keys(item, values)
    if yaml_edit.is_flow(items) or "\r\n" in text:
        line = "{" + ", ".join(_flow_pairs(changed)) + "}"
        return text[: node.start] + line + text[yaml_edit.last(node) :]
    return yaml_edit.replace(source, node, _block(changed, _indent(source, node)))


def _flow_pairs(item: str) -> list[str]:
    root, _ = parse(_source(item))
    assert isinstance(root, MappingNode)
    return [f"{item[k.start : k.end]}: {' '.join(item[v.start : yaml_edit.last(v)].split())}" for k, v in root.pairs]


def append_rule(text: str, item: str) -> str:
    """Put an item behind the last rule."""
    source = _source(text)
    root, errors = parse(source)
    if root is None and errors:
        raise ConfigErrors(errors)
    items = root.get("rules") if isinstance(root, MappingNode) else None
    if isinstance(items, SequenceNode) and items.nodes and not yaml_edit.is_flow(items):
        end = yaml_edit.line_end(text, yaml_edit.last(items))
        lead = "" if text[:end].endswith("\n") else "\n"
        return text[:end] + lead + _block(_ended(item), _indent(source, items.nodes[0])) + text[end:]
    marker = yaml_edit.append(
        source, root if isinstance(root, MappingNode) else None, "rules", [{"id": "new-rule-here"}]
    )
    return replace_rule(marker, "new-rule-here", item)


def remove_rule(text: str, rule_id: str) -> str:
    """Take a rule out. Raises NotFound."""
    return yaml_edit.remove(*_find(text, rule_id))


def copy_rule(text: str, rule_id: str) -> tuple[str, str]:
    """Put a copy of a rule behind it, switched off, under another id; return the text and that id. Raises NotFound."""
    source, items, node = _find(text, rule_id)
    copied = free_slug(f"{rule_id}-copy", {_id(one) for one in items.nodes})
    item = set_keys(_item(source, node), {"id": copied, "enabled": False})
    if yaml_edit.is_flow(items):
        return append_rule(text, item), copied
    end = yaml_edit.line_end(text, yaml_edit.last(node))
    lead = "" if text[:end].endswith("\n") else "\n"
    return text[:end] + lead + _block(item, _indent(source, node)) + text[end:], copied


def move_rule(text: str, rule_id: str, by: int) -> str:
    """Change places with the rule above (-1) or below (1); at either end nothing changes. Raises NotFound."""
    _, items, node = _find(text, rule_id)
    at = next(place for place, one in enumerate(items.nodes) if one is node)
    if not 0 <= at + by < len(items.nodes) or yaml_edit.is_flow(items):
        return text
    upper, lower = sorted((node, items.nodes[at + by]), key=lambda one: one.start)
    first, second = (
        (yaml_edit.item_start(text, one.start), yaml_edit.line_end(text, yaml_edit.last(one))) for one in (upper, lower)
    )
    below = text[slice(*second)]
    return (
        text[: first[0]] + below + ("" if below.endswith("\n") else "\n") + text[first[1] : second[0]]
        + text[slice(*first)] + text[second[1] :]
    )  # fmt: skip


def switch_rule(text: str, rule_id: str, enabled: bool) -> str:
    """Pause a rule, or let it run. Raises NotFound."""
    return replace_rule(text, rule_id, set_keys(rule_item(text, rule_id), {"enabled": None if enabled else False}))


def rule_ids(text: str) -> tuple[str, ...]:
    """Return the ids in a file, in their order."""
    root, _ = parse(_source(text))
    items = root.get("rules") if isinstance(root, MappingNode) else None
    return tuple(filter(None, map(_id, items.nodes if isinstance(items, SequenceNode) else ())))


# --- the form ------------------------------------------------------------------------------------


def form_of(item: str) -> dict[str, str]:
    """Return what the form shows of an item: the text of each key, a term per line.

    A key that holds more than texts (a near, a mapping) is left out: it is edited in the YAML.
    """
    root, errors = parse(_source(item))
    if errors or not isinstance(root, MappingNode | None):
        return {}
    form = dict.fromkeys((*FORM_TEXTS, *FORM_LISTS), "")
    form["enabled"] = "true"
    for key, value in root.pairs if root else ():
        name = key.text
        if name in FORM_LISTS and isinstance(value, SequenceNode):
            if all(isinstance(one, ScalarNode) and not _is_reference(one) for one in value.nodes):
                form[name] = "\n".join(_text(one) for one in value.nodes)
            else:
                del form[name]
        elif name in form and isinstance(value, ScalarNode) and not _is_reference(value):
            form[name] = "" if value.absent else _text(value)
        elif name in form:
            del form[name]
    if "enabled" in form:
        form["enabled"] = "true" if form["enabled"].lower() in ON else "false"
    return form


def fill(item: str, wanted: Mapping[str, str]) -> str:
    """Change an item to what a form says; keys that the form leaves as they are keep their lines and comments."""
    known = form_of(item)
    changed: dict[str, object] = {}
    for name, words in wanted.items():
        text = words.replace("\r\n", "\n").strip()
        if name not in {**dict.fromkeys((*FORM_TEXTS, *FORM_LISTS), ""), "enabled": ""} or known.get(name, "") == text:
            continue
        if name == "enabled":
            changed[name] = None if text == "true" else False
        elif name in FORM_LISTS:
            changed[name] = [line.strip() for line in text.split("\n") if line.strip()] or None
        else:
            changed[name] = text or None
    return set_keys(item, changed)


def filled(item: str, wanted: Mapping[str, str], taken: Collection[str] = ()) -> RuleItem:
    """Return an item with what a form says, and its form then; without an id it gets one from its title or terms."""
    written = fill(item, wanted)
    form = form_of(written)
    named = form.get("title") or form.get("query") or form.get("any", "").partition("\n")[0] or form.get("all", "")
    if form.get("id") == "" and named:
        name = re.sub(
            r"[^a-z0-9]+", "-", unicodedata.normalize("NFKD", named).encode("ascii", "ignore").decode().lower()
        )
        name = name.strip("-")[:60].strip("-") or "rule"
        numbered = (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3)))
        written = f"id: {next(one for one in numbered if one not in taken)}\n" + _set_key(written, "id", None)
        form = form_of(written)
    return RuleItem(rule="", name="", item=written, form=form)


def set_keys(item: str, values: Mapping[str, object]) -> str:
    """Write values of keys into an item; None removes the key."""
    if not values:
        return item
    root, errors = parse(_source(item))
    if root is not None and not isinstance(root, MappingNode):
        raise ConfigErrors([_source(item).error(0, "a rule is a mapping", "begin with id: some-name")])
    if root is None and errors:
        raise ConfigErrors(errors)
    if root is not None and yaml_edit.is_flow(root):
        item = "".join(
            f"{item[key.start : key.end]}: {item[value.start : yaml_edit.last(value)]}\n" for key, value in root.pairs
        )
    for name, value in values.items():
        item = _set_key(_ended(item) if item else "", name, value)
    return item


def _set_key(item: str, name: str, value: object) -> str:
    source = _source(item)
    root, _ = parse(source)
    pairs = root.pairs if isinstance(root, MappingNode) else ()
    line = "" if value is None else f"{name}: {yaml_edit.to_yaml(value)}"
    found = next(((key, node) for key, node in pairs if key.text == name), None)
    if found is None:
        return item if value is None else item + line + "\n"
    key, node = found
    if isinstance(node, SequenceNode) and not yaml_edit.is_flow(node) and isinstance(value, list):
        return (
            _set_lines(source, node, value)
            or item[: node.start] + yaml_edit.to_yaml(value) + item[yaml_edit.last(node) :]
        )
    start = item.rfind("\n", 0, key.start) + 1
    stop = yaml_edit.last(node) if not isinstance(node, ScalarNode) or not node.absent else key.end + 1
    if value is None:
        return item[:start] + item[yaml_edit.line_end(item, stop) :]
    return item[:start] + line + item[stop:]  # a comment behind the value stays


def _set_lines(source: Source, node: SequenceNode, wanted: list[str]) -> str:
    """Take lines out of a list and put new ones at its end: the others keep their comments. "" if more changed."""
    text, nodes = source.text, [one for one in node.nodes if isinstance(one, ScalarNode)]
    kept = [one for one in nodes if _text(one) in wanted]
    added = wanted[len(kept) :]
    if len(nodes) < len(node.nodes) or [_text(one) for one in kept] != wanted[: len(kept)] or not kept:
        return ""
    end = yaml_edit.line_end(text, yaml_edit.last(node))
    lead = "" if text[:end].endswith("\n") else "\n"
    lines = "".join(f"{_indent(source, nodes[0])}- {yaml_edit.to_yaml(one)}\n" for one in added)
    text = text[:end] + lead + lines + text[end:] if added else text
    for one in reversed(nodes):
        if one not in kept:
            text = text[: yaml_edit.item_start(text, one.start)] + text[yaml_edit.line_end(text, yaml_edit.last(one)) :]
    return text


# --- pieces --------------------------------------------------------------------------------------


def _source(text: str) -> Source:
    return Source("rule", text, Path("rule"))


def _find(text: str, rule_id: str) -> tuple[Source, SequenceNode, Node]:
    source = _source(text)
    root, errors = parse(source)
    items = root.get("rules") if isinstance(root, MappingNode) else None
    if root is None and errors:
        raise ConfigErrors(errors)
    nodes: Sequence[Node] = items.nodes if isinstance(items, SequenceNode) else ()
    node = next((one for one in nodes if _id(one) == rule_id), None)
    if node is None or not isinstance(items, SequenceNode):
        raise NotFound("rule", rule_id, [name for one in nodes if (name := _id(one))])
    return source, items, node


def _id(node: Node) -> str:
    value = node.get("id") if isinstance(node, MappingNode) else None
    return value.text if isinstance(value, ScalarNode) else ""


def _text(node: Node) -> str:
    assert isinstance(node, ScalarNode)
    return node.text.replace("$${", "${")


def _is_reference(node: Node) -> bool:
    """Tell whether a text is filled in from outside: such a one is edited in the YAML only."""
    return isinstance(node, ScalarNode) and "${" in node.text.replace("$${", "")


def _item(source: Source, node: Node) -> str:
    text = source.text
    if yaml_edit.is_flow(node):
        return text[node.start : node.end] + "\n"
    start, end = yaml_edit.item_start(text, node.start), yaml_edit.line_end(text, yaml_edit.last(node))
    dash = text.index("-", start)
    return _ended(dedent(text[start:dash] + " " + text[dash + 1 : end]).lstrip("\n"))


def _indent(source: Source, node: Node) -> str:
    start = yaml_edit.item_start(source.text, node.start)
    return source.text[start : source.text.index("-", start)]


def _block(item: str, indent: str) -> str:
    """Indent an item behind its dash."""
    lines = item.splitlines(keepends=True)
    head, rest = (lines[0], lines[1:]) if lines else ("\n", [])
    return f"{indent}- {head}" + "".join(f"{indent}  {line}" if line.strip() else line for line in rest)


def _ended(item: str) -> str:
    return item.replace("\r\n", "\n").strip("\n") + "\n"
