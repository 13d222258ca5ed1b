"""CUDA as a part of the build."""

from __future__ import annotations

from pellucid.operators import numerics


class _Matmul:
    """How products of matrices may be rounded on GPUs."""

    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True

    @property
    def allow_tf32(self) -> bool:
        """Whether float32 products may be rounded to TF32: the other name of `set_float32_matmul_precision`."""
        return numerics.get_float32_matmul_precision() != "highest"

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        numerics.set_float32_matmul_precision("high" if allowed else "highest")


matmul = _Matmul()


def is_built() -> bool:
    """Whether GPUs are linked in: no."""
    return False
