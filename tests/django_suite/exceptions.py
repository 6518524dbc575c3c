"""The tests of Django that one of our engines may fail, each with its reason. There is no other list."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ExpectedFailure:
    """One test that an engine is known to fail; the run fails as soon as it passes."""

    test: str
    """As ``SessionTestsMixin.test_save``."""
    engines: tuple[str, ...]
    """Names of rows in the score table."""
    reason: str
    """Why the engine rightly behaves otherwise."""


EXPECTED_FAILURES: tuple[ExpectedFailure, ...] = ()


def expected_failures(engine: str) -> dict[str, str]:
    """Test -> reason, for one engine."""
    return {entry.test: entry.reason for entry in EXPECTED_FAILURES if engine in entry.engines}
