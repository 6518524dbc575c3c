"""The admin page as people use it: real browsers and servers, on Redis and on a database, in every theme."""
