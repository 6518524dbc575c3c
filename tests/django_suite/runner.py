"""Django's session tests on one engine, in a process of its own: Django is configured once, with its servers."""

import importlib
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import django
from django.conf import settings
from django.test import SimpleTestCase, TestCase
from django.test.runner import DiscoverRunner
from django.utils.module_loading import import_string

from tests.django_suite.comparison import Score
from tests.django_suite.engines import Engine
from tests.django_suite.exceptions import expected_failures
from tests.django_suite.sources import SESSION_TESTS

STORE_TESTS = "SessionTestsMixin"
MIDDLEWARE_TESTS = "SessionMiddlewareTests"
AT_LEAST = {STORE_TESTS: 65, MIDDLEWARE_TESTS: 12}
"""What Django 5.2 has; fewer means that something was not found, not that all is well."""


NOTHING_RAN = Score(passed=0, failed=sum(AT_LEAST.values()))


def run(engine: Engine, sources: Path) -> Score:
    """Run both test classes on the engine and say how it went."""
    with engine.storage() as storage:
        _configure(engine, storage, sources)
        cases = list(_cases(engine))
        _expect(cases, expected_failures(SESSION_TESTS, engine.name))
        return _run(unittest.TestSuite(cases))


def _configure(engine: Engine, storage: dict[str, Any], sources: Path) -> None:
    sys.path.insert(0, str(sources))
    apps = ["auth", "contenttypes", "sessions"]
    settings.configure(
        **{
            "SECRET_KEY": "of the tests alone",
            "INSTALLED_APPS": [f"django.contrib.{app}" for app in apps] + ["typed_sessions", SESSION_TESTS],
            "MIDDLEWARE": [engine.middleware],
            "SESSION_ENGINE": engine.module,
            "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
            **storage,
        }
    )
    django.setup()


def _cases(engine: Engine) -> Iterator[unittest.TestCase]:
    theirs: Any = importlib.import_module(f"{SESSION_TESTS}.tests")
    store = importlib.import_module(engine.module).SessionStore
    # The names by which the tests reach the engine under test; not a line of the tests themselves is changed.
    theirs.SessionMiddleware = import_string(engine.middleware)
    theirs.DatabaseSession = store
    theirs.Session = SimpleNamespace(objects=StoredSessions(store))
    base = TestCase if engine.uses_database else SimpleTestCase
    yield from _load(STORE_TESTS, (theirs.SessionTestsMixin, base), {"backend": store})
    yield from _load(MIDDLEWARE_TESTS, (theirs.SessionMiddlewareTests,), {})


def _load(name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Iterator[unittest.TestCase]:
    case = cast(type[unittest.TestCase], type(name, bases, namespace))
    methods = unittest.defaultTestLoader.getTestCaseNames(case)
    if len(methods) < AT_LEAST[name]:
        raise LookupError(f"{name} has {len(methods)} tests where at least {AT_LEAST[name]} were expected")
    yield from map(case, methods)


class StoredSessions:
    """
    What ``Session.objects`` is to the one test that asks the table of Django's own engine.

    It answers for any engine by reading the record back, and refuses a key for which there is none.
    """

    def __init__(self, store: Any) -> None:
        self.store = store

    def get(self, *, session_key: str) -> Any:
        if not self.store().exists(session_key):
            raise LookupError("nothing is stored under the session's key")
        return SimpleNamespace(get_decoded=self.store(session_key).load)


def _name(test: unittest.TestCase) -> str:
    return ".".join(test.id().rsplit(".", 2)[-2:])


def _expect(cases: list[unittest.TestCase], failures: dict[str, str]) -> None:
    """Let the listed tests fail; unittest then counts a pass of one of them as a failure."""
    unknown = failures.keys() - {_name(case) for case in cases}
    if unknown:
        raise LookupError(f"listed as expected failures, but not tests of Django: {sorted(unknown)}")
    for case in cases:
        if _name(case) in failures:
            case.__unittest_expecting_failure__ = True  # type: ignore[attr-defined]  # unittest's own mark, not typed


class _Result(unittest.TextTestResult):
    """Notes what passed: whatever did neither pass nor fail as listed counts as failed, a skipped test too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.passed = 0

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        super().addSuccess(test)
        self.passed += 1


class _Runner(DiscoverRunner):
    def get_resultclass(self) -> type[_Result]:
        return _Result


def _run(suite: unittest.TestSuite) -> Score:
    tests = suite.countTestCases()
    runner = _Runner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    try:
        result = cast(_Result, runner.run_suite(suite))
    finally:
        runner.teardown_databases(databases)
        runner.teardown_test_environment()
    excepted = len(result.expectedFailures)
    return Score(passed=result.passed, failed=tests - result.passed - excepted, excepted=excepted)
