"""`python -m tests.browser.site`: makes the database, with everybody in it; with `day`, lets a day pass."""

import sys

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth.models import Permission, User  # noqa: E402  # models need the apps

from tests.browser.site import sessions  # noqa: E402  # likewise
from tests.browser.site.people import CUSTOMERS, PASSWORD, STAFF, SUPERUSERS  # noqa: E402  # likewise


def settle() -> None:
    """Makes everybody, in an empty database."""
    for name in SUPERUSERS:
        User.objects.create_superuser(name, f"{name}@example.com", PASSWORD)
    for name, permissions in STAFF.items():
        person = User.objects.create_user(name, f"{name}@example.com", PASSWORD, is_staff=True)
        person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    for name in CUSTOMERS:
        User.objects.create_user(name, f"{name}@example.com", PASSWORD)


if sys.argv[1:] == ["day"]:
    sessions.pass_a_day()
else:
    call_command("migrate", verbosity=0)
    settle()
