"""The project that docs/ecosystem.rst makes."""

from __future__ import annotations

from django.core import checks
from django.core.management import call_command


def test_settings_of_the_page(db: None) -> None:
    """With all of the packages in one project, `manage.py check` finds nothing."""
    assert checks.run_checks() == []


def test_tables(db: None) -> None:
    """The packages' migrations make the tables that their models have."""
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
