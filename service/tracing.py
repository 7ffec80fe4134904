"""Traces for OpenTelemetry, where its SDK is installed and an endpoint is set.

Spans are made when a request is over, from its record: while it is answered, tracing costs nothing.
A span of the request has a child for each stage, and hangs under the client's own where the
request brought a `traceparent`. No path, query, header or value of a client's is in them.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from service.record import Record

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Tracing", "tracing_of"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CONTEXT = {b"traceparent": "traceparent", b"tracestate": "tracestate"}

logger = logging.getLogger("shapserve")


class Tracing:
    """Turns records into spans.

    Parameters
    ----------
    provider : whose processors export them.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = provider.get_tracer("shapserve")
        self._extract = TraceContextTextMapPropagator().extract
        self._trace = trace

    def note(self, record: Record) -> None:
        """Export one request that is over."""
        trace, clock = self._trace, time.time_ns() - int(time.perf_counter() * 1e9)

        def at(seconds: float) -> int:
            return clock + int(seconds * 1e9)

        span = self._tracer.start_span(
            f"{record.method} {record.route}",
            self._extract(_carrier(record)),
            trace.SpanKind.SERVER,
            _attributes(record),
            start_time=at(record.began),
        )
        if record.status >= 500:
            span.set_status(trace.StatusCode.ERROR)
        inside = trace.set_span_in_context(span)
        for stage, began, ended in record.spans:
            self._tracer.start_span(stage, inside, start_time=at(began)).end(at(ended))
        span.end(at(record.ended))
        context = span.get_span_context()
        record.trace_id = trace.format_trace_id(context.trace_id)


def _attributes(record: Record) -> dict[str, Any]:
    told: dict[str, Any] = {
        "http.request.method": record.method,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "http.request.body.size": record.bytes_in,
        "http.response.body.size": record.bytes_out,
        "shapserve.request_id": record.request_id,
    }
    optional = {
        "shapserve.model": record.model,
        "shapserve.rows": record.rows,
        "error.type": record.code,
    }
    return told | {name: value for name, value in optional.items() if value}


def _carrier(record: Record) -> Mapping[str, str]:
    """The two headers of the W3C's trace context; what is malformed is passed over later."""
    return {
        _CONTEXT[name]: value.decode("latin-1")
        for name, value in record.scope["headers"]
        if name in _CONTEXT
    }


def _name(environment: Mapping[str, str]) -> dict[str, str]:
    """The service's name, unless the environment gives it one."""
    told = environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in told
    return {} if named else {"service.name": "shapserve"}


def tracing_of(environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Make what exports traces, if the environment asks for it; nothing is imported otherwise."""
    wanted = any(environment.get(name) for name in _ENDPOINTS)
    if not wanted or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        logger.warning(
            "an endpoint for OpenTelemetry is set, and traces are not made: "
            "pip install 'shapserve[otel]'"
        )
        return None
    provider = TracerProvider(resource=Resource.create(_name(environment)))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
