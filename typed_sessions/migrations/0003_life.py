from django.db import migrations, models

REASONS = [
    (reason, reason)
    for reason in (
        "logged_out",
        "expired_idle",
        "expired_absolute",
        "ended_by_user",
        "ended_by_staff",
        "over_limit",
        "password_changed",
        "user_inactive",
        "rotated",
        "undecodable",
    )
]


class Migration(migrations.Migration):
    dependencies = [("typed_sessions", "0002_lease")]

    operations = [
        # With a default of the database's own, so that a release that does not know the column can still write rows.
        migrations.AddField(
            "storedsession",
            "place",
            models.BigIntegerField(db_default=0, verbose_name="signed in, in milliseconds"),
        ),
        migrations.CreateModel(
            "Reservation",
            [
                ("user", models.CharField(max_length=255, primary_key=True, serialize=False, verbose_name="user")),
                ("places", models.TextField(blank=True, verbose_name="ids, and until when")),
            ],
            {"verbose_name": "reservation", "verbose_name_plural": "reservations", "default_permissions": ()},
        ),
        migrations.CreateModel(
            "Revocation",
            [
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name="id")),
                ("reason", models.CharField(choices=REASONS, max_length=20, verbose_name="end reason")),
                ("ended", models.BigIntegerField(verbose_name="ended")),
                ("until", models.BigIntegerField(verbose_name="may be forgotten")),
            ],
            {
                "verbose_name": "revocation",
                "verbose_name_plural": "revocations",
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["ended"], name="typed_revocations_by_ended"),
                    models.Index(fields=["until"], name="typed_revocations_by_until"),
                ],
            },
        ),
    ]
