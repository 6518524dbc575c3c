"""The routes: ``path("api/", include("typed_sessions.rest_framework.urls"))``."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "typed_sessions"

urlpatterns = [
    path("sign-in/", views.SignInView.as_view(), name="sign-in"),
    path("sign-out/", views.SignOutView.as_view(), name="sign-out"),
    path("session/", views.SessionView.as_view(), name="session"),
    path("sessions/", views.SessionsView.as_view(), name="sessions"),
    path("sessions/<str:id>/", views.SessionEndView.as_view(), name="session-end"),
]
