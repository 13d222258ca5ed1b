"""`DataLoader` under the name of PyTorch's module for it."""

from __future__ import annotations

from pellucid.utils.data.collate import default_collate as default_collate
from pellucid.utils.data.collate import default_convert as default_convert
from pellucid.utils.data.loader import DataLoader as DataLoader
from pellucid.utils.data.sampler import BatchSampler as BatchSampler
from pellucid.utils.data.sampler import RandomSampler as RandomSampler
from pellucid.utils.data.sampler import Sampler as Sampler
from pellucid.utils.data.sampler import SequentialSampler as SequentialSampler
