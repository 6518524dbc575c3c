"""The session dataclasses a project builds on, the options of their fields, and how a view gets hold of its session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, overload

from . import clock, conf
from .exceptions import MissingSession
from .states import EndReason, SessionMode, SessionStatus
from .tokens import urn

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest
    from typing_extensions import Self

    from .stores.record import Client

T = TypeVar("T")
S = TypeVar("S", bound="TypedSession")

MergeFunction = Callable[[Any, Any, Any], Any]
MergeRule = Literal["last", "add", "max", "min", "union", "append", "refuse"] | MergeFunction
ApiAccess = Literal["", "read", "write"]
_METADATA = "typed_sessions"

ALL_PERMISSIONS = "*"

logger = logging.getLogger("typed_sessions")


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldOptions:
    """What ``session_field`` declares of a field, beyond its type and default."""

    merge: MergeRule = "last"
    carry_over: bool = True
    secret: bool = False
    renamed_from: tuple[str, ...] = ()
    api: ApiAccess = ""


@overload
def session_field(
    *,
    default: T,
    merge: MergeRule = ...,
    carry_over: bool = ...,
    secret: bool = ...,
    renamed_from: str | Iterable[str] = ...,
    api: ApiAccess = ...,
    metadata: Mapping[Any, Any] | None = ...,
    **field_options: Any,
) -> T: ...


@overload
def session_field(
    *,
    default_factory: Callable[[], T],
    merge: MergeRule = ...,
    carry_over: bool = ...,
    secret: bool = ...,
    renamed_from: str | Iterable[str] = ...,
    api: ApiAccess = ...,
    metadata: Mapping[Any, Any] | None = ...,
    **field_options: Any,
) -> T: ...


def session_field(
    *,
    merge: MergeRule = "last",
    carry_over: bool = True,
    secret: bool = False,
    renamed_from: str | Iterable[str] = (),
    api: ApiAccess = "",
    metadata: Mapping[Any, Any] | None = None,
    **field_options: Any,
) -> Any:
    """A dataclass field with what a session needs to know of it.

    ``merge``
        What happens when two requests change the field at once: ``"last"`` (the later save wins), ``"add"`` (both
        differences count), ``"max"``, ``"min"``, ``"union"`` (of sets, dicts or lists), ``"append"`` (what either added
        to a list), ``"refuse"`` (``SessionConflict``), or ``f(base, mine, theirs)``.
    ``carry_over``
        Whether an anonymous visitor's value survives sign-in.
    ``secret``
        Hides the value in ``repr`` and wherever a session is shown to people.
    ``renamed_from``
        Former names of the field. Both names are stored while they are listed, so that a release that knows only the
        former one can run beside this one.
    ``api``
        Whether clients of ``typed_sessions.rest_framework`` see the field (``"read"``), and may change it
        (``"write"``). Neither unless it is said.

    Everything else (``default``, ``default_factory``, ``init``, ``kw_only``, …) goes to ``dataclasses.field``.
    """
    former = (renamed_from,) if isinstance(renamed_from, str) else tuple(renamed_from)
    options = FieldOptions(merge=merge, carry_over=carry_over, secret=secret, renamed_from=former, api=api)
    field_options.setdefault("repr", not secret)
    return field(metadata={**(metadata or {}), _METADATA: options}, **field_options)


_PLAIN = FieldOptions()


def options_of(declared: Field[Any]) -> FieldOptions:
    """The options a field was declared with; the defaults for one made by ``dataclasses.field``."""
    options = declared.metadata.get(_METADATA)
    return options if isinstance(options, FieldOptions) else _PLAIN


class SessionFacts(Protocol):
    """What the engine knows of a session, and the typed object shows as read-only properties."""

    @property
    def id(self) -> str | None: ...
    @property
    def mode(self) -> SessionMode: ...
    @property
    def status(self) -> SessionStatus: ...
    @property
    def end_reason(self) -> EndReason | None: ...
    @property
    def is_stored(self) -> bool: ...
    @property
    def is_authenticated(self) -> bool: ...
    @property
    def was_authenticated(self) -> bool: ...
    @property
    def client(self) -> Client | None: ...
    @property
    def restraint(self) -> object: ...

    def refusal(self, names: Sequence[str]) -> Exception: ...
    def time(self, name: Literal["created", "authenticated", "modified", "seen", "expires"]) -> int | None: ...


class _Detached:
    """The facts of an object that belongs to no session: one a test made, or one not yet assigned to a request."""

    id = None
    mode = SessionMode.TEMP
    status = SessionStatus.FRESH
    end_reason = None
    is_stored = False
    is_authenticated = was_authenticated = False
    client = restraint = None

    def refusal(self, names: Sequence[str]) -> Exception:
        raise NotImplementedError  # nobody restrains it

    def time(self, name: str) -> None:
        return None


_DETACHED = _Detached()


@dataclass
class TypedSession:
    """The base of a session dataclass, without any field of its own.

    The framework's facts are properties and are not stored with the fields. Every field of a subclass needs a default:
    a visitor without a session gets the defaults.
    """

    __slots__ = ("__weakref__", "_facts")

    schema_name: ClassVar[str] = ""
    """The name records carry; the class's name if empty. Set it when you rename the class."""
    schema_version: ClassVar[int] = 1
    """Raise it when ``upgrade`` has something new to do."""

    @classmethod
    def upgrade(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        """Fields as ``version`` of the class stored them -> fields as this version stores them, in plain JSON types."""
        return data

    @classmethod
    def of(cls, request: object) -> Self:
        """The request's session: the same object as ``request.typed_session``, with this type."""
        return get_session(request, cls)

    def on_created(self, request: HttpRequest | None) -> None:
        """Called once for a session that begins, just before it is stored; what it sets is stored with it."""

    def on_registered(self, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        """Called when ``typed_sessions.auth.registered`` is told of a new user."""

    def validate(self, request: HttpRequest | None, user: AbstractBaseUser) -> object:
        """Called before ``user``, whose credentials are good, is signed in. Anything but ``None`` is a veto, and leaves
        the session as it is; a text is the reason that people are told.
        """
        return None

    def on_authenticated(self, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        """Called after a sign-in and before the session is stored. An exception undoes the sign-in."""

    def on_logout(self, request: HttpRequest | None) -> None:
        """Called before a signed-in session is ended, with its data still there."""

    def on_ended(self, reason: EndReason) -> None:
        """Called once when the session has ended, for whatever reason, with its last state. There may be no request,
        as for a session that has expired. What is raised here is logged, and stops nothing.
        """

    def lifetime(self) -> timedelta | None:
        """How long the session lasts after each use; ``None`` for ``TEMP_EXPIRY`` or ``PERM_EXPIRY``.

        Asked whenever the session is stored or used, so that it may depend on what is in it, such as the user's roles.
        """
        return None

    def absolute_lifetime(self) -> timedelta | None:
        """How long after the sign-in the session ends, however much it is used; ``None`` for ``ABSOLUTE_EXPIRY``.

        Asked at sign-in.
        """
        return None

    if not TYPE_CHECKING:  # which would take it for leave to assign what is no field

        def __setattr__(self, name: str, value: object) -> None:
            facts = getattr(self, "_facts", None)
            if facts is not None and facts.restraint is not None and name in self.__dataclass_fields__:
                raise facts.refusal([name])
            object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        # The fields alone: a session that is pickled into a cache or a task must not take its token along (REQ-S84).
        return {declared.name: getattr(self, declared.name) for declared in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @property
    def id(self) -> str | None:
        """The public handle: 40 hex digits; ``None`` until the session has one. Never what the cookie carries."""
        return self._known.id

    @property
    def urn(self) -> str | None:
        """``urn:iauthsession:<id>``, the record's name in the store."""
        return urn(self.id) if self.id else None

    @property
    def mode(self) -> SessionMode:
        return self._known.mode

    @property
    def status(self) -> SessionStatus:
        return self._known.status

    @property
    def end_reason(self) -> EndReason | None:
        """Why the session that was asked for has ended, if it has."""
        return self._known.end_reason

    @property
    def is_new(self) -> bool:
        """Whether nothing is stored yet."""
        return not self._known.is_stored

    @property
    def is_authenticated(self) -> bool:
        """Whether Django's own auth keys are in the session: there is no second truth."""
        return self._known.is_authenticated

    @property
    def was_authenticated(self) -> bool:
        """Whether a user is signed in by what is stored: in ``on_authenticated`` it tells a new proof of who the same
        user is, such as a confirmed password, from a visitor who signs in.
        """
        return self._known.was_authenticated

    @property
    def created_at(self) -> datetime | None:
        return _moment(self._known.time("created"))

    @property
    def authenticated_at(self) -> datetime | None:
        return _moment(self._known.time("authenticated"))

    @property
    def last_modified(self) -> datetime | None:
        return _moment(self._known.time("modified"))

    @property
    def last_seen_at(self) -> datetime | None:
        """The last use that was written; at most ``TOUCH_INTERVAL`` behind."""
        return _moment(self._known.time("seen"))

    @property
    def expires_at(self) -> datetime | None:
        return _moment(self._known.time("expires"))

    @property
    def client_info(self) -> Client | None:
        """Address and user agent that began the session, and those that used it last if they are others."""
        return self._known.client

    def time_to_live(self) -> timedelta | None:
        """How long the session lives if it is not used again; ``None`` if it is not stored."""
        expires = self._known.time("expires")
        return None if expires is None else timedelta(seconds=max(0, expires - clock.now()))

    @property
    def _known(self) -> SessionFacts:
        facts: SessionFacts = getattr(self, "_facts", _DETACHED)
        return facts


@dataclass
class AuthUserSession(TypedSession):
    """A session that also says who the user is: filled at sign-in, gone with the session at sign-out.

    A snapshot for pages and APIs to show. What a user may do is asked of the user, not of the session.
    """

    user_auth_id: str | None = session_field(default=None, api="read")
    """The user's primary key as text."""
    user_auth_name: str | None = None
    """What the user signs in with."""
    user_name: str | None = session_field(default=None, api="read")
    display_name: str | None = session_field(default=None, api="read")
    first_name: str | None = session_field(default=None, api="read")
    last_name: str | None = session_field(default=None, api="read")
    email: str | None = session_field(default=None, api="read")
    auth_provider: str | None = None
    """Dotted path of the authentication backend that vouched for the user."""
    referrer_url: str | None = None
    roles: list[str] = session_field(default_factory=list, api="read")
    """Names of the user's groups."""
    permissions: list[str] = session_field(default_factory=list, api="read")
    """``app_label.codename``; ``*`` alone for a superuser, who has them all."""
    meta: dict[str, str] = field(default_factory=dict)

    def fill_from_user(self, user: AbstractBaseUser) -> None:
        """Copies from ``user`` what the fields hold. Override it to take more, or less.

        Called at sign-in, and with ``USER_SNAPSHOT_AGE`` again whenever that is over.
        """
        self.user_auth_id = str(user._meta.pk.value_to_string(user))
        self.user_auth_name = self.user_name = user.get_username()
        self.first_name = getattr(user, "first_name", None) or None
        self.last_name = getattr(user, "last_name", None) or None
        self.email = getattr(user, user.get_email_field_name(), None) or None
        full_name: Any = getattr(user, "get_full_name", str)()
        self.display_name = full_name or self.user_name
        self.auth_provider = getattr(user, "backend", None)
        groups: Any = getattr(user, "groups", None)
        self.roles = [] if groups is None else sorted(groups.values_list("name", flat=True))
        self.permissions = _permissions_of(user)

    def has_role(self, name: str) -> bool:
        return name in self.roles

    def has_any_role(self, *names: str) -> bool:
        return any(name in self.roles for name in names)

    def has_all_roles(self, *names: str) -> bool:
        return all(name in self.roles for name in names)

    def has_permission(self, name: str) -> bool:
        return name in self.permissions or self.permissions == [ALL_PERMISSIONS]

    def has_any_permission(self, *names: str) -> bool:
        return any(self.has_permission(name) for name in names)

    def has_all_permissions(self, *names: str) -> bool:
        return all(self.has_permission(name) for name in names)


def _permissions_of(user: Any) -> list[str]:
    if not hasattr(user, "get_all_permissions"):
        return []
    if getattr(user, "is_superuser", False):
        return [ALL_PERMISSIONS]
    permissions = sorted(user.get_all_permissions())
    if sum(map(len, permissions)) > conf.settings().max_bytes // 4:
        logger.warning("User %s has too many permissions to keep in a session; ask the user for them", user.pk)
        return []
    return permissions


def get_session(request: object, session_class: type[S]) -> S:
    """The request's typed session, for a type checker too.

    Takes Django's request and Django REST framework's alike. Raises ``TypeError`` if the project's ``SESSION_CLASS`` is
    not a ``session_class``, and ``MissingSession`` if there is no ``TypedSessionMiddleware``.
    """
    return _expect(engine_of(request).typed_session, session_class)


async def aget_session(request: object, session_class: type[S]) -> S:
    """``get_session`` for async views: loads without blocking the event loop."""
    return _expect(await engine_of(request).aget_typed_session(), session_class)


def _expect(session: TypedSession, session_class: type[S]) -> S:
    if isinstance(session, session_class):
        return session
    raise TypeError(
        f"This project's sessions are {type(session).__name__} (TYPED_SESSIONS['SESSION_CLASS']), "
        f"and a {session_class.__name__} was asked for."
    )


def engine_of(request: object) -> Any:
    engine = getattr(getattr(request, "_request", request), "session", None)
    if hasattr(type(engine), "typed_session"):
        return engine
    raise MissingSession(
        "This request has no typed session. MIDDLEWARE needs 'typed_sessions.middleware.TypedSessionMiddleware' in "
        "SessionMiddleware's place, SESSION_ENGINE must be one of typed_sessions.backends, and a request made by hand "
        "must go through the middleware."
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)


def attach(session: TypedSession, facts: SessionFacts) -> None:
    """Makes ``session`` tell the facts of the session it belongs to."""
    object.__setattr__(session, "_facts", facts)


def has_default(declared: Field[Any]) -> bool:
    return declared.default is not MISSING or declared.default_factory is not MISSING


def field_options(session_class: type[TypedSession]) -> dict[str, FieldOptions]:
    """The options of every field, by name."""
    return {declared.name: options_of(declared) for declared in fields(session_class)}
