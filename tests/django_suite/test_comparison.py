"""What counts as a regression, in the comparison with stock Django."""

from tests.django_suite.comparison import Outcome, Score, compare, score_of_stock

PASSED = Outcome(verdict="passed")
FAILED = Outcome(verdict="failed", details="AssertionError: 2 != 1")
SKIPPED = Outcome(verdict="skipped")


def test_that_passes_on_both_is_counted() -> None:
    """A test that passes on stock Django and on ours is one that passed."""
    found = compare({"test": PASSED}, {"test": PASSED}, {})
    assert found.score == Score(passed=1, failed=0)


def test_that_fails_on_ours_alone_is_a_regression() -> None:
    """What passes on stock Django and fails on ours is told with its traceback."""
    found = compare({"test": PASSED}, {"test": FAILED}, {})
    assert found.score == Score(passed=0, failed=1)
    assert found.regressions == {"test": "AssertionError: 2 != 1"}


def test_that_does_not_run_on_ours_is_a_regression() -> None:
    """A test that is skipped on ours alone, or missing there, did not pass."""
    found = compare({"skipped": PASSED, "missing": PASSED}, {"skipped": SKIPPED}, {})
    assert found.regressions == {"skipped": "skipped", "missing": "did not run"}


def test_error_that_stock_does_not_have_is_a_regression() -> None:
    """What cannot even be set up on ours fails under a name that stock Django does not have."""
    found = compare({"test": SKIPPED}, {"test": SKIPPED, "setUpClass (auth_tests.Case)": FAILED}, {})
    assert found.score == Score(passed=0, failed=1, skipped=1)


def test_that_stock_fails_is_not_compared() -> None:
    """A test that fails or is skipped on stock Django says nothing of ours."""
    found = compare({"failed": FAILED, "skipped": SKIPPED}, {"failed": SKIPPED, "skipped": SKIPPED}, {})
    assert found.score == Score(passed=0, failed=0, skipped=2)


def test_that_stock_skips_must_not_fail() -> None:
    """A test that is skipped on stock Django may pass on ours, but not fail."""
    found = compare({"one": SKIPPED, "two": SKIPPED}, {"one": PASSED, "two": FAILED}, {})
    assert found.score == Score(passed=1, failed=1)


def test_exception_that_fails_is_excepted() -> None:
    """A listed test that fails is no regression."""
    found = compare({"test": PASSED}, {"test": FAILED}, {"test": "its reason"})
    assert found.score == Score(passed=0, failed=0, excepted=1)


def test_exception_that_passes_or_is_unknown_is_a_regression() -> None:
    """An exception that is not needed, or names no test, fails the run."""
    found = compare({"passes": PASSED}, {"passes": PASSED}, {"passes": "its reason", "unknown": "its reason"})
    assert found.regressions.keys() == {"passes", "unknown"}


def test_stock_has_to_pass_enough() -> None:
    """Too few tests that pass on stock Django are failures, a failure of stock Django is none."""
    assert score_of_stock({"one": PASSED, "two": FAILED}, at_least=1) == Score(passed=1, failed=0, skipped=1)
    assert score_of_stock({"one": PASSED, "two": FAILED}, at_least=3) == Score(passed=1, failed=2, skipped=1)
