"""Whether a visitor may be given a cookie that is not needed for what they have asked for (REQ-S93)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest
from django.utils.module_loading import import_string

from . import conf

logger = logging.getLogger("typed_sessions")


def is_given(request: HttpRequest) -> bool:
    """What the project's ``CONSENT`` says; yes if there is none, and no if it fails."""
    path = conf.settings().consent
    if path is None:
        return True
    may: Callable[[HttpRequest], bool] = import_string(path)
    try:
        return bool(may(request))
    except Exception:
        logger.exception("CONSENT %s failed, which counts as no consent", path)
        return False
