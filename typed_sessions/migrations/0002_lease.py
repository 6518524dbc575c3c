from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("typed_sessions", "0001_initial")]

    operations = [
        # With a default of the database's own, so that a release that does not know the column can still write rows.
        migrations.AddField("storedsession", "lease", models.CharField(blank=True, db_default="", max_length=40)),
    ]
