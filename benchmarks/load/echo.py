"""The limit: an endpoint that parses the same body and answers a constant."""

from __future__ import annotations

import sys

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()
CONSTANT = orjson.dumps({"predictions": [1]})


@app.post("/score")
async def score(request: Request) -> Response:
    """Parse, and say always the same."""
    orjson.loads(await request.body())
    return Response(CONSTANT, media_type="application/json")


@app.get("/health/ready")
async def ready() -> Response:
    """Tell that requests may come."""
    return Response()


if __name__ == "__main__":
    port, parser = int(sys.argv[1]), sys.argv[2]
    uvicorn.run(app, port=port, http=parser, access_log=False, log_level="error")
