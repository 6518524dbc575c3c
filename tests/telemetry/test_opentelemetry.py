"""The counters, as OpenTelemetry gets them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, Sum

from tests.servers.redis import RedisServer
from tests.telemetry.scripts import run
from tests.web.browser import Browser
from tests.web.matrix import each_engine_once
from tests.web.signing import put_in_cart, sign_in, sign_out, status
from typed_sessions import EndReason, live_sessions
from typed_sessions.exporters import opentelemetry
from typed_sessions.telemetry import NAMES, counters


class Collected:
    """A provider, and what is collected of it."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def metrics(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        scopes = [scope for one in data.resource_metrics for scope in one.scope_metrics] if data else []
        assert all(scope.scope.name == "typed_sessions" for scope in scopes)
        return [metric for scope in scopes for metric in scope.metrics]

    def values(self) -> dict[str, float]:
        """By name and attributes, with those that are 0."""
        found = {}
        for metric in self.metrics():
            for point in metric.data.data_points:
                labels = ",".join(f"{name}={label}" for name, label in point.attributes.items())
                found[f"{metric.name.removeprefix('typed_sessions.')}{{{labels}}}"] = point.value
        return found

    def counts(self) -> dict[str, float]:
        """Without those that are 0."""
        return {name: number for name, number in self.values().items() if number}


@pytest.fixture
def collected() -> Any:
    made = Collected()
    yield made
    made.provider.shutdown()


def test_all_are_there_from_the_beginning(collected: Collected) -> None:
    """Every name that can be counted has a metric, which only rises, with a unit and a meaning."""
    opentelemetry.register(collected.provider)
    operations = {f"operations{{operation={word}}}" for word in ("read", "write", "touch")}
    reasons = {f"ended{{reason={reason.value}}}" for reason in EndReason}
    plain = {f"{name}{{}}" for name in {*NAMES} - {"reads", "writes", "touches", "ended"}}
    assert collected.values() == dict.fromkeys(operations | reasons | plain, 0)
    for metric in collected.metrics():
        assert isinstance(metric.data, Sum)
        assert metric.data.is_monotonic
        assert metric.unit in {"{operation}", "{session}", "{save}", "{request}"}
        assert metric.description


def test_what_is_counted_is_told(collected: Collected) -> None:
    """Whatever this process has counted is told, from its beginning on."""
    counters.add("reads")
    opentelemetry.register(collected.provider)
    for name in NAMES[:-1]:
        counters.add(name)
    counters.add("missed", times=3)
    counters.add("ended", "ended_by_staff", times=2)
    assert collected.counts() == {
        "operations{operation=read}": 2,
        "operations{operation=write}": 1,
        "operations{operation=touch}": 1,
        "created{}": 1,
        "conflicts{}": 1,
        "lost{}": 1,
        "rejected{}": 1,
        "unavailable{}": 1,
        "missed{}": 4,
        "ended{reason=ended_by_staff}": 2,
    }


@each_engine_once
@pytest.mark.usefixtures("engine")
def test_site(collected: Collected, browser: Browser, user: User) -> None:
    """What visitors do is told, on every engine."""
    opentelemetry.register(collected.provider)
    for view in (put_in_cart(), status, sign_in(user), sign_out):
        browser.visit(view)
    assert collected.counts() == {
        "operations{operation=read}": 3,
        "operations{operation=write}": 2,
        "created{}": 1,
        "ended{reason=rotated}": 1,
        "ended{reason=logged_out}": 1,
    }


def test_twice(collected: Collected, caplog: pytest.LogCaptureFixture) -> None:
    """A second call for the same provider changes nothing; another provider is told as well."""
    other = Collected()
    for provider in (collected.provider, collected.provider, other.provider):
        opentelemetry.register(provider)
    counters.add("created")
    assert (collected.counts(), other.counts()) == ({"created{}": 1}, {"created{}": 1})
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []
    other.provider.shutdown()


GLOBAL = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from typed_sessions import live_sessions
from typed_sessions.exporters import opentelemetry
type(live_sessions).count = lambda self: 7
reader = InMemoryMetricReader()
provider = MeterProvider([reader])
for _ in range(2):
    opentelemetry.register()
    opentelemetry.register_live()
counters.add("created")
metrics.set_meter_provider(provider)
for given in (None, provider):
    opentelemetry.register(given)
    opentelemetry.register_live(given)
(resource,) = reader.get_metrics_data().resource_metrics
for scope in resource.scope_metrics:
    for metric in scope.metrics:
        if metric.name in ("typed_sessions.created", "typed_sessions.live"):
            print(metric.name, [point.value for point in metric.data.data_points])
"""


def test_global_provider() -> None:
    """Without a provider it is the global one, whether that is made before or after; and it is told once."""
    assert run(GLOBAL).splitlines() == ["typed_sessions.created [1]", "typed_sessions.live [7]"]


def test_nobody_collects() -> None:
    """Where the project has no provider, the API does nothing, as often as it is told."""
    for _ in range(2):
        opentelemetry.register()
        opentelemetry.register_live()
    counters.add("created")


# Live sessions


@pytest.mark.usefixtures("engine")
def test_live_sessions(collected: Collected, browser: Browser) -> None:
    """Each collection asks the store."""
    opentelemetry.register_live(collected.provider)
    for number in range(3):
        assert collected.values() == {"live{}": number}
        browser.copy("csrftoken").visit(put_in_cart())
    (metric,) = collected.metrics()
    assert isinstance(metric.data, Gauge)


@pytest.mark.django_db(databases="__all__")
def test_live_sessions_twice(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call changes nothing."""
    monkeypatch.setattr(type(live_sessions), "count", lambda self: 7)
    for _ in range(2):
        opentelemetry.register_live(collected.provider)
    assert collected.values() == {"live{}": 7}


@pytest.mark.hasty
@pytest.mark.parametrize("engine", ["redis"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_live_sessions_of_a_store_that_is_down(
    collected: Collected, browser: Browser, valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no value then, everything else is told, and the log says why."""
    opentelemetry.register(collected.provider)
    opentelemetry.register_live(collected.provider)
    browser.visit(put_in_cart())
    assert collected.values()["live{}"] == 1
    valkey.kill()
    with caplog.at_level(logging.ERROR, "typed_sessions"):
        found = collected.values()
    assert ("live{}" in found, found["created{}"]) == (False, 1)
    assert "Live sessions could not be counted" in caplog.text
