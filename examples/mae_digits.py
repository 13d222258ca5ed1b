"""A masked autoencoder learns handwritten digits: a plain PyTorch program.

    python examples/mae_digits.py                    # under PyTorch
    pellucid run examples/mae_digits.py              # the same file, under Pellucid

A Vision Transformer sees a quarter of each picture and learns to paint the rest (He et al., "Masked
Autoencoders Are Scalable Vision Learners", 2022). Nobody tells it what a digit is. Afterwards its weights
are frozen and one linear layer reads the digit from its features: the linear probe.

The data are scikit-learn's 1,797 handwritten digits, 8x8 pixels each; nothing is downloaded. The program
writes a picture with three rows: original, what the network was shown, what it painted.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

try:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from sklearn.datasets import load_digits
except ImportError as error:
    sys.exit(f"mae_digits.py needs the package {error.name!r}: pip install rich scikit-learn matplotlib")

SIDE = 8  # pixels along one side of a picture
PATCH = 2  # pixels along one side of a patch
GRID = SIDE // PATCH
PATCHES = GRID * GRID
PIXELS = PATCH * PATCH
CLASSES = 10
TEST_EVERY = 5  # one picture in five is kept for testing


# ---------------------------------------------------------------------------------------------- network


class DropPath(nn.Module):
    """Stochastic depth: while training, a whole sample skips the residual branch with probability `p`."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if self.p == 0.0 or not self.training:
            return x
        keep = 1.0 - self.p
        alive = torch.rand(x.shape[0], 1, 1) < keep
        return x * alive.to(x.dtype) / keep


class Attention(nn.Module):
    """Multi-head self-attention over (N, L, D), written out in matrix products."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        n, length, dim = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = ((q * self.scale) @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, length, dim))


class Block(nn.Module):
    """A pre-norm transformer block: attention, then a two-layer perceptron, each on a residual branch."""

    def __init__(self, dim, heads, drop_path):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()

    def forward(self, x):
        x = x + self.drop_path(self.attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def positions(dim):
    """Fixed sine-cosine codes of the patches' rows and columns: (1, PATCHES, dim)."""
    frequencies = torch.exp(torch.arange(dim // 4, dtype=torch.float32) * (-math.log(100.0) / (dim // 4)))
    axis = torch.arange(GRID, dtype=torch.float32)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    codes = []
    for coordinate in (rows, columns):
        angles = coordinate.reshape(-1, 1) * frequencies
        codes += [torch.sin(angles), torch.cos(angles)]
    return torch.cat(codes, dim=1).unsqueeze(0)


def patchify(images):
    """Pictures (N, SIDE, SIDE) -> patches (N, PATCHES, PIXELS), row by row."""
    cells = images.reshape(-1, GRID, PATCH, GRID, PATCH).permute(0, 1, 3, 2, 4)
    return cells.reshape(-1, PATCHES, PIXELS)


def unpatchify(patches):
    """Patches (N, PATCHES, PIXELS) -> pictures (N, SIDE, SIDE)."""
    cells = patches.reshape(-1, GRID, GRID, PATCH, PATCH).permute(0, 1, 3, 2, 4)
    return cells.reshape(-1, SIDE, SIDE)


def random_masking(x, hidden):
    """Keep a random subset of each sample's patches, another one for every sample.

    x: (N, L, D). Returns the kept patches (N, K, D), the mask (N, L) with 1 where a patch is hidden, and
    `restore` (N, L), the place of every patch in the shuffled order.
    """
    n, length, dim = x.shape
    kept = int(length * (1.0 - hidden))
    noise = torch.rand(n, length)
    shuffle = torch.argsort(noise, dim=1)
    restore = torch.argsort(shuffle, dim=1)  # the argsort of a permutation is its inverse
    index = shuffle[:, :kept].unsqueeze(-1).repeat(1, 1, dim)
    mask = torch.ones(n, length)
    mask[:, :kept] = 0
    return torch.gather(x, 1, index), torch.gather(mask, 1, restore), restore


class MaskedAutoencoder(nn.Module):
    """An encoder that sees only the visible patches, and a light decoder that paints all of them."""

    def __init__(self, args):
        super().__init__()
        self.hidden = args.mask_ratio
        self.embed = nn.Linear(PIXELS, args.dim)
        self.encoder = nn.ModuleList(
            [Block(args.dim, args.heads, args.drop_path * i / args.depth) for i in range(args.depth)]
        )
        self.norm = nn.LayerNorm(args.dim)
        self.to_decoder = nn.Linear(args.dim, args.decoder_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, args.decoder_dim))
        self.decoder = nn.ModuleList([Block(args.decoder_dim, args.heads, 0.0) for _ in range(args.decoder_depth)])
        self.decoder_norm = nn.LayerNorm(args.decoder_dim)
        self.paint = nn.Linear(args.decoder_dim, PIXELS)
        self.register_buffer("places", positions(args.dim))
        self.register_buffer("decoder_places", positions(args.decoder_dim))
        self.apply(self.initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    @staticmethod
    def initialise(module):
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)

    def encode(self, x):
        for block in self.encoder:
            x = block(x)
        return self.norm(x)

    def decode(self, latent, restore):
        x = self.to_decoder(latent)
        n, kept, dim = x.shape
        blanks = self.mask_token.repeat(n, PATCHES - kept, 1)
        x = torch.cat([x, blanks], dim=1)
        x = torch.gather(x, 1, restore.unsqueeze(-1).repeat(1, 1, dim)) + self.decoder_places
        for block in self.decoder:
            x = block(x)
        return self.paint(self.decoder_norm(x))

    def forward(self, patches):
        """Patches (N, L, PIXELS) -> the loss over hidden patches, all painted patches, the mask."""
        visible, mask, restore = random_masking(self.embed(patches) + self.places, self.hidden)
        painted = self.decode(self.encode(visible), restore)
        error = ((painted - patches) ** 2).mean(dim=-1)
        return (error * mask).sum() / mask.sum(), painted, mask

    def features(self, patches):
        """Patches (N, L, PIXELS), nothing hidden -> all patches' features side by side (N, L * D)."""
        return self.encode(self.embed(patches) + self.places).reshape(patches.shape[0], -1)


# --------------------------------------------------------------------------------------------- training


def load_data():
    """scikit-learn's digits as patches in about [-1, 1]: training and test parts, each with its labels."""
    digits = load_digits()
    pixels = torch.from_numpy(digits.images.astype("float32")) / 8.0 - 1.0
    labels = torch.from_numpy(digits.target.astype("int64"))
    number = torch.arange(pixels.shape[0])
    test = number % TEST_EVERY == 0
    patches = patchify(pixels)
    return patches[~test], labels[~test], patches[test], labels[test]


def learning_rate(step, steps, peak):
    """Linear warm-up over the first 5 % of the steps, then half a cosine down to zero."""
    warmup = max(1, steps // 20)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def weight_groups(model, decay):
    """Weight decay is for matrices; biases, norms and tokens go without."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def pretrain(model, patches, args, console):
    """Train the autoencoder; returns the loss of every step."""
    loader = DataLoader(TensorDataset(patches), batch_size=args.batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(weight_groups(model, args.weight_decay), lr=args.lr, betas=(0.9, 0.95))
    steps = args.epochs * len(loader)
    losses = []
    columns = (
        TextColumn("pretraining"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(compact=True),
    )
    model.train()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("pretraining", total=steps, loss=math.nan)
        for _ in range(args.epochs):
            for (batch,) in loader:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(len(losses), steps, args.lr)
                optimizer.zero_grad()
                loss, _, _ = model(batch)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                recent = losses[-len(loader) :]
                progress.update(bar, advance=1, loss=sum(recent) / len(recent))
    return losses


def linear_probe(train, train_labels, test, test_labels, args):
    """Train one linear layer on frozen features (N, D); returns its accuracy on the test pictures."""
    mean, std = train.mean(dim=0), (train.var(dim=0) + 1e-6).sqrt()
    train, test = (train - mean) / std, (test - mean) / std
    probe = nn.Linear(train.shape[1], CLASSES)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=0.01, weight_decay=args.probe_decay)
    for _ in range(args.probe_steps):
        optimizer.zero_grad()
        F.cross_entropy(probe(train), train_labels).backward()
        optimizer.step()
    with torch.no_grad():
        guesses = probe(test).argmax(dim=1)
    return (guesses == test_labels).float().mean().item()


# ---------------------------------------------------------------------------------------------- picture


def save_picture(model, patches, labels, path):
    """Write original, masked and painted pictures of one digit of each class."""
    try:
        import matplotlib
    except ImportError:
        sys.exit("mae_digits.py draws with matplotlib: pip install matplotlib, or say --out '' for none")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    chosen = torch.stack([patches[labels == digit][0] for digit in range(CLASSES)])
    with torch.no_grad():
        _, painted, mask = model(chosen)
    hidden = mask.unsqueeze(-1)
    filled = chosen * (1 - hidden) + painted * hidden
    unseen = unpatchify(hidden.repeat(1, 1, PIXELS)).numpy()
    rows = {
        "original": unpatchify(chosen).numpy(),
        "what it sees": unpatchify(chosen).numpy(),
        "what it paints": unpatchify(filled).numpy(),
    }
    figure, axes = pyplot.subplots(3, CLASSES, figsize=(CLASSES * 1.05, 3.5), facecolor="white")
    for (title, images), line in zip(rows.items(), axes, strict=True):
        for column, (axis, image) in enumerate(zip(line, images, strict=True)):
            axis.imshow(image, cmap="gray", vmin=-1, vmax=1)
            if title == "what it sees":
                veil = [[(0.36, 0.48, 0.62, cell) for cell in row] for row in unseen[column].tolist()]
                axis.imshow(veil)
            axis.set_xticks([])
            axis.set_yticks([])
            if column == 0:
                axis.set_ylabel(title, fontsize=9)
    figure.tight_layout(pad=0.4)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


# ------------------------------------------------------------------------------------------------- main


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Pretrain a masked autoencoder on handwritten digits, then read the digits linearly.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the training pictures")
    parser.add_argument("--batch-size", type=int, default=64, help="pictures in one step")
    parser.add_argument("--lr", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--weight-decay", type=float, default=0.05, help="weight decay of the matrices")
    parser.add_argument("--mask-ratio", type=float, default=0.75, help="share of the patches hidden")
    parser.add_argument("--dim", type=int, default=64, help="width of the encoder")
    parser.add_argument("--depth", type=int, default=4, help="blocks in the encoder")
    parser.add_argument("--heads", type=int, default=4, help="attention heads")
    parser.add_argument("--drop-path", type=float, default=0.05, help="stochastic depth of the last block")
    parser.add_argument("--decoder-dim", type=int, default=32, help="width of the decoder")
    parser.add_argument("--decoder-depth", type=int, default=2, help="blocks in the decoder")
    parser.add_argument("--probe-steps", type=int, default=400, help="steps of the linear probe")
    parser.add_argument("--probe-decay", type=float, default=0.1, help="weight decay of the linear probe")
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 leaves the default")
    parser.add_argument("--out", default="mae_digits.png", help="the picture to write; '' for none")
    parser.add_argument("--losses", metavar="FILE", help="write losses and accuracy to this JSON file")
    return parser.parse_args()


def main():
    args = parse_arguments()
    console = Console()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    started = time.perf_counter()

    train, train_labels, test, test_labels = load_data()
    model = MaskedAutoencoder(args)
    weights = sum(p.numel() for p in model.parameters())
    console.print(f"{train.shape[0]} training and {test.shape[0]} test pictures, {weights:,} weights")
    losses = pretrain(model, train, args, console)
    model.eval()
    with torch.no_grad():
        train_features, test_features = model.features(train), model.features(test)
    accuracy = linear_probe(train_features, train_labels, test_features, test_labels, args)
    plain = linear_probe(train.flatten(1), train_labels, test.flatten(1), test_labels, args)
    console.print(f"linear probe: {accuracy:.2%} of the test digits read (from raw pixels: {plain:.2%})")
    if args.out:
        save_picture(model, test, test_labels, Path(args.out))
        console.print(f"picture: {args.out}")
    console.print(f"time: {time.perf_counter() - started:.1f} s")
    if args.losses:
        Path(args.losses).write_text(json.dumps({"losses": losses, "accuracy": accuracy}))


if __name__ == "__main__":
    main()
