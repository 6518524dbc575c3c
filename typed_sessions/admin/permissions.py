"""Who may see sessions, see what is in them, and end them; and whose sessions are hidden from whom."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.urls import reverse

from .. import site, tokens
from ..backends.base import SessionStore
from ..models import LiveSession
from ..stores.record import Record

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Base = ModelAdmin[LiveSession]
else:
    Base = object

VIEW: Final = "typed_sessions.view_livesession"
PAYLOAD: Final = "typed_sessions.view_livesession_payload"
END: Final = "typed_sessions.end_livesession"


class Viewer:
    """The member of staff who looks. Sessions of superusers are there for superusers alone (REQ-S87)."""

    def __init__(self, request: HttpRequest, admin_site: AdminSite, page: PermissionsMixin | None = None) -> None:
        self._request, self._site = request, admin_site
        self._user: Any = request.user
        self._page = page or _page_of(admin_site)
        self._seen: dict[str, bool] = {}
        """Which users' sessions are there, by primary keys as records have them."""

    @property
    def is_superuser(self) -> bool:
        return _is_superuser(self._user)

    @property
    def may_view(self) -> bool:
        return self._may("view")

    @property
    def may_see_payload(self) -> bool:
        """Whether what is in sessions may be shown, and not their facts alone."""
        return self._may("payload", PAYLOAD)

    @property
    def may_end(self) -> bool:
        return self._may("end", END)

    def _may(self, what: str, *permissions: str) -> bool:
        """As the site's page of live sessions says, which a project may have changed."""
        if self._page is not None:
            return bool(getattr(self._page, f"has_{what}_permission")(self._request))
        return bool(self._user.has_perms((VIEW, *permissions)))

    @cached_property
    def own_key(self) -> str | None:
        """The id of this request's own session, as the store has it."""
        engine = getattr(self._request, "session", None)
        token = engine.session_key if isinstance(engine, SessionStore) else None
        return tokens.digest(token) if token else None

    @property
    def own_id(self) -> str | None:
        """The id of this request's own session, as it is shown."""
        return tokens.shown(self.own_key)

    def may_see(self, person: Any) -> bool:
        """Whether sessions of ``person`` are there for this viewer; ``None`` is nobody, or somebody deleted."""
        return self.is_superuser or not _is_superuser(person)

    def spares(self, record: Record) -> bool:
        """Whether the session stays when many end: the viewer's own, and one that is not there for the viewer."""
        return record.id == self.own_key or not self._may_see_key(record.user)

    def _may_see_key(self, key: str | None) -> bool:
        if key is None or self.is_superuser:
            return True
        if _has_field():
            return key not in self._superusers
        if key not in self._seen:
            self._seen[key] = self.may_see(site.users_of([key]).get(key))
        return self._seen[key]

    @cached_property
    def _superusers(self) -> frozenset[str]:
        """All of them, with one statement: there are few."""
        model: Any = get_user_model()
        return frozenset(map(site.key_of_user, model._base_manager.filter(is_superuser=True).only("pk")))

    def user_url(self, person: Any) -> str | None:
        """The page of a user in this admin, if there is one that the viewer may see."""
        if not self._may_view_users:
            return None
        meta = person._meta
        name = f"admin:{meta.app_label}_{meta.model_name}_change"
        return reverse(name, args=[quote(person.pk)], current_app=self._site.name)

    @cached_property
    def _may_view_users(self) -> bool:
        registered = self._site._registry.get(get_user_model())
        return registered is not None and registered.has_view_or_change_permission(self._request)


class PermissionsMixin(Base):
    """Nobody adds, changes or deletes sessions: they are seen, and ended."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LiveSession | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LiveSession | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: LiveSession | None = None) -> bool:
        user: Any = request.user
        return bool(user.has_perm(VIEW))

    def has_payload_permission(self, request: HttpRequest, obj: LiveSession | None = None) -> bool:
        """Whether what is in sessions is shown, and not their facts alone."""
        user: Any = request.user
        return self.has_view_permission(request, obj) and bool(user.has_perm(PAYLOAD))

    def has_end_permission(self, request: HttpRequest, obj: LiveSession | None = None) -> bool:
        user: Any = request.user
        return self.has_view_permission(request, obj) and bool(user.has_perm(END))

    def viewer(self, request: HttpRequest) -> Viewer:
        """Who looks, with the permissions that this page gives."""
        return Viewer(request, self.admin_site, self)


def _page_of(admin_site: AdminSite) -> PermissionsMixin | None:
    """The site's page of live sessions, which says who may do what."""
    found = admin_site._registry.get(LiveSession)
    return found if isinstance(found, PermissionsMixin) else None


def _has_field() -> bool:
    """Whether the database knows who is a superuser, and not a property of the user model alone."""
    return any(field.name == "is_superuser" for field in get_user_model()._meta.concrete_fields)


def _is_superuser(user: Any) -> bool:
    """A user model need not know superusers."""
    return bool(getattr(user, "is_superuser", False))
