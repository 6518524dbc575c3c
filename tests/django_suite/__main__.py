"""``python -m tests.django_suite``: every engine, a table of scores, and an exit code."""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import django

from tests.django_suite import packages, runner, sources
from tests.django_suite.comparison import Outcomes, Score, compare, failures, score_of_stock
from tests.django_suite.engines import CONTROL, ENGINES, SWAPPED, Engine, Unavailable
from tests.django_suite.exceptions import EXPECTED_FAILURES, expected_failures
from tests.django_suite.sources import PACKAGES, SESSION_TESTS

ROOT = Path(__file__).resolve().parents[2]
AT_MOST_SHOWN = 30
"""Tests of one row; an engine that does not even start fails them all."""
AT_MOST_TOLD = 4000
"""Characters of one test; some failures quote a whole page."""

T = TypeVar("T")
Row = tuple[str, Engine]
"""A package of tests, and what it runs on."""


class Scores(dict[Row, Score]):
    """The rows of the table, and those that are missing in it."""

    def __init__(self) -> None:
        super().__init__()
        self.unavailable: dict[Row, str] = {}


def main() -> int:
    """Run the rows asked for, print the table, and return the exit code."""
    arguments = _arguments()
    _check_exceptions()
    home = sources.fetch(arguments.cache)
    scores = Scores()
    _session_tests(_rows([SESSION_TESTS], ENGINES, arguments.words), home, scores)
    _whole_packages(_rows(PACKAGES, SWAPPED, arguments.words), home, scores)
    _print_table(scores)
    failed = sum(score.failed for score in scores.values())
    return 1 if failed or not scores or (scores.unavailable and arguments.require_all) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.django_suite", description="Django's own tests with our sessions."
    )
    parser.add_argument("words", nargs="*", help="run only the rows that have all of these words in the table")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".tox" / "django-sources", help="where Django's sources are kept"
    )
    parser.add_argument("--require-all", action="store_true", help="fail if a row's server is not installed")
    return parser.parse_args()


def _check_exceptions() -> None:
    engines = {engine.name for engine in ENGINES}
    for entry in EXPECTED_FAILURES:
        if entry.package not in (SESSION_TESTS, *PACKAGES) or not engines.issuperset(entry.engines):
            sys.exit(f"an expected failure is listed for a row that does not exist: {entry}")


def _rows(wanted: Iterable[str], engines: Iterable[Engine], words: list[str]) -> list[Row]:
    rows = ((package, engine) for package in wanted for engine in engines)
    return [row for row in rows if all(word.lower() in _name(row).lower() for word in words)]


def _name(row: Row) -> str:
    package, engine = row
    return f"{package}, {engine.name}"


def _session_tests(rows: list[Row], home: Path, scores: Scores) -> None:
    for row in rows:
        print(f"\n=== {_name(row)}", flush=True)
        score = _attempt(scores, row, runner.run, row[1], home)
        if row not in scores.unavailable:
            scores[row] = score or runner.NOTHING_RAN


def _whole_packages(rows: list[Row], home: Path, scores: Scores) -> None:
    outcomes = _run_packages(rows, home, scores)
    for row in (row for row in outcomes if row not in scores.unavailable):
        package, engine = row
        stock = outcomes[package, CONTROL]
        if engine is CONTROL:
            scores[row] = score_of_stock(stock, PACKAGES[package])
            _print_each(row, "fails on stock Django, and is not compared", failures(stock))
        else:
            found = compare(stock, outcomes[row], expected_failures(package, engine.name))
            scores[row] = found.score
            _print_each(row, "does not do as on stock Django", found.regressions)


def _run_packages(rows: list[Row], home: Path, scores: Scores) -> dict[Row, Outcomes]:
    """Each package on the control and then on the engines wanted, as many at a time as there are processors."""
    in_order = [row for package in PACKAGES for row in _with_control(package, rows)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {row: pool.submit(_run_package, row, home, scores) for row in sorted(in_order, key=_size, reverse=True)}
        return {row: jobs[row].result() for row in in_order}


def _with_control(package: str, rows: list[Row]) -> list[Row]:
    wanted = [row for row in rows if row[0] == package]
    return [(package, CONTROL), *wanted] if wanted else []


def _size(row: Row) -> int:
    return PACKAGES[row[0]]


def _run_package(row: Row, home: Path, scores: Scores) -> Outcomes:
    package, engine = row
    began = time.monotonic()
    outcomes = _attempt(scores, row, packages.run, engine, package, home) or {}
    print(f"=== {_name(row)}: {len(outcomes)} tests in {time.monotonic() - began:.0f} s", flush=True)
    return outcomes


def _attempt(scores: Scores, row: Row, task: Callable[..., T], *arguments: object) -> T | None:
    """What the task returns; nothing if the row's server is not installed, or if it does not even start."""
    try:
        # Django takes its settings once in a process, so each row has its own.
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            return pool.submit(task, *arguments).result()
    except Unavailable as reason:
        scores.unavailable[row] = str(reason)
    except Exception:
        # One engine that does not start must not hide how the others do.
        traceback.print_exc()
    return None


def _print_each(row: Row, what: str, details: Mapping[str, str]) -> None:
    for test, text in list(details.items())[:AT_MOST_SHOWN]:
        print(f"\n{_name(row)}: {test} {what}\n{text[:AT_MOST_TOLD]}")
    if len(details) > AT_MOST_SHOWN:
        print(f"\n{_name(row)}: {len(details)} tests in all")


def _print_table(scores: Scores) -> None:
    every = [*scores, *scores.unavailable]
    first = max(len(package) for package, _ in [*every, ("package", None)])
    second = max(len(engine.name) for _, engine in [*every, ("", CONTROL)])
    print(f"\nDjango {django.get_version()}, its own tests on Python {sys.version.split()[0]}\n")
    print(f"{'package':{first}}  {'engine':{second}}  passed  failed  excepted  skipped")
    for (package, engine), score in scores.items():
        numbers = f"{score.passed:6}  {score.failed:6}  {score.excepted:8}  {score.skipped:7}"
        print(f"{package:{first}}  {engine.name:{second}}  {numbers}")
    for (package, engine), reason in scores.unavailable.items():
        print(f"{package:{first}}  {engine.name:{second}}  not run: {reason}")
    for package, engine in scores:
        for test, reason in expected_failures(package, engine.name).items():
            print(f"excepted: {package}.{test} ({engine.name}): {reason}")
    passed, failed, excepted = (
        sum(getattr(score, word) for score in scores.values()) for word in ("passed", "failed", "excepted")
    )
    print(f"\n{passed + failed + excepted} tests of Django run in {len(scores)} rows\n{passed} passed, {failed} failed")


if __name__ == "__main__":
    sys.exit(main())
