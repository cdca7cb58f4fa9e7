"""Children end with their parent, and a parent that was told to end does."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

# Prints the child's pid, then waits; with "stuck" it waits for a lock when it unwinds, too.
PROGRAM = """
import subprocess, sys, threading, time
from components import processes
processes._UNWIND_SECONDS = 1
processes.interrupt_on_termination()
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
with processes.child_process(sleep, output=subprocess.DEVNULL, environment={}) as child:
    try:
        print(child.pid, flush=True)
        while True:  # a signal just before a sleep does not cut that sleep short
            time.sleep(0.05)
    finally:
        if sys.argv[1] == "stuck":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
"""


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("way", ["unwinds", "stuck"])
def test_the_child_ends_however_the_parent_does(number: signal.Signals, way: str) -> None:
    command = [sys.executable, "-c", PROGRAM, way]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.send_signal(number)
        try:
            assert parent.wait(120) != 0
        finally:
            parent.kill()
    deadline = time.monotonic() + 60
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(child)


# The child takes no notice of SIGTERM, as a server that hangs while it shuts down.
DEAF = """
import signal, subprocess, sys
from components import processes
processes._STOP_SECONDS = processes._UNWIND_SECONDS = 600
processes.interrupt_on_termination()
deaf = "from signal import *; signal(SIGTERM, SIG_IGN); print(1, flush=True); pause()"
with processes.child_process(
    [sys.executable, "-c", deaf], output=subprocess.PIPE, environment={}
) as child:
    child.stdout.readline()
    print(child.pid, flush=True)
"""


def test_a_second_interrupt_while_a_child_is_stopped_leaves_no_child() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DEAF], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.5)  # the block has ended, and the parent waits for the child to end
        parent.send_signal(signal.SIGINT)
        try:
            assert parent.wait(120) != 0
        finally:
            parent.kill()
    assert gone(child)
