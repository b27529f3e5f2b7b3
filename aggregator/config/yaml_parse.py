"""One file to one tree, with everything that is wrong in it: known traps are mended and read on."""

import yaml

from aggregator.config import yaml_mistakes
from aggregator.config.source import Source
from aggregator.config.yaml_tree import MAX_DEPTH, Node, TooDeep, compose
from aggregator.core.errors import ConfigError

_REPAIRS = 100


def parse(source: Source) -> tuple[Node | None, tuple[ConfigError, ...]]:
    """The tree of a file and its errors.

    Where a line is a known trap, it is reported and the file is read on as if the line had been
    written correctly, so that one slip does not hide the next. None where that is not possible.
    """
    errors: list[ConfigError] = []
    mended: set[int] = set()
    while True:
        try:
            root, refused = compose(source)
        except TooDeep as deep:
            return None, (*errors, source.error(deep.index, f"nested deeper than {MAX_DEPTH} levels"))
        except yaml.MarkedYAMLError as problem:
            flaw = yaml_mistakes.in_syntax(source, problem)
            errors.append(flaw.error(source))
            if flaw.corrected is None or flaw.line in mended or len(mended) >= _REPAIRS:
                return None, tuple(errors)
            mended.add(flaw.line)
            source = source.with_line(flaw.line, flaw.corrected)
        else:
            found = yaml_mistakes.in_tree(root) if root else ()
            return root, (*errors, *refused, *found)
