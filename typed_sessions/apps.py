"""Django's side of the app: the attributes on requests, the receivers of sign-in and sign-out, and the checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


class TypedSessionsConfig(AppConfig):
    name = "typed_sessions"
    verbose_name = _("Typed sessions")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import auth, checks, debug, snapshots, users  # models must be loaded before
        from .access import SessionAttribute

        checks.register()
        HttpRequest.typed_session = SessionAttribute()  # type: ignore[attr-defined]  # what TypedRequest declares
        setattr(HttpRequest, users.CACHED, users.UserAttribute())
        setattr(HttpRequest, "exception_reporter_filter", debug.FilterAttribute())  # noqa: B010  # a type checker minds
        _connect_first(user_logged_in, auth.begin, "typed_sessions.login")
        user_logged_out.connect(auth.end, dispatch_uid="typed_sessions.logout")
        for model in _user_models():
            pre_save.connect(snapshots.freshen, sender=model, dispatch_uid="typed_sessions.freshen")
            post_save.connect(snapshots.mark_saved, sender=model, dispatch_uid="typed_sessions.saved")
            post_save.connect(users.end_if_inactive, sender=model, dispatch_uid="typed_sessions.inactive")
            post_delete.connect(users.end_if_deleted, sender=model, dispatch_uid="typed_sessions.deleted")
        if apps.is_installed("drf_spectacular"):
            from .rest_framework import schema  # noqa: F401  # its classes are known once they are defined


def _user_models() -> list[type[Model]]:
    """The user model, its proxies and its children, each of which sends its signals by itself.

    Without a sender, every model's deletions would have to load what they delete.
    """
    return [model for model in apps.get_models() if issubclass(model, get_user_model())]


def _connect_first(signal: Signal, receiver: Callable[..., Any], uid: str) -> None:
    """Others note the session's key when somebody signs in, and it is final only after ours has been called."""
    signal.connect(receiver, dispatch_uid=uid)
    with signal.lock:
        signal.receivers.insert(0, signal.receivers.pop())
        signal.sender_receivers_cache.clear()
