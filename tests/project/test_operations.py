"""Operations are documented: commands, options, metrics, loops and findings; deploy/ is sound."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from aggregator.cli.program import COMMANDS, program
from aggregator.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SUFFIXES = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_sum", "_count", "_created"), "gauge": ("",)}


def every_command(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Each command with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from every_command(found, f"{path} {name}")


def metric_names() -> dict[str, str]:
    """Every name that /metrics may show, with its kind."""
    families = Metrics("0")._registry.collect()
    return {family.name + suffix: family.type for family in families for suffix in SUFFIXES[family.type]}


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\baggregator_[a-z_]+\b", text))


# --- documentation -------------------------------------------------------------------------------


def test_every_command_and_option_is_documented() -> None:
    """docs/commands.md has a section for each command, and in it each of its options."""
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^#+ (aggregator .*)\n((?:(?!^#+ ).*\n)*)", page, re.MULTILINE))
    for path, command in every_command(program, "aggregator"):
        if path == "aggregator":
            continue
        assert path in sections, path
        assert command.help, f"{path} has no help"
        options = [
            o for p in command.params if isinstance(p, click.Option) for o in p.opts if o not in ("--config", "-c")
        ]
        assert [option for option in options if option not in sections[path]] == [], path


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")) + sorted(ROOT.glob("*.md")), ids=lambda p: p.name)
def test_commands_on_a_page_exist(page: Path) -> None:
    """Every `aggregator …` in code names a command, and options that it has."""
    known = dict(every_command(program, "aggregator"))
    text = page.read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"(?:^\$? ?|\| |&& )(aggregator [a-z][^|#\n&]*)", blocks, re.MULTILINE)
    for line in lines + re.findall(r"`(aggregator [a-z][^`]*)`", text):
        name, rest = "aggregator", line.split()[1:]
        while rest and f"{name} {rest[0]}" in known:
            name, rest = f"{name} {rest[0]}", rest[1:]
        options = {option for param in known[name].params for option in param.opts}
        unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options]
        assert name != "aggregator", f"{page.name}: {line} is no command"
        assert not (rest and isinstance(known[name], click.Group)), f"{page.name}: {line} is no command"
        assert unknown == [], f"{page.name}: {line}"


def test_every_command_shows_an_example_or_is_in_a_group_that_does() -> None:
    """`--help` of what one calls first ends with examples."""
    context = click.Context(program, info_name="aggregator")
    commands = {name: program.get_command(context, name) for name in COMMANDS}
    quiet = {"worker", "schema"}  # nothing to choose
    assert [name for name, found in commands.items() if not (found and found.epilog) and name not in quiet] == []


def test_every_metric_is_documented() -> None:
    """The table of docs/operations.md and the registry name the same metrics."""
    table = set(re.findall(r"^\| `(aggregator_\w+)`", OPERATIONS, re.MULTILINE))
    shown = {f"{f.name}_total" if f.type == "counter" else f.name for f in Metrics("0")._registry.collect()}
    assert table == shown


def test_every_loop_is_documented() -> None:
    """Each loop of the service has its row with the time after which health turns red."""
    source = (ROOT / "aggregator" / "app" / "service.py").read_text(encoding="utf-8")
    loops = set(re.findall(r'_every\("(\w+)"', source))
    assert len(loops) > 5
    assert [loop for loop in sorted(loops) if f"| `{loop}` |" not in OPERATIONS] == []


def test_every_finding_of_doctor_is_documented() -> None:
    """Its words for programs stand in the table of findings."""
    source = (ROOT / "aggregator" / "app" / "doctor" / "checks.py").read_text(encoding="utf-8")
    kinds = set(re.findall(r'(?:_error|_warning|_note|_split|make)\(\s*"(\w+)"', source))
    of_every_status = (ROOT / "aggregator" / "core" / "findings.py").read_text(encoding="utf-8")
    kinds |= set(re.findall(r'kind="(\w+)"', of_every_status)) - {"unwell"}  # which doctor says of each feed
    table = OPERATIONS.partition("## Troubleshooting")[2]
    assert len(kinds) > 25
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in table] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")) + sorted(ROOT.glob("*.md")), ids=lambda p: p.name)
def test_links_between_pages_resolve(page: Path) -> None:
    """Every relative link names a file that is there, and a heading that is in it."""
    for target, anchor in re.findall(
        r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)", page.read_text(encoding="utf-8")
    ):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, f"{page.name}: {target}{anchor}"


def test_decisions_are_short_and_numbered() -> None:
    """At most 40 lines each, numbers without a gap or a double."""
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, max(numbers) + 1))
    assert {page.name: n for page in pages if (n := len(page.read_text(encoding="utf-8").splitlines())) > 40} == {}


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda page: page.stem)
def test_decisions_have_one_format(page: Path) -> None:
    """Title, date and status, then context, decision and consequences; the site's menu lists it."""
    text = page.read_text(encoding="utf-8")
    head = r"# (\d{4}): [^\n]+\n\n- Date: \d{4}-\d\d-\d\d\n- Status: (accepted|proposed|superseded by \[\d{4}\]\()"
    found = re.match(head, text)
    assert found is not None, "begins with '# NNNN: title', '- Date: …' and '- Status: …'"
    assert found[1] == page.name[:4]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert f"decisions/{page.name}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    sources = [name for name in re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", text) if not name.startswith("websub/")]
    assert [name for name in sources if not (ROOT / name).exists() and not (ROOT / "aggregator" / name).exists()] == []


# --- deploy --------------------------------------------------------------------------------------


def test_alert_rules_and_dashboard_know_the_metrics() -> None:
    """Every metric that they ask for exists under that very name."""
    known = set(metric_names())
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    panels = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))["panels"]
    asked = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    assert all(metrics_in(expression) for expression in asked)
    assert set().union(*map(metrics_in, asked)) - known == set()
    assert all(rule["annotations"]["summary"] and rule["alert"].startswith("Aggregator") for rule in rules)
    counters = {name for name, kind in metric_names().items() if kind == "counter" and name.endswith("_total")}
    shown = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    assert [name for name in sorted(counters) if name not in shown] == []


def metric_labels() -> dict[str, set[str]]:
    """The labels of each metric, by its name without a suffix."""
    collectors = Metrics("0")._registry._collector_to_names
    return {family.name: set(one._labelnames) for one in collectors for family in one.collect()}  # type: ignore[attr-defined]


def test_labels_are_those_of_the_metrics() -> None:
    """The table of docs/operations.md, the dashboard and the alert rules use the labels that the metrics have."""
    known = metric_labels()
    table = re.findall(r"^\| `(aggregator_\w+?)(?:_total)?` \|([^|]*)\|", OPERATIONS, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in table} == known
    for file in ("alerts.yaml", "grafana.json"):
        for expression in yaml.safe_load((DEPLOY / file).read_text(encoding="utf-8")).values():
            for query in re.findall(r"'expr': (?:'([^']*)'|\"([^\"]*)\")", str(expression)):
                text = "".join(query)
                used = {
                    name for part in re.findall(r"by \(([^)]*)\)", text) for name in part.replace(" ", "").split(",")
                }
                used |= {
                    name for part in re.findall(r"{([^}]*)}", text) for name in re.findall(r"(\w+)(?==|!=|!~)", part)
                }
                metrics = [name for name in known if name in text]
                assert metrics
                assert used - {"job", "le"} <= set().union(*(known[name] for name in metrics)), f"{file}: {text}"


def test_the_dashboard_has_no_overlaps() -> None:
    """Panels lie beside each other on Grafana's 24 columns, each with its own id."""
    panels = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        p = panel["gridPos"]
        mine = {(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
        assert not mine & cells
        assert p["x"] + p["w"] <= 24
        cells |= mine


@pytest.mark.parametrize("name", ["compose.yaml", "compose.postgres.yaml", "compose.scale.yaml"])
def test_compose_files_are_sound(name: str) -> None:
    """They load, publish the page on loopback only, run locked up, and use nothing that they do not define."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    assert set(found) <= {"services", "volumes", "secrets", "x-aggregator"}
    for service_name, service in found["services"].items():
        assert "image" in service
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in found["volumes"] or (DEPLOY / source).exists()
        assert set(service.get("depends_on", {})) <= set(found["services"])
        if service_name == "postgres":
            continue
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        if service_name == "prometheus":
            continue
        assert service["command"][0] in COMMANDS
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_prometheus_finds_what_it_is_told() -> None:
    """It reads the files that compose gives it, and asks services of the cluster at the ports where they answer."""
    compose = yaml.safe_load((DEPLOY / "compose.scale.yaml").read_text(encoding="utf-8"))
    scrape = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["prometheus"]
    given = {target: source for source, target, *_ in (volume.split(":") for volume in service["volumes"])}
    read = [*scrape["rule_files"], service["command"][0].partition("=")[2]]
    assert [given[file] for file in read] == ["./alerts.yaml", "./prometheus.yaml"]
    secrets = {f"/run/secrets/{name}" for name in service["secrets"]}
    page, workers = scrape["scrape_configs"]
    assert {one["authorization"]["credentials_file"] for one in (page, workers)} == secrets
    assert set(service["secrets"]) == set(compose["secrets"])
    name, _, port = page["static_configs"][0]["targets"][0].partition(":")
    assert compose["services"][name]["environment"]["AGGREGATOR_LISTEN"].endswith(f":{port}")
    (found,) = workers["dns_sd_configs"]
    assert set(found["names"]) == {name for name in compose["services"] if name in ("poll", "deliver")}


@pytest.mark.parametrize(
    ("name", "command", "instance"),
    [
        ("aggregator.service", "run", "aggregator.service"),
        ("aggregator-worker@.service", "worker", "aggregator-worker@1.service"),
    ],
)
def test_the_unit_is_sound(name: str, command: str, instance: str, tmp_path: Path) -> None:
    """systemd finds nothing to complain about, and exposes little (skipped where systemd is not installed)."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    assert re.search(rf"^ExecStart=/opt/aggregator/bin/aggregator {command}$", text, re.MULTILINE)
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / instance
    unit.write_text(text.replace("/opt/aggregator/bin/aggregator", "/bin/true"), encoding="utf-8")
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    security = [analyze, "security", "--offline=true", "--threshold=15", str(unit)]  # 1.5 of 10
    done = subprocess.run(security, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-500:]


@pytest.mark.parametrize("name", ["aggregator.service", "aggregator-worker@.service"])
def test_the_watchdog_of_the_unit_is_more_patient_than_the_loops(name: str) -> None:
    """systemd waits longer than health does, and stopping fits into its time."""
    from aggregator.app.service import DRAIN_S, LOOP_TIMEOUT_S

    text = (DEPLOY / name).read_text(encoding="utf-8")
    seconds = {
        key: float(value) for key, value in re.findall(r"^(WatchdogSec|TimeoutStopSec)=(\d+)$", text, re.MULTILINE)
    }
    assert seconds["WatchdogSec"] > 2 * LOOP_TIMEOUT_S
    assert seconds["TimeoutStopSec"] > 2 * DRAIN_S


def test_the_image_and_compose_agree_about_the_page() -> None:
    """The image listens where compose publishes, has a health check of its own, and every container has limits."""
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "AGGREGATOR_LISTEN=0.0.0.0:8080" in image
    assert re.search(r"^HEALTHCHECK .*CMD", image, re.MULTILINE)
    for name in ("compose.yaml", "compose.postgres.yaml", "compose.scale.yaml"):
        services = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))["services"]
        for service_name, service in services.items():
            if service_name == "postgres":
                continue
            assert (service["mem_limit"], service["pids_limit"]) == ("1g", 256)
            if service_name == "prometheus":
                continue
            if published := service.get("ports"):
                address = service["environment"]["AGGREGATOR_LISTEN"]
                assert address.rpartition(":")[2] == published[0].rpartition(":")[2]


def test_the_unit_has_limits() -> None:
    """Restarts and memory are bounded, and the configuration is not open to others."""
    text = (DEPLOY / "aggregator.service").read_text(encoding="utf-8")
    unit, service = text.partition("[Service]")[::2]
    assert re.search(r"^StartLimitIntervalSec=\d+\nStartLimitBurst=\d+$", unit, re.MULTILINE)
    for line in ("ConfigurationDirectoryMode=0750", "MemoryHigh=768M", "MemoryMax=1G"):
        assert f"\n{line}\n" in service
