"""One file to one tree, with everything that is wrong in it: known mistakes are repaired so that parsing continues."""

import yaml

from aggregator.config import yaml_mistakes
from aggregator.config.source import Source
from aggregator.config.yaml_tree import MAX_DEPTH, Node, TooDeep, compose
from aggregator.core.errors import ConfigError

_REPAIRS = 100


def parse(source: Source) -> tuple[Node | None, tuple[ConfigError, ...]]:
    """Return the tree of a file and its errors.

    A line with a known mistake is reported and the file is read on as if the line had been
    written correctly, so that one mistake does not hide the next. None if that is not possible.
    """
    errors: list[ConfigError] = []
    repaired: set[int] = set()
    while True:
        try:
            root, refused = compose(source)
        except TooDeep as deep:
            return None, (*errors, source.error(deep.index, f"nested deeper than {MAX_DEPTH} levels", "write it flat"))
        except yaml.MarkedYAMLError as problem:
            mistake = yaml_mistakes.syntax_mistake(source, problem)
            errors.append(mistake.error(source))
            if mistake.corrected is None or mistake.line in repaired or len(repaired) >= _REPAIRS:
                return None, tuple(errors)
            repaired.add(mistake.line)
            source = source.with_line(mistake.line, mistake.corrected)
        else:
            found = yaml_mistakes.tree_mistakes(root) if root else ()
            return root, (*errors, *refused, *found)
