"""Optimisers."""

from pellucid.optim import lr_scheduler as lr_scheduler
from pellucid.optim import swa_utils as swa_utils
from pellucid.optim.adadelta import Adadelta as Adadelta
from pellucid.optim.adagrad import Adagrad as Adagrad
from pellucid.optim.adam import Adam as Adam
from pellucid.optim.adam import AdamW as AdamW
from pellucid.optim.adamax import Adamax as Adamax
from pellucid.optim.asgd import ASGD as ASGD
from pellucid.optim.lbfgs import LBFGS as LBFGS
from pellucid.optim.nadam import NAdam as NAdam
from pellucid.optim.optimizer import Optimizer as Optimizer
from pellucid.optim.radam import RAdam as RAdam
from pellucid.optim.rmsprop import RMSprop as RMSprop
from pellucid.optim.rprop import Rprop as Rprop
from pellucid.optim.sgd import SGD as SGD


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.optim.{name} is missing from Pellucid", name=name)
