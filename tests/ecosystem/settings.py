"""The tests' project with all of the packages, each set up as docs/ecosystem.rst says."""

from tests import settings as configured
from tests.ecosystem import page
from tests.settings import *  # noqa: F403  # settings are a namespace

INSTALLED_APPS = [*configured.INSTALLED_APPS]
MIDDLEWARE = [*configured.MIDDLEWARE]
ROOT_URLCONF = "tests.ecosystem.urls"

exec(compile(page.SETTINGS, str(page.PAGE), "exec"))

ALLOWED_HOSTS = ["testserver"]
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"
# Limits of allauth's own, which a test that signs in often would meet.
ACCOUNT_RATE_LIMITS = False
