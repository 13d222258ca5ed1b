"""The networks whose training steps are measured, written once for PyTorch and Pellucid alike."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

BATCH = 64
SIDE = 32
PATCH = 4
CHANNELS = 3
DIM = 192
DEPTH = 4
HEADS = 3
DECODER_DIM = 96
DECODER_DEPTH = 1
MASK_RATIO = 0.75


def random_masking(torch: Any, x: Any) -> tuple[Any, Any, Any]:
    """Keep a random quarter of each sample's patches.

    x: (N, L, D) -> the kept patches (N, L // 4, D), the mask (N, L) with 1 where hidden, the inverse
    permutation (N, L).
    """
    n, length, dim = x.shape
    kept = int(length * (1 - MASK_RATIO))
    noise = torch.rand(n, length)
    shuffle = torch.argsort(noise, dim=1)
    restore = torch.argsort(shuffle, dim=1)
    visible = torch.gather(x, 1, shuffle[:, :kept].unsqueeze(-1).repeat(1, 1, dim))
    mask = torch.ones(n, length)
    mask[:, :kept] = 0
    return visible, torch.gather(mask, 1, restore), restore


def transformer_block(nn: Any, dim: int, heads: int) -> Any:
    """A pre-norm transformer block over (N, L, dim)."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(dim)
            self.qkv = nn.Linear(dim, 3 * dim)
            self.proj = nn.Linear(dim, dim)
            self.norm2 = nn.LayerNorm(dim)
            self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

        def attention(self, x: Any) -> Any:
            n, length, _ = x.shape
            q, k, v = self.qkv(x).reshape(n, length, 3, heads, dim // heads).permute(2, 0, 3, 1, 4).unbind(0)
            weights = (q @ k.transpose(-2, -1) * (dim // heads) ** -0.5).softmax(dim=-1)
            return self.proj((weights @ v).transpose(1, 2).reshape(n, length, dim))

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    return Block()


def masked_autoencoder(torch: Any) -> Any:
    """A masked autoencoder over patches (N, L, pixels); calling it gives the loss over the hidden ones."""
    nn = import_module(f"{torch.__name__}.nn")
    patches, pixels = (SIDE // PATCH) ** 2, PATCH * PATCH * CHANNELS

    class MaskedAutoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(pixels, DIM)
            self.places = nn.Parameter(torch.randn(1, patches, DIM) * 0.02)
            self.encoder = nn.Sequential(*(transformer_block(nn, DIM, HEADS) for _ in range(DEPTH)))
            self.norm = nn.LayerNorm(DIM)
            self.to_decoder = nn.Linear(DIM, DECODER_DIM)
            self.mask_token = nn.Parameter(torch.zeros(1, 1, DECODER_DIM))
            self.decoder_places = nn.Parameter(torch.randn(1, patches, DECODER_DIM) * 0.02)
            self.decoder = nn.Sequential(*(transformer_block(nn, DECODER_DIM, HEADS) for _ in range(DECODER_DEPTH)))
            self.decoder_norm = nn.LayerNorm(DECODER_DIM)
            self.paint = nn.Linear(DECODER_DIM, pixels)

        def forward(self, target: Any) -> Any:
            visible, mask, restore = random_masking(torch, self.embed(target) + self.places)
            x = self.to_decoder(self.norm(self.encoder(visible)))
            blanks = self.mask_token.repeat(x.shape[0], patches - x.shape[1], 1)
            places = restore.unsqueeze(-1).repeat(1, 1, DECODER_DIM)
            x = torch.gather(torch.cat([x, blanks], dim=1), 1, places)
            painted = self.paint(self.decoder_norm(self.decoder(x + self.decoder_places)))
            error = ((painted - target) ** 2).mean(dim=-1)
            return (error * mask).sum() / mask.sum()

    return MaskedAutoencoder()


def training_step(torch: Any) -> Callable[[], float]:
    """One whole training step of the masked autoencoder: forward, backward, AdamW; returns the loss."""
    optim = import_module(f"{torch.__name__}.optim")
    torch.manual_seed(0)
    model = masked_autoencoder(torch)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    patches = torch.randn(BATCH, (SIDE // PATCH) ** 2, PATCH * PATCH * CHANNELS)

    def step() -> float:
        optimizer.zero_grad()
        loss = model(patches)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step
