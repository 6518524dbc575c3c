"""The shop as a site of its own, for servers with several processes, and for one with an event loop."""
