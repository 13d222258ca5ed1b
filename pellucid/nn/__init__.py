"""Networks: modules, parameters, functions, initial values."""

from pellucid.nn import functional as functional
from pellucid.nn import grad as grad
from pellucid.nn import init as init
from pellucid.nn import utils as utils
from pellucid.nn.modules import *  # noqa: F403
from pellucid.nn.modules.module import Module as Module
from pellucid.nn.parameter import Buffer as Buffer
from pellucid.nn.parameter import Parameter as Parameter
from pellucid.nn.parameter import UninitializedBuffer as UninitializedBuffer
from pellucid.nn.parameter import UninitializedParameter as UninitializedParameter


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.nn.{name} is missing from Pellucid", name=name)
