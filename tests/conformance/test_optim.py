"""Optimisers and schedules beside PyTorch's, over 30 steps."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from tests.conformance.libraries import compare, numbers

STEPS = 30
OPTIMIZERS: dict[str, Callable[[Any, Any], Any]] = {
    "sgd": lambda optim, p: optim.SGD(p, lr=0.1),
    "sgd_decay": lambda optim, p: optim.SGD(p, lr=0.1, weight_decay=0.05, maximize=True),
    "sgd_momentum": lambda optim, p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "sgd_nesterov": lambda optim, p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda optim, p: optim.Adam(p, lr=0.05),
    "adam_decay": lambda optim, p: optim.Adam(p, lr=0.05, weight_decay=0.1, betas=(0.8, 0.99), eps=1e-6),
    "adam_amsgrad": lambda optim, p: optim.Adam(p, lr=0.05, amsgrad=True, maximize=True),
    "adamw": lambda optim, p: optim.AdamW(p, lr=0.05),
    "adamw_betas": lambda optim, p: optim.AdamW(p, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.2),
    "adamw_amsgrad": lambda optim, p: optim.AdamW(p, lr=0.05, amsgrad=True),
    "rmsprop": lambda optim, p: optim.RMSprop(p),
    "rmsprop_momentum": lambda optim, p: optim.RMSprop(p, momentum=0.9, weight_decay=0.1),
    "rmsprop_centred": lambda optim, p: optim.RMSprop(p, lr=0.003, alpha=0.9, centered=True, momentum=0.5),
    "adagrad": lambda optim, p: optim.Adagrad(p, lr=0.1),
    "adagrad_decay": lambda optim, p: optim.Adagrad(
        p, lr=0.1, lr_decay=0.1, weight_decay=0.02, initial_accumulator_value=0.5
    ),
    "adadelta": lambda optim, p: optim.Adadelta(p),
    "adadelta_decay": lambda optim, p: optim.Adadelta(p, lr=0.5, rho=0.8, weight_decay=0.1, maximize=True),
    "adamax": lambda optim, p: optim.Adamax(p, lr=0.05),
    "adamax_decay": lambda optim, p: optim.Adamax(p, betas=(0.7, 0.9), weight_decay=0.1),
    "nadam": lambda optim, p: optim.NAdam(p, lr=0.05),
    "nadam_decay": lambda optim, p: optim.NAdam(p, lr=0.05, weight_decay=0.1, momentum_decay=0.02),
    "nadam_decoupled": lambda optim, p: optim.NAdam(p, lr=0.05, weight_decay=0.1, decoupled_weight_decay=True),
    "radam": lambda optim, p: optim.RAdam(p, lr=0.05),
    "radam_decay": lambda optim, p: optim.RAdam(p, lr=0.05, betas=(0.8, 0.9), weight_decay=0.1, maximize=True),
    "radam_decoupled": lambda optim, p: optim.RAdam(p, lr=0.05, weight_decay=0.1, decoupled_weight_decay=True),
    "rprop": lambda optim, p: optim.Rprop(p, lr=0.05),
    "rprop_narrow": lambda optim, p: optim.Rprop(p, lr=0.05, etas=(0.4, 1.5), step_sizes=(0.03, 0.08)),
    "asgd": lambda optim, p: optim.ASGD(p, lr=0.05),
    "asgd_averaging": lambda optim, p: optim.ASGD(p, lr=0.05, lambd=0.01, alpha=0.5, t0=10, weight_decay=0.1),
    "bad_rho": lambda optim, p: optim.Adadelta(p, rho=1.5),
    "bad_etas": lambda optim, p: optim.Rprop(p, etas=(0.5, 0.9)),
    "two_groups": lambda optim, p: optim.AdamW([{"params": p[:1], "lr": 0.2}, {"params": p[1:], "weight_decay": 0.0}]),
    "named": lambda optim, p: optim.Adam([(f"p{i}", x) for i, x in enumerate(p)]),
    "negative_lr": lambda optim, p: optim.AdamW(p, lr=-1.0),
    "bad_beta": lambda optim, p: optim.Adam(p, betas=(1.0, 0.9)),
    "bad_nesterov": lambda optim, p: optim.SGD(p, nesterov=True),
    "a_tensor": lambda optim, p: optim.SGD(p[0], lr=0.1),
    "nothing": lambda optim, p: optim.SGD([], lr=0.1),
    "twice": lambda optim, p: optim.SGD([{"params": p}, {"params": p}], lr=0.1),
    "no_leaf": lambda optim, p: optim.SGD([p[0] * 2], lr=0.1),
    "a_number": lambda optim, p: optim.SGD([1.0], lr=0.1),
    "a_set": lambda optim, p: optim.SGD([{"params": set(p)}], lr=0.1),
}


def _parameters(library: Any, dtype: str = "float32") -> list[Any]:
    shapes = [(5, 7), (3,), (), (33, 65)]
    kind = getattr(library, dtype)
    return [library.nn.Parameter(numbers(library, *s, seed=k).to(kind)) for k, s in enumerate(shapes)]


def _train(library: Any, optimizer: Any, parameters: list[Any], steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        for k, p in enumerate(parameters):
            if (step + k) % 7:  # now and then one has no gradient
                p.grad = numbers(library, *p.shape, seed=100 * step + k).to(p.dtype)
        optimizer.step()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str, dtype: str) -> None:
    def program(library: Any) -> Any:
        parameters = _parameters(library, dtype)
        optimizer = OPTIMIZERS[name](library.optim, parameters)
        _train(library, optimizer, parameters, range(STEPS))
        return parameters, optimizer.state_dict(), repr(optimizer), list(optimizer.defaults)

    # A few last bits: products are fused with sums here and there in both libraries.
    rtol, atol = (3e-6, 3e-6) if dtype == "float32" else (1e-13, 1e-14)
    compare(program, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", ["sgd_momentum", "adamw_amsgrad", "rmsprop_centred", "adagrad"])
def test_half_precision(name: str) -> None:
    def program(library: Any) -> Any:
        parameters = _parameters(library, "bfloat16")
        _train(library, OPTIMIZERS[name](library.optim, parameters), parameters, range(3))
        return parameters

    compare(program, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    "name",
    [
        "sgd_momentum", "adamw_amsgrad", "rmsprop_centred", "adagrad", "adagrad_decay", "adadelta", "adamax", "nadam",
        "radam", "rprop", "asgd_averaging",
    ],
)  # fmt: skip
def test_complex_parameters(name: str) -> None:
    def program(library: Any) -> Any:
        p = library.nn.Parameter(library.complex(numbers(library, 3, 2), numbers(library, 3, 2, seed=1)))
        optimizer = OPTIMIZERS[name](library.optim, [p])
        for k in range(5):
            p.grad = library.complex(numbers(library, 3, 2, seed=k), numbers(library, 3, 2, seed=k + 9))
            optimizer.step()
        return library.view_as_real(p.detach())

    compare(program, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize(
    "name",
    [
        "sgd_momentum", "adamw", "rmsprop_centred", "adagrad_decay", "two_groups", "adadelta", "adamax", "nadam", "radam",
        "rprop", "asgd_averaging",
    ],
)  # fmt: skip
def test_resume(name: str) -> None:
    def program(library: Any) -> Any:
        parameters = _parameters(library)
        optimizer = OPTIMIZERS[name](library.optim, parameters)
        _train(library, optimizer, parameters, range(8))
        resumed = OPTIMIZERS[name](library.optim, parameters)
        resumed.load_state_dict(optimizer.state_dict())
        _train(library, resumed, parameters, range(8, 16))
        return parameters, resumed.state_dict()

    compare(program, rtol=3e-6, atol=3e-6)


def test_closure_and_hooks() -> None:
    def program(library: Any) -> Any:
        (p, *_), calls = _parameters(library), []
        optimizer = library.optim.SGD([p], lr=0.1)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(("before", len(args))))
        handle = optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("after", len(kwargs))))

        def closure() -> Any:
            optimizer.zero_grad()
            loss = (p**2).sum()
            loss.backward()
            return loss

        losses = [optimizer.step(closure) for _ in range(3)]
        handle.remove()
        optimizer.step()
        return losses, calls, p

    compare(program, rtol=1e-6)


def test_hooks_of_all_optimizers() -> None:
    def program(library: Any) -> Any:
        (p, *_), calls = _parameters(library), []
        module = import_module(f"{library.__name__}.optim.optimizer")
        p.grad = numbers(library, *p.shape)
        optimizer = library.optim.SGD([p], lr=0.1)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("own before"))
        optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append("own after"))
        handles = [
            module.register_optimizer_step_pre_hook(lambda o, args, kwargs: calls.append("all before")),
            module.register_optimizer_step_post_hook(lambda o, args, kwargs: calls.append("all after")),
        ]
        optimizer.step()
        for handle in handles:
            handle.remove()
        optimizer.step()
        return calls

    compare(program)


def test_own_optimizer() -> None:
    def program(library: Any) -> Any:
        class Signs(library.optim.Optimizer):  # type: ignore[name-defined,misc]
            def __init__(self, params: Any, lr: float) -> None:
                super().__init__(params, {"lr": lr})

            @library.no_grad()
            def step(self, closure: Any = None) -> None:
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            self.state[p]["count"] = self.state[p].get("count", 0) + 1
                            p.add_(p.grad.sign(), alpha=-group["lr"])

        parameters = _parameters(library)
        optimizer = Signs(parameters, 0.1)
        schedule = library.optim.lr_scheduler.StepLR(optimizer, 2)
        for k in range(4):
            _train(library, optimizer, parameters, range(k, k + 1))
            schedule.step()
        return parameters, optimizer.state_dict(), schedule.get_last_lr()

    compare(program, rtol=1e-6)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("kind", ["float64", "complex"])
def test_lbfgs(search: str | None, kind: str) -> None:
    def program(library: Any) -> Any:
        p = _parameters(library, "float64")[:2]
        if kind == "complex":
            pair = (numbers(library, 3, seed=k).double() for k in range(2))
            p[1] = library.nn.Parameter(library.complex(*pair))
        optimizer = library.optim.LBFGS(p, lr=0.1, max_iter=7, history_size=3, line_search_fn=search)
        calls = []

        def closure() -> Any:
            optimizer.zero_grad()
            size = p[1].abs() if kind == "complex" else p[1]
            loss = ((p[0] ** 2).sum() - 1) ** 2 + 10 * ((p[0][1:, :3] - size**2) ** 2).sum()
            loss.backward()
            calls.append(loss.item())
            return loss

        losses = [optimizer.step(closure).item() for _ in range(4)]
        state = optimizer.state_dict()["state"][0]
        return losses, calls, p, state["func_evals"], state["n_iter"]

    compare(program, rtol=1e-7, atol=1e-9)


def test_lbfgs_with_two_groups_is_refused() -> None:
    def program(library: Any) -> Any:
        p = _parameters(library)
        library.optim.LBFGS([{"params": p[:1]}, {"params": p[1:]}])

    compare(program)


@pytest.mark.parametrize("buffers", [False, True])
@pytest.mark.parametrize("kind", ["mean", "own", "ema", "multi_ema"])
def test_averaged_model(kind: str, buffers: bool) -> None:
    def program(library: Any) -> Any:
        utils = library.optim.swa_utils
        options: dict[str, dict[str, Any]] = {
            "mean": {}, "own": {"avg_fn": lambda a, p, n: 0.25 * a + 0.75 * p * (n + 1)},
            "ema": {"avg_fn": utils.get_ema_avg_fn(0.9)}, "multi_ema": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.8)},
        }  # fmt: skip
        library.manual_seed(0)
        model = library.nn.Sequential(library.nn.Linear(3, 4), library.nn.BatchNorm1d(4))
        averaged = utils.AveragedModel(model, use_buffers=buffers, **options[kind])
        for k in range(3):
            with library.no_grad():
                for i, p in enumerate(model.parameters()):
                    p.add_(numbers(library, *p.shape, seed=10 * k + i))
            model(numbers(library, 5, 3, seed=k))
            averaged.update_parameters(model)
        before = {name: t.clone() for name, t in averaged.state_dict().items()}
        utils.update_bn([numbers(library, 5, 3, seed=k) for k in range(3)], averaged)
        return before, averaged.state_dict(), averaged(numbers(library, 2, 3))

    compare(program, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"anneal_strategy": "linear", "anneal_epochs": 4}, {"anneal_epochs": 0}])
def test_swa_rates(options: dict[str, Any]) -> None:
    def program(library: Any) -> Any:
        p = _parameters(library)
        optimizer = library.optim.SGD([{"params": p[:1]}, {"params": p[1:], "lr": 0.3}], lr=0.1)
        schedule = library.optim.swa_utils.SWALR(optimizer, [0.05, 0.02], **options)
        seen = []
        for _ in range(12):
            optimizer.step()
            schedule.step()
            seen.append(schedule.get_last_lr())
        return seen

    compare(program, rtol=1e-12)


SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda epoch: 0.95**epoch),
    "lambdas": lambda s, o: s.LambdaLR(o, [lambda epoch: epoch, lambda epoch: 1 / (epoch + 1)]),
    "too_many_lambdas": lambda s, o: s.LambdaLR(o, [lambda epoch: epoch] * 3),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.9 if epoch % 2 else 1.05),
    "step": lambda s, o: s.StepLR(o, 4, gamma=0.5),
    "multi_step": lambda s, o: s.MultiStepLR(o, [3, 7, 7, 12], gamma=0.3),
    "constant": lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=6),
    "bad_constant": lambda s, o: s.ConstantLR(o, factor=1.25),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.9, total_iters=8),
    "bad_linear": lambda s, o: s.LinearLR(o, 0.0),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "polynomial": lambda s, o: s.PolynomialLR(o, 10, power=1.7),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 6, eta_min=0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.02),
    "restarts_of_one_length": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4),
    "bad_restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "one_cycle": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=30),
    "one_cycle_linear": lambda s, o: s.OneCycleLR(
        o, [0.3, 0.1], epochs=3, steps_per_epoch=8, anneal_strategy="linear", three_phase=True, cycle_momentum=False
    ),
    "one_cycle_without_length": lambda s, o: s.OneCycleLR(o, 0.3),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.2, step_size_up=5),
    "cyclic_halved": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.2, 0.1], 3, 7, mode="triangular2", max_momentum=0.95),
    "cyclic_falling": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 4, mode="exp_range", gamma=0.97, cycle_momentum=False),
    "cyclic_by_function": lambda s, o: s.CyclicLR(
        o, 0.01, 0.2, 4, scale_fn=lambda step: 1 / (1 + step), scale_mode="iterations"
    ),
    "bad_cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.2, mode="square"),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 10), s.ExponentialLR(o, 0.5)], [5, 15]
    ),
    "bad_sequential": lambda s, o: s.SequentialLR(o, [s.ExponentialLR(o, 0.5)], [5]),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)]),
}


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str, optimizer: str) -> None:
    def program(library: Any) -> Any:
        p = _parameters(library)
        options = {"momentum": 0.9} if optimizer == "SGD" else {}
        made = getattr(library.optim, optimizer)([{"params": p[:2]}, {"params": p[2:], "lr": 0.5}], lr=0.1, **options)
        schedule = SCHEDULES[name](library.optim.lr_scheduler, made)
        seen = [[g["lr"] for g in made.param_groups]]
        for _ in range(24):
            made.step()
            schedule.step()
            seen.append([g["lr"] for g in made.param_groups] + schedule.get_last_lr())
            seen.append([g.get("momentum", g.get("betas", (0,))) for g in made.param_groups])
        return seen

    compare(program, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("options", [{}, {"mode": "max", "threshold": 0.1}, {"threshold_mode": "abs", "cooldown": 2}])
def test_plateau(options: dict[str, Any]) -> None:
    def program(library: Any) -> Any:
        made = library.optim.SGD(_parameters(library), lr=1.0)
        schedule = library.optim.lr_scheduler.ReduceLROnPlateau(made, factor=0.5, patience=1, min_lr=0.01, **options)
        measures = [5.0, 4.0, 4.0, 4.0, 3.9, 4.5, 4.6, 4.7, 9.0, 9.5, 11.0, 3.0, 3.0, 3.0, 3.0, 3.0]
        seen = []
        for measure in measures:
            schedule.step(measure)
            seen.append((made.param_groups[0]["lr"], schedule.num_bad_epochs, schedule.best, schedule.in_cooldown))
        return seen

    compare(program)


def test_resumed_schedule() -> None:
    def program(library: Any) -> Any:
        made = library.optim.SGD(_parameters(library), lr=1.0)
        schedule = library.optim.lr_scheduler.CosineAnnealingLR(made, 10)
        for _ in range(4):
            made.step()
            schedule.step()
        again = library.optim.lr_scheduler.CosineAnnealingLR(made, 10, last_epoch=3)
        other = library.optim.lr_scheduler.CosineAnnealingLR(made, 10)
        other.load_state_dict(schedule.state_dict())
        return again.get_last_lr(), other.last_epoch, other.get_last_lr()

    compare(program, rtol=1e-12)


def test_a_schedule_that_steps_first_warns() -> None:
    def program(library: Any) -> Any:
        made = library.optim.SGD(_parameters(library), lr=1.0)
        library.optim.lr_scheduler.StepLR(made, 1).step()

    compare(program, with_warnings=True)


@pytest.mark.parametrize("options", [{}, {"norm_type": 1.0}, {"norm_type": float("inf")}, {"max_norm": 1e6}])
def test_clipping(options: dict[str, Any]) -> None:
    def program(library: Any) -> Any:
        parameters = _parameters(library)
        for k, p in enumerate(parameters):
            p.grad = numbers(library, *p.shape, seed=k)
        norm = library.nn.utils.clip_grad_norm_(parameters, **{"max_norm": 1.0, **options})
        library.nn.utils.clip_grad_value_(parameters, 0.05)
        flat = library.nn.utils.parameters_to_vector(parameters)
        library.nn.utils.vector_to_parameters(flat * 2, parameters)
        return norm, [p.grad for p in parameters], parameters

    compare(program, rtol=2e-6, atol=1e-7)
