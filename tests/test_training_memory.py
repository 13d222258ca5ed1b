"""Memory over a long training: nothing grows, nothing is written outside of its block."""

from __future__ import annotations

import subprocess
import sys

import pellucid as torch
from pellucid import memory, nn, optim
from pellucid.nn import functional as F


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Dropout(0.1), nn.Linear(16, 3))


def test_ten_thousand_steps_leave_the_pool_as_it_was() -> None:
    torch.manual_seed(0)
    model, x, y = network(), torch.randn(5, 8), torch.tensor([0, 1, 2, 0, 1])
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    first = None
    for step in range(10_000):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        del loss
        if step == 100:
            first = memory.memory_stats()
    last = memory.memory_stats()
    assert first is not None
    assert (last.reserved, last.in_use, last.live) == (first.reserved, first.in_use, first.live)


PROGRAM = """
import pellucid as torch
from pellucid import memory, nn, optim
from pellucid.nn import functional as F

memory.redzone(True)
torch.manual_seed(0)
for shape in [(1,), (3, 5), (17, 33), (2, 3, 40), (64, 64), (5, 100, 7), (0, 3)]:
    x = torch.randn(shape, requires_grad=True)
    for f in (lambda t: t.exp(), lambda t: t.softmax(-1), lambda t: t.sum(0), lambda t: t.transpose(0, -1).contiguous(),
              lambda t: t.cumsum(0), lambda t: t[..., 1:] * 2, lambda t: F.layer_norm(t, t.shape[-1:]),
              lambda t: t.flip(0), lambda t: torch.cat([t, t], -1), lambda t: t > 0, lambda t: t.double(),
              lambda t: t.bfloat16() + 1, lambda t: t.roll(1, 0)):
        y = f(x)
        if y.requires_grad and y.numel():
            y.double().sum().backward()
    index = torch.randint(0, max(x.shape[0], 1), shape) if x.numel() else torch.zeros(shape, dtype=torch.int64)
    x.gather(0, index).sum().backward()
    torch.zeros(shape).scatter_add_(0, index, x.detach())
image = torch.randn(2, 3, 9, 11, requires_grad=True)
weight = torch.randn(4, 3, 3, 3, requires_grad=True)
F.conv2d(image, weight, padding=1, stride=2).sum().backward()
F.max_pool2d(image, 3, 2, 1).sum().backward()
model = nn.Sequential(nn.Linear(7, 13), nn.GELU(), nn.LayerNorm(13), nn.Linear(13, 3))
optimizer = optim.AdamW(model.parameters())
for _ in range(5):
    F.cross_entropy(model(torch.randn(11, 7)), torch.randint(0, 3, (11,))).backward()
    optimizer.step()
    optimizer.zero_grad()
found = memory.check_redzones()
assert not found, found
print("clean")
"""


def test_red_zones_stay_untouched() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, timeout=250)
    assert done.stdout.strip() == "clean", done.stdout + done.stderr
