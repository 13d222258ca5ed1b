"""Distributions: the same values for the same seed, the same likelihoods, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest
import torch.distributions

import pellucid.distributions
from tests.conformance.test_seeds import both

MAKE = {
    "normal": lambda D, T: D.Normal(T.tensor([0.0, 1.0]), T.tensor([1.0, 2.0])),
    "numbers": lambda D, T: D.Normal(0.0, 1.0),
    "uniform": lambda D, T: D.Uniform(T.zeros(2), T.tensor([1.0, 3.0])),
    "exponential": lambda D, T: D.Exponential(T.tensor([1.0, 2.0])),
    "laplace": lambda D, T: D.Laplace(T.tensor([0.0, 1.0]), T.tensor([1.0, 2.0])),
    "poisson": lambda D, T: D.Poisson(T.tensor([2.0, 5.0])),
    "bernoulli": lambda D, T: D.Bernoulli(T.tensor([0.3, 0.8])),
    "bernoulli of logits": lambda D, T: D.Bernoulli(logits=T.tensor([-1.0, 2.0])),
    "categorical": lambda D, T: D.Categorical(T.tensor([[1.0, 6.0, 3.0], [2.0, 2.0, 6.0]])),
    "categorical of logits": lambda D, T: D.Categorical(logits=T.tensor([[0.5, -1.0], [2.0, 0.0]])),
    "one-hot": lambda D, T: D.OneHotCategorical(T.tensor([0.1, 0.6, 0.3])),
    "independent": lambda D, T: D.Independent(D.Normal(T.zeros(2, 3), T.ones(3)), 1),
}


@pytest.mark.parametrize("name", MAKE)
def test_draws_and_likelihoods(name: str) -> None:
    def program(T: Any) -> Any:
        d = MAKE[name](T.distributions, T)
        one, many = d.sample(), d.sample((2, 3))
        drawn = d.rsample((2,)) if d.has_rsample else None
        likelihoods = d.log_prob(one), d.log_prob(many)
        return repr(d), tuple(d.batch_shape), tuple(d.event_shape), one, many, drawn, likelihoods

    both(program)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("what", ["mean", "mode", "variance", "stddev", "entropy", "perplexity", "enumerate_support"])
def test_facts(name: str, what: str) -> None:
    def program(T: Any) -> Any:
        fact = getattr(MAKE[name](T.distributions, T), what)
        return fact() if callable(fact) else fact

    both(program)


@pytest.mark.parametrize("name", ["normal", "uniform", "exponential", "laplace"])
def test_cumulative(name: str) -> None:
    def program(T: Any) -> Any:
        d = MAKE[name](T.distributions, T)
        return d.cdf(T.tensor([0.5, 1.0])), d.icdf(T.tensor([0.25, 0.75]))

    both(program)


@pytest.mark.parametrize("name", [name for name in MAKE if name != "numbers"])
def test_divergence(name: str) -> None:
    def program(T: Any) -> Any:
        D = T.distributions
        p = MAKE[name](D, T)
        q = MAKE["bernoulli of logits" if name == "bernoulli" else name](D, T)
        return D.kl_divergence(p, q)

    both(program)


def test_divergence_of_others() -> None:
    both(lambda T: T.distributions.kl_divergence(T.distributions.Normal(0.0, 1.0), T.distributions.Normal(1.0, 3.0)))
    both(lambda T: T.distributions.kl_divergence(T.distributions.Uniform(0.0, 3.0), T.distributions.Uniform(0.0, 2.0)))
    both(lambda T: T.distributions.kl_divergence(T.distributions.Normal(0.0, 1.0), T.distributions.Poisson(2.0)))


def test_gradients() -> None:
    def program(T: Any) -> Any:
        loc, logits = T.zeros(2, requires_grad=True), T.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
        T.distributions.Normal(loc, T.ones(2)).rsample((4,)).pow(2).mean().backward()
        policy = T.distributions.Categorical(logits=logits)
        (-policy.log_prob(policy.sample()).sum() - 0.1 * policy.entropy().sum()).backward()
        return loc.grad, logits.grad

    both(program)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda D, T: D.Normal(0.0, -1.0),
        lambda D, T: D.Normal("a", 1.0),
        lambda D, T: D.Normal(T.zeros(2), T.ones(2)).log_prob(T.ones(3)),
        lambda D, T: D.Normal(0.0, 1.0).log_prob(3),
        lambda D, T: D.Uniform(1.0, 0.0),
        lambda D, T: D.Bernoulli(),
        lambda D, T: D.Bernoulli(0.5, 0.5),
        lambda D, T: D.Bernoulli(T.tensor(1.5)),
        lambda D, T: D.Bernoulli(T.tensor(0.5)).log_prob(T.tensor(0.5)),
        lambda D, T: D.Categorical(T.tensor(1.0)),
        lambda D, T: D.Categorical(T.tensor([-1.0, 2.0])),
        lambda D, T: D.Categorical(T.ones(2)).log_prob(T.tensor(2)),
        lambda D, T: D.Categorical(T.ones(2)).rsample(),
        lambda D, T: D.Independent(D.Normal(T.zeros(2), T.ones(2)), 2),
        lambda D, T: D.Normal(0.0, 1.0, validate_args=False).log_prob(T.tensor(float("nan"))),
    ],
)
def test_errors(wrong: Any) -> None:
    both(lambda T: wrong(T.distributions, T))


def test_missing_ones_say_so() -> None:
    with pytest.raises(AttributeError, match="torch.distributions.Wishart is missing from Pellucid"):
        _ = pellucid.distributions.Wishart
    assert torch.distributions.Wishart
