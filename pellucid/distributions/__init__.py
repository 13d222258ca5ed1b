"""Probability distributions: random values, their likelihood, entropies and divergences."""

from __future__ import annotations

from pellucid.distributions import constraints as constraints
from pellucid.distributions import kl as kl
from pellucid.distributions.continuous import Exponential as Exponential
from pellucid.distributions.continuous import Laplace as Laplace
from pellucid.distributions.continuous import Normal as Normal
from pellucid.distributions.continuous import Uniform as Uniform
from pellucid.distributions.discrete import Bernoulli as Bernoulli
from pellucid.distributions.discrete import Categorical as Categorical
from pellucid.distributions.discrete import OneHotCategorical as OneHotCategorical
from pellucid.distributions.discrete import Poisson as Poisson
from pellucid.distributions.distribution import Distribution as Distribution
from pellucid.distributions.independent import Independent as Independent
from pellucid.distributions.kl import kl_divergence as kl_divergence
from pellucid.distributions.kl import register_kl as register_kl


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.distributions.{name} is missing from Pellucid", name=name)
