"""The shop, and whatever views the tests ask for."""

from __future__ import annotations

from django.urls import path

from tests.outages.shop import page
from tests.web import urls

urlpatterns = [*urls.urlpatterns, path("<slug:name>/", page)]
