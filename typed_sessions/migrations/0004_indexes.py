from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("typed_sessions", "0003_life")]

    operations = [
        # So that a page of the list, and how long the list is, are read from the index alone.
        migrations.RemoveIndex(model_name="storedsession", name="typed_sessions_by_seen"),
        migrations.RemoveIndex(model_name="storedsession", name="typed_sessions_by_expiry"),
        migrations.AddIndex(
            model_name="storedsession",
            index=models.Index(fields=["end_reason", "seen", "id", "expires"], name="typed_sessions_by_seen"),
        ),
        migrations.AddIndex(
            model_name="storedsession",
            index=models.Index(fields=["expires", "end_reason"], name="typed_sessions_by_expiry"),
        ),
    ]
