"""One package of Django's tests on one engine, run by the machinery of Django's own ``runtests.py``."""

import importlib
import os
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.test.runner import DiscoverRunner
from django.test.utils import override_settings
from django.utils.module_loading import import_string

from tests.django_suite.comparison import Outcome, Outcomes
from tests.django_suite.engines import CONTROL, Engine
from tests.django_suite.sources import BASE_SETTINGS, PACKAGES, RUNTESTS


def run(engine: Engine, package: str, sources: Path) -> Outcomes:
    """Run every test of the package and say what came of each. Only once in a process: it keeps Django's settings."""
    with engine.storage() as storage, tempfile.TemporaryDirectory() as scratch:
        sys.path.insert(0, str(sources))
        # As runtests.py does it when it is the program.
        tempfile.tempdir = os.environ["TMPDIR"] = scratch
        settings.configure(**_settings(engine, storage))
        runtests: Any = importlib.import_module(RUNTESTS)
        runtests.ALWAYS_INSTALLED_APPS = _each_once([*runtests.ALWAYS_INSTALLED_APPS, *engine.apps])
        place = runtests.ALWAYS_MIDDLEWARE.index(CONTROL.middleware)
        runtests.ALWAYS_MIDDLEWARE[place] = engine.middleware
        labels, _ = runtests.setup_run_tests(0, "", "", [package])
        _swap(engine)
        runner = _Runner(verbosity=0, interactive=False)
        runner.run_tests(labels)
    return runner.outcomes


def _settings(engine: Engine, storage: dict[str, Any]) -> dict[str, Any]:
    theirs = {name: value for name, value in vars(importlib.import_module(BASE_SETTINGS)).items() if name.isupper()}
    return {
        **theirs,
        **storage,
        **engine.settings,
        "DATABASES": {**theirs["DATABASES"], **storage["DATABASES"]},
        "SESSION_ENGINE": engine.module,
        "AUTHENTICATION_BACKENDS": [engine.backend],
    }


def _swap(engine: Engine) -> None:
    """
    Let the names of Django's two classes lead to the engine's.

    So the tests get these wherever they name them: in settings that they override, in imports, as base classes. Not a
    line of the tests themselves is changed.
    """
    for theirs, ours in ((CONTROL.middleware, engine.middleware), (CONTROL.backend, engine.backend)):
        module, _, name = theirs.rpartition(".")
        setattr(importlib.import_module(module), name, import_string(ours))
    enable = override_settings.enable

    def keep_swapped(overriding: override_settings) -> None:
        options = overriding.options
        if "INSTALLED_APPS" in options:
            options["INSTALLED_APPS"] = _each_once([*options["INSTALLED_APPS"], *engine.apps])
        if engine.backend in options.get("AUTHENTICATION_BACKENDS", ()):
            # One backend under its two names would be asked twice.
            named = [engine.backend if path == CONTROL.backend else path for path in options["AUTHENTICATION_BACKENDS"]]
            options["AUTHENTICATION_BACKENDS"] = _each_once(named)
        enable(overriding)

    override_settings.enable = keep_swapped  # type: ignore[assignment,method-assign]


def _each_once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


class _Result(unittest.TextTestResult):
    """Notes what came of each test, by its dotted name within the package."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, Outcome] = {}

    def _note(self, test: unittest.TestCase, verdict: str, details: str = "") -> None:
        self.outcomes[_name(test)] = Outcome(verdict=verdict, details=details)

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802  # this and the following: unittest's names
        super().addSuccess(test)
        self._note(test, "passed")

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._note(test, "failed", self.errors[-1][1])

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._note(test, "failed", self.failures[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed", f"{subtest}\n{self._exc_info_to_string(err, test)}")  # type: ignore[attr-defined]

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self._note(test, "skipped")

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, err)
        self._note(test, "expected failure")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self._note(test, "failed", "Unexpected success")


def _name(test: unittest.TestCase) -> str:
    package, _, rest = test.id().partition(".")
    return rest if package in PACKAGES else test.id()


class _Runner(DiscoverRunner):
    outcomes: Outcomes = {}

    def get_resultclass(self) -> type[_Result]:
        return _Result

    def get_test_runner_kwargs(self) -> dict[str, Any]:
        # Several packages run at a time; what is worth reading is printed when one is done.
        return {**super().get_test_runner_kwargs(), "stream": StringIO()}

    def run_checks(self, databases: Any) -> None:
        with redirect_stdout(StringIO()):  # says that there is nothing to say
            super().run_checks(databases)

    def run_suite(self, suite: unittest.TestSuite, **kwargs: Any) -> Any:
        result = super().run_suite(suite, **kwargs)
        self.outcomes = cast(_Result, result).outcomes
        return result
