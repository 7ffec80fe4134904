"""Bodies to a table, results to a body."""

from service.codec.answer import to_json, to_response
from service.codec.arrow_answer import arrow_answer
from service.codec.media import ARROW, CSV, JSON, MEDIA_TYPES, check_media_type, wants_arrow
from service.codec.rows import Rows, checked, to_rows
from service.codec.sample import feature_documents, sample_body

__all__ = [
    "ARROW",
    "CSV",
    "JSON",
    "MEDIA_TYPES",
    "Rows",
    "arrow_answer",
    "check_media_type",
    "checked",
    "feature_documents",
    "sample_body",
    "to_json",
    "to_response",
    "to_rows",
    "wants_arrow",
]
