"""What is measured: each workload is one Python statement and the names it uses.

A workload is written once, for PyTorch and Pellucid alike: `setup(torch)` receives either module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks import networks, openblas

Names = dict[str, Any]

BIG = 1 << 24  # 16M elements, 64 MiB of float32
SIDE = 1 << 12  # 4096: a square of BIG elements


@dataclass(frozen=True)
class Bar:
    """What a workload must reach.

    `at_least`: how many times faster than the reference Pellucid must be; otherwise the largest share of
    the reference's time (or memory) that Pellucid may take.
    """

    value: float
    at_least: bool

    def ratio(self, reference: float, pellucid: float) -> float:
        """The figure that is compared with the bar."""
        return reference / pellucid if self.at_least else pellucid / reference

    def passed(self, ratio: float) -> bool:
        """Whether the figure reaches the bar."""
        return ratio >= self.value if self.at_least else ratio <= self.value

    def __str__(self) -> str:
        return f"≥ {self.value:g}x" if self.at_least else f"≤ {self.value:g}"


def at_least(value: float) -> Bar:
    """Pellucid must be `value` times as fast as the reference."""
    return Bar(value, True)


def at_most(value: float) -> Bar:
    """Pellucid may take `value` of what the reference takes."""
    return Bar(value, False)


@dataclass(frozen=True)
class Workload:
    """One row: `statement` is timed among the names that `setup(torch)` gives.

    `rival` names the process that Pellucid is compared with: "torch" runs the same statement,
    "openblas" the statement `sgemm()` among the names of `rival_setup(threads)`. `flops` counts the float32
    operations of a call where they are what bounds it.
    """

    group: str
    name: str
    statement: str
    setup: Callable[[Any], Names]
    bar: Bar
    rival: str = "torch"
    rival_setup: Callable[[int], Names] | None = None
    flops: float = 0.0


def _small(grad: bool) -> Callable[[Any], Names]:
    def setup(torch: Any) -> Names:
        return {
            "a": torch.rand(2, 3, requires_grad=grad),
            "b": torch.rand(2, 3, requires_grad=grad),
            "x": torch.rand(2, 3),
            "index": torch.tensor([[0, 2], [1, 0]]),
        }

    return setup


def _big(torch: Any) -> Names:
    functional = import_module(f"{torch.__name__}.nn.functional")
    return {"torch": torch, "F": functional, "a": torch.randn(BIG), "b": torch.randn(BIG)}


def _square(torch: Any) -> Names:
    functional = import_module(f"{torch.__name__}.nn.functional")
    return {"F": functional, "x": torch.randn(SIDE, SIDE)}


def _rows(torch: Any) -> Names:
    functional = import_module(f"{torch.__name__}.nn.functional")
    return {"F": functional, "x": torch.randn(BIG // 1024, 1024)}


def _patches(torch: Any) -> Names:
    x = torch.randn(256, 196, 768)
    shuffle = torch.argsort(torch.rand(256, 196), dim=1)
    return {
        "x": x,
        "index": shuffle[:, :49].unsqueeze(-1).repeat(1, 1, 768),
        "random_masking": lambda x: networks.random_masking(torch, x),
    }


def _take(torch: Any) -> Names:
    return {"x": torch.randn(16, 64, 1024), "index": torch.randint(0, 1 << 20, (1 << 20,))}


def _picks(torch: Any) -> Names:
    return {
        "x": torch.randn(16, 64, 1024),
        "picks": torch.tensor([5, 50]),
        "index": torch.randint(0, 64, (16, 5, 1024)),
    }


def _numbers(*shape: int) -> Callable[[Any], Names]:
    return lambda torch: {"x": torch.rand(*shape)}


def _matrices(*shapes: tuple[int, ...]) -> Callable[[Any], Names]:
    return lambda torch: {
        "torch": torch,
        **{name: torch.randn(*shape) for name, shape in zip("ab", shapes, strict=True)},
    }


def _step(torch: Any) -> Names:
    return {"step": networks.training_step(torch)}


def _small_rows() -> list[Workload]:
    plain, graded = _small(False), _small(True)
    views = ("x.view(3, 2)", "x.transpose(0, 1)", "x[1, 2]", "x[0:2]", "x.sum()", "x.gather(1, index)")
    return [
        *(Workload("2x3 floats", s, s, plain, at_most(0.6)) for s in ("a + b", "a * 2")),
        *(Workload("2x3 floats", s, s, plain, at_most(0.8)) for s in views),
        *(Workload("2x3 floats with requires_grad", s, s, graded, at_most(0.6)) for s in ("a + b", "a * 2")),
    ]


def _streaming_rows() -> list[Workload]:
    group = "16M floats"
    return [
        Workload(group, "a + b", "a + b", _big, at_least(4)),
        Workload(
            group,
            "transpose(0, 1).contiguous(), 4096x4096",
            "x.transpose(0, 1).contiguous()",
            _square,
            at_least(3),
        ),
        Workload(group, "exp", "a.exp()", _big, at_least(3)),
        Workload(group, "gelu", "F.gelu(a)", _big, at_least(3)),
        Workload(group, "softmax(-1), rows of 1024", "x.softmax(-1)", _rows, at_least(3)),
        Workload(group, "layer_norm, rows of 1024", "F.layer_norm(x, (1024,))", _rows, at_least(3)),
        Workload(group, "sum", "a.sum()", _big, at_least(1)),
        Workload(group, "sum over dim 0, 4096x4096", "x.sum(0)", _square, at_least(1)),
        Workload(group, "sum over dim 1, 4096x4096", "x.sum(1)", _square, at_least(1)),
    ]


def _picking_rows() -> list[Workload]:
    group = "picking"
    return [
        Workload(group, "gather (256,196,768), 49 kept", "x.gather(1, index)", _patches, at_least(2.5)),
        Workload(group, "random masking (256,196,768)", "random_masking(x)", _patches, at_least(2)),
        Workload(group, "take, 1M of 1M", "x.take(index)", _take, at_least(1.5)),
        Workload(group, "index_select (16,64,1024), 2 picks", "x.index_select(1, picks)", _picks, at_least(1.5)),
        Workload(group, "gather (16,64,1024) with (16,5,1024)", "x.gather(1, index)", _picks, at_least(1.5)),
    ]


def _sorting_rows() -> list[Workload]:
    return [
        Workload("sorting", f"{verb} {label}", f"x.{verb}()", setup, at_least(2))
        for label, setup in (("(256,196)", _numbers(256, 196)), ("1M", _numbers(1 << 20)))
        for verb in ("sort", "argsort")
    ]


def _product_rows() -> list[Workload]:
    group = "products"
    rows = []
    for n in (256, 1024, 2048):
        setup = _matrices((n, n), (n, n))
        rows.append(Workload(group, f"mm {n}", "torch.mm(a, b)", setup, at_least(1.8), flops=2.0 * n**3))
        rows.append(
            Workload(
                group,
                f"mm {n}, beside OpenBLAS itself",
                "torch.mm(a, b)",
                setup,
                at_most(1.05),
                rival="openblas",
                rival_setup=lambda threads, n=n: openblas.square_product(n, threads),
            )
        )
    shapes = (64, 128, 64), (64, 64, 128)
    name, flops = "bmm (64,128,64)x(64,64,128)", 2.0 * 64 * 128 * 64 * 128
    rows.append(Workload(group, name, "torch.bmm(a, b)", _matrices(*shapes), at_least(1.2), flops=flops))
    return rows


def all_workloads() -> list[Workload]:
    """Every statement that is timed, in the order of the table."""
    return [
        *_small_rows(),
        *_streaming_rows(),
        *_picking_rows(),
        *_sorting_rows(),
        *_product_rows(),
        Workload("training", "one step of a masked autoencoder", "step()", _step, at_least(1.5)),
    ]
