"""Run a compiled pipeline by kfp.local: `python -m pipelines.execute PIPELINE PARAMETERS ROOT`.

A process of its own, because kfp.local keeps its state in globals and prints as it likes.
"""

import json
import sys
import warnings
from pathlib import Path

from kfp import components, local

from pipelines.processes import terminate_session_on_termination


def execute(pipeline: Path, parameters: Path, root: Path) -> None:
    """Run a pipeline in subprocesses.

    Args:
        pipeline: the compiled YAML.
        parameters: a JSON file of parameters by name.
        root: the folder that takes the artifacts.

    Raises:
        RuntimeError: if a step fails.
    """
    # kfp.local doubts every image whose name does not hold "python".
    warnings.simplefilter("ignore", RuntimeWarning)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root))
    components.load_component_from_file(str(pipeline))(**json.loads(parameters.read_text()))


if __name__ == "__main__":
    terminate_session_on_termination()
    execute(*map(Path, sys.argv[1:]))
