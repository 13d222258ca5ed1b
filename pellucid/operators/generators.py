"""Where random numbers come from: generators, and the one that is used when none is named.

The same seed gives the same numbers as PyTorch on the CPU (see ``runtime/random_streams.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.devices import as_device, canonical
from pellucid.devices import device as Device
from pellucid.dtypes import uint8
from pellucid.layout import CPU
from pellucid.operators.define import PUBLIC, public
from pellucid.runtime.random_streams import Generator as Stream
from pellucid.tensor import Tensor, array_of, tensor_on


class Generator:
    """A stream of random numbers of its own: ``Generator().manual_seed(0)``."""

    __slots__ = ("__weakref__", "device", "stream")
    device: Device
    stream: Stream

    def __init__(self, device: Device | str = "cpu") -> None:
        where = canonical(as_device(device, "Generator"))
        if where is not CPU:
            raise RuntimeError(f"Generator(): device '{where}' asked for, but random numbers are drawn on the CPU here")
        self.device, self.stream = where, Stream()

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of this seed; returns the generator.

        Raises:
            ValueError: a seed of more than 64 bits.
        """
        self.stream.manual_seed(_seed(seed))
        return self

    def seed(self) -> int:
        """Start a stream that nobody can foretell; returns its seed."""
        return self.stream.seed()

    def initial_seed(self) -> int:
        """The seed that the stream was started with."""
        return self.stream.initial_seed()

    def get_state(self) -> Tensor:
        """Where in its stream the generator is: 5056 bytes."""
        return tensor_on(self.stream.get_state(), uint8)

    def set_state(self, new_state: Tensor) -> Generator:
        """Continue where ``get_state`` was called.

        Raises:
            TypeError: not a tensor of bytes. RuntimeError: not such a state.
        """
        if not isinstance(new_state, Tensor) or new_state.layout.dtype is not uint8:
            got = new_state.layout.dtype if isinstance(new_state, Tensor) else type(new_state).__name__
            raise TypeError(f"set_state(): RNG state must be a torch.ByteTensor, but got {got!r}; pass get_state()")
        self.stream.set_state(array_of(new_state))
        return self

    def clone_state(self) -> Generator:
        """Another generator at the same place of the same stream."""
        return Generator(self.device).set_state(self.get_state())

    def __getstate__(self) -> np.ndarray[Any, Any]:
        return self.stream.get_state()

    def __setstate__(self, state: np.ndarray[Any, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.stream.set_state(state)

    def __repr__(self) -> str:
        return f"<torch.Generator of seed {self.initial_seed()} on {self.device}>"


def _seed(seed: Any) -> int:
    return seed if type(seed) is int else int(seed)


public(Generator)
default_generator = Generator()
default_generator.seed()  # a program that wants the same numbers every time says so by manual_seed
PUBLIC["default_generator"] = default_generator


def stream_of(operator: str, generator: Any) -> Stream:
    """The stream to draw from: the default one, or that of ``generator``.

    Raises:
        TypeError: not a generator.
    """
    if generator is None:
        return default_generator.stream
    if not isinstance(generator, Generator):
        raise TypeError(f"{operator}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}")
    return generator.stream


@public
def manual_seed(seed: int) -> Generator:
    """Start the default generator's stream of this seed; returns the generator.

    Raises:
        ValueError: not a number, or one of more than 64 bits.
    """
    return default_generator.manual_seed(seed)


@public
def seed() -> int:
    """Start the default generator with a seed that nobody can foretell; returns it."""
    return default_generator.seed()


@public
def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


@public
def get_rng_state() -> Tensor:
    """Where in its stream the default generator is."""
    return default_generator.get_state()


@public
def set_rng_state(new_state: Tensor) -> None:
    """Continue where ``get_rng_state`` was called."""
    default_generator.set_state(new_state)
