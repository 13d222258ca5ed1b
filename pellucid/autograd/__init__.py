"""Reverse-mode differentiation: the recorded graph, derived derivatives, modes, gradcheck."""

from __future__ import annotations

from pellucid.autograd import methods as _methods
from pellucid.autograd.engine import backward, grad
from pellucid.autograd.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
