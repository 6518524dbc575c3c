"""Ending sessions: one, those that were ticked, and all that a list shows; asked for by a form, and logged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

import msgspec
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import model_ngettext, quote, unquote
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from .. import clock, site
from ..live import live_sessions
from ..models import LiveSession
from ..states import EndReason
from ..stores.record import Record
from .devices import device_of
from .filters import words_of
from .permissions import PermissionsMixin, Viewer
from .queryset import SessionQuery, Wanted, last_of
from .search import without, without_tokens

LISTED: Final = 100
"""Sessions that a page names before it ends them."""
BATCH: Final = 50
"""Sessions that end before it is looked at the time again."""
SECONDS: Final = 2.0
"""For which one request goes on ending sessions."""
CUT: Final = gettext_lazy("There are too many sessions of that user or address to look at all of them.")
_SALT: Final = "typed_sessions.admin.ending"
_PATIENCE: Final = 3600
"""Seconds in which a page that asks has to be answered."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What was confirmed, and how far it has come; signed in the form from one request to the next."""

    wanted: Wanted
    words: str
    """What the list was filtered by, for people."""
    total: int
    """How many there were when it was asked."""
    began: int | None = None
    """When it was asked, or of one user or address, confirmed. Sessions that begin later stay."""
    ended: int = 0

    def signed(self, request: HttpRequest) -> str:
        return signing.dumps(msgspec.to_builtins(self), salt=_salt(request), compress=True)

    @classmethod
    def read(cls, request: HttpRequest) -> Run | None:
        """``None`` for what this member of staff was not asked within an hour."""
        try:
            found = signing.loads(request.POST.get("run", ""), salt=_salt(request), max_age=_PATIENCE)
            return msgspec.convert(found, cls)
        except (signing.BadSignature, msgspec.ValidationError):  # or another release has asked
            return None


@dataclasses.dataclass
class Part:
    """What one request has done of a ``Run``; filled in as it goes, as the store may stop answering in between."""

    ended: int = 0
    rows: list[LiveSession] = dataclasses.field(default_factory=list)
    """The sessions that ended, if each of them was looked at."""
    is_all: bool = True
    left: int = 0
    """Sessions that could not be ended."""
    is_cut: bool = False
    """Whether there may be others, which were not looked at."""


class EndingMixin(PermissionsMixin):
    """The pages and the action that end sessions, for an admin of live sessions."""

    actions = ("end_selected",)

    def get_urls(self) -> list[URLPattern]:
        own = (("end-matching/", self.end_matching_view), ("<path:object_id>/end/", self.end_view))
        names = ("typed_sessions_livesession_end_matching", "typed_sessions_livesession_end")
        views = (self.admin_site.admin_view(require_http_methods(["GET", "HEAD", "POST"])(view)) for _path, view in own)
        paths = [path(where, view, name=name) for (where, _view), view, name in zip(own, views, names, strict=True)]
        return [*paths, *super().get_urls()]

    @admin.action(permissions=["end"], description=gettext_lazy("End selected %(verbose_name_plural)s"))
    def end_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        if request.POST.get("select_across") == "1":
            return HttpResponseRedirect(f"{self.end_matching_url()}?{request.GET.urlencode()}")
        # Those that were ticked, even if the filter has meanwhile let go of them.
        ticked = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        rows = list(self.get_queryset(request).filter(pk__in=ticked))
        if request.POST.get("post"):
            self._end_rows(request, rows, len(set(ticked)) - len(rows))
            return None
        viewer = self.viewer(request)
        hidden = [("action", "end_selected"), ("post", "yes")]
        hidden += [(helpers.ACTION_CHECKBOX_NAME, row.pk) for row in rows]
        count = sum(row.pk != viewer.own_id for row in rows)
        return self.page(
            request,
            "confirm",
            title=_("End live sessions"),
            question=_question(count),
            rows=self._listed(rows),
            notes=_notes(count < len(rows)),
            hidden=hidden,
            count=count,
            back=request.get_full_path(),
        )

    def end_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks whether one session is to end, and ends it."""
        if not self.has_end_permission(request):
            raise PermissionDenied
        if (refusal := self.refusal(request)) is not None:
            return refusal
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self.not_there(request, object_id)
        if request.method == "POST":
            self._end_rows(request, [row], 0)
            return HttpResponseRedirect(self.page_url("changelist"))
        is_own = row.pk == self.viewer(request).own_id
        count = int(_is_there(row) and not is_own)
        return self.page(
            request,
            "confirm",
            title=_("End live session"),
            question=_question(count),
            rows=self._listed([row]),
            notes=_notes(is_own),
            count=count,
            back=self.page_url("change", quote(row.pk)),
        )

    def end_matching_view(self, request: HttpRequest) -> HttpResponse:
        """Asks whether all that the list shows with the same query string are to end, and ends them in parts."""
        if not self.has_end_permission(request):
            raise PermissionDenied
        if (refusal := self.refusal(request, lists=True)) is not None:
            return refusal
        if request.method == "POST":
            run = Run.read(request)
            if run is not None:
                return self._go_on(request, run)
            self.message_user(request, _("That was asked too long ago. No session was ended."), messages.ERROR)
        if (query := without_tokens(request.GET)) is not None:
            return HttpResponseRedirect(f"{request.path}?{query.urlencode()}")
        # Which page of it was looked at makes no difference.
        request.GET = QueryDict(without(request.GET, PAGE_VAR, ERROR_FLAG).urlencode())
        try:
            listed = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{self.page_url('changelist')}?e=1")
        return self._ask(request, listed)

    def end_matching_url(self) -> str:
        return self.page_url("end_matching")

    def _ask(self, request: HttpRequest, listed: Any) -> HttpResponse:
        viewer, wanted = self.viewer(request), listed.queryset.wanted
        is_own = has_own(wanted, viewer)
        count = max(0, listed.result_count - is_own)
        words = words_of(listed)
        # Of one user or address all end that there are when it is confirmed; of many, those that were asked about.
        began = None if wanted.is_small else clock.now()
        run = Run(wanted=wanted, words=words, total=count, began=began)
        notes = _notes(is_own)
        if not viewer.is_superuser:
            notes.append(_("Sessions of superusers stay."))
        if listed.queryset.is_cut:
            notes.append(str(CUT))
        return self.page(
            request,
            "confirm",
            title=_("End all live sessions that match"),
            question=_question(count),
            words=words or (_("All live sessions, of everybody.") if count else ""),
            rows=self._listed(list(listed.queryset)) if wanted.is_small else [],
            notes=notes,
            hidden=[("run", run.signed(request))],
            count=count,
            back=f"{self.page_url('changelist')}?{request.GET.urlencode()}",
        )

    def _go_on(self, request: HttpRequest, run: Run) -> HttpResponse:
        run = run if run.began else dataclasses.replace(run, began=clock.now())
        viewer = self.viewer(request)
        part = Part()
        try:
            end_part(run, viewer, part)
        finally:
            log_part(request, run, part)
        run = dataclasses.replace(run, ended=run.ended + part.ended)
        if part.is_all:
            tell(request, run.ended, is_own=has_own(run.wanted, viewer), left=part.left, is_cut=part.is_cut)
            return HttpResponseRedirect(self.page_url("changelist"))
        total = max(run.total, run.ended)
        return self.page(
            request,
            "progress",
            title=_("Ending live sessions"),
            words=run.words,
            said=_("%(done)s of %(total)s sessions have ended.") % {"done": number(run.ended), "total": number(total)},
            done=run.ended,
            total=total,
            hidden=[("run", run.signed(request))],
            back=self.page_url("changelist"),
        )

    def _end_rows(self, request: HttpRequest, rows: Sequence[LiveSession], gone: int) -> None:
        own_id = self.viewer(request).own_id
        others = [row for row in rows if row.pk != own_id]
        ended: list[LiveSession] = []
        try:
            for row in others:
                if any(site.end_one(key) for key in site.ids_of([row.pk])):
                    ended.append(row)  # noqa: PERF401  # those before it are known if one fails
        finally:
            log_ends(request, ended)
        there = {row.pk for row in others} - {row.pk for row in ended}
        left = len(self.get_queryset(request).filter(pk__in=there)) if there else 0
        tell(request, len(ended), is_own=len(others) < len(rows), gone=gone + len(there) - left, left=left)

    def page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        """One of the pages of this package, in the project's admin."""
        request.current_app = self.admin_site.name
        common = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return TemplateResponse(request, f"typed_sessions/admin/{template}.html", {**common, **context})

    def refusal(self, request: HttpRequest, *, lists: bool = False) -> HttpResponse | None:
        """A page that says why there can be none: by the project's engine. ``lists`` is whether it has to list too."""
        try:
            if lists:
                site.listing_store()
            else:
                site.engine()
        except (ImproperlyConfigured, site.AskedWrongly) as error:
            return self.unavailable(request, str(error), 200)
        return None

    def unavailable(self, request: HttpRequest, problem: str, status: int) -> HttpResponse:
        response = self.page(request, "unavailable", title=self.opts.verbose_name_plural, problem=problem)
        response.status_code = status
        return response

    def not_there(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Says so, without what was asked for, which may be a token."""
        text = _("There is no session %(id)s, and none that ended a short while ago.")
        self.message_user(request, text % {"id": site.shortened(unquote(object_id))}, messages.WARNING)
        return HttpResponseRedirect(self.page_url("changelist"))

    def _listed(self, rows: Sequence[LiveSession]) -> list[tuple[str, str]]:
        """Where the sessions are, and what they are in a few words; the first ones of many."""
        return [(self.page_url("change", quote(row.pk)), summary(row)) for row in rows[:LISTED]]

    def page_url(self, name: str, *args: str) -> str:
        """The address of one of the pages of live sessions, on this site."""
        return reverse(f"admin:typed_sessions_livesession_{name}", args=args, current_app=self.admin_site.name)


def end_part(run: Run, viewer: Viewer, part: Part, until: float | None = None) -> None:
    """Ends sessions of ``run`` for a while; the last look finds none that is left, which proves it (REQ-S61).

    ``until`` is when by ``monotonic()`` that is over; from now on ``SECONDS`` if it is not said.
    """
    until = monotonic() + SECONDS if until is None else until
    if run.wanted.is_small:
        _end_looking(run, viewer, part, until)
    else:
        _end_by_index(run, viewer, part, until)


def _end_looking(run: Run, viewer: Viewer, part: Part, until: float) -> None:
    while True:
        query, before = SessionQuery(viewer, run.wanted), part.ended
        rows = [row for row in query if _is_of(run, row.record, viewer)]
        for row in rows:
            if site.end_one(row.record.id):
                part.rows.append(row)
                part.ended += 1
            if monotonic() > until:
                part.is_all = False
                return
        if part.ended == before:
            part.left += len(rows)
            part.is_cut |= query.is_cut
            return


def _is_of(run: Run, record: Record, viewer: Viewer) -> bool:
    return record.created <= (run.began or 0) and not viewer.spares(record)


def _end_by_index(run: Run, viewer: Viewer, part: Part, until: float) -> None:
    found = BATCH
    while found == BATCH:
        if part.ended and monotonic() > until:
            part.is_all = False
            return
        found = live_sessions.end_all(
            None,
            EndReason.ENDED_BY_STAFF,
            selection=run.wanted.selection,
            spare=lambda record: not _is_of(run, record, viewer),
            limit=BATCH,
        )
        part.ended += found


def tell(
    request: HttpRequest, ended: int, *, is_own: bool = False, gone: int = 0, left: int = 0, is_cut: bool = False
) -> None:
    """Messages of how many sessions have ended in truth, and why others have not."""
    if ended:
        words = ngettext("%(count)s session was ended.", "%(count)s sessions were ended.", ended)
        messages.success(request, words % {"count": number(ended)})
    if gone:
        words = ngettext("%(count)s session was over before.", "%(count)s sessions were over before.", gone)
        messages.warning(request, words % {"count": number(gone)})
    if is_own:
        messages.warning(request, _("Your own session goes on. Sign out to end it."))
    if is_cut:
        messages.warning(request, CUT)
    if left:
        words = ngettext("%(count)s session could not be ended.", "%(count)s sessions could not be ended.", left)
        messages.error(request, words % {"count": number(left)})
    elif not ended:
        messages.error(request, _("No session was ended."))


def log_part(request: HttpRequest, run: Run, part: Part) -> None:
    """Each session that was looked at, or how many there were."""
    if part.rows:
        log_ends(request, part.rows)
    elif part.ended:
        log_end_of_many(request, part.ended, run.words)


def log_ends(request: HttpRequest, rows: Sequence[LiveSession]) -> None:
    """An entry of the admin's log for each of the sessions."""
    if rows:
        LogEntry.objects.log_actions(_user_pk(request), rows, DELETION, "Ended.")


def log_end_of_many(request: HttpRequest, count: int, words: str) -> None:
    """One entry for many sessions."""
    LogEntry.objects.create(
        user_id=_user_pk(request),
        content_type=ContentType.objects.get_for_model(LiveSession),
        object_repr=f"{number(count)} {model_ngettext(LiveSession._meta, count)}"[:200],
        action_flag=DELETION,
        change_message=f"Ended. {words}".strip(),
    )


def number(count: int) -> str:
    return number_format(count, force_grouping=True)


def summary(row: LiveSession) -> str:
    """A session in a few words, for lists of what is to end."""
    if row.record is None:
        return f"{row.pk[:8]}…"
    address, agent = last_of(row.record)
    name = row.person.get_username() if row.person else row.user or _("anonymous")
    return " · ".join(filter(None, (name, device_of(agent).text, address)))


def _question(count: int) -> str:
    if not count:
        return _("There is no session to end.")
    words = ngettext(
        "End %(count)s session? Whoever is in it has to sign in again.",
        "End %(count)s sessions? Everybody in them has to sign in again.",
        count,
    )
    return words % {"count": number(count)}


def _is_there(row: LiveSession) -> bool:
    """Whether there is something to end, be it what cannot be read."""
    return row.record.is_live(clock.now()) if row.record is not None else bool(row.problem)


def _notes(is_own: bool) -> list[str]:
    return [_("Your own session is among them, and goes on. Sign out to end it.")] if is_own else []


def has_own(wanted: Wanted, viewer: Viewer) -> bool:
    """Whether the viewer's own session is one of those."""
    own = site.store().load(viewer.own_key) if viewer.own_key else None
    return isinstance(own, Record) and wanted.has(own)


def _salt(request: HttpRequest) -> str:
    """Of this member of staff alone."""
    return f"{_SALT}.{_user_pk(request)}"


def _user_pk(request: HttpRequest) -> Any:
    return request.user.pk
