"""einsum and tensordot: sums of products over shared indices, brought to batches of matrix products.

A factor is a tensor whose dimensions carry labels. Two factors are multiplied in one step: labels of both that are
still needed are a batch, labels of both that nothing else needs are summed by the matrix product, the others are its
rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pellucid.errors import shape_text
from pellucid.operators.define import deliver, public, wrap_dim
from pellucid.operators.einsum_notation import ELLIPSIS, Label, Labels, parse_equation, parse_sublists
from pellucid.operators.products import matmul, require_tensors
from pellucid.tensor import Tensor

Factor = tuple[Any, Labels]


@public
def einsum(*args: Any) -> Any:
    """Sum of products in Einstein's notation: ``einsum("ij,jk->ik", a, b)`` is the matrix product.

    ``einsum(equation, *operands)`` or ``einsum(op1, [0, 1], op2, [1, 2], [0, 2])``. A label that is repeated in one
    operand takes its diagonal, labels missing from the output are summed, dimensions of size 1 and those of ``...``
    broadcast. Without ``->`` the output has the dimensions of ``...``, then the labels met once, in alphabetical order.

    Raises:
        RuntimeError: an equation that is wrong or does not fit the operands; ValueError: no operand.
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if isinstance(args[0], Tensor):
        operands, inputs, output = parse_sublists(args)
    else:
        operands = list(args[1]) if len(args) == 2 and isinstance(args[1], (list, tuple)) else list(args[1:])
        inputs, output = parse_equation(args[0], len(operands))
    require_tensors("einsum", **{f"operands[{k}]": x for k, x in enumerate(operands)})
    expanded = [
        _with_ellipsis(k, x.layout.shape, labels) for k, (x, labels) in enumerate(zip(operands, inputs, strict=True))
    ]
    wanted = _output(inputs, expanded, output)
    sizes = _sizes(operands, expanded)
    factors = [_diagonal(k, x, labels, sizes) for k, (x, labels) in enumerate(zip(operands, expanded, strict=True))]
    return _contracted(factors, wanted, sizes)


def _with_ellipsis(k: int, shape: tuple[int, ...], labels: Labels) -> Labels:
    """``...`` becomes one label per dimension that it stands for, counted from the right."""
    named = len(labels) - (ELLIPSIS in labels)
    if ELLIPSIS not in labels and named != len(shape):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions "
            f"({len(shape)}) for operand {k} and no ellipsis was given (its shape is {shape_text(shape)})"
        )
    if named > len(shape):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) is more than the number of dimensions "
            f"({len(shape)}) for operand {k} (its shape is {shape_text(shape)})"
        )
    if ELLIPSIS not in labels:
        return labels
    at = labels.index(ELLIPSIS)
    return (*labels[:at], *_hidden(len(shape) - named), *labels[at + 1 :])


def _hidden(count: int) -> Labels:
    return tuple((ELLIPSIS, d) for d in range(count, 0, -1))


def _output(inputs: Sequence[Labels], expanded: Sequence[Labels], output: Labels | None) -> Labels:
    hidden = max(len(e) - len(i) + 1 if ELLIPSIS in i else 0 for e, i in zip(expanded, inputs, strict=True))
    met = [label for labels in inputs for label in labels if label != ELLIPSIS]
    if output is None:
        return (*_hidden(hidden), *sorted({label for label in met if met.count(label) == 1}))
    for label in output:
        if label != ELLIPSIS and output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if label != ELLIPSIS and label not in met:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
    if ELLIPSIS not in output:
        return output
    at = output.index(ELLIPSIS)
    return (*output[:at], *_hidden(hidden), *output[at + 1 :])


def _sizes(operands: Sequence[Any], expanded: Sequence[Labels]) -> dict[Label, int]:
    sizes: dict[Label, int] = {}
    for k, (x, labels) in enumerate(zip(operands, expanded, strict=True)):
        for d, (label, n) in enumerate(zip(labels, x.layout.shape, strict=True)):
            if sizes.setdefault(label, n) == 1:
                sizes[label] = n
            elif n not in (1, sizes[label]):
                raise RuntimeError(
                    f"einsum(): operands do not broadcast with remapped shapes: dimension {d} of operand {k} "
                    f"{shape_text(x.layout.shape)} has size {n}, but the same subscript has size {sizes[label]} "
                    "elsewhere"
                )
    return sizes


def _diagonal(k: int, x: Any, labels: Labels, sizes: dict[Label, int]) -> Factor:
    """Every label once; dimensions of size 1 that are broadcast are dropped."""
    kept = list(labels)
    for label in dict.fromkeys(labels):
        while kept.count(label) > 1:
            first = kept.index(label)
            second = kept.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {k} but the sizes don't match, "
                    f"{x.shape[second]} != {x.shape[first]}"
                )
            x = x.diagonal(0, first, second).movedim(-1, first)
            del kept[second]
    for d in reversed(range(len(kept))):
        if x.shape[d] == 1 and sizes[kept[d]] != 1:
            x = x.squeeze(d)
            del kept[d]
    return x, tuple(kept)


def _contracted(factors: list[Factor], wanted: Labels, sizes: dict[Label, int]) -> Any:
    """All factors multiplied, in an order that keeps the steps small."""
    for chosen in _path(factors, wanted, sizes):
        first, *others = [factors.pop(k) for k in sorted(chosen, reverse=True)][::-1]
        for position, other in enumerate(others):
            waiting = [labels for _, labels in (*others[position + 1 :], *factors)]
            needed = set(wanted).union(*waiting)
            first = _product(_reduced(first, needed | set(other[1])), _reduced(other, needed | set(first[1])), needed)
        factors.append(first)
    x, labels = _reduced(factors[0], set(wanted))
    return x.permute([labels.index(label) for label in wanted])


def _path(factors: list[Factor], wanted: Labels, sizes: dict[Label, int]) -> list[tuple[int, ...]]:
    if len(factors) <= 2:
        return [(0, 1)] if len(factors) == 2 else []
    import opt_einsum

    names = {label: opt_einsum.get_symbol(k) for k, label in enumerate(sizes)}
    terms = ["".join(names[label] for label in labels) for _, labels in factors]
    equation = ",".join(terms) + "->" + "".join(names[label] for label in wanted)
    path, _ = opt_einsum.contract_path(equation, *[tuple(x.shape) for x, _ in factors], shapes=True)
    return list(path)


def _reduced(factor: Factor, needed: set[Label]) -> Factor:
    """Summed over labels that nothing else needs."""
    x, labels = factor
    dims = [d for d, label in enumerate(labels) if label not in needed]
    if not dims:
        return factor
    return x.sum(dims, dtype=x.dtype), tuple(label for label in labels if label in needed)


def _product(a: Factor, b: Factor, needed: set[Label]) -> Factor:
    (x, left), (y, right) = a, b
    shared = [label for label in left if label in right]
    batch = [label for label in shared if label in needed]
    summed = [label for label in shared if label not in needed]
    rows, columns = [k for k in left if k not in shared], [k for k in right if k not in shared]
    labels = (*batch, *rows, *columns)
    size = dict(zip((*right, *left), (*y.shape, *x.shape), strict=True))
    if not summed:
        first = x.permute([left.index(k) for k in (*batch, *rows)])
        second = y.permute([right.index(k) for k in (*batch, *columns)])
        ones = [1] * len(columns)
        spread = first.reshape([*first.shape, *ones]) if ones else first
        other = second.reshape([*[size[k] for k in batch], *[1] * len(rows), *[size[k] for k in columns]])
        return spread * other, labels
    counts = [prod(size[k] for k in part) for part in (batch, rows, summed, columns)]
    flat = [counts[0]] if batch else []
    first = x.permute([left.index(k) for k in (*batch, *rows, *summed)]).reshape([*flat, counts[1], counts[2]])
    second = y.permute([right.index(k) for k in (*batch, *summed, *columns)]).reshape([*flat, counts[2], counts[3]])
    return matmul(first, second).reshape([size[k] for k in labels]), labels


@public
def tensordot(a: Any, b: Any, dims: Any = 2, out: Tensor | None = None) -> Any:
    """Sum of products over the last ``dims`` dimensions of ``a`` and the first of ``b``, or over two lists of them.

    Raises:
        RuntimeError: sizes that differ, lists of different lengths, a dimension named twice, different dtypes.
    """
    require_tensors("tensordot", a=a, b=b)
    first, second = _contracted_dims(a, b, dims)
    if a.layout.dtype is not b.layout.dtype:
        raise RuntimeError(f"tensordot(): both inputs should have same dtype, got {a.dtype} and {b.dtype}")
    for i, j in zip(first, second, strict=True):
        if a.shape[i] == 1 != b.shape[j]:
            b = b.sum(j, keepdim=True, dtype=b.dtype)
        elif b.shape[j] == 1 != a.shape[i]:
            a = a.sum(i, keepdim=True, dtype=a.dtype)
        elif a.shape[i] != b.shape[j]:
            raise RuntimeError(
                f"tensordot(): contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and "
                f"second has size {b.shape[j]} in dim {j} (shapes {shape_text(a.shape)} and {shape_text(b.shape)})"
            )
    rows, columns = ([d for d in range(x.dim()) if d not in used] for x, used in ((a, first), (b, second)))
    shape = [a.shape[d] for d in rows] + [b.shape[d] for d in columns]
    length = prod(a.shape[d] for d in first)
    left = a.permute(rows + first).reshape(prod(a.shape[d] for d in rows), length)
    right = b.permute(second + columns).reshape(length, prod(b.shape[d] for d in columns))
    return deliver(matmul(left, right).reshape(shape), out, "tensordot")


def _contracted_dims(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(a.dim() - dims, a.dim())), list(range(dims))
    first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(first) != len(second):
        raise RuntimeError(f"tensordot(): both dimension lists should have same length, got {first} and {second}")
    result = [[wrap_dim("tensordot", d, x.dim()) for d in named] for x, named in ((a, first), (b, second))]
    for named in result:
        for d in named:
            if named.count(d) > 1:
                raise RuntimeError(f"tensordot(): dim {d} appears multiple times in the list of dims")
    return result[0], result[1]
