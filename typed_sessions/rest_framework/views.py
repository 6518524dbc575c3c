"""Signing in and out, the current session, and the sessions of a user.

No answer holds a token: what changes it is told by the middleware, in the way that the request came (REQ-S22, REQ-S23).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.contrib import auth
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed, NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from ..auth import login, logout, refusal_of, told
from ..exceptions import SignInRefused
from ..live import live_sessions
from ..session import TypedSession, engine_of
from ..tokens import shown
from .authentication import StrictTypedSessionAuthentication, is_by_header
from .errors import Unlistable, said
from .serializers import DeviceSerializer, EndedSerializer, SignInSerializer, configured_serializer
from .throttling import SignInAddressThrottle, SignInThrottle


class SignInView(GenericAPIView[Any]):
    """Signs in with user name and password, and shows the session that begins.

    401 for wrong credentials, 403 with the reason for a veto, 429 for too many attempts.
    """

    authentication_classes = [StrictTypedSessionAuthentication]
    permission_classes = [AllowAny]
    throttle_classes = [SignInAddressThrottle, SignInThrottle]
    serializer_class = SignInSerializer

    @sensitive_variables()
    def post(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        credentials = dict(serializer.validated_data)
        remember = credentials.pop("remember")
        user = auth.authenticate(request._request, **credentials)
        try:
            if user is None:
                return _refused(refusal_of(request._request))
            login(request._request, user, remember)
        except SignInRefused as error:  # of a project whose backends are others than ours
            return _refused(error.reason)
        request.user = user
        engine = engine_of(request)
        engine.save()  # so that the times in the answer are those of what is stored,
        engine.modified = False  # which the end of the request need not store once more
        current = configured_serializer()(engine.typed_session, context=self.get_serializer_context())
        return Response(current.data)


class SignOutView(APIView):
    """Ends the session, and that of the client's other token. It is no error if nobody is signed in."""

    authentication_classes = [StrictTypedSessionAuthentication]
    permission_classes = [AllowAny]

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        logout(request._request)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SessionView(GenericAPIView[Any]):
    """The current session, whoever has it: what it is, and the fields that the project's class opens to clients.

    A browser also gets the CSRF cookie, whose value its further requests have to repeat in a header.
    """

    authentication_classes = [StrictTypedSessionAuthentication]
    permission_classes = [AllowAny]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return configured_serializer()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not is_by_header(request) and not django_settings.CSRF_USE_SESSIONS:
            get_token(request._request)
        return Response(self.get_serializer(engine_of(request).typed_session).data)

    def patch(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Changes fields that are declared with ``api="write"``, all that are given or none."""
        session = engine_of(request).typed_session
        serializer = self.get_serializer(session, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)


class SessionsView(APIView):
    """All sessions of the signed-in user, the last used first."""

    authentication_classes = [StrictTypedSessionAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        sessions: Any = _sessions_of(request)
        return Response(DeviceSerializer(sessions, many=True, context={"request": request}).data)

    def delete(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Ends all but the current one, and answers how many."""
        _require_listing()
        ended = live_sessions.end_for_user(request.user, keep=engine_of(request).typed_session.id)
        return Response(EndedSerializer({"ended": ended}).data)


class SessionEndView(APIView):
    """One session of the signed-in user."""

    authentication_classes = [StrictTypedSessionAuthentication]
    permission_classes = [IsAuthenticated]

    def delete(self, request: Request, id: str, *args: Any, **kwargs: Any) -> Response:
        """Ends it; ending the current one is signing out. 404 for one of another user as for one that is not there."""
        if id == shown(engine_of(request).typed_session.id):
            logout(request._request)
            return Response(status=status.HTTP_204_NO_CONTENT)
        own = {shown(session.id): str(session.id) for session in _sessions_of(request)}
        if id not in own or not live_sessions.end(own[id]):
            raise NotFound
        return Response(status=status.HTTP_204_NO_CONTENT)


def _refused(reason: object) -> HttpResponseBase:
    """Wrong credentials if there is no ``reason``; else a veto, which may be a response of its own."""
    if isinstance(reason, HttpResponseBase):
        return reason
    if reason is None:
        raise AuthenticationFailed(said(_("No active account has these credentials."), "invalid_credentials"))
    raise PermissionDenied(said(told(reason) or _("The sign-in was refused."), "sign_in_refused"))


def _sessions_of(request: Request) -> list[TypedSession]:
    _require_listing()
    return live_sessions.for_user(request.user)


def _require_listing() -> None:
    if not live_sessions.can_list:
        raise Unlistable
