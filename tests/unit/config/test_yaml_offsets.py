"""From a character of a value back to its place in the file."""

from pathlib import Path

import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aggregator.config.source import Source
from aggregator.config.yaml_offsets import index_of
from aggregator.config.yaml_tree import ScalarNode, SequenceNode, compose

TEXTS = st.text(st.sampled_from("ab'\"\\: é😀\n#-{}0"), min_size=1, max_size=60)


def scalar(text: str) -> ScalarNode:
    root, _ = compose(Source("f", text, Path("f")))
    assert isinstance(root, SequenceNode)
    assert isinstance(root.nodes[0], ScalarNode)
    return root.nodes[0]


@given(TEXTS, st.sampled_from([None, "'", '"', "|", ">"]), st.sampled_from([20, 1000]))
@example("a\n\nb c", '"', 20)
@example(" \n0:", None, 20)
def test_visible_characters_are_found_exactly(text: str, style: str | None, width: int) -> None:
    """Whatever the style and the folding, each visible character maps to itself or to its escape."""
    dumped = yaml.dump([text], default_style=style, width=width, allow_unicode=True)
    node = scalar(dumped)
    assume(node.text == text)
    for offset, character in enumerate(text):
        if not character.isspace():
            at = index_of(node, offset)
            found = dumped[at : at + 2]
            assert found[0] == character or found[0] == "\\"


def test_a_query_over_several_lines_keeps_its_columns() -> None:
    """Folded blocks lose their indentation, not the place of their words."""
    source = "- >-\n    S-400 AND\n    (CAATSA OR\n    Ankara\n"
    node = scalar(source)
    assert source[index_of(node, node.text.index("Ankara")) :].startswith("Ankara")


def test_the_end_of_a_value_is_behind_its_last_character() -> None:
    """An error about something missing points behind the text."""
    assert index_of(scalar("- abc\n"), 3) == 5
    assert index_of(scalar("- 'a''c'\n"), 3) == 7
