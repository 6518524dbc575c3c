"""
Django's own session tests, unchanged, on each of our engines.

``python -m tests.django_suite`` takes the source distribution of the installed Django from the package index and runs
``SessionTestsMixin`` and ``SessionMiddlewareTests`` of its ``tests/sessions_tests/tests.py``.
"""
