"""REST framework's authentication by the typed session."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import SessionAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, AuthenticationFailed, ParseError, PermissionDenied
from rest_framework.request import Request

from ..exceptions import InvalidSessionToken, SessionDisabled
from ..session import engine_of
from ..transports import CHALLENGE, Source
from .errors import said


class TypedSessionAuthentication(SessionAuthentication):
    """The user whom the session says is signed in, with 401 for everybody else.

    A request whose session came by cookie has to pass Django's CSRF check, as with ``SessionAuthentication``; one whose
    session came by header does not, as no page of another site can send those. What counts is where the session came
    from, not which headers are there (REQ-S34, REQ-S35).

    List it before other classes. It asks them too if a request has both a session header and ``Authorization``: one
    that names two users is refused with 400 (REQ-S40).
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        user = _user_of(request)
        if user is None:
            return None
        if is_by_header(request):
            self._refuse_other_user(request, user)
        else:
            self.enforce_csrf(request)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE

    def _refuse_other_user(self, request: Request, user: AbstractBaseUser) -> None:
        if not get_authorization_header(request):
            return
        for other in request.authenticators or ():
            answer = None if other is self else other.authenticate(request)
            pk = None if answer is None else getattr(answer[0], "pk", None)
            if pk is not None and str(pk) != str(user.pk):  # what is not in the database may have it as text
                raise ParseError(_("The Authorization header and the session header belong to different users."))


class StrictTypedSessionAuthentication(TypedSessionAuthentication):
    """Demands the CSRF token of visitors too, whom nobody has signed in yet.

    For views that sign in, without which another site could sign a visitor in as somebody else (REQ-S36), and for views
    that change what the session of a visitor holds.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        answer = super().authenticate(request)
        if answer is None and not is_by_header(request):
            self.enforce_csrf(request)
        return answer


def is_by_header(request: Request) -> bool:
    """Whether the request shows its session by header, so that its cookies do not count."""
    return bool(engine_of(request).source is Source.HEADER)


def _user_of(request: Request) -> Any:
    """The user of Django's request, which is not yet that of REST framework's."""
    user: Any = getattr(request._request, "user", None)
    try:
        if user is None or not user.is_authenticated:
            return None
    except SessionDisabled:
        return None
    except InvalidSessionToken as error:
        raise _answer(error) from error
    if user.is_active:
        return user
    if is_by_header(request):
        raise AuthenticationFailed(said(_("User inactive or deleted."), "user_inactive"))
    return None


def _answer(error: InvalidSessionToken) -> APIException:
    answer = PermissionDenied if error.status_code == 403 else AuthenticationFailed
    return answer(said(error.detail, error.code))
