"""What stays weak in the images has its reasons, and the reasons are true of the code."""

import ast
import ctypes
import importlib.util
import mmap
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import UserError
from pipelines.images.exceptions import read_exceptions

ROOT = Path(__file__).parents[2]
TRAIN = sorted((ROOT / "components/train").rglob("*.py"))
# How libmxnet.so tells the version of what is linked into it.
TOLD = {
    "OpenCV": "General configuration for OpenCV {} ",
    "libpng": "libpng version {} ",
    "libjpeg-turbo": "libjpeg-turbo version {} ",
    "libtiff": "libtiff.a (ver 42 / {})",
    "zlib": " inflate {} Copyright",
    "libzmq": "/libzmq-{}/src/",
}


def mxnet_folder() -> Path:
    spec = importlib.util.find_spec("mxnet")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def nodes() -> Iterator[ast.AST]:
    """Every node of the source of training."""
    for file in TRAIN:
        yield from ast.walk(ast.parse(file.read_text()))


def names() -> set[str]:
    """Every attribute in training, and all that it imports of MXNet, each part by itself."""
    found: set[str] = set()
    for node in nodes():
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mxnet"):
            found |= {*str(node.module).split("."), *(name.name for name in node.names)}
        elif isinstance(node, ast.Import):
            modules = (name.name for name in node.names if name.name.startswith("mxnet"))
            found |= {part for module in modules for part in module.split(".")}
    return found


def test_an_exception_without_reasons_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text("findings: [{id: CVE-1, package: mxnet, unreachable: no}]")
    with pytest.raises(UserError, match=r"unreachable.*isolation"):
        read_exceptions(file)


def test_the_libraries_within_mxnet_have_the_versions_that_are_written() -> None:
    versions = {one.library: one.version for one in read_exceptions().linked_into_mxnet}
    assert set(versions) == {*TOLD, "OpenBLAS"}
    with (
        (mxnet_folder() / "libmxnet.so").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as library,
    ):
        for name, told in TOLD.items():
            assert library.find(told.format(versions[name]).encode()) > 0, name
    blas = ctypes.CDLL(str(mxnet_folder() / "libopenblas.so.0"))
    blas.openblas_get_config.restype = ctypes.c_char_p
    assert blas.openblas_get_config().startswith(f"OpenBLAS {versions['OpenBLAS']} ".encode())


def test_training_decodes_no_images_with_mxnet() -> None:
    used = names()
    assert {"mxnet", "nd", "gluon"} <= used
    assert not used & {"image", "img", "io", "recordio", "contrib", "vision", "imdecode", "imread"}
    assert not {name for name in used if name.startswith("_cv")}


def test_training_makes_no_store_of_several_processes() -> None:
    calls = [node for node in nodes() if isinstance(node, ast.Call)]
    stores = [call for call in calls if ast.unparse(call.func).endswith(".create")]
    assert [ast.unparse(call) for call in stores] == ["mx.kvstore.create('device')"]
    trainers = [call for call in calls if ast.unparse(call.func).endswith("gluon.Trainer")]
    assert trainers
    for call in trainers:
        assert len(call.args) <= 3
        assert not {"kvstore", None} & {keyword.arg for keyword in call.keywords}


def test_nothing_makes_a_server_of_mxnet() -> None:
    folders = ("components", "images", "pipelines")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    setting = [file for file in files if b"DMLC_" in file.read_bytes()]
    assert setting == [ROOT / "images/exceptions.yaml"]
