"""A reader sees the old file, the new file, or none; never half of one, and nothing temporary stays."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core import files
from hanmo.core.errors import ConfigError, DataError, FormatError, StorageError
from hanmo.core.files import (
    check_replaceable,
    new_folder,
    open_unpacked,
    read_json,
    sha256_file,
    sha256_text,
    sweep_orphans,
    to_json,
    write_atomic,
    write_json,
    write_text,
)

OLD, NEW = {"名字": "old", "n": 1}, {"名字": "new", "n": list(range(50))}


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _write_folder(path: Path, content: str) -> None:
    with new_folder(path) as folder:
        (folder / "inner").mkdir()
        write_json(folder / "a.json", {"text": content})
        write_text(folder / "inner" / "b.txt", content)
        with open(folder / "c.bin", "wb") as file:
            file.write(content.encode())


def _read_folder(path: Path) -> set[str]:
    read = {read_json(path / "a.json")["text"], (path / "inner" / "b.txt").read_text(encoding="utf-8")}
    return read | {(path / "c.bin").read_text(encoding="utf-8")}


# -- single files ----------------------------------------------------------------------------------------------------


def test_write_and_read(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "er" / "a.json", OLD)
    assert read_json(tmp_path / "deep" / "er" / "a.json") == OLD
    write_text(tmp_path / "b.txt", "一行\r\ntwo\n")
    assert (tmp_path / "b.txt").read_bytes() == "一行\r\ntwo\n".encode()
    assert _names(tmp_path) == {"deep", "b.txt"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_every_single_failure_of_a_file(tmp_path: Path, faults_at: Any, number: int) -> None:
    """RELIABILITY 3.1 C3."""
    file = tmp_path / "state.json"
    failed_at: list[str] = []
    for n in range(1, 50):
        write_json(file, OLD)
        faults = faults_at(n, number)
        error = _attempt(faults, lambda: write_json(file, NEW))
        if error is not None:
            assert str(error).startswith(f"{file}: ")
            assert error.remedy
            failed_at.append(faults.calls[n - 1])
        # once the new name stands, only its durability can fail
        stands = error is None or "replace" in faults.calls[: n - 1]
        assert read_json(file) == (NEW if stands else OLD), faults.calls
        assert _names(tmp_path) == {"state.json"}, faults.calls
        if not faults.struck:
            break
    # mkdir is missing here: it may fail where the folder is there anyway
    assert failed_at == ["open", "write", "open", "fsync", "replace", "open", "fsync"]


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("exists", [True, False])
def test_every_single_failure_of_a_folder(
    tmp_path: Path, faults_at: Any, monkeypatch: pytest.MonkeyPatch, exists: bool, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    failures: list[str] = []
    for n in range(1, 100):
        path = tmp_path / str(n) / "step-1"
        path.parent.mkdir()
        if exists:
            _write_folder(path, "旧 old")
        faults = faults_at(n)
        error = _attempt(faults, lambda: _write_folder(path, "新 new"))  # noqa: B023 (called at once)
        if error is not None:
            assert str(error) == f"{path}: the disk is full. Free some space or write to another disk.", faults.calls
            failures.append(faults.calls[n - 1])
            assert _names(path.parent) <= {"step-1"}, faults.calls
        sweep_orphans(path.parent)  # finds something only where the clearing up itself was what failed
        if path.exists():
            assert _read_folder(path) in ([{"旧 old"}, {"新 new"}] if error else [{"新 new"}]), faults.calls
        else:
            assert error
            assert not exists, faults.calls
        assert _names(path.parent) <= {"step-1"}, faults.calls
        if not faults.struck:
            break
    assert len(failures) > 20
    assert {"open", "write", "fsync", "mkdir"} <= set(failures)


def _attempt(faults: Any, work: Callable[[], None]) -> StorageError | None:
    with pytest.MonkeyPatch.context() as patch:
        faults.install(patch)
        try:
            work()
        except StorageError as error:
            assert faults.struck
            return error
    return None


def test_the_fault_layer_strikes(tmp_path: Path, faults_at: Any) -> None:
    faults = faults_at(2)
    with pytest.MonkeyPatch.context() as patch:
        faults.install(patch)
        with pytest.raises(OSError, match="No space"), open(tmp_path / "plain", "w") as file:
            file.write("12345678")
    assert faults.calls[:2] == ["open", "write"]
    assert (tmp_path / "plain").read_text() != "12345678"  # what an unprotected write leaves behind


@pytest.mark.parametrize("write", [lambda path: write_json(path, NEW), lambda path: _write_folder(path, "x")])
def test_below_a_file(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        write(tmp_path / "file" / "sub" / "a")
    assert _names(tmp_path) == {"file"}


def test_a_file_is_not_replaced_by_a_folder_nor_a_folder_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="is a file"):
        _write_folder(tmp_path / "file", "x")
    with pytest.raises(StorageError, match="this path is a folder"):
        write_text(tmp_path / "folder", "x")
    with pytest.raises(StorageError, match="this path is a folder"):
        write_text("/", "x")
    assert (tmp_path / "file").read_text() == "mine"
    assert _names(tmp_path) == {"file", "folder"}


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="no permission"):
        write_text(tmp_path / "locked" / "a", "x")


def test_proc_cannot_be_written() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc here")
    with pytest.raises(StorageError):
        write_text("/proc/hanmo/a", "x")


@pytest.mark.parametrize("name", ["长" * 80 + ".json", "a" * 250 + ".gz", "a b'\"\n.json"])
def test_long_and_odd_names(tmp_path: Path, name: str) -> None:
    """A name that the system can hold can be written, although the temporary one is longer."""
    write_text(tmp_path / name, "x")
    assert _names(tmp_path) == {name}
    with pytest.raises(StorageError, match="name is too long"):
        write_text(tmp_path / ("长" * 90), "x")


def test_the_temporary_name_keeps_the_suffix(tmp_path: Path) -> None:
    seen = []
    write_atomic(tmp_path / "train.jsonl.gz", lambda path: (seen.append(path), path.write_bytes(b""))[0])
    assert seen[0].name.endswith("train.jsonl.gz")
    assert seen[0].parent == tmp_path


def _break_off(path: Path) -> None:
    with new_folder(path) as folder:
        (folder / "x").write_text("half")
        _ = 1 / 0


def test_other_errors_pass_and_leave_nothing(tmp_path: Path) -> None:
    def fill(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", fill)
    with pytest.raises(ZeroDivisionError):
        _break_off(tmp_path / "b")
    assert _names(tmp_path) == set()


def test_an_input_that_vanishes_is_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_atomic(tmp_path / "a", lambda path: path.write_bytes((tmp_path / "in" / "x").read_bytes()) and None)
    assert not isinstance(caught.value, StorageError)
    with pytest.raises(FileNotFoundError) as caught, new_folder(tmp_path / "b"):
        (tmp_path / "in" / "x").read_bytes()
    assert not isinstance(caught.value, StorageError)
    assert _names(tmp_path) == set()


def test_size_limit_of_the_process(tmp_path: Path) -> None:
    """RELIABILITY 3.1 C4: the limit is met in the middle of the file."""
    write_json(tmp_path / "a.json", OLD)
    (tmp_path / "f").mkdir()
    code = """
import resource, sys
from pathlib import Path
from hanmo.core.errors import StorageError
from hanmo.core.files import new_folder, write_json
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
for write in ("file", "folder"):
    try:
        if write == "file":
            write_json(sys.argv[1] + "/a.json", ["x" * 100] * 1000)
        else:
            with new_folder(sys.argv[1] + "/f") as folder:
                (folder / "x").write_bytes(bytes(100_000))
    except StorageError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [
        line.startswith(f"{tmp_path}/{name}: the file is larger")
        for line, name in zip(lines, ("a.json", "f"), strict=True)
    ]
    assert read_json(tmp_path / "a.json") == OLD
    assert _names(tmp_path) == {"a.json", "f"}
    assert _names(tmp_path / "f") == set()


# -- killed processes ------------------------------------------------------------------------------------------------


def _in_child(work: Callable[[], None], faults: Any) -> int:
    """Run `work` in a forked process whose n-th file call is its last; return its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            faults.install(pytest.MonkeyPatch())
            work()
            code = 0
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_killed_while_writing_a_file(tmp_path: Path, faults_at: Any) -> None:
    write_json(tmp_path / "a.json", OLD)
    orphans = 0
    for n in range(1, 50):
        if _in_child(lambda: write_json(tmp_path / "a.json", NEW), faults_at(n, kill=True)) == 0:
            break
        assert read_json(tmp_path / "a.json") in (OLD, NEW)
        left = _names(tmp_path) - {"a.json"}
        assert sweep_orphans(tmp_path) == len(left)
        assert _names(tmp_path) == {"a.json"}
        orphans += len(left)
    assert n == 9
    assert orphans >= 4
    assert read_json(tmp_path / "a.json") == NEW


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("recover", ["sweep", "write again"])
@pytest.mark.parametrize("can_exchange", [True, False])
def test_killed_while_replacing_a_folder(
    tmp_path: Path, faults_at: Any, monkeypatch: pytest.MonkeyPatch, can_exchange: bool, recover: str
) -> None:
    """Also between moving the old folder aside and moving the new one in: the old one is never lost."""
    if not can_exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    path = tmp_path / "model"
    _write_folder(path, "旧 old")
    kills = missing = 0
    for n in range(1, 100):
        if _in_child(lambda: _write_folder(path, "新 new"), faults_at(n, kill=True)) == 0:
            break
        kills += 1
        missing += not path.exists()
        if recover == "sweep":
            sweep_orphans(tmp_path)
        else:
            with pytest.raises(ZeroDivisionError), new_folder(path):
                _ = 1 / 0
            sweep_orphans(tmp_path)
        assert _read_folder(path) in ({"旧 old"}, {"新 new"})
        assert _names(tmp_path) == {"model"}
    assert kills > 20
    assert missing == (0 if can_exchange and _exchange_works(tmp_path) else 1)
    assert _read_folder(path) == {"新 new"}


def _exchange_works(folder: Path) -> bool:
    (folder / "one").mkdir()
    (folder / "other").write_text("x")
    return files._exchange(folder / "one", folder / "other") and (folder / "one").is_file()


def test_what_was_moved_aside_does_not_come_back_over_the_new_one(tmp_path: Path) -> None:
    _write_folder(tmp_path / "model", "新 new")
    _write_folder(tmp_path / ".hanmo-old-0" / "model", "旧 old")
    assert sweep_orphans(tmp_path) == 1
    assert _read_folder(tmp_path / "model") == {"新 new"}
    assert _names(tmp_path) == {"model"}


def test_sigkill_in_the_middle_of_a_write(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", OLD)
    code = """
import os, signal, sys
from pathlib import Path
from hanmo.core.files import write_atomic
def fill(path):
    with open(path, "wb") as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
write_atomic(Path(sys.argv[1]), fill)
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], check=False).returncode == -9
    assert read_json(tmp_path / "a.json") == OLD
    assert len(_names(tmp_path)) == 2
    assert sweep_orphans(tmp_path) == 1
    assert _names(tmp_path) == {"a.json"}


def test_sweeping_takes_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    assert sweep_orphans(tmp_path) == 0
    assert sweep_orphans(tmp_path / "nothing") == 0
    assert _names(tmp_path) == {"mine", ".hidden"}


# -- folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_replaces_the_whole_old_one(tmp_path: Path) -> None:
    _write_folder(tmp_path / "a" / "model", "old")
    (tmp_path / "a" / "model" / "extra").write_text("x")
    with new_folder(tmp_path / "a" / "model") as folder:
        assert (tmp_path / "a" / "model" / "extra").exists()
        (folder / "only").write_text("x")
    assert _names(tmp_path / "a" / "model") == {"only"}
    assert _names(tmp_path / "a") == {"model"}


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk2").mkdir()
    _write_folder(tmp_path / "disk2" / "m", "old")
    (tmp_path / "model").symlink_to(tmp_path / "disk2" / "m")
    _write_folder(tmp_path / "model", "new")
    assert (tmp_path / "model").is_symlink()
    assert _read_folder(tmp_path / "disk2" / "m") == {"new"}
    assert _names(tmp_path) == {"disk2", "model"}
    assert _names(tmp_path / "disk2") == {"m"}


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write_folder(Path("m"), "old")
    _write_folder(Path("m"), "new")
    write_json("a.json", NEW)
    assert _read_folder(Path("m")) == {"new"}
    assert _names(tmp_path) == {"m", "a.json"}


def test_a_folder_that_cannot_be_synced_is_still_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems answer EINVAL to fsync of a folder; any other answer counts."""
    real, answer = os.fsync, errno.EINVAL

    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(answer, os.strerror(answer))
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("there is no /proc here")
    monkeypatch.setattr(os, "fsync", fsync)
    write_json(tmp_path / "a.json", OLD)
    assert read_json(tmp_path / "a.json") == OLD
    answer = errno.EIO
    with pytest.raises(StorageError):
        write_json(tmp_path / "a.json", NEW)


# -- JSON and hashes -------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda items: st.lists(items, max_size=4) | st.dictionaries(st.text(), items, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, max_examples=100)
@given(JSON)
def test_json_is_utf8_and_reads_back(value: Any) -> None:
    text = to_json(value, where="x")
    assert json.loads(text.encode("utf-8")) == value


def test_names_of_files_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9-\xd6\xd0")
    write_json(tmp_path / "a.json", {name: name, "中": "中"})
    assert read_json(tmp_path / "a.json") == {name: name, "中": "中"}
    assert "中" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_not(tmp_path: Path, number: float) -> None:
    with pytest.raises(DataError, match=rf"a\.json: eval\.1\.loss = {number} cannot be written as JSON"):
        write_json(tmp_path / "a.json", {"step": 1, "eval": [{"loss": 1.0}, {"loss": number}]})
    assert _names(tmp_path) == set()
    for text in ("NaN", "[Infinity]", '{"a": -Infinity}'):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(FormatError, match="not valid JSON"):
            read_json(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "b.json:1: not valid JSON"),
        (b'{"a": 1,\n "b" 2}', "b.json:2: not valid JSON"),
        (b"\xff\xfe{}", "b.json: not valid JSON"),
        (b"[" * 100_000, "b.json: not valid JSON"),
        (b"1" * 5000, "b.json: not valid JSON"),
    ],
)
def test_damaged_json(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "b.json").write_bytes(data)
    with pytest.raises(FormatError, match=message):
        read_json(tmp_path / "b.json")


def test_json_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(OLD).encode())
    assert read_json(tmp_path / "a.json") == OLD


def test_missing_json(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")


def test_only_folders_of_the_same_kind_are_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "没有", "words.json")
    check_replaceable(tmp_path, "words.json")
    (tmp_path / "论文.txt").write_text("论文", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no words\.json in it.*Choose a name that is free") as caught:
        check_replaceable(tmp_path, "words.json")
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError):
        check_replaceable(tmp_path / "link", "words.json")
    (tmp_path / "words.json").write_text("{}")
    check_replaceable(tmp_path, "words.json")


def test_hashes(tmp_path: Path) -> None:
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == sha256_text("abc") == abc
    assert sha256_text("翰墨") != sha256_text("翰默")
    assert len(sha256_text("\udce9")) == 64


# -- what is packed ------------------------------------------------------------------------------------------------------


TEXT = "宝玉笑道\n" * 2000


@pytest.mark.parametrize(("name", "packed"), [("文.txt", False), ("文.txt", True), ("文.GZ", True)])
def test_packed_is_told_by_the_first_bytes(tmp_path: Path, name: str, packed: bool) -> None:
    data = TEXT.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    with open_unpacked(tmp_path / name) as stream:
        assert stream.read() == data


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_read_once(tmp_path: Path, packed: bool) -> None:
    data = TEXT.encode()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(
        target=lambda: (tmp_path / "pipe").write_bytes(gzip.compress(data) if packed else data), daemon=True
    )
    writer.start()
    with open_unpacked(tmp_path / "pipe") as stream:
        assert stream.read() == data
    writer.join(10)


def test_files_that_cannot_be_unpacked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: there is no such file"), open_unpacked(tmp_path / "none.txt"):
        pass
    with pytest.raises(DataError, match="cannot read this file"), open_unpacked(tmp_path):
        pass
    whole = gzip.compress(os.urandom(5000))
    for damaged in (whole[:-20], whole[:2], whole[:40] + b"xxxx" + whole[44:], b"<html>404</html>", b"\x1f"):
        (tmp_path / "a.txt.gz").write_bytes(damaged)
        with (
            pytest.raises(FormatError, match=r"a\.txt\.gz: a damaged \.gz"),
            open_unpacked(tmp_path / "a.txt.gz") as stream,
        ):
            stream.read()


def test_an_error_of_the_reader_passes_through(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    with pytest.raises(StorageError, match="full"), open_unpacked(tmp_path / "a.txt"):
        raise StorageError("the disk is full")
