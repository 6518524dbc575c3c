"""The answers of these views that REST framework has no exception for."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail


def said(detail: Any, code: str) -> dict[str, Any]:
    """The detail of an exception, so that the code, too, is in the answer, as it is in those of the middleware."""
    return {"detail": ErrorDetail(detail, code), "code": ErrorDetail(code, code)}


class Conflict(APIException):
    """Another request changed a field that is declared ``merge="refuse"``."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = _("The session was changed by another request. Read it again and repeat the change.")
    default_code = "conflict"


class Interrupted(APIException):
    """The session ended while the request was using it."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = _("The session ended before the request was completed. Nothing was changed.")
    default_code = "session_interrupted"


class Unlistable(APIException):
    """The project's store cannot tell which sessions a user has."""

    status_code = status.HTTP_501_NOT_IMPLEMENTED
    default_detail = _("This site's session store cannot list sessions.")
    default_code = "not_listable"
