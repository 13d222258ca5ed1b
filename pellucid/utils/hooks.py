"""What registering a hook gives back, under PyTorch's name."""

from __future__ import annotations

from pellucid.autograd.hooks import RemovableHandle as RemovableHandle
