"""The settings of the tests, with the user model that the environment names."""

import os

from tests.settings import *  # noqa: F403  # as settings are extended
from tests.settings import INSTALLED_APPS as _INSTALLED_APPS

KEY = "TYPED_SESSIONS_TEST_USER"
"""Of the environment: one of the apps beside this file."""

INSTALLED_APPS = [*_INSTALLED_APPS, f"tests.web.users.{os.environ[KEY]}"]
AUTH_USER_MODEL = f"{os.environ[KEY]}.Customer"
