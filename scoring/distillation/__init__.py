"""From a full explainer to a scoring explainer: what is chosen and measured before any request.

A process that serves imports nothing of this.
"""
