"""The counters, as Prometheus gets them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.redis import RedisServer
from tests.telemetry.scripts import run
from tests.web.browser import Browser
from tests.web.matrix import each_engine_once
from tests.web.signing import put_in_cart, sign_in, sign_out, status
from typed_sessions import EndReason, live_sessions
from typed_sessions.exporters import prometheus
from typed_sessions.telemetry import NAMES, counters
from typed_sessions.testing.engines import Verbs


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"typed_sessions_{name}", labels)


def samples(registry: CollectorRegistry) -> dict[str, float]:
    """What a scrape finds and is not 0, by name and labels, without when each counter began."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        assert family.documentation
        for sample in family.samples:
            if sample.value and not sample.name.endswith("_created"):
                labels = ",".join(f"{name}={label}" for name, label in sample.labels.items())
                found[f"{sample.name.removeprefix('typed_sessions_')}{{{labels}}}"] = sample.value
    return found


def test_all_are_there_from_the_beginning(registry: CollectorRegistry) -> None:
    """Every name that can be counted has a metric at 0, so that the first one to be counted is a rise."""
    prometheus.register(registry)
    assert samples(registry) == {}
    for operation in ("read", "write", "touch"):
        assert value(registry, "operations_total", operation=operation) == 0
    for reason in EndReason:
        assert value(registry, "ended_total", reason=reason.value) == 0
    for name in {*NAMES} - {"reads", "writes", "touches", "ended"}:
        assert value(registry, f"{name}_total") == 0


def test_what_is_counted_is_told(registry: CollectorRegistry) -> None:
    """From then on, each count is one there too."""
    counters.add("reads")
    prometheus.register(registry)
    for name in NAMES[:-1]:
        counters.add(name)
    counters.add("reads")
    counters.add("missed", times=3)
    counters.add("ended", "ended_by_staff", times=2)
    assert samples(registry) == {
        "operations_total{operation=read}": 2,
        "operations_total{operation=write}": 1,
        "operations_total{operation=touch}": 1,
        "created_total{}": 1,
        "conflicts_total{}": 1,
        "lost_total{}": 1,
        "rejected_total{}": 1,
        "unavailable_total{}": 1,
        "missed_total{}": 4,
        "ended_total{reason=ended_by_staff}": 2,
    }


@each_engine_once
@pytest.mark.usefixtures("engine")
def test_site(registry: CollectorRegistry, browser: Browser, user: User) -> None:
    """What visitors do is told, on every engine."""
    prometheus.register(registry)
    for view in (put_in_cart(), status, sign_in(user), sign_out):
        browser.visit(view)
    assert samples(registry) == {
        "operations_total{operation=read}": 3,
        "operations_total{operation=write}": 2,
        "created_total{}": 1,
        "ended_total{reason=rotated}": 1,
        "ended_total{reason=logged_out}": 1,
    }


def test_twice(registry: CollectorRegistry) -> None:
    """A second call for the same registry changes nothing; another registry is told as well."""
    other = CollectorRegistry()
    for one in (registry, registry, other):
        prometheus.register(one)
    counters.add("created")
    assert (value(registry, "created_total"), value(other, "created_total")) == (1, 1)


def test_name_that_is_taken(registry: CollectorRegistry) -> None:
    """A registry that has a metric of that name already is refused by Prometheus, and may be tried again."""
    other = Counter("typed_sessions_ended", "of somebody else", registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        prometheus.register(registry)
    counters.add("created")
    registry.unregister(other)


def test_default_registry(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a registry it is that of prometheus_client."""
    monkeypatch.setattr(prometheus, "REGISTRY", registry)
    prometheus.register()
    prometheus.register()
    prometheus.register_live()
    prometheus.register_live()
    counters.add("created")
    assert value(registry, "created_total") == 1


COUNT = """
from typed_sessions.exporters import prometheus
prometheus.register()
counters.add("reads", times={times})
counters.add("ended", "logged_out")
"""

SCRAPE = """
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def test_many_processes(tmp_path: Path) -> None:
    """In multiprocess mode a scrape finds what all workers have counted together, also those that are gone."""
    for times in (2, 3):
        run(COUNT.format(times=times), PROMETHEUS_MULTIPROC_DIR=tmp_path)
    text = run(SCRAPE, PROMETHEUS_MULTIPROC_DIR=tmp_path)
    assert 'typed_sessions_operations_total{operation="read"} 5.0' in text
    assert 'typed_sessions_ended_total{reason="logged_out"} 2.0' in text
    assert "typed_sessions_created_total 0.0" in text


# Live sessions


@pytest.mark.usefixtures("engine")
def test_live_sessions(browser: Browser, verbs: Verbs) -> None:
    """Each scrape asks the store, and registering asks nobody."""
    registry = CollectorRegistry(auto_describe=True)  # as that of prometheus_client
    prometheus.register_live(registry)
    assert verbs.take() == []
    for number in range(3):
        assert value(registry, "live") == number
        browser.copy("csrftoken").visit(put_in_cart())


@pytest.mark.django_db(databases="__all__")
def test_live_sessions_twice(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call changes nothing; another registry has its own."""
    monkeypatch.setattr(type(live_sessions), "count", lambda self: 7)
    other = CollectorRegistry()
    for one in (registry, registry, other):
        prometheus.register_live(one)
    for one in (registry, other):
        assert generate_latest(one).count(b"typed_sessions_live 7.0") == 1


@pytest.mark.hasty
@pytest.mark.parametrize("engine", ["redis"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_live_sessions_of_a_store_that_is_down(
    registry: CollectorRegistry, browser: Browser, valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The gauge is left out of that scrape, everything else is in it, and the log says why."""
    prometheus.register(registry)
    prometheus.register_live(registry)
    browser.visit(put_in_cart())
    assert value(registry, "live") == 1
    valkey.kill()
    with caplog.at_level(logging.ERROR, "typed_sessions"):
        assert value(registry, "live") is None
        assert value(registry, "created_total") == 1
    assert "Live sessions could not be counted" in caplog.text
    valkey.start()
    assert value(registry, "live") == 0


@pytest.mark.parametrize("engine", ["cache"], indirect=True)
@pytest.mark.usefixtures("engine")
@pytest.mark.django_db(databases="__all__")
def test_live_sessions_of_an_engine_that_cannot_count(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does an engine that knows no number make the scrape fail."""
    prometheus.register_live(registry)
    with caplog.at_level(logging.ERROR, "typed_sessions"):
        assert value(registry, "live") is None
    assert "cannot" in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("engine", ["db"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_live_sessions_leave_no_connection_open(registry: CollectorRegistry) -> None:
    """A thread that nothing but scrapes happen on keeps the connection no longer than a request would."""
    prometheus.register_live(registry)
    assert value(registry, "live") == 0
    assert connection.connection is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("engine", ["db"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_live_sessions_over_a_connection_that_is_too_old(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it ask by a connection that a request would not use any more; one that lasts is kept."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    prometheus.register_live(registry)
    assert value(registry, "live") == 0
    kept = connection.connection
    assert value(registry, "live") == 0
    assert connection.connection is kept is not None
    connection.close_at = 0
    assert value(registry, "live") == 0
    assert connection.connection is not None
    assert connection.connection is not kept
    connection.close()
