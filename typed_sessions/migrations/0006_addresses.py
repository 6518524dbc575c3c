import json
from typing import Any

from django.db import migrations, router, transaction

from typed_sessions.addresses import spelled

PART = 1000
"""Rows of one transaction: sessions go on being saved meanwhile."""


def fill(apps: Any, schema_editor: Any) -> None:
    """Sessions that are there already are found by their addresses too."""
    alias = schema_editor.connection.alias
    model = apps.get_model("typed_sessions", "StoredSession")
    if not router.allow_migrate_model(alias, model):
        return  # the table is elsewhere
    rows = model.objects.using(alias).filter(end_reason="")
    last = ""
    while part := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", "client")[:PART]):
        with transaction.atomic(using=alias):
            for pk, client in part:
                if found := addresses(client):
                    rows.filter(pk=pk, client=client).update(**found)  # unless somebody has saved it since
        last = part[-1][0]


def addresses(client: str) -> dict[str, str]:
    """What is in the columns of a row that is saved now."""
    try:
        known = json.loads(client)
    except ValueError:
        return {}  # there is none, or nobody can read it
    named = {name: known.get(name) for name in ("address", "last_address")} if isinstance(known, dict) else {}
    texts = {name: spelled(text) or text for name, text in named.items() if isinstance(text, str)}
    return {name: text for name, text in texts.items() if 0 < len(text) <= 45}


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("typed_sessions", "0005_admin")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
