"""The forms a model travels in, from the safest to the last resort: see `order.py`."""
