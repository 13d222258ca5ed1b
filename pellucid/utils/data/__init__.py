"""Data sets, samplers and the loader."""

from pellucid.utils.data.collate import default_collate as default_collate
from pellucid.utils.data.collate import default_convert as default_convert
from pellucid.utils.data.dataset import ChainDataset as ChainDataset
from pellucid.utils.data.dataset import ConcatDataset as ConcatDataset
from pellucid.utils.data.dataset import Dataset as Dataset
from pellucid.utils.data.dataset import IterableDataset as IterableDataset
from pellucid.utils.data.dataset import StackDataset as StackDataset
from pellucid.utils.data.dataset import Subset as Subset
from pellucid.utils.data.dataset import TensorDataset as TensorDataset
from pellucid.utils.data.dataset import random_split as random_split
from pellucid.utils.data.loader import DataLoader as DataLoader
from pellucid.utils.data.sampler import BatchSampler as BatchSampler
from pellucid.utils.data.sampler import RandomSampler as RandomSampler
from pellucid.utils.data.sampler import Sampler as Sampler
from pellucid.utils.data.sampler import SequentialSampler as SequentialSampler
from pellucid.utils.data.sampler import SubsetRandomSampler as SubsetRandomSampler
from pellucid.utils.data.sampler import WeightedRandomSampler as WeightedRandomSampler
from pellucid.utils.data.workers import get_worker_info as get_worker_info


def __getattr__(name: str) -> object:
    raise AttributeError(f"torch.utils.data.{name} is missing from Pellucid", name=name)
