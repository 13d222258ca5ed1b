"""Computes the polynomials of the elementary functions: ``python tools/minimax.py > pellucid/formula/coefficients.py``.

For a function f on an interval and a weight w, the polynomial P with the fewest terms whose weighted error
max |w(z) * (f(z) - P(z))| stays under a bound is found by Remez's exchange (E. Remez, 1934): on n + 1 points the
error can be made equal in size with alternating sign by solving a linear system; the points are then moved to the
extrema of the error until nothing moves. The weight turns the error of P into the relative error of the function
that P is a part of.

Coefficients are floats of 24 or 53 bits. They are rounded one by one, from the lowest power (which matters most)
on, and what remains is fitted again, so that later coefficients make good what rounding spoilt.

Needs mpmath; takes about a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import mpmath as mp
import numpy as np

mp.mp.dps = 60
Function = Callable[[mp.mpf], mp.mpf]


@dataclass
class Fit:
    """P(z) ~ target(z) on [low, high]; ``bits`` of a coefficient; the bound on the weighted error is 2**-accuracy."""

    name: str
    what: str
    target: Function
    weight: Function
    low: float
    high: float
    accuracy: float
    bits: int
    pair: bool = False
    """Whether the first coefficient is kept as a sum of two floats (``NAME_LOW`` holds the second)."""


def grid(low: mp.mpf, high: mp.mpf, points: int) -> list[mp.mpf]:
    """Chebyshev's points: dense at the ends, where the error of a minimax polynomial moves fastest."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle + half * mp.cos(mp.pi * (k + mp.mpf(1) / 2) / points) for k in range(points)]


def remez(z: list[mp.mpf], f: list[mp.mpf], w: list[mp.mpf], first: int, terms: int) -> list[mp.mpf]:
    """The minimax coefficients of z**first ... z**(first + terms - 1) for the samples f with weights w."""
    chosen = [round(k * (len(z) - 1) / terms) for k in range(terms + 1)]
    for _ in range(40):
        system = mp.matrix(terms + 1, terms + 1)
        right = mp.matrix(terms + 1, 1)
        for row, i in enumerate(chosen):
            for k in range(terms):
                system[row, k] = z[i] ** (first + k)
            system[row, terms] = (-1) ** row / w[i]
            right[row] = f[i]
        solution = mp.lu_solve(system, right)
        coefficients = list(solution)[:terms]
        error = [w[i] * (f[i] - evaluate(coefficients, first, z[i])) for i in range(len(z))]
        extrema = alternation(error, terms + 1)
        if extrema == chosen or max(map(abs, error)) <= abs(solution[terms]) * mp.mpf("1.001"):
            break
        chosen = extrema
    return coefficients


def alternation(error: list[mp.mpf], count: int) -> list[int]:
    """``count`` places where the error is extreme, with alternating signs."""
    best: list[int] = []
    for i, value in enumerate(error):
        if best and (value > 0) == (error[best[-1]] > 0):
            if abs(value) > abs(error[best[-1]]):
                best[-1] = i
        else:
            best.append(i)
    while len(best) > count:
        # Dropping one end keeps the signs alternating; inside, two neighbours have to go together.
        if len(best) == count + 1:
            del best[0 if abs(error[best[0]]) < abs(error[best[-1]]) else -1]
        else:
            weakest = min(range(len(best) - 1), key=lambda k: max(abs(error[best[k]]), abs(error[best[k + 1]])))
            del best[weakest : weakest + 2]
    if len(best) < count:
        raise ArithmeticError("the error alternates too rarely: the grid is too coarse")
    return best


def evaluate(coefficients: list[mp.mpf], first: int, z: mp.mpf) -> mp.mpf:
    return mp.polyval(coefficients[::-1], z) * z**first


def rounded(value: mp.mpf, bits: int) -> mp.mpf:
    return mp.mpf(float(np.float32(float(value)))) if bits == 24 else mp.mpf(float(value))


def solve(fit: Fit) -> tuple[list[mp.mpf], float]:
    """The rounded coefficients and log2 of the largest weighted error."""
    z = grid(mp.mpf(fit.low), mp.mpf(fit.high), 400)
    f, w = [fit.target(x) for x in z], [abs(fit.weight(x)) for x in z]

    def error(coefficients: list[mp.mpf]) -> float:
        return float(mp.log(max(abs(w[i] * (f[i] - evaluate(coefficients, 0, z[i]))) for i in range(len(z))), 2))

    terms = 2
    while error(exact := remez(z, f, w, 0, terms)) > -fit.accuracy:
        terms += 1
    done: list[mp.mpf] = []
    for k in range(terms):
        done.append(rounded(exact[0], fit.bits))
        if k == 0 and fit.pair:
            done[0] += rounded(exact[0] - done[0], fit.bits)
        rest = [f[i] - evaluate(done, 0, z[i]) for i in range(len(z))]
        exact = exact[1:]
        if exact:
            # Where rounding left an error that no further term can balance, the exchange can fail to settle.
            refitted = remez(z, rest, w, k + 1, terms - k - 1)
            exact = min(exact, refitted, key=lambda c: error(done + c))
    return done, error(done)


def odd(name: str, function: Function, high: float, accuracy: float, bits: int, what: str) -> Fit:
    """An odd function x + x * z * P(z) with z = x * x, for |x| <= high."""

    def target(z: mp.mpf) -> mp.mpf:
        x = mp.sqrt(z)
        return (function(x) / x - 1) / z

    return Fit(name, what, target, lambda z: z * mp.sqrt(z) / function(mp.sqrt(z)), 1e-9, high * high, accuracy, bits)


def scaled_erfc(t: mp.mpf) -> mp.mpf:
    """(1 + 2x) exp(x^2) erfc(x) at t = (x - 4) / (x + 4): smooth on the whole of 0 <= x < infinity."""
    x = 4 * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def exponent_of_erfc(x: mp.mpf) -> mp.mpf:
    """-log(erfc(x)) / x, which grows almost linearly."""
    return -mp.log(mp.erfc(x)) / x


def fits() -> list[Fit]:
    ln2_half = float(mp.log(2) / 2) * 1.002
    tan_pi_8 = float(mp.sqrt(2) - 1)
    result = []
    for bits, accuracy in ((24, 25.5), (53, 55.5)):
        result.append(
            Fit(
                f"EXP_{bits}",
                "exp(r) = 1 + r + r^2 P(r), |r| <= log(2) / 2",
                lambda r: (mp.exp(r) - 1 - r) / r**2,
                lambda r: r**2 / mp.expm1(r),
                -ln2_half,
                ln2_half,
                accuracy,
                bits,
            )
        )
        result.append(odd(f"TANH_{bits}", mp.tanh, 0.625, accuracy, bits, "tanh(x) = x + x z P(z), x <= 5/8"))
    result.append(
        Fit(
            "LOG_24",
            "log(1 + f) = f + f^2 P(f), |f| <= 1/3",
            lambda f: (mp.log1p(f) - f) / f**2,
            lambda f: f**2 / mp.log1p(f),
            -1 / 3,
            1 / 3,
            27,
            24,
        )
    )
    result.append(odd("ATANH_53", mp.atanh, 0.1716, 59, 53, "atanh(s) = s + s z P(z), s <= (sqrt(2)-1)/(sqrt(2)+1)"))
    for bits, accuracy, suffix in ((53, 27.5, "_24"), (53, 58, "_53")):
        what = "sin(r) = r + r z P(z), |r| <= pi/4"
        result.append(odd("SIN" + suffix, mp.sin, float(mp.pi / 4), accuracy, bits, what))
        result.append(
            Fit(
                "COS" + suffix,
                "cos(r) = 1 - z/2 + z^2 P(z), |r| <= pi/4",
                lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
                lambda z: z**2 / mp.cos(mp.sqrt(z)),
                1e-9,
                float(mp.pi**2 / 16),
                accuracy,
                bits,
            )
        )
    result.append(
        Fit(
            "ATANH_TAIL_53",
            "atanh(s) = s + s z / 3 + s z^2 P(z), s <= (sqrt(2)-1)/(sqrt(2)+1)",
            lambda z: (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1 - z / 3) / z**2,
            lambda z: z**2 * mp.sqrt(z) / mp.atanh(mp.sqrt(z)),
            1e-9,
            0.1716**2,
            66,
            53,
        )
    )
    result.append(odd("ATANH_24", mp.atanh, 0.1716, 36, 53, "the same to fewer places"))
    result.append(odd("SINH_53", mp.sinh, 1.0, 57, 53, "sinh(x) = x + x z P(z), x <= 1"))
    result.append(odd("ATAN_53", mp.atan, tan_pi_8 * 1.001, 57, 53, "atan(x) = x + x z P(z), x <= tan(pi/8)"))
    result.append(odd("ASIN_53", mp.asin, 0.5, 55.5, 53, "asin(x) = x + x z P(z), x <= 1/2"))
    for bits, accuracy, high in ((24, 25.5, 0.921875), (53, 56.5, 1.0)):
        result.append(
            Fit(
                f"ERF_{bits}",
                f"erf(x) = x + x P(z), x <= {high}",
                lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
                lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
                1e-9,
                high * high,
                accuracy,
                bits,
            )
        )
    result.append(
        Fit(
            "ERF_TAIL_24",
            "erf(x) = 1 - exp(-x P(x)), 0.921875 <= x <= 3.95",
            exponent_of_erfc,
            lambda x: x * mp.erfc(x) / mp.erf(x),
            0.92,
            3.95,
            27,
            24,
        )
    )
    for name, accuracy, high in (("ERFC_24", 28, 12), ("ERFC_53", 57, 28)):
        result.append(
            Fit(
                name,
                f"exp(x^2) erfc(x) (1 + 2x) = P((x - 4) / (x + 4)), 0 <= x <= {high}",
                scaled_erfc,
                lambda t: 1 / scaled_erfc(t),
                -1.0,
                (high - 4) / (high + 4),
                accuracy,
                53,
                pair=name == "ERFC_53",
            )
        )
    result.append(
        Fit(
            "LGAMMA_53",
            "log(gamma(2 + t)) = t P(t), |t| <= 1/2",
            lambda t: mp.loggamma(2 + t) / t,
            lambda t: t / mp.loggamma(2 + t),
            -0.5,
            0.5,
            56,
            53,
        )
    )
    result.append(
        Fit(
            "STIRLING_53",
            "log(gamma(x)) = (x - 1/2) log(x) - x + log(2 pi) / 2 + P(1 / x^2) / x, x >= 8",
            lambda z: stirling_rest(1 / mp.sqrt(z)),
            lambda z: mp.sqrt(z) / mp.loggamma(1 / mp.sqrt(z)),
            1e-6,
            1 / 64,
            56,
            53,
        )
    )
    result.append(
        Fit(
            "DIGAMMA_53",
            "digamma(x) = (x - its zero) P(x - 3/2), 1 <= x <= 2",
            lambda t: mp.digamma(mp.mpf(3) / 2 + t) / (mp.mpf(3) / 2 + t - zero_of_digamma()),
            lambda t: (mp.mpf(3) / 2 + t - zero_of_digamma()) / mp.digamma(mp.mpf(3) / 2 + t),
            -0.5,
            0.5,
            56,
            53,
        )
    )
    result.append(
        Fit(
            "DIGAMMA_TAIL_53",
            "digamma(x) = log(x) - 1 / (2 x) - z P(z), z = 1 / x^2, x >= 8",
            lambda z: (-mp.log(z) / 2 - mp.sqrt(z) / 2 - mp.digamma(1 / mp.sqrt(z))) / z,
            lambda z: z / mp.digamma(1 / mp.sqrt(z)),
            1e-6,
            1 / 64,
            56,
            53,
        )
    )
    return result


def stirling_rest(x: mp.mpf) -> mp.mpf:
    return x * (mp.loggamma(x) - (x - mp.mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


@cache
def zero_of_digamma() -> mp.mpf:
    return mp.findroot(mp.digamma, 1.46)


def main() -> None:
    print('"""Coefficients of the polynomials in the elementary functions, lowest power first; z is x squared.\n')
    print("Made by tools/minimax.py, which says how; the comments give the largest weighted error.")
    print('"""\n')
    for fit in fits():
        coefficients, error = solve(fit)
        print(f"# {fit.what}; error 2**{error:.1f}")
        print(f"{fit.name} = (")
        for c in coefficients:
            print(f"    {float(c)!r},")
        print(")")
        if fit.pair:
            print(f"{fit.name}_LOW = {float(coefficients[0] - float(coefficients[0]))!r}")


if __name__ == "__main__":
    main()
