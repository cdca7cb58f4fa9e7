"""Run a compiled pipeline: `python -m pipelines.local.execute PIPELINE PARAMETERS ROOT [RUN_ID]`.

It is a process of its own, because kfp.local keeps its state in globals and prints to stdout.
"""

import json
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from kfp import components, local

from components.processes import interrupt_on_termination, terminate_session_on_termination
from pipelines.definition.kfp_internals import replace_python_by


def execute(pipeline: Path, parameters: Path, root: Path, run_id: str = "") -> None:
    """Run a pipeline by kfp.local.

    Args:
        pipeline: the compiled YAML.
        parameters: a JSON file of parameters by name.
        root: the folder for the artifacts.
        run_id: the id of the run, to run the steps in containers; empty for subprocesses.

    Raises:
        RuntimeError: if a step fails.
    """
    given = json.loads(parameters.read_text())
    workspace = root / "workspace"
    workspace.mkdir(parents=True)
    # kfp.local warns about every image whose name does not contain "python".
    warnings.simplefilter("ignore", RuntimeWarning)
    if run_id:
        from pipelines.local.containers import docker_runner

        runner = docker_runner(run_id, given)
    else:
        replace_python_by(with_python)
        runner = local.SubprocessRunner(use_venv=False)
    # The default workspace is in /tmp, where an interrupt would leave it behind.
    local.init(runner, pipeline_root=str(root), workspace_root=str(workspace))
    components.load_component_from_file(str(pipeline))(**given)


def with_python(command: Sequence[str], python: str) -> list[str]:
    """Put the path of Python, quoted, into the command of a step.

    This replaces kfp.local's own function, which does not quote the path, and also replaces
    "python3" in the values of parameters.

    Args:
        command: `sh -ec SCRIPT` and the arguments of the script.
        python: the path.
    """
    shell, options, script, *arguments = command
    return [shell, options, script.replace("python3", shlex.quote(python)), *arguments]


if __name__ == "__main__":
    _pipeline, _parameters, _root, *_run_id = sys.argv[1:]
    if _run_id:
        # Containers are removed only if this process unwinds.
        interrupt_on_termination()
    else:
        terminate_session_on_termination()
    execute(Path(_pipeline), Path(_parameters), Path(_root), *_run_id)
