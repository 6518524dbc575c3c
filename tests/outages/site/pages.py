"""The shop's pages, and somebody who listens."""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.outages.shop import async_page, page
from tests.web_servers.site.settings import ASYNC_VIEWS
from typed_sessions.signals import on_lost

logger = logging.getLogger(__name__)


@receiver(on_lost)
def note(session_id: str, **_: Any) -> None:
    logger.info("on_lost: %s", session_id)


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


urlpatterns = [path("plain/", plain), path("<slug:name>/", async_page if ASYNC_VIEWS else page)]
