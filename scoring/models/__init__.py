"""One interface to any fitted model."""
