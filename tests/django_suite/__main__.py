"""``python -m tests.django_suite``: every engine, a table of scores, and an exit code."""

import argparse
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import django

from tests.django_suite import runner, sources
from tests.django_suite.engines import ENGINES, Engine, Unavailable
from tests.django_suite.exceptions import EXPECTED_FAILURES
from tests.django_suite.runner import Score

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the rows asked for, print the table, and return the exit code."""
    arguments = _arguments()
    if unknown := {row for entry in EXPECTED_FAILURES for row in entry.engines} - {engine.name for engine in ENGINES}:
        sys.exit(f"expected failures are listed for rows that do not exist: {sorted(unknown)}")
    home = sources.fetch(arguments.cache)
    scores: dict[str, Score] = {}
    unavailable: dict[str, str] = {}
    for engine in ENGINES:
        if all(word.lower() in engine.name.lower() for word in arguments.words):
            print(f"\n=== {engine.name}", flush=True)
            try:
                scores[engine.name] = _run_apart(engine, home)
            except Unavailable as reason:
                unavailable[engine.name] = str(reason)
            except Exception:
                # One engine that does not even start must not hide how the others do.
                traceback.print_exc()
                scores[engine.name] = runner.NOTHING_RAN
    _print_table(scores, unavailable)
    failed = sum(score.failed for score in scores.values())
    return 1 if failed or not scores or (unavailable and arguments.require_all) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.django_suite", description="Django's session tests on our engines."
    )
    parser.add_argument("words", nargs="*", help="run only the rows whose name has all of these words")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".tox" / "django-sources", help="where Django's sources are kept"
    )
    parser.add_argument("--require-all", action="store_true", help="fail if a row's server is not installed")
    return parser.parse_args()


def _run_apart(engine: Engine, home: Path) -> Score:
    """Django takes its settings once in a process, so each row has its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(runner.run, engine, home).result()


def _print_table(scores: dict[str, Score], unavailable: dict[str, str]) -> None:
    width = max(map(len, [*scores, *unavailable, "engine"]))
    print(f"\nDjango {django.get_version()}, its session tests on Python {sys.version.split()[0]}\n")
    print(f"{'engine':{width}}  passed  failed  excepted")
    for name, score in scores.items():
        print(f"{name:{width}}  {score.passed:6}  {score.failed:6}  {score.excepted:8}")
    for name, reason in unavailable.items():
        print(f"{name:{width}}  not run: {reason}")
    for entry in EXPECTED_FAILURES:
        print(f"excepted: {entry.test} ({', '.join(entry.engines)}): {entry.reason}")
    passed, failed = (sum(getattr(score, word) for score in scores.values()) for word in ("passed", "failed"))
    excepted = sum(score.excepted for score in scores.values())
    print(f"\n{passed + failed + excepted} tests of Django run in {len(scores)} rows\n{passed} passed, {failed} failed")


if __name__ == "__main__":
    sys.exit(main())
