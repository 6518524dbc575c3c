"""A site on gunicorn whose pages stop, on request, where a worker is then killed."""
