"""OpenAPI by drf-spectacular: what it cannot know of this package by looking.

The app imports this module if ``drf_spectacular`` is among ``INSTALLED_APPS``. Nothing else needs that package.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from enum import Enum
from functools import partial
from itertools import groupby
from typing import Any, cast

import msgspec
from django.conf import settings as django_settings
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentIdentity, ResolvedComponent
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import Direction, OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.views import APIView

from .. import conf
from ..transports import headers
from .authentication import TypedSessionAuthentication
from .serializers import DeviceSerializer, EndedSerializer, configured_serializer

Schema = dict[str, Any]

_PACKAGE = __package__ or ""

# Both classes describe the same schemes, which is no collision.
set_override(TypedSessionAuthentication, "suppress_collision_warning", True)


class TypedSessionScheme(OpenApiAuthenticationExtension):
    """Cookies, and session headers if the project accepts them."""

    target_class = f"{_PACKAGE}.authentication.TypedSessionAuthentication"
    match_subclasses = True
    name = [
        "sessionCookie",
        "permanentSessionCookie",
        "sessionHeader",
        "permanentSessionHeader",
        "sessionOption",
    ]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        temp, perm, temp_header, perm_header, option = self.name
        ways: list[dict[str, list[Any]]] = [{temp: []}, {perm: []}]
        return [*ways, {temp_header: []}, {perm_header: [], option: []}] if conf.settings().headers else ways

    def get_security_definition(self, auto_schema: AutoSchema) -> list[Schema]:
        cookies = [django_settings.SESSION_COOKIE_NAME, conf.settings().perm_cookie]
        found = [_key("cookie", name) for name in cookies]
        if conf.settings().headers:
            found += [_key("header", name) for name in (headers.TEMP, headers.PERM, headers.OPTION)]
        return found


def _key(where: str, name: str) -> Schema:
    return {"type": "apiKey", "in": where, "name": name}


class SessionValueFieldExtension(OpenApiSerializerFieldExtension):
    """A field has the schema of its type, dataclasses and enums in it as components."""

    target_class = f"{_PACKAGE}.fields.SessionValueField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> Schema:
        owner = self.target.type.owner
        (found,), components = msgspec.json.schema_components(
            [self.target.type.hint], schema_hook=_choices, ref_template=f"#/components/schemas/{owner}{{name}}"
        )
        for name, component in components.items():
            described = _described(component)
            auto_schema.registry.register_on_missing(
                ResolvedComponent(
                    name=f"{owner}{name}",
                    type=ResolvedComponent.SCHEMA,
                    schema=described,
                    object=ComponentIdentity(json.dumps(described)),
                )
            )
        described, _ = _nullable(found)  # that it may be null, spectacular sees by the field
        return cast("Schema", described)


def _is_json_schema() -> bool:
    """Whether the version of OpenAPI that is asked for has JSON schema as it is; version 3.0 has its own dialect."""
    return not spectacular_settings.OAS_VERSION.startswith("3.0")


def _choices(cls: Any) -> Schema:
    """Of Django's enums, whose metaclass hides from msgspec what they are."""
    return {"enum": [member.value for member in cls]} if issubclass(cls, Enum) else {}


def _described(schema: Any) -> Any:
    """A JSON schema in the dialect of the OpenAPI version that is asked for."""
    found, is_nullable = _nullable(schema)
    if not is_nullable:
        return found
    if _is_json_schema():
        return {"anyOf": [found, {"type": "null"}]}
    return {"allOf": [found], "nullable": True} if "$ref" in found else {**found, "nullable": True}


def _nullable(schema: Any) -> tuple[Any, bool]:
    """A schema in OpenAPI's dialect, less that its value may be null, and whether it may."""
    if "enum" in schema:
        return _enumerated(schema)
    alternatives = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if not alternatives:
        return ({}, True) if rest == {"type": "null"} else (_adapted(rest), False)
    described = [_described(each) for each in alternatives]
    found = described[0] if len(described) == 1 else {"anyOf": described}
    return {**found, **_adapted(rest)}, len(alternatives) < len(schema["anyOf"])


def _enumerated(schema: Schema) -> tuple[Schema, bool]:
    """Values of one type each, as clients are generated for types."""
    rest = {key: value for key, value in schema.items() if key != "enum"}
    values = sorted((value for value in schema["enum"] if value is not None), key=_type_of)
    of_types = [{"type": name, "enum": list(members)} for name, members in groupby(values, key=_type_of)]
    found = {**rest, **of_types[0]} if len(of_types) == 1 else {**rest, "anyOf": of_types}
    return found, None in schema["enum"]


def _type_of(value: object) -> str:
    return "integer" if isinstance(value, int) else "string"


def _adapted(schema: Schema) -> Schema:
    """The parts of a schema, each in OpenAPI's dialect; OpenAPI 3.0 has other words for some of JSON schema."""
    found = {key: _parts[key](value) if key in _parts else value for key, value in schema.items()}
    if _is_json_schema():
        return found
    if "prefixItems" in found:
        found["items"] = {"anyOf": found.pop("prefixItems")}
    if found.get("type") == "array":
        found.setdefault("items", {})
    if found.pop("contentEncoding", None):
        found["format"] = "byte"
    if examples := found.pop("examples", None):
        found["example"] = examples[0]
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in found:
            found[limit], found[exclusive] = found[exclusive], True
    found.pop("propertyNames", None)
    return found


def _each(schemas: Any) -> Any:
    if isinstance(schemas, dict):
        return {name: _described(schema) for name, schema in schemas.items()}
    return [_described(schema) for schema in schemas]


def _maybe(schema: Any) -> Any:
    return _described(schema) if isinstance(schema, dict) else schema


_parts: dict[str, Any] = {"properties": _each, "prefixItems": _each, "items": _maybe, "additionalProperties": _maybe}


class _Error(serializers.Serializer[Any]):
    """What went wrong, for people and for programs."""

    detail = serializers.CharField()
    code = serializers.CharField(required=False)


_error = partial(OpenApiResponse, _Error)
_UNSIGNED = _error(description="Nobody is signed in, or the session is over.")
_FORGED = _error(description="The CSRF token is missing, or the request comes from another site.")
_SINGLE = _error(description="The site's session store cannot list sessions.")
_REFUSED = OpenApiResponse(OpenApiTypes.OBJECT, description="What is wrong, by field.")


class _Views(OpenApiViewExtension):
    """Adds what a view's code does not say."""

    def view_replacement(self) -> type[APIView]:
        described: type[APIView] = extend_schema_view(**self.operations())(type("Described", (self.target,), {}))
        return described

    @abstractmethod
    def operations(self) -> dict[str, Any]:
        """``extend_schema`` for each method of the view."""

    def named(self, name: str) -> str | None:
        """The name of our own view's operation; one of the project's that is made of it is named by its path."""
        return name if self.target is self.target_class else None


class SignInExtension(_Views):
    target_class = f"{_PACKAGE}.views.SignInView"
    match_subclasses = True

    def operations(self) -> dict[str, Any]:
        responses = {
            200: configured_serializer(),
            400: _REFUSED,
            401: _error(description="Wrong credentials, or a session header that opens nothing."),
            403: _error(description="The sign-in was vetoed, or the CSRF token is missing."),
            429: _error(description="Too many attempts."),
        }
        return {"post": extend_schema(operation_id=self.named("sign_in"), responses=responses)}


class SignOutExtension(_Views):
    target_class = f"{_PACKAGE}.views.SignOutView"
    match_subclasses = True

    def operations(self) -> dict[str, Any]:
        responses = {204: None, 401: _UNSIGNED, 403: _FORGED}
        return {"post": extend_schema(operation_id=self.named("sign_out"), request=None, responses=responses)}


class SessionExtension(_Views):
    target_class = f"{_PACKAGE}.views.SessionView"
    match_subclasses = True

    def operations(self) -> dict[str, Any]:
        seen = {200: configured_serializer(), 401: _UNSIGNED}
        changed = {**seen, 400: _REFUSED, 403: _FORGED, 409: _error(description="Another request came first.")}
        return {
            "get": extend_schema(operation_id=self.named("current_session"), responses=seen),
            "patch": extend_schema(operation_id=self.named("change_session"), responses=changed),
        }


class SessionsExtension(_Views):
    target_class = f"{_PACKAGE}.views.SessionsView"
    match_subclasses = True

    def operations(self) -> dict[str, Any]:
        listed = {200: DeviceSerializer(many=True), 401: _UNSIGNED, 501: _SINGLE}
        ended = {200: EndedSerializer, 401: _UNSIGNED, 403: _FORGED, 501: _SINGLE}
        return {
            "get": extend_schema(operation_id=self.named("list_sessions"), responses=listed),
            "delete": extend_schema(operation_id=self.named("end_other_sessions"), responses=ended),
        }


class SessionEndExtension(_Views):
    target_class = f"{_PACKAGE}.views.SessionEndView"
    match_subclasses = True

    def operations(self) -> dict[str, Any]:
        id_of_session = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)
        missing = _error(description="The user has no such session.")
        responses = {204: None, 401: _UNSIGNED, 403: _FORGED, 404: missing, 501: _SINGLE}
        return {
            "delete": extend_schema(
                operation_id=self.named("end_session"), parameters=[id_of_session], responses=responses
            )
        }
