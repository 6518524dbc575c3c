"""Permissions by role, by Django's permissions, and by how long ago the user signed in.

They are used as instances: ``permission_classes = [HasRole("editor") | HasPermission("blog.add_post")]``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SingleOperandHolder
from rest_framework.request import Request

from .. import conf, snapshots
from ..decorators import is_of_session, is_recent
from ..exceptions import SessionDisabled
from ..session import AuthUserSession, TypedSession, engine_of

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module if a project's settings name what is in it
    from typing_extensions import Self


class SessionPermission(SingleOperandHolder, ABC):
    """The base of permissions that are made with arguments; ``&``, ``|`` and ``~`` join them with any others."""

    message: Any = None
    code: str | None = None

    def __init__(self) -> None:
        """Takes no operands: that it is an operand holder tells type checkers where an instance may stand."""

    def __call__(self, *args: Any, **kwargs: Any) -> Self:
        return self  # a view calls what is in its permission_classes

    @abstractmethod
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the request is let in."""

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """The same for every object. Not simply true, as ``~`` turns this answer round too."""
        return self.has_permission(request, view)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, vars(self).values()))})"


class HasRole(SessionPermission):
    """The user is in the group of this name.

    Groups are asked of the database, not of what the session remembers of them (REQ-S64), unless
    ``USER_SNAPSHOT_AGE`` allows that age.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def has_permission(self, request: Request, view: APIView) -> bool:
        snapshot = _snapshot_of(request)
        if snapshot is not None:
            return snapshot.has_role(self.name)
        groups: Any = getattr(request.user, "groups", None)  # nobody has none, nor has a user model without them
        return groups is not None and bool(groups.filter(name=self.name).exists())


class HasPermission(SessionPermission):
    """The user has the permission, named as ``app_label.codename``.

    ``user.has_perm()`` decides, and with ``USER_SNAPSHOT_AGE`` what the session remembers of it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def has_permission(self, request: Request, view: APIView) -> bool:
        snapshot = _snapshot_of(request)
        if snapshot is not None and snapshot.has_permission(self.name):
            return True
        user: Any = request.user  # asked even so: of too many permissions, the session remembers none
        return user is not None and bool(user.has_perm(self.name))


class RecentAuth(SessionPermission):
    """The user signed in, or gave the password again, at most this many seconds ago.

    Others get 403 with the code ``reauthentication_required``. Give it an entry of its own in ``permission_classes``:
    joined with others by an operator it refuses as well, but REST framework does not say why.
    """

    code = "reauthentication_required"
    message = {"detail": _("Sign in again to do this."), "code": code}

    def __init__(self, seconds: int) -> None:
        given: Any = seconds
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise TypeError(f"RecentAuth takes a number of seconds, as RecentAuth(300), and not {given!r}.")
        self.seconds = seconds

    def has_permission(self, request: Request, view: APIView) -> bool:
        session = _session_of(request)
        return session is not None and is_recent(session, self.seconds)


def _session_of(request: Request) -> TypedSession | None:
    """The session by which the user of this request is signed in. A user may also have come with another credential."""
    user: Any = request.user
    if user is None or not user.is_authenticated:
        return None
    engine = engine_of(request)
    try:
        session: TypedSession = engine.typed_session
    except SessionDisabled:
        return None
    return session if is_of_session(request, user) else None


def _snapshot_of(request: Request) -> AuthUserSession | None:
    """What the session remembers of the user, if that is as young as ``USER_SNAPSHOT_AGE`` wants it."""
    session = _session_of(request) if conf.settings().user_snapshot_age else None
    is_young = isinstance(session, AuthUserSession) and snapshots.user_of(engine_of(request)) is not None
    return cast("AuthUserSession", session) if is_young else None
