"""What a session costs, here and in ``django.contrib.sessions``: ``python -m benchmarks`` in the repository."""
