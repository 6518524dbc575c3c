from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("typed_sessions", "0004_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="LiveSession",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name="id")),
                ("user", models.CharField(max_length=255, null=True, verbose_name="user")),
                (
                    "mode",
                    models.CharField(choices=[("temp", "temp"), ("perm", "perm")], max_length=4, verbose_name="mode"),
                ),
                ("created", models.DateTimeField(verbose_name="created")),
                ("seen", models.DateTimeField(verbose_name="last seen")),
                ("expires", models.DateTimeField(verbose_name="expires")),
            ],
            options={
                "verbose_name": "live session",
                "verbose_name_plural": "live sessions",
                "permissions": [
                    ("view_livesession_payload", "Can view what is in a live session"),
                    ("end_livesession", "Can end live sessions"),
                ],
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Sample",
            fields=[
                (
                    "at",
                    models.BigIntegerField(primary_key=True, serialize=False, verbose_name="seconds since the epoch"),
                ),
                ("live", models.PositiveBigIntegerField(verbose_name="live")),
                ("signed_in", models.PositiveBigIntegerField(verbose_name="signed in")),
                ("started", models.PositiveBigIntegerField(verbose_name="started")),
            ],
            options={
                "verbose_name": "sample",
                "verbose_name_plural": "samples",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("minute", models.BigIntegerField(verbose_name="minute")),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("logged_out", "logged_out"),
                            ("expired_idle", "expired_idle"),
                            ("expired_absolute", "expired_absolute"),
                            ("ended_by_user", "ended_by_user"),
                            ("ended_by_staff", "ended_by_staff"),
                            ("over_limit", "over_limit"),
                            ("password_changed", "password_changed"),
                            ("user_inactive", "user_inactive"),
                            ("rotated", "rotated"),
                            ("undecodable", "undecodable"),
                        ],
                        max_length=20,
                        verbose_name="end reason",
                    ),
                ),
                ("count", models.PositiveBigIntegerField(verbose_name="count")),
            ],
            options={
                "verbose_name": "tally",
                "verbose_name_plural": "tallies",
                "default_permissions": (),
            },
        ),
        migrations.RemoveIndex(
            model_name="storedsession",
            name="typed_sessions_by_seen",
        ),
        migrations.RemoveIndex(
            model_name="storedsession",
            name="typed_sessions_by_expiry",
        ),
        migrations.AddField(
            model_name="storedsession",
            name="address",
            field=models.CharField(blank=True, max_length=45, null=True, verbose_name="address"),
        ),
        migrations.AddField(
            model_name="storedsession",
            name="last_address",
            field=models.CharField(blank=True, max_length=45, null=True, verbose_name="last address"),
        ),
        migrations.AddIndex(
            model_name="storedsession",
            index=models.Index(
                fields=["end_reason", "seen", "id", "expires", "mode", "user", "created", "modified"],
                name="typed_sessions_by_seen",
            ),
        ),
        migrations.AddIndex(
            model_name="storedsession",
            index=models.Index(fields=["expires", "id", "end_reason", "mode", "user"], name="typed_sessions_by_expiry"),
        ),
        migrations.AddIndex(
            model_name="storedsession",
            index=models.Index(fields=["address"], name="typed_sessions_by_address"),
        ),
        migrations.AddIndex(
            model_name="storedsession",
            index=models.Index(fields=["last_address"], name="typed_sessions_by_last"),
        ),
        migrations.AddConstraint(
            model_name="tally",
            constraint=models.UniqueConstraint(fields=("minute", "reason"), name="typed_tallies_of_minute"),
        ),
    ]
