"""Explanations that are asked for now and fetched later."""

from service.jobs.jobs import Jobs
from service.jobs.stores import open_store

__all__ = ["Jobs", "open_store"]
