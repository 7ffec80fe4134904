"""Trees of libraries as arrays: exact Shapley values of what their leaves add up to."""
