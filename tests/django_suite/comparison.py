"""What came of the tests of one package, and what that says next to what came of them on stock Django."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one test."""

    verdict: str
    """``"passed"``, ``"failed"``, or why it is neither, such as ``"skipped"``."""
    details: str = ""
    """The traceback of a failure."""

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"

    @property
    def failed(self) -> bool:
        return self.verdict == "failed"


Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True, kw_only=True)
class Score:
    """What came of one row."""

    passed: int
    failed: int
    excepted: int = 0
    skipped: int = 0
    """Not compared, because stock Django skips them too, or fails them."""


@dataclass(kw_only=True)
class Comparison:
    """How one engine did in one package."""

    passed: int = 0
    excepted: int = 0
    skipped: int = 0
    regressions: dict[str, str] = field(default_factory=dict)
    """Test -> what is wrong."""

    @property
    def score(self) -> Score:
        failed = len(self.regressions)
        return Score(passed=self.passed, failed=failed, excepted=self.excepted, skipped=self.skipped)


def failures(outcomes: Outcomes) -> dict[str, str]:
    """Test -> its traceback."""
    return {test: outcome.details for test, outcome in outcomes.items() if outcome.failed}


def score_of_stock(outcomes: Outcomes, at_least: int) -> Score:
    """
    What stock Django fails says something of the machine: it is not compared, and no failure of ours.

    Only that fewer tests pass than there have to be is one.
    """
    passed = sum(outcome.passed for outcome in outcomes.values())
    return Score(passed=passed, failed=max(at_least - passed, 0), skipped=len(outcomes) - passed)


def compare(stock: Outcomes, ours: Outcomes, excepted: Mapping[str, str]) -> Comparison:
    """Test by test: what passes on stock Django has to pass on ours, but for the exceptions, which have to fail."""
    found = Comparison()
    for test in sorted({*stock, *ours, *excepted}):
        before, after = stock.get(test), ours.get(test)
        if test in excepted:
            if after is not None and after.failed:
                found.excepted += 1
            else:
                found.regressions[test] = "is listed among the exceptions, but is no test that fails"
        elif after is not None and after.passed:
            found.passed += 1
        elif before is not None and (before.failed or (not before.passed and before == after)):
            found.skipped += 1
        else:
            found.regressions[test] = "did not run" if after is None else after.details or after.verdict
    return found
