"""What programs use around the tensors: data loading."""

from pellucid.utils import data as data
