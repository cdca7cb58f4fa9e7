"""The command ends well from its first moment on."""

import signal
import subprocess
import sys

import pytest

# Is interrupted as the command loads what it is made of.
PROGRAM = """
import os, sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "kfp":
            os.kill(os.getpid(), int(sys.argv[1]))

sys.meta_path.insert(0, Interrupting())
from pipelines.command.entry import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_the_command_loads_is_one_line(number: signal.Signals) -> None:
    command = [sys.executable, "-c", PROGRAM, str(int(number))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")
