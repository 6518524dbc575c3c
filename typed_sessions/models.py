"""The table of the ``db`` and ``cached_db`` engines: the record's envelope as columns, fields and bag as JSON."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from .states import EndReason, SessionMode
from .tokens import urn


class StoredSession(models.Model):
    """One row of the store. Times are seconds since the epoch, as in every other store.

    A row whose ``end_reason`` is set is a tombstone: its session ended, and its data is gone. To end a session, ask the
    session engine, not the row.
    """

    id = models.CharField(_("id"), primary_key=True, max_length=40)
    mode = models.CharField(_("mode"), max_length=4, choices=[(mode.value, mode.value) for mode in SessionMode])
    type = models.CharField(_("session class"), max_length=100)
    schema = models.PositiveIntegerField(_("version of the class"))
    revision = models.PositiveBigIntegerField(_("revision"))
    nonce = models.CharField(max_length=16)
    user = models.CharField(_("user"), max_length=255, null=True, blank=True)  # noqa: DJ001  # "" could be a key
    created = models.BigIntegerField(_("created"))
    modified = models.BigIntegerField(_("last modified"))
    authenticated = models.BigIntegerField(_("authenticated"), null=True, blank=True)
    seen = models.BigIntegerField(_("last seen"))
    expires = models.BigIntegerField(_("expires"))
    until = models.BigIntegerField(_("absolute end"), null=True, blank=True)
    client = models.TextField(_("client"), blank=True)
    # Of the client, to find sessions by. An index takes next to nothing for NULL; the release before writes neither.
    address = models.CharField(_("address"), max_length=45, null=True, blank=True)  # noqa: DJ001  # NULL is none
    last_address = models.CharField(_("last address"), max_length=45, null=True, blank=True)  # noqa: DJ001  # likewise
    data = models.TextField(_("fields"))
    bag = models.TextField(_("bag"))
    lease = models.CharField(max_length=40, blank=True, db_default="")
    place = models.BigIntegerField(_("signed in, in milliseconds"), db_default=0)
    end_reason = models.CharField(
        _("end reason"), max_length=20, blank=True, choices=[(reason.value, reason.value) for reason in EndReason]
    )

    class Meta:
        verbose_name = _("stored session")
        verbose_name_plural = _("stored sessions")
        default_permissions = ()  # nobody edits rows; the admin of live sessions has permissions of its own
        indexes = [
            models.Index(fields=["user", "expires"], name="typed_sessions_by_user"),
            # A list, its filters and its counts are answered by an index alone.
            models.Index(
                fields=["end_reason", "seen", "id", "expires", "mode", "user", "created", "modified"],
                name="typed_sessions_by_seen",
            ),
            models.Index(fields=["expires", "id", "end_reason", "mode", "user"], name="typed_sessions_by_expiry"),
            models.Index(fields=["address"], name="typed_sessions_by_address"),
            models.Index(fields=["last_address"], name="typed_sessions_by_last"),
        ]

    def __str__(self) -> str:
        return urn(self.id)


class Reservation(models.Model):
    """The places that are kept for sessions of a user who is signing in, with ``ON_LIMIT="refuse"``."""

    user = models.CharField(_("user"), primary_key=True, max_length=255)
    places = models.TextField(_("ids, and until when"), blank=True)

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        default_permissions = ()

    def __str__(self) -> str:
        return self.user


class Revocation(models.Model):
    """A line of the revocation journal: a session that has ended, for Redis to be told again (REQ-R15)."""

    id = models.CharField(_("id"), primary_key=True, max_length=40)
    reason = models.CharField(
        _("end reason"), max_length=20, choices=[(reason.value, reason.value) for reason in EndReason]
    )
    ended = models.BigIntegerField(_("ended"))
    until = models.BigIntegerField(_("may be forgotten"))

    class Meta:
        verbose_name = _("revocation")
        verbose_name_plural = _("revocations")
        default_permissions = ()
        indexes = [
            models.Index(fields=["ended"], name="typed_revocations_by_ended"),
            models.Index(fields=["until"], name="typed_revocations_by_until"),
        ]

    def __str__(self) -> str:
        return urn(self.id)


class Tally(models.Model):
    """How many sessions of which nothing is left ended within one minute, and why."""

    minute = models.BigIntegerField(_("minute"))
    reason = models.CharField(
        _("end reason"), max_length=20, choices=[(reason.value, reason.value) for reason in EndReason]
    )
    count = models.PositiveBigIntegerField(_("count"))

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["minute", "reason"], name="typed_tallies_of_minute")]

    def __str__(self) -> str:
        return f"{self.count} {self.reason}"


class Sample(models.Model):
    """How many sessions there were at one moment, for a chart."""

    at = models.BigIntegerField(_("seconds since the epoch"), primary_key=True)
    live = models.PositiveBigIntegerField(_("live"))
    signed_in = models.PositiveBigIntegerField(_("signed in"))
    started = models.PositiveBigIntegerField(_("started"))

    class Meta:
        verbose_name = _("sample")
        verbose_name_plural = _("samples")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.live}"


class _Nothing(models.Manager["LiveSession"]):
    """Live sessions are in no table: whoever asks for the rows of all models, such as ``dumpdata``, gets none."""

    def get_queryset(self) -> models.QuerySet[LiveSession]:
        return super().get_queryset().none()


class LiveSession(models.Model):
    """A session as the admin shows it: of whatever engine, and never saved. See ``typed_sessions.admin``.

    Besides the fields it has what those are made of, and who looks.
    """

    record: Any
    """Of a session that is there, ``Record``."""
    tombstone: Any
    """Of one that has ended, ``Tombstone``."""
    problem: str
    """Of one that cannot be read, why."""
    person: Any
    """The user, if there is one."""
    viewer: Any
    """Who looks, and so what may be shown."""

    id = models.CharField(_("id"), primary_key=True, max_length=40)
    user = models.CharField(_("user"), max_length=255, null=True)  # noqa: DJ001  # "" could be a key
    mode = models.CharField(_("mode"), max_length=4, choices=[(mode.value, mode.value) for mode in SessionMode])
    created = models.DateTimeField(_("created"))
    seen = models.DateTimeField(_("last seen"))
    expires = models.DateTimeField(_("expires"))

    objects = _Nothing()

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = _("live session")
        verbose_name_plural = _("live sessions")
        default_permissions = ("view",)
        permissions = [
            ("view_livesession_payload", _("Can view what is in a live session")),
            ("end_livesession", _("Can end live sessions")),
        ]

    def __str__(self) -> str:
        return urn(self.id)
