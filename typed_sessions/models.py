"""The table of the ``db`` and ``cached_db`` engines: the record's envelope as columns, fields and bag as JSON."""

from __future__ import annotations

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
            models.Index(fields=["end_reason", "seen", "id", "expires"], name="typed_sessions_by_seen"),
            models.Index(fields=["expires", "end_reason"], name="typed_sessions_by_expiry"),
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
