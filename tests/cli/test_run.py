"""`pellucid run`: unchanged PyTorch programs, their arguments, their exit status, and what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def pellucid(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own: ``import torch`` must not reach this one."""
    return subprocess.run(
        [sys.executable, "-m", "pellucid", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program)
    return pellucid("run", "program.py", *arguments, folder=folder)


def test_import_torch_is_pellucid(tmp_path: Path) -> None:
    program = """
import sys
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader
import pellucid
assert torch is pellucid and F is pellucid.nn.functional and nn.functional is F
assert torch.optim.SGD is optim.SGD
assert __name__ == "__main__" and sys.modules["__main__"].__file__ == __file__
print(nn.Linear(2, 3)(torch.ones(1, 2)).shape)
"""
    done = run(tmp_path, program)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "torch.Size([1, 3])\n"


def test_a_function_and_a_module_of_one_name(tmp_path: Path) -> None:
    program = """
from torch.autograd.gradcheck import GradcheckError
from torch.autograd.function import Function
import torch.autograd.gradcheck
x = torch.ones(2, dtype=torch.float64, requires_grad=True)
print(torch.autograd.gradcheck(lambda x: x * x, (x,)), issubclass(Function, torch.autograd.Function))
"""
    done = run(tmp_path, program)
    assert done.stdout == "True True\n", done.stderr


def test_names_and_version_are_those_of_pytorch(tmp_path: Path) -> None:
    program = """
import copy, pickle
import torch
x = torch.nn.Parameter(torch.ones(2))
print(type(x.data), type(x), type(x.shape), type(x.dtype), type(x.device))
print(torch.__version__ >= "2.5", torch.__version__.split(".")[0])
for value in (x, x.data, x.shape, x.dtype, x.device):
    again = pickle.loads(pickle.dumps(value))
    assert type(again) is type(value) is type(copy.deepcopy(value))
"""
    done = run(tmp_path, program)
    names = [f"<class 'torch.{name}'>" for name in ("Tensor", "nn.parameter.Parameter", "Size", "dtype", "device")]
    assert done.stdout.splitlines() == [" ".join(names), "True 2"], done.stderr


def test_submodules_are_reached_as_in_pytorch(tmp_path: Path) -> None:
    program = """
import torch
from torch.utils.data.dataloader import DataLoader, default_collate
from torch.utils.hooks import RemovableHandle
import torch.nn.utils.rnn as rnn_utils
torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(1, 1))
torch.nn.utils.parametrize.is_parametrized(torch.nn.Linear(1, 1))
torch.nn.utils.stateless.functional_call
torch.utils.checkpoint.checkpoint
assert DataLoader is torch.utils.data.DataLoader
assert rnn_utils is torch.nn.utils.rnn
"""
    done = run(tmp_path, program)
    assert done.returncode == 0, done.stderr


def test_the_programs_arguments_are_its_own(tmp_path: Path) -> None:
    done = run(tmp_path, "import sys; print(sys.argv)", "--epochs", "3", "-m", "-h")
    assert done.stdout.strip() == "['program.py', '--epochs', '3', '-m', '-h']"


def test_modules_beside_the_program_are_found(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import torch\nvalue = torch.ones(2).sum().item()")
    done = run(tmp_path, "import beside; print(beside.value)")
    assert done.stdout == "2.0\n"


def test_a_module_by_name(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "train.py").write_text("import sys, torch\nprint(torch.__name__, sys.argv[1:], __name__)")
    done = pellucid("run", "-m", "package.train", "--lr", "1", folder=tmp_path)
    assert done.stdout == "pellucid ['--lr', '1'] __main__\n", done.stderr


@pytest.mark.parametrize(("ending", "status"), [("sys.exit(7)", 7), ("sys.exit()", 0), ("", 0), ("1 / 0", 1)])
def test_exit_status(tmp_path: Path, ending: str, status: int) -> None:
    assert run(tmp_path, f"import sys, torch\n{ending}").returncode == status


def test_tracebacks_begin_with_the_program(tmp_path: Path) -> None:
    program = "import torch\n\ndef f(x):\n    return x.view(5)\n\nf(torch.ones(2))\n"
    lines = run(tmp_path, program).stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "program.py", line 6, in <module>'
    assert lines[-1].startswith("RuntimeError: view(): shape '[5]' is invalid for input of size 2")
    done = run(tmp_path, "import sys\nsys.excepthook = lambda *error: print(error[1])\n1 / 0")
    assert (done.stdout, done.stderr) == ("division by zero\n", "")
    assert run(tmp_path, "x = = 1").stderr.splitlines()[-1] == "SyntaxError: invalid syntax"
    assert "No module named nothing_there" in pellucid("run", "-m", "nothing_there", folder=tmp_path).stderr


@pytest.mark.parametrize(
    ("line", "error", "name"),
    [
        ("from torch import nothing_there", "ImportError", "torch.nothing_there"),
        ("import torch; torch.nothing_there", "AttributeError", "torch.nothing_there"),
        ("from torch.nn import NothingThere", "ImportError", "torch.nn.NothingThere"),
        ("import torch; torch.nn.NothingThere", "AttributeError", "torch.nn.NothingThere"),
        ("import torch; torch.nn.functional.nothing", "AttributeError", "torch.nn.functional.nothing"),
        ("import torch; torch.optim.Nothing", "AttributeError", "torch.optim.Nothing"),
        ("from torch.optim.lr_scheduler import NoLR", "ImportError", "torch.optim.lr_scheduler.NoLR"),
        ("from torch.utils.data import Nothing", "ImportError", "torch.utils.data.Nothing"),
        ("import torch.nothing_there", "ModuleNotFoundError", "torch.nothing_there"),
        ("import torch.nn.nothing.there", "ModuleNotFoundError", "torch.nn.nothing"),
    ],
)
def test_what_is_missing_says_so(tmp_path: Path, line: str, error: str, name: str) -> None:
    done = run(tmp_path, line)
    assert done.returncode == 1
    assert f"{name} is missing from Pellucid" in done.stderr
    assert error in done.stderr


def test_other_import_errors_are_left_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "import torch, a_package_that_nobody_has")
    assert "No module named 'a_package_that_nobody_has'" in done.stderr
    assert "missing from Pellucid" not in done.stderr


def test_no_such_file(tmp_path: Path) -> None:
    done = pellucid("run", "nothing.py", folder=tmp_path)
    assert done.returncode == 2
    assert "there is no file nothing.py" in done.stderr


@pytest.mark.parametrize(("arguments", "status"), [((), 2), (("--help",), 0), (("run", "--help"), 0), (("fly",), 2)])
def test_usage(arguments: tuple[str, ...], status: int) -> None:
    done = pellucid(*arguments)
    assert done.returncode == status
    assert "pellucid" in done.stdout + done.stderr


def test_real_pytorch_is_never_mixed_in(tmp_path: Path) -> None:
    program = """
import sys, types
sys.modules["torch"] = types.ModuleType("torch")
from pellucid.interop import torch_names
torch_names.install()
"""
    (tmp_path / "mixed.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "mixed.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "RuntimeError: PyTorch has been imported already" in done.stderr
