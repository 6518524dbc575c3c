"""What gunicorn loads. With `--preload` it does so before it makes its workers, and the store is in use by then."""

from __future__ import annotations

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.concurrency_crowds.site.settings"
application = get_wsgi_application()

_before = import_module(settings.SESSION_ENGINE).SessionStore()
_before["begun before the workers"] = True
_before.save()
