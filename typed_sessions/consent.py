"""Whether a visitor may be given a cookie that is not needed for what they have asked for (REQ-S93)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.utils.module_loading import import_string

from . import conf
from .flows import Flow, Step, adrive, drive

logger = logging.getLogger("typed_sessions")

_ANSWER = "_typed_sessions_consent"


def is_given(request: HttpRequest) -> bool:
    """What the project's ``CONSENT`` says of this request; yes if there is none, and no if it fails."""
    return drive(_asking(request))


async def ask(request: HttpRequest) -> None:
    """Asks without blocking the event loop, so that ``is_given`` knows the answer, if anybody is going to want it."""
    settings = conf.settings()
    if settings.consent is not None and (settings.permanent_id == "always" or settings.user_cookie):
        await adrive(_asking(request))


def _asking(request: HttpRequest) -> Flow[bool]:
    path = conf.settings().consent
    if path is None:
        return True
    if _ANSWER not in request.__dict__:
        try:
            request.__dict__[_ANSWER] = bool((yield _call(import_string(path), request)))
        except Exception:
            logger.exception("CONSENT %s failed, which counts as no consent", path)
            request.__dict__[_ANSWER] = False
    return bool(request.__dict__[_ANSWER])


def _call(may: Callable[[HttpRequest], Any], request: HttpRequest) -> Step:
    """It may ask the session or the database, whichever of the two it is written for."""
    if iscoroutinefunction(may):
        return Step(async_to_sync(may), may, (request,))
    return Step(may, sync_to_async(may), (request,))
