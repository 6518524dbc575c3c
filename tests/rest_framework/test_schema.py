"""OpenAPI: drf-spectacular describes the routes and a project's session class without a warning."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest
import yaml
from django.core.management import call_command
from django.urls import include, path
from drf_spectacular.settings import patched_settings
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.rest_framework.conftest import Configure
from typed_sessions import TypedSession, session_field
from typed_sessions.rest_framework import HasRole, RecentAuth, TypedSessionAuthentication, session_serializer
from typed_sessions.rest_framework.views import SignInView

VERSIONS = ["3.0.3", "3.1.0"]


class Basket(APIView):
    """A project's own view, with another of our classes."""

    authentication_classes = [TypedSessionAuthentication]
    permission_classes = [IsAuthenticated, HasRole("editors") | RecentAuth(300)]

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        return session_serializer(Peculiar)(*args, **kwargs)

    def patch(self, request: Request) -> Response:
        raise NotImplementedError


class CompanySignIn(SignInView):
    """The project's own sign-in, made of ours."""


urlpatterns = [
    path("api/", include("typed_sessions.rest_framework.urls")),
    path("api/basket/", Basket.as_view()),
    path("api/company-sign-in/", CompanySignIn.as_view()),
]


class Weekday(Enum):
    MONDAY = "monday"
    SUNDAY = "sunday"


@dataclass
class Part:
    name: str
    parent: Part | None = None
    amounts: list[Decimal | None] = field(default_factory=list)
    kind: Literal["a", "b", None] = None


@dataclass
class Peculiar(TypedSession):
    """Whatever has a schema of its own in one of the versions."""

    nothing: None = session_field(default=None, api="write")
    pair: tuple[int, str | None] = session_field(default=(0, None), api="write")
    items: list = session_field(default_factory=list, api="read")  # type: ignore[type-arg]  # is what is tested
    raw: bytes = session_field(default=b"", api="write")
    share: Annotated[int, msgspec.Meta(gt=0, lt=100, examples=[50, 60], title="Share")] = session_field(
        default=1, api="write"
    )
    day: Weekday | None = session_field(default=None, api="write")
    number: Literal[1, 2] = session_field(default=1, api="write")
    mixed: Literal[1, "a", None] = session_field(default=None, api="write")
    either: int | str | None = session_field(default=None, api="write")
    part: Part | None = session_field(default=None, api="write")
    by_day: dict[Annotated[str, msgspec.Meta(min_length=1)], Part | None] = session_field(
        default_factory=dict, api="write"
    )
    open: dict = session_field(default_factory=dict, api="write")  # type: ignore[type-arg]  # is what is tested


@contextmanager
def described(version: str) -> Iterator[dict[str, Any]]:
    """What `manage.py spectacular` prints; it fails for a warning, and for what is no valid schema."""
    with patched_settings({"OAS_VERSION": version}):
        printed = io.StringIO()
        call_command("spectacular", "--validate", "--fail-on-warn", urlconf=__name__, stdout=printed)
        yield yaml.safe_load(printed.getvalue())


def schema_of(description: dict[str, Any], name: str) -> Any:
    return description["components"]["schemas"][name]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("session_class", ["sessions.ApiSession", "sessions.EveryType", "test_schema.Peculiar"])
def test_no_warning(version: str, session_class: str, configure: Configure) -> None:
    """Every session class is described without a warning, in either version."""
    configure(SESSION_CLASS=f"tests.rest_framework.{session_class}")
    with described(version) as description:
        assert description["openapi"] == version


def test_operations() -> None:
    """Every route is described, under a name of its own, with the answers that it gives."""
    with described("3.0.3") as description:
        found = {
            (operation["operationId"], method, path): sorted(map(int, operation["responses"]))
            for path, operations in description["paths"].items()
            for method, operation in operations.items()
            if path != "/api/basket/" and "company" not in path
        }
    assert found == {
        ("sign_in", "post", "/api/sign-in/"): [200, 400, 401, 403, 429],
        ("sign_out", "post", "/api/sign-out/"): [204, 401, 403],
        ("current_session", "get", "/api/session/"): [200, 401],
        ("change_session", "patch", "/api/session/"): [200, 400, 401, 403, 409],
        ("list_sessions", "get", "/api/sessions/"): [200, 401, 501],
        ("end_other_sessions", "delete", "/api/sessions/"): [200, 401, 403, 501],
        ("end_session", "delete", "/api/sessions/{id}/"): [204, 401, 403, 404, 501],
    }


def test_ways_to_prove_who_one_is(configure: Configure) -> None:
    """Cookies, and headers where the project accepts them; nothing where visitors are welcome."""
    with described("3.0.3") as description:
        schemes = description["components"]["securitySchemes"]
        required = description["paths"]["/api/sessions/"]["get"]["security"]
        assert {} in description["paths"]["/api/sign-in/"]["post"]["security"]
    assert {name: (scheme["in"], scheme["name"]) for name, scheme in schemes.items()} == {
        "sessionCookie": ("cookie", "ss-id"),
        "permanentSessionCookie": ("cookie", "ss-pid"),
        "sessionHeader": ("header", "X-ss-id"),
        "permanentSessionHeader": ("header", "X-ss-pid"),
        "sessionOption": ("header", "X-ss-opt"),
    }
    assert required == [
        {"sessionCookie": []},
        {"permanentSessionCookie": []},
        {"sessionHeader": []},
        {"permanentSessionHeader": [], "sessionOption": []},
    ]
    configure(HEADERS=[])
    with described("3.0.3") as description:
        assert set(description["components"]["securitySchemes"]) == {"sessionCookie", "permanentSessionCookie"}
        assert len(description["paths"]["/api/sessions/"]["get"]["security"]) == 2


def test_fields_of_the_session() -> None:
    """The current session is described field by field, and what can be changed is what a change may say."""
    with described("3.0.3") as description:
        session = schema_of(description, "CurrentApiSession")
        change = schema_of(description, "PatchedCurrentApiSession")
        line, mode = schema_of(description, "ApiSessionLine"), schema_of(description, "SessionMode")
    assert session["properties"]["cart"] == {"type": "array", "items": {"$ref": "#/components/schemas/ApiSessionLine"}}
    assert session["properties"]["mode"] == {"allOf": [{"$ref": "#/components/schemas/SessionMode"}], "readOnly": True}
    assert line["properties"]["parts"]["items"] == {"$ref": "#/components/schemas/ApiSessionLine"}
    assert mode["enum"] == ["perm", "temp"]
    changeable = {name for name, schema in change["properties"].items() if not schema.get("readOnly")}
    assert changeable == {"currency", "cart", "note", "gift", "coupon"}
    assert not {"pin", "internal"} & set(session["properties"])


PECULIAR: dict[str, dict[str, Any]] = {
    "3.0.3": {
        "nothing": {"nullable": True},
        "pair": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"anyOf": [{"type": "integer"}, {"type": "string", "nullable": True}]},
        },
        "items": {"type": "array", "items": {}, "readOnly": True},
        "raw": {"type": "string", "format": "byte"},
        "share": {
            "type": "integer",
            "minimum": 0,
            "exclusiveMinimum": True,
            "maximum": 100,
            "exclusiveMaximum": True,
            "example": 50,
            "title": "Share",
        },
        "day": {"allOf": [{"$ref": "#/components/schemas/PeculiarWeekday"}], "nullable": True},
        "mixed": {"anyOf": [{"type": "integer", "enum": [1]}, {"type": "string", "enum": ["a"]}], "nullable": True},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}], "nullable": True},
        "part": {"allOf": [{"$ref": "#/components/schemas/PeculiarPart"}], "nullable": True},
        "by_day": {
            "type": "object",
            "additionalProperties": {"allOf": [{"$ref": "#/components/schemas/PeculiarPart"}], "nullable": True},
        },
        "open": {"type": "object"},
    },
    "3.1.0": {
        "nothing": {"oneOf": [{}, {"type": "null"}]},
        "pair": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "prefixItems": [{"type": "integer"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}],
            "items": False,
        },
        "items": {"type": "array", "readOnly": True},
        "raw": {"type": "string", "contentEncoding": "base64"},
        "share": {
            "type": "integer",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 100,
            "examples": [50, 60],
            "title": "Share",
        },
        "day": {"oneOf": [{"$ref": "#/components/schemas/PeculiarWeekday"}, {"type": "null"}]},
        "mixed": {
            "anyOf": [{"type": "integer", "enum": [1]}, {"type": "string", "enum": ["a"]}, {"type": "null"}],
        },
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
        "part": {"oneOf": [{"$ref": "#/components/schemas/PeculiarPart"}, {"type": "null"}]},
        "by_day": {
            "type": "object",
            "additionalProperties": {
                "anyOf": [{"$ref": "#/components/schemas/PeculiarPart"}, {"type": "null"}],
            },
            "propertyNames": {"minLength": 1},
        },
        "open": {"type": "object"},
    },
}


@pytest.mark.parametrize("version", VERSIONS)
def test_types_in_the_words_of_the_version(version: str, configure: Configure) -> None:
    """A type is described as the version of OpenAPI that is asked for has it."""
    configure(SESSION_CLASS=f"{__name__}.Peculiar")
    with described(version) as description:
        properties = schema_of(description, "CurrentPeculiar")["properties"]
        part = schema_of(description, "PeculiarPart")
    assert {name: properties[name] for name in PECULIAR[version]} == PECULIAR[version]
    amounts = {"3.0.3": {"nullable": True}, "3.1.0": {}}
    decimal = {"type": "string", "format": "decimal", **amounts[version]}
    items = decimal if version == "3.0.3" else {"anyOf": [decimal, {"type": "null"}]}
    assert part["properties"]["amounts"] == {"type": "array", "items": items}


class Clashing:
    """Names that another class of the project has, too."""

    @dataclass
    class Part:
        other: int = 0

    part: ClassVar[Any] = Part


@dataclass
class Confused(TypedSession):
    part: Part | None = session_field(default=None, api="write")
    other: Clashing.Part | None = session_field(default=None, api="write")


def test_two_classes_of_one_name_are_told(configure: Configure) -> None:
    """A description that would show one class for another fails, as spectacular's own do."""
    configure(SESSION_CLASS=f"{__name__}.Confused")
    with pytest.raises(BaseException, match="warnings"), described("3.0.3"):
        raise AssertionError
