"""Reverse-mode differentiation: the recorded graph, derived derivatives, modes, gradcheck."""

from __future__ import annotations

from pellucid.autograd import function, functional, grad_mode, graph
from pellucid.autograd import methods as methods  # gives Tensor its methods
from pellucid.autograd.anomaly import detect_anomaly, set_detect_anomaly
from pellucid.autograd.engine import backward, grad
from pellucid.autograd.function import Function
from pellucid.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from pellucid.autograd.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from pellucid.autograd.variable import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
