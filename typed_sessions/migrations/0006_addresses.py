import json
from typing import Any

from django.db import migrations

PART = 1000


def fill(apps: Any, schema_editor: Any) -> None:
    """Sessions that are there already are found by their addresses too."""
    rows = apps.get_model("typed_sessions", "StoredSession").objects.using(schema_editor.connection.alias)
    last = ""
    while part := list(rows.filter(pk__gt=last, end_reason="").exclude(client="").order_by("pk").only("client")[:PART]):
        for row in part:
            try:
                client = json.loads(row.client)
            except ValueError:
                continue  # nobody can read it
            for name in ("address", "last_address"):
                address = client.get(name) if isinstance(client, dict) else None
                setattr(row, name, address if isinstance(address, str) and 0 < len(address) <= 45 else None)
        rows.bulk_update(part, ["address", "last_address"])
        last = part[-1].pk


class Migration(migrations.Migration):
    dependencies = [("typed_sessions", "0005_admin")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
