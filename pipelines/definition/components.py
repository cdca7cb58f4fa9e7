"""The steps as Kubeflow components, whose parameters are the fields of the steps' settings.

Kubeflow runs the source of a component's function, including its parameters. The functions in
`components/*/component.py` take their settings as one argument, so this module generates a function
with one parameter for each field.
"""

import inspect
import linecache
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, get_type_hints

from kfp import dsl

from components import images
from components.deploy import component as deploy_step
from components.evaluate import component as evaluate_step
from components.ingest import component as ingest_step
from components.notify import component as notify_step
from components.prepare import component as prepare_step
from components.train import component as train_step
from components.train.settings import TrainSettings
from components.tune import component as tune_step
from pipelines.definition.parameters import Declared, declare

_TEXT = """\
def {name}(
    *,
    {parameters},
) -> {returned}:
    given = dict(locals())
    from {module} import {name}
    from components.step import run_component

    result = run_component({name}, given)
    return {result}
"""


def component(
    image: str, function: Callable[..., Any], outputs: Mapping[str, Declared] | None = None
) -> Any:
    """A lightweight component that runs the function of a step.

    Args:
        image: the image that it runs in.
        function: of a `component.py`; each field of its `settings` becomes a parameter.
        outputs: the values of the returned dictionary that become outputs; None for a function
            that returns something else.
    """
    takes = inspect.signature(function)
    settings = get_type_hints(function).get("settings")
    fields = declare(settings) if settings else {}
    text = _TEXT.format(
        name=function.__name__,
        module=function.__module__,
        parameters=",\n    ".join(_parameters(takes, fields)),
        returned=_named_tuple(outputs) if outputs else takes.return_annotation,
        result=_values(outputs) if outputs else "result",
    )
    written = _define(function.__name__, text)
    written.__doc__ = _document(inspect.getdoc(function) or "", fields)
    return dsl.component(written, base_image=image, install_kfp_package=False)


def _parameters(takes: inspect.Signature, fields: Mapping[str, Declared]) -> Iterator[str]:
    own = [known for known in takes.parameters.values() if known.name != "settings"]
    declared = [(known.name, known.annotation, known.default) for known in own]
    declared += [(name, known.type.__name__, known.default) for name, known in fields.items()]
    for name, annotation, default in declared:
        given = "" if default is inspect.Parameter.empty else f" = {default!r}"
        yield f"{name}: {annotation}{given}"


def _named_tuple(outputs: Mapping[str, Declared]) -> str:
    fields = ", ".join(f'("{name}", {known.type.__name__})' for name, known in outputs.items())
    return f'NamedTuple("Outputs", [{fields}])'


def _values(outputs: Mapping[str, Declared]) -> str:
    # Kubeflow returns whole numbers as floats.
    values = (f'{known.type.__name__}(result["{name}"])' for name, known in outputs.items())
    return f"({', '.join(values)},)"


def _define(name: str, text: str) -> Callable[..., Any]:
    """Define the function of a source text, and put the text where `inspect.getsource` finds it."""
    file = f"<component {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"Any": Any, "NamedTuple": NamedTuple, "dsl": dsl}
    exec(compile(text, file, "exec"), namespace)
    function: Callable[..., Any] = namespace[name]
    return function


def _document(text: str, fields: Mapping[str, Declared]) -> str:
    described = "".join(f"    {name}: {known.description}\n" for name, known in fields.items())
    return text.replace("Args:\n", f"Args:\n{described}", 1)


resolve = component(images.DATA, ingest_step.resolve)
ingest = component(images.DATA, ingest_step.ingest)
prepare = component(images.DATA, prepare_step.prepare)
train = component(images.TRAIN, train_step.train)
evaluate = component(images.DATA, evaluate_step.evaluate)
deploy = component(images.SERVE, deploy_step.deploy)
notify = component(images.DATA, notify_step.notify)

SEARCHED = {
    name: known
    for name, known in declare(TrainSettings).items()
    if name not in ("objectives", "epochs", "device", "seed")
}
"""The settings of training that differ between trials."""

ask = component(images.DATA, tune_step.ask)
trial = component(images.TRAIN, train_step.trial)
tell = component(images.DATA, tune_step.tell)
conclude = component(images.DATA, tune_step.conclude, SEARCHED)
