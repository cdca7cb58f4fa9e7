"""Arrays come back from a file as they were written, whole or in rows; no damaged file is read."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from components.artifacts.tensors import Rows, map_tensors, write_tensors
from components.errors import UserError

ARRAYS: dict[str, npt.NDArray[np.generic]] = {
    "matrix": np.arange(12, dtype=np.float32).reshape(4, 3),
    "numbers": np.arange(5, dtype=np.int32) * 7,
    "offsets": np.array([0, 2, 5]),
    "text": np.frombuffer(b"Caf\xc3\xa9", np.uint8),
    "nothing": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_tensors(ARRAYS, tmp_path / "arrays.safetensors")
    return tmp_path / "arrays.safetensors"


def assert_same(found: npt.NDArray[np.generic], expected: npt.NDArray[np.generic]) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tolist() == expected.tolist()


def test_arrays_behind_a_header_of_any_length_are_aligned(file: Path) -> None:
    length = int.from_bytes(file.read_bytes()[:8], "little")
    content = file.read_bytes()
    header = content[8 : 8 + length] + b" "
    file.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    for name, array in map_tensors(file).items():
        assert_same(array, ARRAYS[name])
        assert array.flags.aligned


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_file_is_as_open_as_the_user_has_new_files(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_tensors(ARRAYS, tmp_path / "arrays.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "arrays.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


def test_mapped_arrays_are_what_was_written(file: Path) -> None:
    mapped = map_tensors(file)
    assert mapped.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert_same(mapped[name], array)
        assert not mapped[name].flags.writeable


@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [("matrix", 0, 4), ("matrix", 2, 3), ("numbers", 1, 4), ("numbers", 3, 3), ("offsets", 2, 3)],
)
def test_rows_are_those_of_the_array(file: Path, name: str, start: int, stop: int) -> None:
    rows = Rows(file, name).between(start, stop)
    assert_same(rows, ARRAYS[name][start:stop])


def test_one_row_is_that_of_the_array(file: Path) -> None:
    assert_same(Rows(file, "matrix").row(2), ARRAYS["matrix"][2])
    assert_same(Rows(file, "numbers").row(4), ARRAYS["numbers"][4:5])


def test_rows_are_read_from_the_file_that_was_opened_when_another_takes_its_place(
    file: Path,
) -> None:
    rows = Rows(file, "numbers")
    write_tensors({"numbers": np.zeros(5, np.int32)}, file.with_name("new"))
    file.with_name("new").rename(file)
    assert rows.between(1, 3).tolist() == [7, 14]


def test_a_file_that_is_cut_short_is_refused(file: Path) -> None:
    content = file.read_bytes()
    for length in (0, 4, 50, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(UserError, match="is not a safetensors file"):
            map_tensors(file)


def test_a_file_is_closed_when_nobody_has_its_rows_any_more(file: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    rows = Rows(file, "numbers")
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del rows
    assert len(os.listdir("/proc/self/fd")) == before


def test_rows_that_the_file_has_no_more_are_an_error(file: Path) -> None:
    rows = Rows(file, "nothing")
    numbers = Rows(file, "numbers")
    os.truncate(file, 100)
    assert rows.between(0, 0).shape == (0, 3)
    with pytest.raises(OSError, match="has become shorter since it was opened"):
        numbers.between(0, 5)
    with pytest.raises(OSError, match="has become shorter since it was opened"):
        numbers.row(4)
