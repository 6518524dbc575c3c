"""The shop's few pages, the admin, and what prepares a test."""

from importlib import import_module
from typing import Any

from django.conf import settings as configured
from django.contrib.auth.views import LoginView
from django.urls import path

from tests.browser.site import control, views

# Type checkers have the tests' own settings in mind.
settings: Any = configured
urlpatterns = [
    path("", views.home, name="home"),
    path("cart/", views.add_to_cart, name="cart"),
    path("sign-in/", LoginView.as_view(template_name="sign_in.html"), name="sign-in"),
    path("control/empty/", control.empty),
    path("control/enter/", control.enter),
    path("control/grow/", control.grow),
    path("control/expire/", control.expire),
    path("admin/", import_module(settings.ADMIN).urls),
    path("favicon.ico", views.favicon),
]
