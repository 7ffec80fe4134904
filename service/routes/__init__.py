"""Endpoints, a file per protocol."""
