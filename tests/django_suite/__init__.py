"""
Django's own tests, unchanged, with our sessions in the place of Django's.

``python -m tests.django_suite`` takes the source distribution of the installed Django from the package index and runs

* ``SessionTestsMixin`` and ``SessionMiddlewareTests`` of its ``tests/sessions_tests/tests.py`` on each of our engines,
* whole packages of its tests, ``auth_tests`` and ``admin_views`` among them, first on stock Django and then with our
  engine, middleware and authentication backend: what passes on the one has to pass on the other.
"""
