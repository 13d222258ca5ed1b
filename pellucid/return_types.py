"""Named results: the tuples that operators with several results give, such as (values, indices)."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

RETURN_TYPES: dict[str, type] = {}


class Named(tuple[Any, ...]):
    """A tuple whose items also have names, printed as PyTorch prints it."""

    __slots__ = ()
    fields: tuple[str, ...] = ()

    def __repr__(self) -> str:
        items = ",\n".join(f"{name}={value!r}" for name, value in zip(self.fields, self, strict=True))
        return f"torch.return_types.{type(self).__name__}(\n{items})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self).__name__, tuple(self))


def _rebuilt(name: str, items: Iterable[Any]) -> Any:
    return RETURN_TYPES[name](items)


def return_type(name: str, *fields: str) -> type:
    """The tuple type of an operator's results; ``return_type("max", "values", "indices")``."""
    members: dict[str, Any] = {f: property(itemgetter(i)) for i, f in enumerate(fields)}
    made = type(name, (Named,), {"__slots__": (), "fields": fields, **members})
    RETURN_TYPES[name] = made
    return made
