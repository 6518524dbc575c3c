"""What has to hold on every engine, by cookie and by header, under WSGI and under ASGI."""
