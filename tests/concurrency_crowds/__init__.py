"""Crowds at one session, on real servers: threads, processes, and clients over the network. Nothing is lost."""
