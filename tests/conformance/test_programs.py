"""Short programs of the kinds that people write, in both libraries."""

from __future__ import annotations

import math
from typing import Any

from tests.conformance.test_seeds import both


def test_rotary_attention_with_a_cache() -> None:
    def program(T: Any) -> Any:
        batch, heads, size, most = 2, 2, 4, 6
        angles = T.outer(T.arange(most).float(), 10.0 ** (-T.arange(0, size, 2).float() / size))
        turns = T.polar(T.ones_like(angles), angles)
        cache = T.zeros(2, batch, most, heads, size)
        layer = T.nn.Linear(heads * size, 3 * heads * size, bias=False)

        def turned(x: Any, at: int) -> Any:
            pairs = T.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
            return T.view_as_real(pairs * turns[at : at + x.shape[1], None]).flatten(3).type_as(x)

        x, outs = T.randn(batch, most, heads * size), []
        with T.inference_mode():
            for at, n in ((0, 3), (3, 1), (4, 2)):
                q, k, v = layer(x[:, at : at + n]).view(batch, n, 3, heads, size).unbind(2)
                cache[0, :, at : at + n], cache[1, :, at : at + n] = turned(k, at), v
                keys, values = cache[:, :, : at + n].transpose(2, 3)
                mask = T.full((n, at + n), -math.inf).triu(at + 1)
                scores = turned(q, at).transpose(1, 2) @ keys.mT / math.sqrt(size) + mask
                outs.append((scores.softmax(-1) @ values).transpose(1, 2).flatten(2))
        return T.cat(outs, 1), cache

    both(program)


def test_noise_that_is_learnt() -> None:
    def program(T: Any) -> Any:
        F = T.nn.functional
        steps = 10
        kept = (1 - T.linspace(1e-3, 0.2, steps)).cumprod(0)
        net = T.nn.Sequential(T.nn.Conv2d(1, 4, 3, padding=1), T.nn.GroupNorm(2, 4), T.nn.SiLU(), T.nn.Conv2d(4, 1, 1))
        optimizer, losses = T.optim.AdamW(net.parameters(), lr=1e-2), []
        x = T.rand(4, 1, 6, 6) * 2 - 1
        for _ in range(4):
            part = kept.gather(0, T.randint(0, steps, (4,))).view(-1, 1, 1, 1)
            noise = T.randn_like(x)
            loss = F.smooth_l1_loss(net(part.sqrt() * x + (1 - part).sqrt() * noise), noise)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss)
        return losses

    both(program)


def test_a_code_book_is_passed_straight_through() -> None:
    def program(T: Any) -> Any:
        F = T.nn.functional
        book = T.nn.Embedding(5, 3)
        z = T.randn(2, 3, 2, 2, requires_grad=True)
        flat = z.permute(0, 2, 3, 1).reshape(-1, 3)
        chosen = T.cdist(flat, book.weight).argmin(1)
        q = book(chosen).view(2, 2, 2, 3).permute(0, 3, 1, 2)
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(q.detach(), z)
        (loss + (z + (q - z).detach()).pow(2).sum()).backward()
        use = F.one_hot(chosen, 5).float().mean(0)
        return loss, z.grad, book.weight.grad, (-(use * (use + 1e-10).log()).sum()).exp()

    both(program)


def test_learning_to_learn() -> None:
    def program(T: Any) -> Any:
        F = T.nn.functional
        start = [T.randn(8, 1) * 0.5, T.zeros(8), T.randn(1, 8) * 0.5, T.zeros(1)]
        start = [p.requires_grad_() for p in start]

        def net(x: Any, p: list[Any]) -> Any:
            return F.linear(F.linear(x, p[0], p[1]).tanh(), p[2], p[3])

        total: Any = 0
        for _ in range(3):
            size, shift = T.rand(1) * 4, T.rand(1) * 3
            x, own = T.rand(10, 1) * 10 - 5, start
            for _ in range(2):
                grads = T.autograd.grad(F.mse_loss(net(x, own), size * (x + shift).sin()), own, create_graph=True)
                own = [p - 0.01 * g for p, g in zip(own, grads, strict=True)]
            total = total + F.mse_loss(net(-x, own), size * (shift - x).sin())
        total.backward()
        return total, [p.grad for p in start]

    both(program)


def test_the_likeliest_path_and_all_paths() -> None:
    def program(T: Any) -> Any:
        emissions, moves = T.randn(6, 3, requires_grad=True), T.randn(3, 3, requires_grad=True)
        all_paths, best, back = emissions[0], emissions[0], []
        for e in emissions[1:]:
            all_paths = (all_paths[:, None] + moves).logsumexp(0) + e
            best, came = (best[:, None] + moves).max(0)
            best = best + e
            back.append(came)
        path = [best.argmax().item()]
        for came in reversed(back):
            path.append(came[path[-1]].item())
        all_paths.logsumexp(0).backward()
        return path[::-1], best.max(), emissions.grad, moves.grad

    both(program)


def test_contrast() -> None:
    def program(T: Any) -> Any:
        F = T.nn.functional
        a, b = T.randn(4, 6, requires_grad=True), T.randn(4, 6)
        z = F.normalize(T.cat([a, b]), dim=1)
        scores = (z @ z.T / 0.5).masked_fill(T.eye(8, dtype=T.bool), -math.inf)
        loss = F.cross_entropy(scores, T.arange(8).roll(4))
        loss.backward()
        return loss, a.grad

    both(program)
