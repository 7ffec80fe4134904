"""Bodies to a table, results to a body."""

from service.codec.answer import to_json, to_response
from service.codec.rows import Rows, check_media_type, to_rows
from service.codec.sample import feature_documents, sample_body

__all__ = [
    "Rows",
    "check_media_type",
    "feature_documents",
    "sample_body",
    "to_json",
    "to_response",
    "to_rows",
]
