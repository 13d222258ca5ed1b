"""Learning rates that change with the steps."""

from pellucid.optim.lr_scheduler.base import LRScheduler as LRScheduler
from pellucid.optim.lr_scheduler.combined import ChainedScheduler as ChainedScheduler
from pellucid.optim.lr_scheduler.combined import SequentialLR as SequentialLR
from pellucid.optim.lr_scheduler.cosine import CosineAnnealingLR as CosineAnnealingLR
from pellucid.optim.lr_scheduler.cosine import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from pellucid.optim.lr_scheduler.cycle import OneCycleLR as OneCycleLR
from pellucid.optim.lr_scheduler.cyclic import CyclicLR as CyclicLR
from pellucid.optim.lr_scheduler.decay import ConstantLR as ConstantLR
from pellucid.optim.lr_scheduler.decay import ExponentialLR as ExponentialLR
from pellucid.optim.lr_scheduler.decay import LambdaLR as LambdaLR
from pellucid.optim.lr_scheduler.decay import LinearLR as LinearLR
from pellucid.optim.lr_scheduler.decay import MultiplicativeLR as MultiplicativeLR
from pellucid.optim.lr_scheduler.decay import MultiStepLR as MultiStepLR
from pellucid.optim.lr_scheduler.decay import PolynomialLR as PolynomialLR
from pellucid.optim.lr_scheduler.decay import StepLR as StepLR
from pellucid.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau

_LRScheduler = LRScheduler


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.optim.lr_scheduler.{name} is missing from Pellucid", name=name)
