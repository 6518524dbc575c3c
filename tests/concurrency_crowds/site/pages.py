"""Pages that count, and pages that stop in the middle of it and tell so."""

from __future__ import annotations

import os
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.sessions import ShopSession
from tests.web_servers.site.settings import HOME
from typed_sessions import TypedRequest
from typed_sessions.decorators import session_exclusive

Request = TypedRequest[ShopSession]

STOPPED = HOME / "stopped"
"""Has the process that has stopped, as soon as it has."""


def _stop() -> None:
    """For ever: nobody writes into this pipe."""
    STOPPED.with_suffix(".new").write_text(str(os.getpid()))
    STOPPED.with_suffix(".new").rename(STOPPED)
    reader, _ = os.pipe()
    os.read(reader, 1)


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


def count(request: Request) -> HttpResponse:
    request.typed_session.page_views += 1
    return HttpResponse(str(request.typed_session.page_views))


@session_exclusive(wait=10, lease=2)
def count_alone(request: Request) -> HttpResponse:
    return count(request)


def stop_after_change(request: Request) -> HttpResponse:
    response = count(request)
    _stop()
    return response


def stop_alone(request: Request) -> HttpResponse:
    """With the lease in its hands."""
    return session_exclusive(wait=10, lease=2)(stop_after_change)(request)


def stop_while_it_is_stored(request: Request) -> HttpResponse:
    """On a database: within the transaction of a rotation, of which one half is written."""
    response = count(request)

    def stop_at_insert(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("INSERT"):
            _stop()
        return execute(sql, *args)

    request.session.cycle_key()
    connection.execute_wrappers.append(stop_at_insert)
    return response


urlpatterns = [path(f"{view.__name__}/", view) for view in (plain, count, count_alone)] + [
    path(f"{view.__name__}/", view) for view in (stop_after_change, stop_alone, stop_while_it_is_stored)
]
