"""Formulas over indices: what an operator computes, apart from how (see ``expr.py`` first)."""
