"""The tests of Django that one of our engines may fail, each with its reason. There is no other list."""

from dataclasses import dataclass

import django

from tests.django_suite.engines import CONTROL, ENGINES, SWAPPED


@dataclass(frozen=True, kw_only=True)
class ExpectedFailure:
    """One test that an engine is known to fail; the run fails as soon as it passes."""

    package: str
    """As ``sessions_tests``."""
    test: str
    """As ``test_views.LoginTest.test_login_csrf_rotate``, or of ``sessions_tests`` ``SessionTestsMixin.test_save``."""
    reason: str
    """Why the engine rightly behaves otherwise."""
    engines: tuple[str, ...] = tuple(engine.name for engine in SWAPPED)
    """Names of engines, as the score table has them."""
    since: tuple[int, int] = (5, 2)
    """The first Django that has this test."""


_BACKEND_PATH = "asserts what is told of exactly django.contrib.auth.backends.ModelBackend; any other backend has W004"
_SESSION_QUERY = "counts the query for the session, which is not in the database here"

EXPECTED_FAILURES: tuple[ExpectedFailure, ...] = (
    ExpectedFailure(
        package="sessions_tests",
        test="SessionMiddlewareTests.test_empty_session_saved",
        reason="changes the session of a request that was answered, which is SessionCommitted, and answers it again",
        engines=tuple(engine.name for engine in ENGINES if engine is not CONTROL),
    ),
    ExpectedFailure(
        package="auth_tests",
        test="test_views.LoginTest.test_session_key_flushed_on_login_after_password_change",
        reason="asserts that a second sign-in of the same user keeps the key; ours gives a new one at every sign-in",
    ),
    ExpectedFailure(
        package="auth_tests",
        test="test_auth_backends.SelectingBackendTests.test_non_string_backend",
        reason="asserts an error message with the name of Django's class, in whose place ours is",
    ),
    ExpectedFailure(
        package="auth_tests",
        test="test_checks.UserModelChecksTests.test_username_non_unique",
        reason=_BACKEND_PATH,
    ),
    ExpectedFailure(
        package="auth_tests",
        test="test_checks.UserModelChecksTests.test_username_partially_unique",
        reason=_BACKEND_PATH,
    ),
    ExpectedFailure(
        package="auth_tests",
        test="test_middleware.TestLoginRequiredMiddleware.test_protected_view_logged_in_performance",
        engines=("redis on Valkey",),
        since=(6, 0),
        reason=_SESSION_QUERY,
    ),
    *(
        ExpectedFailure(package="admin_views", test=test, engines=("redis on Valkey",), reason=_SESSION_QUERY)
        for test in (
            "tests.AdminCustomQuerysetTest.test_changelist_view_count_queries",
            "tests.AdminSearchTest.test_no_total_count",
            "tests.AdminSearchTest.test_reset_link",
            "tests.GroupAdminTest.test_group_permission_performance",
            "tests.UserAdminTest.test_user_permission_performance",
        )
    ),
)


def expected_failures(package: str, engine: str) -> dict[str, str]:
    """Test -> reason, for one package on one engine."""
    listed = (entry for entry in EXPECTED_FAILURES if entry.package == package and engine in entry.engines)
    return {entry.test: entry.reason for entry in listed if entry.since <= django.VERSION}
