"""Django's side of the app: the attribute on requests, the receivers of sign-in and sign-out, and the checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


class TypedSessionsConfig(AppConfig):
    name = "typed_sessions"
    verbose_name = _("Typed sessions")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import auth, checks  # models must be loaded before
        from .access import SessionAttribute

        checks.register()
        HttpRequest.typed_session = SessionAttribute()  # type: ignore[attr-defined]  # what TypedRequest declares
        user_logged_in.connect(auth.begin, dispatch_uid="typed_sessions.login")
        user_logged_out.connect(auth.end, dispatch_uid="typed_sessions.logout")
