"""The operator's own templates: plain values, a sandbox, a cap, and trouble found at load."""

from pathlib import Path

import pytest

from aggregator.core.settings import Channel
from aggregator.notify import check_channels
from aggregator.notify.render import build_content, template
from benchmarks.alert_samples import alerts


def render(folder: Path, source: str, kind: str = "instant", name: str = "own.txt") -> str:
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return template.render(str(path), build_content(alerts()[kind]))


def test_values(tmp_path: Path) -> None:
    """Subject, stories, sentence, link and rules can be used."""
    source = "{{ subject }}|{% for p in pieces %}{{ p.title }}|{{ p.feed }}|{{ p.link }}|{{ p.rules[0] }}{% endfor %}"
    assert render(tmp_path, source) == (
        "Putin and Erdogan discuss S-400 deliveries despite CAATSA threat|"
        "Putin and Erdogan discuss S-400 deliveries despite CAATSA threat|TASS|https://tass.example/politics/1892|"
        "S-400 and Turkey"
    )


def test_marked_words(tmp_path: Path) -> None:
    """The parts of a sentence say which words were found."""
    source = "{% for p in pieces %}{% for r in p.parts.sentence if r.marked %}[{{ r.text }}]{% endfor %}{% endfor %}"
    assert render(tmp_path, source) == "[S‑400][CAATSA][sanctions]"


def test_html_templates_escape(tmp_path: Path) -> None:
    """In an .html template a stranger's words cannot become markup."""
    path = tmp_path / "own.html"
    path.write_text("<b>{{ body }}</b>", encoding="utf-8")
    from aggregator.notify.render import AlertContent

    rendered = template.render(str(path), AlertContent(subject="s", body="<script>alert(1)</script>"))
    assert rendered == "<b>&lt;script&gt;alert(1)&lt;/script&gt;</b>"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ subject.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ lipsum(10) }}",
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'x'.ljust(1000000000) }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ subject|attr('__class__') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ unknown }}",
        "{{ subject",
        "{{ groups[99].rule }}",
        "{{ 1 / 0 }}",
        "{{ groups.append(1) }}",
    ],
)
def test_what_a_template_may_not_do(tmp_path: Path, source: str) -> None:
    """Reaching out of the sandbox, filling the memory and plain mistakes are refused with the file's name."""
    with pytest.raises(template.BadTemplate, match=r"own\.txt"):
        render(tmp_path, source)


def test_output_is_capped(tmp_path: Path) -> None:
    """A template that talks too much is cut."""
    inner = "{% for b in subject %}{% for c in subject %}" + "words " * 20 + "{% endfor %}{% endfor %}"
    loops = "{% for a in subject %}" + inner + "{% endfor %}"
    assert len(render(tmp_path, loops)) == template.MAX_CHARS


def test_mistakes_are_found_at_load(tmp_path: Path) -> None:
    """`check` names the line of a broken template, and a file that is not there."""
    path = tmp_path / "own.txt"
    path.write_text("{{ subject }}\n{% if %}\n", encoding="utf-8")
    url = {"service": "webhook", "url": ["https://example.org/hook"]}
    (problem,) = check_channels([Channel(name="c", template=str(path), **url)])
    assert problem.path == ("c", "template")
    assert "line 2" in problem.message
    (missing,) = check_channels([Channel(name="c", template=str(tmp_path / "none.txt"), **url)])
    assert "cannot be read" in missing.message
    path.write_text("{{ subject }}: {{ hits }}", encoding="utf-8")
    assert check_channels([Channel(name="c", template=str(path), **url)]) == ()
