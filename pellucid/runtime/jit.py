"""From textual LLVM IR to callable machine code, with a cache of object code on disk.

    key, symbol  ->  address in memory
        1. already loaded in this process                    (a dictionary)
        2. object code of an earlier process, on disk        (read, check, link: about 0.1 ms)
        3. make_ir() -> parse -> verify -> optimise -> emit  (several ms), then 2.

Both ways to the machine code end in the same step, "link an object file", so the first run of a program and
the later ones execute the same bytes. llvmlite is imported with the first kernel that has to be loaded.

Every exported symbol gets the digest of its module as a suffix, so two modules may both call their function
`kernel`. Code that is linked stays for the life of the process: plans hold bare addresses.

The folder is private: whoever could write into it could run code as its owner. See `_CacheFolder`.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

_ROOT = Path(__file__).resolve().parent.parent
# The sources that decide what make_ir() writes. A change in any of them makes every older file a miss.
_GENERATORS = ("__init__.py", "dtypes.py", "layout.py", "formula", "codegen", "runtime/jit.py")
_MAGIC = b"PELLOBJ2"
_HEADER = struct.Struct("<8s32sIIQ")  # magic, sha256 of the rest, lengths of key, of symbol table, of object


@dataclass(frozen=True)
class CacheInfo:
    """State of the disk cache: its folder, what it holds, and what this process asked of it."""

    folder: str
    files: int
    bytes: int
    hits: int
    misses: int
    problem: str | None


class _Object(NamedTuple):
    """Relocatable machine code with the names it defines and the names it needs."""

    defined: tuple[str, ...]
    needed: tuple[str, ...]
    code: bytes


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)


class _CacheFolder:
    """One file per module in a folder that only its owner can write.

    File: header | key | names | object code, with a sha256 over all that follows it. A file that is foreign,
    writable by others or damaged is refused with a warning and written anew; a folder that is foreign or
    writable by others is not used at all. Files appear by renaming, so a reader sees all or nothing.
    """

    def __init__(self) -> None:
        self.path = _folder_from_environment()
        self.problem = self._prepare()
        if self.problem:
            _warn(
                f"kernel cache: {self.problem}. Kernels are compiled in every process until this is mended."
            )

    def _prepare(self) -> str | None:
        """Make the folder if needed; return why it cannot be used, or None."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.path.stat()
        except OSError as error:
            return (
                f"the folder {self.path} cannot be made ({error.strerror}); set PELLUCID_CACHE to another one"
            )
        return _foreign(status, str(self.path))

    def read(self, name: str, key: str) -> _Object | None:
        """The object stored under `name`, or None where there is none that can be trusted."""
        if self.problem:
            return None
        path = self.path / name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(f"kernel cache: cannot read {path} ({error.strerror}); remove it. It is made again.")
            return None
        with os.fdopen(handle, "rb") as file:
            problem = _foreign(os.fstat(handle), str(path))
            data = file.read()
        found = None if problem else _unpack(data, key)
        if found is None:
            problem = problem or f"{path} is damaged (its checksum does not fit its content)"
            _warn(f"kernel cache: {problem}. The kernel is compiled again and the file replaced.")
        return found

    def write(self, name: str, key: str, found: _Object) -> None:
        """Store atomically; a full or read-only disk turns the cache off for this process, with a warning."""
        if self.problem:
            return
        temporary = None
        try:
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=self.path)  # mode 0600
            with os.fdopen(handle, "wb") as file:
                file.write(_pack(key, found))
            Path(temporary).replace(self.path / name)
        except OSError as error:
            self.problem = (
                f"cannot write into {self.path} ({error.strerror}); set PELLUCID_CACHE to another folder"
            )
            _warn(
                f"kernel cache: {self.problem}. Kernels are compiled in every process until this is mended."
            )
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def entries(self) -> list[Path]:
        return [] if self.problem else list(self.path.glob("*.o"))


def _folder_from_environment() -> Path:
    if chosen := os.environ.get("PELLUCID_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pellucid"


def _foreign(status: os.stat_result, path: str) -> str | None:
    """Why another user could have written there, or None."""
    if status.st_uid != os.geteuid():
        return f"{path} belongs to user {status.st_uid}, not to you; remove it or set PELLUCID_CACHE"
    if status.st_mode & 0o022:
        return f"{path} can be written by others (mode {status.st_mode & 0o777:o}); run: chmod go-w '{path}'"
    return None


def _pack(key: str, found: _Object) -> bytes:
    names = f"{' '.join(found.defined)}\n{' '.join(found.needed)}".encode()
    body = key.encode() + names + found.code
    lengths = (len(key.encode()), len(names), len(found.code))
    digest = hashlib.sha256(struct.pack("<IIQ", *lengths) + body).digest()
    return _HEADER.pack(_MAGIC, digest, *lengths) + body


def _unpack(data: bytes, key: str) -> _Object | None:
    """The object in a cache file; None when a byte of it is not what was written, or it is of another key."""
    if len(data) < _HEADER.size:
        return None
    magic, digest, key_length, names_length, code_length = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    lengths = struct.pack("<IIQ", key_length, names_length, code_length)
    if magic != _MAGIC or hashlib.sha256(lengths + body).digest() != digest:
        return None
    if body[:key_length] != key.encode() or len(body) != key_length + names_length + code_length:
        return None
    defined, needed = body[key_length : key_length + names_length].decode().split("\n")
    return _Object(tuple(defined.split()), tuple(needed.split()), body[key_length + names_length :])


def _elf_names(code: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names that a 64-bit ELF object defines for others, and names that it needs from others."""
    table_offset = struct.unpack_from("<Q", code, 0x28)[0]
    entry_size, count = struct.unpack_from("<HH", code, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, table_offset + i * entry_size) for i in range(count)]
    defined: list[str] = []
    needed: list[str] = []
    for section in sections:
        _, kind, _, _, offset, size, strings_index, first_global, _, _ = section
        if kind != 2:  # SHT_SYMTAB
            continue
        strings = sections[strings_index][4]
        for at in range(offset + 24 * first_global, offset + size, 24):
            name_at, info, _, home = struct.unpack_from("<IBBH", code, at)
            if info & 15 in (3, 4):  # STT_SECTION, STT_FILE
                continue
            start = strings + name_at
            name = code[start : code.index(b"\0", start)].decode()
            (defined if home else needed).append(name)
    return tuple(defined), tuple(needed)


class _Engine:
    """LLVM's part: target machine, optimiser, and the linker of object files into this process."""

    def __init__(self) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.llvm = llvm
        self.cpu = llvm.get_host_cpu_name()
        self.features = llvm.get_host_cpu_features().flatten()
        self.target = llvm.Target.from_default_triple()
        self.triple = self.target.triple
        self.machine = self._machine()
        self.layout = str(self.machine.target_data)
        self.linker = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self._machine(jit=True))
        self.identity = "|".join(
            (".".join(map(str, llvm.llvm_version_info)), self.triple, self.cpu, self.features)
        )

    def _machine(self, jit: bool = False) -> Any:
        # The large code model with absolute addresses: code, constants and the interpreter may lie further
        # apart than the 2 GiB that the small model's relative addresses reach.
        return self.target.create_target_machine(
            cpu=self.cpu, features=self.features, opt=2, reloc="static", codemodel="large", jit=jit
        )

    def compile(self, text: str, suffix: str, optimize: str) -> _Object:
        """Object code of a textual module whose exported definitions are renamed by `suffix`."""
        module = self.parse(text)
        for value in (*module.functions, *module.global_variables):
            if not value.is_declaration and value.linkage == self.llvm.Linkage.external:
                value.name = value.name + suffix
        self.optimize(module, optimize)
        code = self.machine.emit_object(module)
        return _Object(*_elf_names(code), code)

    def parse(self, text: str) -> Any:
        """Parse and verify; errors show the lines around the place that LLVM complains about."""
        try:
            module = self.llvm.parse_assembly(text)
            module.verify()
        except RuntimeError as error:
            raise RuntimeError(
                f"generated LLVM IR is not valid: {error}\n{_excerpt(text, str(error))}"
            ) from None
        module.triple = self.triple
        module.data_layout = self.layout
        return module

    def optimize(self, module: Any, how: str) -> None:
        """Run LLVM's standard pipeline in place. `how`: "default", or "vectorize" for scalar loops."""
        if how not in ("default", "vectorize"):
            raise ValueError(f'optimize must be "default" or "vectorize", not {how!r}')
        options = self.llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = how == "vectorize"
        options.loop_interleaving = how == "vectorize"
        builder = self.llvm.create_pass_builder(self.machine, options)
        builder.getModulePassManager().run(module, builder)

    def link(self, found: _Object) -> dict[str, int]:
        """Load object code; return the addresses of the names it defines, without their suffixes."""
        missing = [name for name in found.needed if not self.llvm.address_of_symbol(name)]
        if missing:
            # LLVM would abort the process here.
            raise RuntimeError(
                f"machine code needs {', '.join(missing)}: not in this process, nor given to define_symbol()"
            )
        self.linker.add_object_file(self.llvm.ObjectFileRef.from_data(found.code))
        self.linker.finalize_object()
        address = self.linker.get_global_value_address
        return {name.rpartition(".")[0]: address(name) for name in found.defined}


def _excerpt(text: str, message: str) -> str:
    """The lines of the text around the `<string>:LINE:COLUMN` of LLVM's message, numbered."""
    place = message.partition("<string>:")[2].partition(":")[0]
    lines = text.splitlines()
    centre = int(place) if place.isdigit() else 1
    first = max(centre - 4, 1)
    return "\n".join(f"{n:5d} | {line}" for n, line in enumerate(lines[first - 1 : centre + 3], first))


_lock = threading.RLock()
_loaded: dict[str, Mapping[str, int]] = {}
_engine: _Engine | None = None
_folder: _CacheFolder | None = None
_fingerprint: str | None = None
_hits = 0
_misses = 0


def _forget_lock() -> None:
    """In a forked child no other thread exists that could ever release the lock."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_forget_lock)


def _sources() -> str:
    """A digest of the sources that write kernels: the version of Pellucid, exact to the byte."""
    global _fingerprint
    if _fingerprint is None:
        digest = hashlib.sha256()
        for entry in _GENERATORS:
            path = _ROOT / entry
            for file in sorted(path.rglob("*.py")) if path.is_dir() else [path] * path.exists():
                digest.update(file.read_bytes())
        _fingerprint = digest.hexdigest()
    return _fingerprint


def digest(text: str) -> str:
    """A short key for a module that is given by its text."""
    return hashlib.sha256(text.encode()).hexdigest()


def engine() -> _Engine:
    """The process's LLVM, started by its first use."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = _Engine()
        return _engine


def define_symbol(name: str, address: int) -> None:
    """Let machine code call `name` at `address` (a function of ours, or of a library loaded by ctypes)."""
    engine().llvm.add_symbol(name, address)


def load(key: str, make_ir: Callable[[], Any], *, optimize: str = "default") -> Mapping[str, int]:
    """Addresses of everything that the module of `key` exports, by name.

    Args:
        key: says completely what make_ir() would return, given the sources of the code generator.
        make_ir: returns the module as LLVM IR: text, or an llvmlite.ir.Module. Called only when no object
            code of this key is in memory or on disk.
        optimize: "default": loops stay as they are written (kernels are vectorised by their generator);
            "vectorize": LLVM's loop and straight-line vectorisers run too.

    Raises:
        RuntimeError: the IR is not valid, or calls a function that nobody defines.
    """
    module = _loaded.get(key)
    return _load(key, make_ir, optimize) if module is None else module


def _load(key: str, make_ir: Callable[[], Any], optimize: str) -> Mapping[str, int]:
    global _folder, _hits, _misses
    with _lock:
        if key in _loaded:  # another thread was first
            return _loaded[key]
        llvm = engine()
        if _folder is None:
            _folder = _CacheFolder()
        identity = f"{_sources()}|{llvm.identity}|{optimize}|{key}"
        digest = hashlib.sha256(identity.encode()).hexdigest()
        found = _folder.read(f"{digest}.o", identity)
        if found is None:
            _misses += 1
            found = llvm.compile(str(make_ir()), f".{digest[:16]}", optimize)
            _folder.write(f"{digest}.o", identity, found)
        else:
            _hits += 1
        _loaded[key] = module = llvm.link(found)
        return module


def function_address(key: str, symbol: str, make_ir: Callable[[], Any], *, optimize: str = "default") -> int:
    """Address of one function of the module of `key`; see `load`.

    Raises:
        KeyError: the module has no such symbol.
    """
    module = load(key, make_ir, optimize=optimize)
    if symbol not in module:
        raise KeyError(f"the module {key!r} exports {', '.join(module) or 'nothing'}, but not {symbol!r}")
    return module[symbol]


def assembly(make_ir: Callable[[], Any], *, optimize: str = "default") -> str:
    """The machine's assembly text of a module, for people to read. Nothing is loaded or cached."""
    llvm = engine()
    module = llvm.parse(str(make_ir()))
    llvm.optimize(module, optimize)
    return str(llvm.machine.emit_assembly(module))


def cache_info() -> CacheInfo:
    """Where the disk cache is, what it holds, and how often this process found what it asked for."""
    with _lock:
        folder = _folder or _CacheFolder()
        sizes = [path.stat().st_size for path in folder.entries()]
        return CacheInfo(str(folder.path), len(sizes), sum(sizes), _hits, _misses, folder.problem)


def clear_cache() -> int:
    """Remove all cached object code from disk; return the number of files. Loaded code stays usable."""
    with _lock:
        entries = (_folder or _CacheFolder()).entries()
        for path in entries:
            path.unlink(missing_ok=True)
        return len(entries)
