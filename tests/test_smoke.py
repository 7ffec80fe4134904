"""deploy/smoke.sh, against a stand-in server: a right answer passes, each wrong one is named."""

import copy
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SMOKE = Path(__file__).resolve().parent.parent / "deploy" / "smoke.sh"
SAMPLE = {"a": {"0": 1.5, "1": 2.5}, "b": {"0": 0.0, "1": 4.0}}
CLASSES = {  # two rows, two features, two classes
    "predictions": ["no", "yes"],
    "probabilities": [[0.75, 0.25], [0.125, 0.875]],
    "local_importance_values": [[[0.5, -0.25], [-0.5, 0.125]], [[-0.5, 0.25], [0.5, -0.125]]],
    "base_values": [0.5, 0.5],
    "features": ["a", "b"],
    "classes": ["no", "yes"],
    "index": [0, 1],
    "output_space": "probability",
    "axes": ["class", "row", "feature"],
    "additivity_gap": [0.0, 0.0],
    "standard_errors": 0.0,
}
REGRESSION = CLASSES | {
    "predictions": [1e6 + 3, 1e6 + 4],
    "probabilities": None,
    "local_importance_values": [[1, 2], [0, 4]],
    "base_values": 1e6,
    "classes": None,
    "output_space": "value",
    "axes": ["row", "feature"],
}
MARGIN = CLASSES | {"output_space": "margin", "probabilities": None}
OUTPUTS = REGRESSION | {  # of each row two numbers
    "predictions": [[1e6 + 3, 7.0], [1e6 + 4, 9.0]],
    "local_importance_values": [[[1, 2], [0, 4]], [[1, 1], [2, 2]]],
    "base_values": [1e6, 5.0],
    "axes": ["output", "row", "feature"],
}
SAMPLED = CLASSES | {"standard_errors": [[[0.1, 0.1], [0.1, 0.1]], [[0.1, 0.1], [0.1, 0.1]]]}
SERIES = CLASSES | {  # off by a part of the error that each of two features has
    "probabilities": [[0.751, 0.249], [0.125, 0.875]],
    "standard_errors": 0.001,
}


class Server(ThreadingHTTPServer):
    """Answers what it was told to; remembers what it was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {"/health/ready": {}, "/schema": {"sample": SAMPLE}, "/score": CLASSES}
        self.key = None
        self.posted = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self):
        status, body = 200, self.server.answers.get(self.path)
        if self.server.key and self.headers["Authorization"] != f"Bearer {self.server.key}":
            status, body = 401, {"error": "unauthorised"}
        elif body is None:
            status, body = 503, {"error": "not now"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.headers["Content-Type"], json.loads(body)))
        self.answer()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=["curl", "urllib"])
def smoke(request, tmp_path):
    """Run the script, with curl or on a PATH that has none."""
    if request.param == "urllib":
        (tmp_path / "python3").symlink_to(sys.executable)
        for tool in ("head", "mktemp", "rm", "tail"):
            found = shutil.which(tool)
            assert found, f"{tool} is not installed"
            (tmp_path / tool).symlink_to(found)
    else:
        assert shutil.which("curl"), "curl is not installed"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(*arguments, **variables):
        env = os.environ | {"PATH": path if request.param == "curl" else str(tmp_path)} | variables
        return subprocess.run(
            [SMOKE, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.mark.parametrize(
    "answer",
    [CLASSES, REGRESSION, MARGIN, OUTPUTS, SAMPLED, SERIES],
    ids=["classes", "regression", "margin", "outputs", "sampled", "series"],
)
def test_a_right_answer_passes(server, smoke, answer):
    server.answers["/score"] = answer
    result = smoke(server.url + "/")
    assert (result.returncode, result.stderr) == (0, "")
    checks = [line.split()[:2] for line in result.stdout.splitlines()]
    assert checks == [["ok", check] for check in ("ready", "schema", "score", "additivity")]
    assert server.posted == [("application/json", SAMPLE)]


def test_the_key_is_sent(server, smoke):
    server.key = "s3cret"
    assert smoke(server.url, "s3cret").returncode == 0
    assert smoke(server.url, API_KEY="s3cret").returncode == 0
    assert smoke(server.url, "s3cret", API_KEY="another").returncode == 0
    refused = smoke(server.url)
    assert refused.returncode == 1
    assert refused.stderr.startswith("FAIL  ready: HTTP 401")


def change(path, value, answer=CLASSES):
    """A copy of a right answer with one thing in it replaced."""
    answer = copy.deepcopy(answer)
    *way, last = path
    inner = answer
    for step in way:
        inner = inner[step]
    inner[last] = value
    return answer


VALUES = "local_importance_values"


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/health/ready", None, "ready: HTTP 503"),
        ("/schema", {}, "schema: no sample"),
        ("/schema", b"<html>", "schema: no sample"),
        ("/score", None, "score: HTTP 503"),
        ("/score", b"<html>", "score: not the answer"),
        ("/score", change([VALUES, 1, 0, 1], 0.25001), "additivity: row 0, output 1"),
        ("/score", change(["base_values", 0], 0.50001), "additivity: row 0, output 0"),
        ("/score", change(["probabilities", 1, 1], 0.87501), "additivity: row 1, output 1"),
        ("/score", change([VALUES, 0, 0, 0], float("nan")), "additivity: row 0, output 0"),
        ("/score", change([VALUES, 0, 0, 0], None), "score: not the answer"),
        ("/score", change([VALUES, 0], [[0.5, -0.25]]), "score: output 0 has 1 rows of 2"),
        ("/score", change([VALUES, 0, 1], [-0.5]), "score: row 1 has 1 importances of 2"),
        ("/score", change([VALUES], []), "score: the answer is empty"),
        ("/score", change(["predictions"], []), "score: the answer is empty"),
        ("/score", change(["axes"], ["row", "class", "feature"]), "score: unknown axes"),
        ("/score", change(["predictions", 1], 1e6 + 8, REGRESSION), "additivity: row 1, output 0"),
        ("/score", change(["additivity_gap", 1], 1e-3, MARGIN), "additivity: row 1, output 0"),
        ("/score", change(["predictions", 0, 1], 7.001, OUTPUTS), "additivity: row 0, output 1"),
        ("/score", change([VALUES, 1, 0, 0], 0.49, SAMPLED), "additivity: row 0, output 1"),
        ("/score", change(["standard_errors"], 1e-4, SERIES), "additivity: row 0, output 0"),
    ],
)
def test_a_wrong_answer_is_named(server, smoke, path, answer, said):
    server.answers[path] = answer
    result = smoke(server.url)
    assert result.returncode == 1
    assert result.stderr.startswith(f"FAIL  {said}")
    assert len(result.stderr.splitlines()) == 1


def test_no_server_is_told_in_one_line(smoke):
    with Server() as server:
        url = server.url
    result = smoke(url)
    assert result.returncode == 1
    assert result.stderr.startswith(f"FAIL  ready: no answer from {url}/health/ready")
    assert len(result.stderr.splitlines()) == 1


def test_usage(smoke):
    assert smoke().returncode == 2
