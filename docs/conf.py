"""How Sphinx builds this documentation; see CONTRIBUTING.rst for the command."""

import django
from django.conf import settings

import typed_sessions

# Some modules define models, which Django lets nobody import before it is set up.
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "typed_sessions",
    ],
    SESSION_ENGINE="typed_sessions.backends.db",
)
django.setup()

project = "django-typed-sessions"
author = "django-typed-sessions contributors"
project_copyright = f"2026, {author}"
version = release = typed_sessions.__version__

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
