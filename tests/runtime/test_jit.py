"""The LLVM engine and its cache of object code: both ways to machine code, and what can spoil a file."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pellucid.runtime import jit

TEXT = "define i64 @answer() nounwind {\n  ret i64 %d\n}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of its own, as at the start of a process."""
    path = tmp_path / "cache"
    monkeypatch.setenv("PELLUCID_CACHE", str(path))
    monkeypatch.setattr(jit, "_folder", None)
    monkeypatch.setattr(jit, "_loaded", {})
    return path


def call(address: int) -> int:
    return int(ctypes.CFUNCTYPE(ctypes.c_int64)(address)())


def answer(key: str, value: int) -> int:
    return call(jit.function_address(key, "answer", lambda: TEXT % value))


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new process knows: only the disk."""
    monkeypatch.setattr(jit, "_folder", None)
    monkeypatch.setattr(jit, "_loaded", {})


def test_compiled_once_and_read_from_disk_afterwards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = jit.cache_info()
    assert answer("k", 7) == 7
    assert answer("k", 8) == 7  # in memory: the key alone decides
    forget(monkeypatch)
    assert answer("k", 9) == 7  # on disk
    info = jit.cache_info()
    assert (info.files, info.folder, info.problem) == (1, str(folder), None)
    assert (info.hits - before.hits, info.misses - before.misses) == (1, 1)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert next(folder.iterdir()).stat().st_mode & 0o777 == 0o600
    assert jit.clear_cache() == 1
    assert jit.cache_info().files == 0
    assert answer("k", 9) == 7


def test_modules_may_use_the_same_names(folder: Path) -> None:
    assert [answer(f"k{i}", i) for i in range(5)] == list(range(5))


@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "other key"])
def test_damaged_file_is_compiled_again(folder: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    answer("k", 7)
    (file,) = folder.iterdir()
    data = file.read_bytes()
    if how == "other key":
        answer("other", 8)
        data = next(path for path in folder.iterdir() if path != file).read_bytes()
    file.write_bytes(
        {"cut": data[:-3], "flipped": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "empty": b""}.get(
            how, data
        )
    )
    forget(monkeypatch)
    with pytest.warns(UserWarning, match=f"{file} is damaged"):
        assert answer("k", 7) == 7
    forget(monkeypatch)
    assert answer("k", 0) == 7  # mended


def test_folder_that_others_can_write_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(UserWarning, match=f"can be written by others.*chmod go-w '{folder}'"):
        assert answer("k", 7) == 7
    assert list(folder.iterdir()) == []
    assert jit.cache_info().problem


def test_file_that_others_can_write_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer("k", 7)
    (file,) = folder.iterdir()
    file.chmod(0o666)
    forget(monkeypatch)
    with pytest.warns(UserWarning, match="can be written by others"):
        assert answer("k", 8) == 8
    assert file.stat().st_mode & 0o777 == 0o600


def test_foreign_owner_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer("k", 7)
    forget(monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.warns(UserWarning, match="not to you"):
        assert answer("k", 8) == 8


def test_link_in_place_of_a_file_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer("k", 7)
    (file,) = folder.iterdir()
    target = folder.parent / "elsewhere"
    file.rename(target)
    file.symlink_to(target)
    forget(monkeypatch)
    with pytest.warns(UserWarning, match="cannot read"):
        assert answer("k", 8) == 8
    assert not file.is_symlink()


def test_unusable_folder_works_uncached(folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"cannot be made.*PELLUCID_CACHE"):
        assert answer("k", 7) == 7
    assert jit.cache_info().problem
    assert jit.clear_cache() == 0


def test_failing_write_works_uncached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jit.tempfile, "mkstemp", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert answer("k", 7) == 7
    assert answer("k2", 8) == 8  # and says it once


def test_many_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import ctypes; from pellucid.runtime import jit\n"
        "for i in range(20):\n"
        "    a = jit.function_address(f'k{i}', 'answer', lambda: 'define i64 @answer() { ret i64 %d }' % i)\n"
        "    assert ctypes.CFUNCTYPE(ctypes.c_int64)(a)() == i\n"
    )
    environment = {**os.environ, "PELLUCID_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-W", "error", "-c", code]
    processes = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate()[1] for process in processes]
    assert errors == [b""] * 3
    assert len(list((tmp_path / "cache").glob("*"))) == 20


def test_invalid_ir_shows_the_lines(folder: Path) -> None:
    with pytest.raises(RuntimeError, match=r"not valid(.|\n)*2 \|   ret i32"):
        jit.load("bad", lambda: "define void @f() {\n  ret i32\n}")
    assert list(folder.iterdir()) == []


def test_unknown_functions_are_an_error_and_not_a_crash(folder: Path) -> None:
    declared = "declare i64 @nobody_defines_this()\n"
    text = declared + "define i64 @answer() {\n  %x = call i64 @nobody_defines_this()\n  ret i64 %x\n}"
    with pytest.raises(RuntimeError, match="nobody_defines_this"):
        jit.load("k", lambda: text)
    jit.define_symbol("nobody_defines_this", jit.function_address("other", "answer", lambda: TEXT % 3))
    assert call(jit.function_address("k", "answer", lambda: text)) == 3


def test_unknown_symbol_and_option(folder: Path) -> None:
    with pytest.raises(KeyError, match="exports answer, but not 'question'"):
        jit.function_address("k", "question", lambda: TEXT % 1)
    with pytest.raises(ValueError, match='"default" or "vectorize"'):
        jit.load("k2", lambda: TEXT % 1, optimize="fast")


def test_assembly_is_readable(folder: Path) -> None:
    assert "answer" in jit.assembly(lambda: TEXT % 1)
    assert not folder.exists() or list(folder.iterdir()) == []
