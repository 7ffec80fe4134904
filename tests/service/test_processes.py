"""Workers that are started, watched, replaced and ended together, with work that needs no model.

Each test has a process of its own to fork from: the one that runs the tests has threads.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from service.processes import _Pauses

LONG = 60  # seconds that a busy machine may take for anything

SERVE = """
import logging, multiprocessing, os, pathlib, signal, socket, sys, time
from service.processes import CannotServe, Supervisor

n, grace_seconds, flag = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
readied = []

def work(ready, team):
    if os.path.exists(flag):
        raise CannotServe("the flag is up")
    if os.environ.get("SLOW"):  # each longer than the one before
        name = multiprocessing.current_process().name
        time.sleep(0.3 * int(name[-1]))
        pathlib.Path(flag).with_name(name).touch()
    listening = True
    def end(*_):
        nonlocal listening
        listening = bool(os.environ.get("STUBBORN"))
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, lambda *_: logging.info("SIGINT"))
    listener.settimeout(0.05)
    ready()
    while listening:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with connection:
            if connection.recv(1) == b"p":
                connection.sendall(b"%d" % os.getpid())

try:
    Supervisor(n, work, on_ready=lambda: logging.info("ready on %d", port), listener=listener,
               grace_seconds=grace_seconds).run()
except CannotServe as exc:
    sys.exit(f"cannot serve: {exc}")
"""


@contextmanager
def supervised(n=2, grace_seconds=LONG, flag="/nonexistent", wait=True, **variables):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(n), str(grace_seconds), str(flag)],
        env=os.environ | variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group to send Ctrl-C to, as a terminal does
    )
    try:
        port = 0
        if wait:
            assert process.stderr is not None  # narrows the type
            ready = re.fullmatch(r"ready on (\d+)\n", process.stderr.readline())
            assert ready
            port = int(ready[1])
        yield process, port
    finally:
        if process.poll() is None:
            for each in [*psutil.Process(process.pid).children(), process]:
                each.kill()
        process.communicate(timeout=LONG)


def workers(process):
    alive = [p for p in psutil.Process(process.pid).children() if p.status() != "zombie"]
    return {each.pid for each in alive}


def until(holds):
    end = time.monotonic() + LONG
    while not (answer := holds()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer


def who_answers(port):
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        connection.sendall(b"p")
        return int(connection.makefile("rb").read())


def told(process):
    """All that was said until the process ended."""
    _, err = process.communicate(timeout=LONG)
    return err.splitlines()


@pytest.mark.parametrize("ctrl_c", [False, True])
def test_they_serve_one_socket_until_they_are_told_to_end(ctrl_c):
    with supervised(3) as (process, port):
        assert len(workers(process)) == 3
        assert who_answers(port) in workers(process)
        if ctrl_c:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        assert told(process) == []
        assert process.returncode == 0
        with pytest.raises(ConnectionRefusedError):
            who_answers(port)


def test_that_they_are_ready_is_told_once_when_all_are(tmp_path):
    with supervised(3, flag=tmp_path / "flag", SLOW="1") as (process, _):
        assert {path.name for path in tmp_path.iterdir()} == {f"worker-{n}" for n in (1, 2, 3)}
        process.terminate()
        assert told(process) == []


def test_one_that_is_killed_is_replaced_and_the_log_says_so():
    with supervised(2) as (process, port):
        before = workers(process)
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        after = until(lambda: len(w := workers(process)) == 2 and killed not in w and w)
        assert before - after == {killed}
        new = (after - before).pop()
        assert process.stderr is not None
        line = process.stderr.readline()
        assert re.fullmatch(
            rf"worker [12] \(process {killed}\) was ended by SIGKILL; "
            r"another takes its place in 0\.0 s\n",
            line,
        )
        os.kill((before - {killed}).pop(), signal.SIGSTOP)  # so that only the new one can answer
        assert who_answers(port) == new


def test_a_connection_that_nobody_accepted_outlives_the_workers():
    with supervised(2) as (process, port):
        before = workers(process)
        for each in before:
            os.kill(each, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
            connection.sendall(b"p")
            for each in before:
                os.kill(each, signal.SIGKILL)
            assert int(connection.makefile("rb").read()) not in before


def test_one_that_cannot_start_ends_the_whole_with_its_reason(tmp_path):
    (tmp_path / "flag").touch()
    with supervised(2, flag=tmp_path / "flag", wait=False) as (process, _):
        assert told(process) == ["cannot serve: the flag is up"]
        assert process.returncode == 1


def test_one_that_dies_before_it_is_ready_ends_the_whole():
    with supervised(1, wait=False, SLOW="1") as (process, _):
        os.kill(until(lambda: workers(process)).pop(), signal.SIGKILL)
        assert told(process) == ["cannot serve: a worker was ended by SIGKILL before it was ready"]
        assert process.returncode == 1


def test_replacements_that_cannot_start_are_tried_five_times(tmp_path):
    with supervised(2, flag=tmp_path / "flag") as (process, port):
        (tmp_path / "flag").touch()
        os.kill(killed := max(workers(process)), signal.SIGKILL)
        until(lambda: killed not in workers(process))
        assert who_answers(port)
        lines = told(process)
        assert process.returncode == 1
        assert lines.pop() == "cannot serve: the flag is up"
        assert "SIGKILL" in lines.pop(0)
        assert len(lines) == 4
        assert all("the flag is up; another takes its place" in line for line in lines)


def test_one_that_does_not_end_is_killed():
    with supervised(2, grace_seconds=0.5, STUBBORN="1") as (process, _):
        process.send_signal(signal.SIGTERM)
        [line] = told(process)
        assert line == "cannot serve: 2 of 2 workers were still busy after 0.5 s and were killed"
        assert process.returncode == 1


def test_a_second_ctrl_c_does_not_wait():
    with supervised(2, STUBBORN="1") as (process, _):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        told(process)
        assert time.monotonic() - began < LONG / 2


def test_workers_end_when_their_parent_is_gone():
    with supervised(2) as (process, _):
        orphans = [psutil.Process(pid) for pid in workers(process)]
        process.kill()
        _, alive = psutil.wait_procs(orphans, timeout=LONG)
        assert not alive


def test_the_pause_grows_with_deaths_and_is_forgotten():
    pauses = _Pauses()
    assert [pauses.after_death(t) for t in range(8)] == [0, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert pauses.after_death(1000) == 0
