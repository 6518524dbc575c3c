"""The page `Operations`: its tables, snippets and commands are what the package has and takes."""

from __future__ import annotations

import configparser
import inspect
import logging
import re
import shlex
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class
from django.test import Client
from prometheus_client import REGISTRY, CollectorRegistry

import typed_sessions
from tests.test_docs import Project, blocks, docs, project, rows, section, settings_of, stored, words
from typed_sessions import telemetry
from typed_sessions.doctor.examination import ABANDONED
from typed_sessions.exporters import prometheus
from typed_sessions.stores.record import LINGER
from typed_sessions.telemetry import NAMES

__all__ = ["project"]

PAGE = docs("operations")
TEXT = PAGE.read_text(encoding="utf-8")
yaml: Any = pytest.importorskip("yaml")


def test_every_counter_has_its_line() -> None:
    """The table has each name, and the metric that it is in Prometheus."""
    table = rows(section(PAGE, "What is counted"))[1:]
    assert [row[0].strip("`") for row in table] == [*NAMES]
    registry = CollectorRegistry()
    prometheus.register(registry)
    metrics = {family.name: family.samples for family in registry.collect()}
    for _, _, metric in table:
        name, _, label = metric.strip("`").partition("{")
        samples = metrics[f"typed_sessions_{name.removesuffix('_total')}"]
        assert {key for sample in samples for key in sample.labels} == ({label.removesuffix("=}")} if label else set())


def test_every_line_of_the_log_is_one() -> None:
    """What the page quotes of the log is what the package writes."""
    package = Path(typed_sessions.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    quoted = [row[0].strip("`").replace("…", "%s") for row in rows(section(PAGE, "What is logged"))[1:]]
    assert len(quoted) > 8
    assert [line for line in quoted if line not in source] == []


def test_format_of_the_events_log(caplog: pytest.LogCaptureFixture) -> None:
    """The settings of the page write the lines that it shows."""
    (block,) = [block for block in blocks(PAGE) if "LOGGING" in block.text]
    logs = settings_of(block)["LOGGING"]
    assert logs["loggers"]["typed_sessions.events"]["level"] == "INFO"
    given = logs["formatters"]["events"]
    formatter = logging.Formatter(given["format"], style=given["style"])
    shown = re.findall(r"^    \d{4}-\S+ \S+ (.+)$", TEXT, re.M)
    with caplog.at_level(logging.INFO, "typed_sessions.events"):
        session_id = shown[0].split()[1]
        telemetry.log("created", session_id)
        telemetry.log("ended", session_id, reason="logged_out", user="17")
    formatted = [formatter.format(record).split(" ", 2)[2] for record in caplog.records]
    assert formatted == shown


@pytest.mark.django_db
def test_views(client: Client, project: Project) -> None:
    """The pages for Prometheus tell counters and live sessions, and have no session themselves."""
    before = dict(REGISTRY._names_to_collectors)
    project(PAGE)
    stored(x=1)
    assert "python_info" in client.get("/metrics/").text
    answer = client.get("/live_metrics/")
    assert "typed_sessions_live 1.0" in answer.text
    assert not answer.has_header("Vary")
    assert REGISTRY._names_to_collectors == before


def commands() -> list[list[str]]:
    """The arguments of every `manage.py typed_sessions` that the page shows."""
    lines = re.findall(r"manage\.py typed_sessions (\w+(?: [^`\n]+)?)$", TEXT, re.M)
    found = [shlex.split(line) for line in lines]
    (pod,) = [block for block in blocks(PAGE, "yaml") if "Deployment" in block.text]
    (container,) = yaml.safe_load(pod.text)["spec"]["template"]["spec"]["containers"]
    assert container["command"][:3] == ["python", "manage.py", "typed_sessions"]
    return [*found, container["command"][3:]]


def parse(arguments: list[str]) -> Any:
    command = load_command_class("typed_sessions", "typed_sessions")
    return command.create_parser("manage.py", "typed_sessions").parse_args(arguments)


def test_commands_are_understood() -> None:
    """Each command takes what the page gives it."""
    found = commands()
    assert {"reap", "doctor", "stats", "list", "end"} <= set(chain.from_iterable(found))
    for arguments in found:
        parser: Any = load_command_class("typed_sessions", "typed_sessions").create_parser(
            "manage.py", "typed_sessions"
        )
        assert parser.parse_args(arguments).verb == arguments[0]


def test_unit_for_systemd() -> None:
    """The unit starts the reaper, and starts it again."""
    (block,) = blocks(PAGE, "ini")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation has it
    unit.read_string(block.text)
    assert unit["Service"]["ExecStart"].endswith("manage.py typed_sessions reap --forever")
    assert unit["Service"]["Restart"] == "always"


def test_rules_for_prometheus() -> None:
    """Each rule asks for metrics that there are."""
    (block,) = [block for block in blocks(PAGE, "yaml") if "alert" in block.text]
    rules = [rule for group in yaml.safe_load(block.text)["groups"] for rule in group["rules"]]
    registry = CollectorRegistry()
    prometheus.register(registry)
    there = {f"{family.name}_total" for family in registry.collect()}
    asked = [set(re.findall(r"typed_sessions_\w+", rule["expr"])) for rule in rules]
    assert all(asked)
    assert set().union(*asked) <= there


@pytest.mark.parametrize(
    ("told", "actual", "figure"),
    [
        ("Redis keeps a session that has expired for an hour", LINGER, 3600),
        ("more than five minutes", ABANDONED, 300),
    ],
)
def test_figures(told: str, actual: int, figure: int) -> None:
    """A figure that the page names is the one in the code."""
    assert told in words(TEXT)
    assert actual == figure


def test_every_how_often_of_the_reaper() -> None:
    """So is how often the reaper looks."""
    assert parse(["reap", "--forever"]).every == 30
    assert "looks every 30 seconds" in TEXT


def test_exporters_have_what_the_page_calls() -> None:
    """What the page calls of the exporters takes one argument, which may be left out."""
    from typed_sessions.exporters import opentelemetry

    for exporter in (prometheus, opentelemetry):
        for function in (exporter.register, exporter.register_live):
            (parameter,) = inspect.signature(function).parameters.values()
            assert parameter.default is None
