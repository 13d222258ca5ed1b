"""Reverse-mode differentiation: the recorded graph, derived derivatives, modes, gradcheck."""
