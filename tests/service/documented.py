"""Holds answers against the OpenAPI document of the server that gave them."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema_rs

JSON = "application/json"


class Document:
    """What the server of a client says that it may answer."""

    def __init__(self, client: httpx.Client) -> None:
        document = client.get("/openapi.json").json()
        self._paths, self._components = document["paths"], document["components"]
        for schema in self._components["schemas"].values():
            if "properties" in schema:  # what is not documented must not be there
                schema["additionalProperties"] = False
        self._validators: dict[str, Any] = {}

    def check(self, answer: httpx.Response, template: str) -> None:
        """Assert that an answer's status, headers, type and body are the document's.

        Parameters
        ----------
        template : the path, as the document has it.
        """
        operation = self._paths[template][answer.request.method.lower()]
        status = str(answer.status_code)
        assert status in operation["responses"], f"{status} at {template}: {answer.text}"
        told = operation["responses"][status]
        for name, header in told["headers"].items():
            assert name in answer.headers or not header.get("required"), f"{status} lacks {name}"
        content = told.get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        assert kind in content or not content, f"{status} at {template} is {kind}"
        if kind == JSON and content:
            self._validator(content[JSON]["schema"]).validate(answer.json())

    def _validator(self, schema: dict[str, Any]) -> Any:
        key = str(schema)
        if key not in self._validators:
            whole = {**schema, "components": self._components}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        return self._validators[key]
