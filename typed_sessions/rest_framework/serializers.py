"""Serializers made from the session class: what a field's ``api`` option opens, and nothing else."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, cast

from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.base import UpdateError
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from msgspec import Raw
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.settings import api_settings

from .. import conf, schema
from ..codec import configured_codec
from ..exceptions import SessionConflict, SessionFieldError, SessionTooLarge
from ..session import TypedSession, engine_of, field_options
from ..states import SessionMode, SessionStatus
from ..tokens import shown
from .errors import Conflict, Interrupted
from .fields import SessionValueField, ValueType

B = TypeVar("B", bound="SessionSerializer")


class ShownIdField(serializers.CharField):
    """The public handle, and never a token."""

    def to_representation(self, value: Any) -> str:
        return str(shown(value))


class SessionSerializer(serializers.Serializer[TypedSession]):
    """The base of what ``session_serializer`` makes."""

    def update(self, instance: TypedSession, validated_data: Any) -> TypedSession:
        """Changes the session and stores it. What the store refuses is refused here, and the session is as it was."""
        before = {name: getattr(instance, name) for name in validated_data}
        _set(instance, validated_data)
        try:
            if validated_data:
                self._store(instance)
        except Exception as error:
            if not isinstance(error, SessionConflict):  # which leaves it as the other request has
                _set(instance, before)
            raise _answer(error, validated_data) from error
        return instance

    def _store(self, session: TypedSession) -> None:
        engine = engine_of(self.context["request"])
        codec = configured_codec(engine.store.format)
        # A __post_init__ may refuse what its fields allow, and then nothing of the session could be read any more.
        decoded = codec.read(Raw(codec.write(session)), codec.name, codec.version)
        if decoded.stands_in:
            raise _of_all(decoded.unreadable[-1].problem)
        engine.save()


class CurrentSessionSerializer(SessionSerializer):
    """What every session is, before the fields of the project's class."""

    id = ShownIdField(read_only=True, allow_null=True, help_text=_("None until the session is stored."))
    mode = SessionValueField(type=ValueType(SessionMode), read_only=True)
    status = SessionValueField(type=ValueType(SessionStatus), read_only=True)
    is_authenticated = serializers.BooleanField(read_only=True)
    authenticated_at = serializers.DateTimeField(read_only=True, allow_null=True)
    expires_at = serializers.DateTimeField(read_only=True, allow_null=True)


def session_serializer(session_class: type[TypedSession]) -> type[SessionSerializer]:
    """A serializer of those fields of ``session_class`` that are declared with ``session_field(api=…)``.

    ``"read"`` fields are read-only, and ``secret`` ones are left out whatever they say. Saving a serializer changes the
    session and stores it; its context needs the request.
    """
    return _made(cast("Any", session_class), SessionSerializer, "")


def current_session_serializer(session_class: type[TypedSession]) -> type[CurrentSessionSerializer]:
    """``session_serializer``, with what every session has before the fields: id, mode, status, times."""
    return _made(cast("Any", session_class), CurrentSessionSerializer, "Current")


def configured_serializer() -> type[CurrentSessionSerializer]:
    """``current_session_serializer`` of the project's ``SESSION_CLASS``."""
    return current_session_serializer(import_string(conf.settings().session_class))


@lru_cache(maxsize=32)
def _made(session_class: type[TypedSession], base: type[B], prefix: str) -> type[B]:
    of_type = schema.hints(session_class)
    fields = {
        name: SessionValueField(type=ValueType(of_type[name], session_class.__name__), read_only=options.api == "read")
        for name, options in field_options(session_class).items()
        if options.api and not options.secret
    }
    return cast("type[B]", type(f"{prefix}{session_class.__name__}Serializer", (base,), fields))


class SignInSerializer(serializers.Serializer[Any]):
    """The credentials: the user model's ``USERNAME_FIELD``, ``password``, and ``remember``."""

    password = serializers.CharField(trim_whitespace=False, write_only=True, style={"input_type": "password"})
    remember = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text=_("Whether the session outlives the browser; REMEMBER_DEFAULT if it is not said."),
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        user_model: Any = get_user_model()
        return {user_model.USERNAME_FIELD: serializers.CharField(write_only=True), **super().get_fields()}


class DeviceSerializer(serializers.Serializer[TypedSession]):
    """A session as its user sees it among their others."""

    id = ShownIdField(read_only=True)
    is_current = serializers.SerializerMethodField()
    mode = SessionValueField(type=ValueType(SessionMode), read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    last_seen_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)
    address = serializers.SerializerMethodField()
    user_agent = serializers.SerializerMethodField()

    def get_is_current(self, session: TypedSession) -> bool:
        return bool(session.id == engine_of(self.context["request"]).typed_session.id)

    def get_address(self, session: TypedSession) -> str:
        """Where it was last used from."""
        client = session.client_info
        return client.last_address or client.address if client else ""

    def get_user_agent(self, session: TypedSession) -> str:
        """What it was last used with."""
        client = session.client_info
        return client.last_agent or client.agent if client else ""


class EndedSerializer(serializers.Serializer[Any]):
    """How many sessions were ended."""

    ended = serializers.IntegerField(read_only=True)


def _set(session: TypedSession, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(session, name, value)


def _answer(error: Exception, values: dict[str, Any]) -> Exception:
    """What a change that could not be stored means for the client; ``error`` itself if it is not of their making."""
    if isinstance(error, SessionFieldError):
        return _refusal(error, values) or error
    if isinstance(error, SessionTooLarge):
        return _of_all(_("This is more than a session may hold."))
    if isinstance(error, SessionConflict):
        return Conflict()
    return Interrupted() if isinstance(error, UpdateError) else error


def _refusal(error: SessionFieldError, values: dict[str, Any]) -> ValidationError | None:
    path = error.path.partition(".")[2]
    for name in values:
        if path == name or path.startswith((f"{name}.", f"{name}[")):
            where = path.removeprefix(name)
            return ValidationError({name: [f"{where}: {error.problem}" if where else error.problem]})
    return None


def _of_all(problem: Any) -> ValidationError:
    """A refusal that no single field is to blame for."""
    return ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [problem]})
