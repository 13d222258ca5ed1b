"""Mixed precision, under the names of ``torch.amp``."""

from __future__ import annotations

from pellucid.amp.autocast_mode import autocast as autocast
from pellucid.amp.autocast_mode import is_autocast_available as is_autocast_available
from pellucid.amp.grad_scaler import GradScaler as GradScaler
