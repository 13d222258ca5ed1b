"""Optimisers."""

from pellucid.optim.adam import Adam as Adam
from pellucid.optim.adam import AdamW as AdamW
from pellucid.optim.optimizer import Optimizer as Optimizer
from pellucid.optim.sgd import SGD as SGD
