"""System checks: one for each line of the quick start, each setting, each field, and each store's own traps.

Ids are stable. ``E`` means that it will not work, ``W`` that it will not work as one would expect, or not safely.
"""

from __future__ import annotations

from django.core.checks import Tags
from django.core.checks import register as add

from . import configuration, quickstart, security, session_class, stores


def register() -> None:
    """Called once, by the app's ``ready``."""
    for check in (
        quickstart.check_middleware,
        quickstart.check_engine,
        quickstart.check_authentication_backends,
        quickstart.check_temporary_cookie,
        configuration.check_settings,
        configuration.check_lifetimes,
        configuration.check_cookie_names,
        configuration.check_cookie_prefix,
        configuration.check_identity,
        configuration.check_serializer,
        session_class.check_session_class,
        stores.check_store,
    ):
        add(check, "typed_sessions")
    for check in (
        security.check_cookies,
        security.check_prefix,
        security.check_error_reports,
        security.check_cross_origin,
        security.check_authentication_order,
        security.check_ids,
        security.check_versions,
        stores.check_store_deployed,
    ):
        add(check, Tags.security, "typed_sessions", deploy=True)
