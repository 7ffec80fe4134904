#!/bin/sh
# smoke.sh URL [API_KEY]: checks a running server from outside, with curl (where there is none, with
# Python) and Python's standard library; one line per check, and an exit code other than 0 after the
# first that fails. The key may be in the environment variable API_KEY instead.
set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  echo "usage: smoke.sh URL [API_KEY]" >&2
  exit 2
fi
url=${1%/}
key=${2:-${API_KEY:-}}
# No proxy can reach this machine's own loopback.
no_proxy=${no_proxy:-${NO_PROXY:-}}
export no_proxy="${no_proxy:+$no_proxy,}127.0.0.1,localhost"
umask 077 # the key is written below
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "FAIL  $*" >&2
  exit 1
}

command -v python3 >/dev/null || fail "python3 is not installed here"

# The key goes through a file: the arguments of a command are visible to everybody on the machine.
: >"$dir/headers"
[ -z "$key" ] || printf 'Authorization: Bearer %s\n' "$key" >"$dir/headers"

# fetch CHECK PATH [BODY]: gets PATH, or posts the file BODY to it; the answer lands in $dir/CHECK.
fetch() {
  if command -v curl >/dev/null; then
    set -- "$1" "$2" ${3:+"--header" "Content-Type: application/json" "--data-binary" "@$3"}
    check=$1 path=$2
    shift 2
    status=$(curl --silent --show-error --connect-timeout 5 --max-time 60 --header "@$dir/headers" \
      --output "$dir/$check" --write-out '%{http_code}' "$@" "$url$path" 2>"$dir/error") || status=
  else
    check=$1 path=$2
    status=$(python3 - "$url$path" "$dir/headers" "$dir/$check" ${3:+"$3"} 2>"$dir/error" <<'PYTHON'
import sys
import urllib.error
import urllib.request
from pathlib import Path

url, headers, answer, *body = sys.argv[1:]
request = urllib.request.Request(url, data=Path(body[0]).read_bytes() if body else None)
if body:
    request.add_header("Content-Type", "application/json")
for line in Path(headers).read_text().splitlines():
    request.add_header(*line.split(": ", 1))
try:
    with urllib.request.urlopen(request, timeout=60) as response:
        Path(answer).write_bytes(response.read())
        print(response.status)
except urllib.error.HTTPError as error:
    Path(answer).write_bytes(error.read())
    print(error.code)
except OSError as error:
    sys.exit(f"no answer: {error}")
PYTHON
    ) || status=
  fi
  case $status in
    200) ;;
    "" | 000) fail "$check: no answer from $url$path: $(tail -n 1 "$dir/error")" ;;
    *) fail "$check: HTTP $status from $url$path: $(head -c 500 "$dir/$check")" ;;
  esac
}

fetch ready /health/ready
echo "ok    ready       $url"

fetch schema /schema
python3 - "$dir/schema" "$dir/sample" <<'PYTHON' || exit 1
import json
import sys
from pathlib import Path

try:
    sample = json.loads(Path(sys.argv[1]).read_bytes())["sample"]
except (ValueError, KeyError, TypeError) as error:
    sys.exit(f"FAIL  schema: no sample request in the answer: {error!r}")
Path(sys.argv[2]).write_text(json.dumps(sample))
PYTHON
echo "ok    schema      has a sample request"

fetch score /score "$dir/sample"
python3 - "$dir/score" <<'PYTHON' || exit 1
"""The law: base value + importances == explained output, for every row and class."""

import json
import math
import sys
from pathlib import Path

TOLERANCE = 1e-6  # of the size of the numbers that are added up
# A shorter series costs every value the same measured error; this many of it are let pass.
STANDARD_ERRORS = 4


def fail(why):
    sys.exit(f"FAIL  {why}")


def explained(answer, row, output, total):
    """The output that the importances of one row add up to; None where the answer has only the gap."""
    if answer["output_space"] == "probability" and "class" in answer["axes"]:
        return answer["probabilities"][row][output]
    if answer["output_space"] == "value" and "class" not in answer["axes"]:
        predicted = answer["predictions"][row]
        return predicted[output] if "output" in answer["axes"] else predicted
    return total + answer["additivity_gap"][row]


def check(answer):
    values, bases = answer["local_importance_values"], answer["base_values"]
    if answer["axes"] == ["row", "feature"]:
        values, bases = [values], bases if isinstance(bases, list) else [bases]
    elif answer["axes"] not in (["class", "row", "feature"], ["output", "row", "feature"]):
        fail(f"score: unknown axes {answer['axes']}")
    n_rows, n_features = len(answer["predictions"]), len(answer["features"])
    if not (values and n_rows and n_features) or len(bases) != len(values):
        fail("score: the answer is empty, or base values and importances do not match")
    # Sampled values have errors one by one, and add up all the same.
    error = answer["standard_errors"] if isinstance(answer["standard_errors"], float) else 0.0
    slack, worst = STANDARD_ERRORS * error * n_features, 0.0
    for output, (base, rows) in enumerate(zip(bases, values)):
        if len(rows) != n_rows or len(answer["index"]) != n_rows:
            fail(f"score: output {output} has {len(rows)} rows of {n_rows}")
        for row, importances in enumerate(rows):
            if len(importances) != n_features:
                fail(f"score: row {row} has {len(importances)} importances of {n_features}")
            total = math.fsum([base, *importances])
            scale = math.fsum(map(abs, [base, *importances]))
            gap = abs(total - explained(answer, row, output, total))
            allowed = TOLERANCE * scale + slack
            if not gap <= allowed:  # also when either is not a number
                fail(f"additivity: row {row}, output {output}: off by {gap:.3g}, {allowed:.3g} allowed")
            worst = max(worst, gap / allowed if allowed else 0.0)
    print(f"ok    score       {n_rows} rows, {n_features} features, {len(values)} outputs")
    print(f"ok    additivity  largest gap {worst:.1e} of what is allowed")


try:
    check(json.loads(Path(sys.argv[1]).read_bytes()))
except (ValueError, KeyError, IndexError, TypeError) as error:
    fail(f"score: not the answer that was expected: {error!r}")
PYTHON
