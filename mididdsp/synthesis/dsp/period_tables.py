"""The production oscillator: one period of sound per frame, read by phase.

Conventions: production. Frame k is at k / frame_rate s; partial amplitudes are linear, interpolate linearly between
frames and are held for one frame after the last; f0 interpolates in log; phase starts at 0 and is the exact integral of
f0, kept in float64 cycles, so it never drifts; partials may be told to lie off it, frame by frame. A partial that
reaches Nyquist at a frame, or at either of its neighbours, is silent at that frame; no sample ever holds a partial at
or above Nyquist.

How it works. The sum of partials is one periodic function of phase, different in each frame. Its period is sampled on
a power-of-two grid by an inverse FFT of the amplitudes, each divided by the transform of a Kaiser-Bessel kernel. The
value at any phase is then six neighbouring grid values weighted by that kernel: a non-uniform FFT of type 2. Every
sample reads the period before it and the one after it at the same phase and cross-fades them, which equals linear
interpolation of the amplitudes. Cost hardly grows with the number of partials; the error is below 1e-5 of the sum of
the amplitudes.

To the bit. Work goes in tiles of about ``TILE_FRAMES`` frames, fixed by the number of frames alone. A tile is always
computed whole, so asking for a stretch of the sound gives the very numbers of the whole.

Source: Fessler and Sutton 2003, "Nonuniform fast Fourier transforms using min-max interpolation"; Barnett et al. 2019
(FINUFFT) for kernels evaluated as polynomials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mididdsp.units import FRAME_RATE

TAPS = 6
"""Grid values read per sample; six keep the error near 5e-6."""

TABLE_PER_PARTIAL = 5
"""Least table size per partial: 2.5 times the least that could hold it. The kernel's error grows quickly below 2."""

MINIMUM_TABLE = 32

TILE_FRAMES = 128
"""Frames worked on together on a CPU: large enough to hide the cost of a call, small enough to stay in cache."""

MINIMUM_BEND = 1e-9
"""A constant f0 is computed as if it rose by this (log ratio a frame): below 1e-8 cycles off, and no division by 0."""

SAMPLE_TOLERANCE = 1e-6
"""A sample this near a frame's time (in samples) belongs to it: start times carry float64 rounding."""


def table_size(partials: int) -> int:
    """Length of one period's table: a power of two, fixed by the number of partials alone."""
    return max(MINIMUM_TABLE, 1 << (TABLE_PER_PARTIAL * partials - 1).bit_length())


def _kernel_beta() -> float:
    oversampling = TABLE_PER_PARTIAL / 2.0
    return 0.98 * np.pi * TAPS * (1.0 - 0.5 / oversampling)  # 0.98: the least error over all phases, by search


@lru_cache(maxsize=1)
def _tap_polynomials() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Even and odd coefficients of the first three taps, highest power first: [5, 3] in z**2 each.

    Tap j at z (position between the two middle grid points, -0.5 to 0.5) is even + z odd; tap 5 - j is even - z odd.
    """
    beta, half = _kernel_beta(), TAPS // 2
    nodes = 0.5 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)  # Chebyshev nodes keep the fit even over the interval
    distance = nodes[:, None] + 0.5 - (np.arange(half)[None, :] - half + 1)  # from grid point i + j - 2 to the phase
    values = np.i0(beta * np.sqrt(np.maximum(0.0, 1.0 - (distance / half) ** 2))) / np.i0(beta)
    powers = np.vander(nodes, 10, increasing=True)
    coefficients = np.linalg.lstsq(powers, values, rcond=None)[0]
    return coefficients[0::2][::-1].copy(), coefficients[1::2][::-1].copy()


@lru_cache(maxsize=64)
def _kernel_correction(partials: int, size: int) -> Tensor:
    """1 / transform of the kernel at partials 1..H, float64 [H]."""
    beta = _kernel_beta()
    argument = np.sqrt(beta**2 - (np.pi * TAPS * np.arange(1, partials + 1) / size) ** 2)
    return torch.from_numpy(np.i0(beta) * argument / (TAPS * np.sinh(argument)))


@dataclass(frozen=True, slots=True, eq=False)
class PhaseTrack:
    """The phase of the fundamental, frame by frame; float64.

    Within frame k, at fraction u of it, the phase is start + step * (exp(bend * u) - 1) / bend cycles.

    Attributes:
        start: phase at the frame, cycles in [0, 1); [..., T].
        step: f0 at the frame, cycles a frame; [..., T].
        bend: log of the next frame's f0 over this one's, never closer to 0 than ``MINIMUM_BEND``; [..., T].
        limit_hz: the highest f0 among the frame and its neighbours; [..., T].
    """

    start: Tensor
    step: Tensor
    bend: Tensor
    limit_hz: Tensor


def phase_track(f0_hz: Tensor, frame_rate: float = FRAME_RATE) -> PhaseTrack:
    """Integrate f0 exactly, log-linear between frames and held after the last; carries gradients.

    Args:
        f0_hz: fundamental in Hz, > 0; [..., T].
        frame_rate: frames per second.
    """
    f0 = f0_hz.double()
    ahead = torch.cat([f0[..., 1:], f0[..., -1:]], dim=-1)
    bend = torch.log(ahead / f0)
    step = f0 / frame_rate
    small = bend.abs() < 1e-4  # four terms of the series are exact there to 1e-18
    safe = torch.where(small, torch.ones_like(bend), bend)
    growth = torch.where(small, 1 + bend / 2 + bend**2 / 6 + bend**3 / 24, torch.expm1(safe) / safe)
    cycles = torch.cumsum(step * growth, dim=-1)
    start = torch.remainder(torch.cat([torch.zeros_like(cycles[..., :1]), cycles[..., :-1]], dim=-1), 1.0)
    clamped = torch.where(bend.abs() < MINIMUM_BEND, bend + 2 * MINIMUM_BEND, bend)
    held = f0.detach()
    behind = torch.cat([held[..., :1], held[..., :-1]], dim=-1)
    limit_hz = torch.maximum(torch.maximum(held, ahead.detach()), behind)
    return PhaseTrack(start, step, clamped, limit_hz)


def _taps(z: Tensor, derivative: bool = False) -> Tensor:
    """Kernel weights of the six taps at z in [-0.5, 0.5], or their slopes; [6, ...]."""
    even_odd = _tap_polynomials()
    even, odd = (torch.as_tensor(c, dtype=z.dtype, device=z.device) for c in even_odd)
    if derivative:
        power = torch.arange(2 * (len(even) - 1), -1, -2, dtype=z.dtype, device=z.device)[:, None]
        even, odd = (even * power)[:-1], odd * (power + 1)  # d/dz: the even part becomes z times a polynomial in z**2
    shape = (-1,) + (1,) * z.ndim
    square = z * z

    def horner(coefficients: Tensor) -> Tensor:
        value = coefficients[0].view(shape) * square
        for row in coefficients[1:-1]:
            value.add_(row.view(shape)).mul_(square)
        return value.add_(coefficients[-1].view(shape))

    symmetric, skew = horner(even), horner(odd)
    if derivative:
        symmetric.mul_(z)
        return torch.cat([symmetric + skew, torch.flip(skew - symmetric, (0,)).neg_()])
    skew.mul_(z)
    return torch.cat([symmetric + skew, torch.flip(symmetric - skew, (0,))])


class _ReadTables(torch.autograd.Function):
    """Audio [..., F, M] from tables [..., F + 1, size + TAPS] and phases; first derivatives by hand.

    ``fraction`` [F, M] is each sample's place between its frames. Saved for the gradient: the six weights, the index
    and the slope in phase, instead of every intermediate.
    """

    @staticmethod
    def forward(ctx: Any, tables: Tensor, start: Tensor, step: Tensor, bend: Tensor, fraction: Tensor) -> Tensor:
        size = tables.shape[-1] - TAPS
        width = tables.shape[-1]
        rise = torch.expm1(bend.unsqueeze(-1) * fraction)
        position = rise * (step / bend).unsqueeze(-1)
        position.add_(start.unsqueeze(-1))
        position.sub_(position.floor()).mul_(size)
        whole = position.to(torch.int64).clamp_(max=size - 1)  # 1 - 1e-17 rounds to 1.0
        z = (position - whole).sub_(0.5).to(tables.dtype)
        rows = torch.arange(fraction.shape[0], device=tables.device).unsqueeze(-1) * width
        if start.ndim > 1:
            frames_each = fraction.shape[0] + 1
            item = torch.arange(start[..., 0].numel(), device=tables.device) * (frames_each * width)
            rows = rows + item.view(*start.shape[:-1], 1, 1)
        index = whole.add_(rows).flatten()
        weights = _taps(z)
        blend = fraction.to(tables.dtype)
        flat = tables.reshape(-1)
        before, after = _weighted(flat, index, weights), _weighted(flat[width:], index, weights)
        audio = after.sub_(before).mul_(blend).add_(before)
        if any(ctx.needs_input_grad):
            slope = None
            if any(ctx.needs_input_grad[1:4]):
                slopes = _taps(z, derivative=True)
                low, high = _weighted(flat, index, slopes), _weighted(flat[width:], index, slopes)
                slope = high.sub_(low).mul_(blend).add_(low).mul_(size)
            ctx.save_for_backward(index, weights, blend, slope, fraction, step, bend)
            ctx.table_shape = tables.shape
        return audio

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        index, weights, blend, slope, fraction, step, bend = ctx.saved_tensors
        to_tables = to_start = to_step = to_bend = None
        if ctx.needs_input_grad[0]:
            flat = grad.new_zeros(ctx.table_shape).reshape(-1)
            width = ctx.table_shape[-1]
            late = grad * blend
            early = grad - late
            for tap in range(TAPS):
                flat[tap:].index_add_(0, index, (early * weights[tap]).flatten())
                flat[width + tap:].index_add_(0, index, (late * weights[tap]).flatten())
            to_tables = flat.view(ctx.table_shape)
        if slope is not None:
            on_phase = (grad * slope).double()
            wide_bend = bend.unsqueeze(-1)
            rise = torch.expm1(wide_bend * fraction)
            reach = rise / wide_bend
            to_start = on_phase.sum(-1)
            to_step = (on_phase * reach).sum(-1)
            turn = ((rise + 1) * fraction - reach) / wide_bend
            to_bend = (on_phase * turn).sum(-1) * step
        return to_tables, to_start, to_step, to_bend, None


def _weighted(flat: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Sum over taps of weight times the grid value that many places on; the shape of one tap's weights."""
    shape = weights.shape[1:]
    total = flat.index_select(0, index).view(shape).mul_(weights[0])
    for tap in range(1, TAPS):
        total.addcmul_(flat[tap:].index_select(0, index).view(shape), weights[tap])
    return total


def period_tables(amplitudes: Tensor, phases: Tensor | None = None) -> Tensor:
    """One period of the sum of sine partials per frame, corrected for the kernel that will read it.

    Args:
        amplitudes: peak amplitude of partials 1..H; [..., H].
        phases: of each partial where the fundamental's is 0, radians; [H] or [..., H]. None is 0 for all.

    Returns:
        [..., table_size(H) + TAPS]: the grid, with its first and last values repeated around it.
    """
    partials = amplitudes.shape[-1]
    size = table_size(partials)
    correction = _kernel_correction(partials, size).to(amplitudes)
    imaginary = amplitudes * (-0.5 * correction)
    real = torch.zeros_like(imaginary)
    if phases is not None:
        turned = phases.to(amplitudes)
        real, imaginary = -imaginary * torch.sin(turned), imaginary * torch.cos(turned)
    around = (1, size // 2 - partials)
    spectrum = torch.complex(torch.nn.functional.pad(real, around), torch.nn.functional.pad(imaginary, around))
    period = torch.fft.irfft(spectrum, size, norm="forward")
    before = TAPS // 2 - 1
    return torch.cat([period[..., size - before:], period, period[..., : TAPS - before]], dim=-1)


def read_frames(amplitudes: NDArray[np.float32], start: NDArray[np.float64], step: NDArray[np.float64],
                bend: NDArray[np.float64], samples: int, phases: NDArray[np.float64]) -> NDArray[np.float32]:
    """The sound between a few frames of which the phases are known, as a stream makes it block by block.

    In NumPy and without gradients: a block of 20 ms is so little work that what counts is the cost of a call.

    Args:
        amplitudes: peak amplitude of the partials at each frame and at the one after the last; [F + 1, H].
        start, step, bend: as in ``PhaseTrack``; [F].
        samples: per frame.
        phases: as in ``period_tables``; [H].

    Returns:
        [F * samples].
    """
    from scipy import fft

    partials = amplitudes.shape[1]
    size = table_size(partials)
    spectrum = np.zeros((len(amplitudes), size // 2 + 1), np.complex64)
    corrected = amplitudes * (0.5 * _kernel_correction(partials, size).numpy())
    spectrum[:, 1 : partials + 1] = corrected * (np.sin(phases) - 1j * np.cos(phases))
    tables = fft.irfft(spectrum, size, axis=1, norm="forward")
    before = TAPS // 2 - 1
    tables = np.concatenate([tables[:, size - before :], tables, tables[:, : TAPS - before]], axis=1)
    fraction = np.arange(samples) / samples
    position = start[:, None] + np.expm1(bend[:, None] * fraction) * (step / bend)[:, None]
    position = (position - np.floor(position)) * size
    whole = np.minimum(position.astype(np.int64), size - 1)
    z = (position - whole - 0.5).astype(np.float32)
    index = whole + np.arange(len(start))[:, None] * (size + TAPS)
    flat = tables.ravel()
    audio = np.zeros(z.shape, np.float32)
    blend = fraction.astype(np.float32)
    even, odd = _tap_polynomials()
    square = z * z
    for tap in range(TAPS // 2):
        skew = z * np.polyval(odd[:, tap].astype(np.float32), square)
        symmetric = np.polyval(even[:, tap].astype(np.float32), square)
        for place, weight in ((tap, symmetric + skew), (TAPS - 1 - tap, symmetric - skew)):
            low, high = flat[index + place], flat[index + (place + size + TAPS)]
            audio += weight * (low + blend * (high - low))
    return audio.reshape(-1)


def tone_samples(frames: int, sample_rate: float, frame_rate: float = FRAME_RATE, offset_s: float = 0.0) -> int:
    """Number of samples from ``offset_s`` after frame 0 to the end of the last frame's hold."""
    return int(_frame_borders(np.array([frames]), sample_rate, frame_rate, offset_s)[0])


def _frame_borders(frames: np.ndarray[Any, Any], sample_rate: float, frame_rate: float,
                   offset_s: float) -> np.ndarray[Any, Any]:
    """Index of the first sample at or after each frame; the one home of this rounding."""
    exact = (frames / frame_rate - offset_s) * sample_rate
    return np.maximum(0, np.ceil(exact - SAMPLE_TOLERANCE)).astype(np.int64)


def tile_borders(length: int, tile: int) -> list[int]:
    """Cut ``length`` into nearly equal tiles of about ``tile``; where, depends on the length alone."""
    count = max(1, round(length / tile))
    return [number * length // count for number in range(count + 1)]


def audible_partials(limit_hz: Tensor, partials: int, sample_rate: float) -> Tensor:
    """True where a partial stays below Nyquist; [..., T, H] from the limits of a phase track [..., T]."""
    number = torch.arange(1, partials + 1, device=limit_hz.device, dtype=limit_hz.dtype)
    return limit_hz.unsqueeze(-1) * number < sample_rate / 2


def tone_tiles(
    f0_hz: Tensor,
    amplitudes_of: Callable[[int, int], Tensor],
    partials: int,
    *,
    sample_rate: float,
    frame_rate: float = FRAME_RATE,
    offset_s: float = 0.0,
    first_frame: int = 0,
    tile_frames: int = TILE_FRAMES,
    phases_of: Callable[[int, int], Tensor] | None = None,
) -> Iterator[Tensor]:
    """The sound of harmonic partials, tile by tile; the tiles joined are ``harmonic_tone``.

    Args:
        f0_hz: fundamental in Hz, > 0; [..., T].
        amplitudes_of: given frames [first, last), their partial amplitudes [..., last - first, H]; asked for each tile
            in turn, so that long sounds need little memory.
        partials: H.
        sample_rate: Hz.
        frame_rate: frames per second.
        offset_s: time of sample 0 after frame 0, s, 0 or a fraction of a sample.
        first_frame: start with the tile that holds this frame; later tiles are the same either way.
        tile_frames: frames per tile; the tiling, not the sound, depends on it (last bits apart).
        phases_of: given frames [first, last), the phase of each partial where the fundamental's is 0, radians;
            [last - first, H]. None is 0 for all.

    Yields:
        Audio [..., samples of the tile], in the dtype of the amplitudes.
    """
    frames = f0_hz.shape[-1]
    track = phase_track(f0_hz, frame_rate)
    borders = _frame_borders(np.arange(frames + 1), sample_rate, frame_rate, offset_s)
    tiles = tile_borders(frames, tile_frames)
    for first, last in zip(tiles[:-1], tiles[1:]):
        if last <= first_frame:
            continue
        ahead = min(last + 1, frames)
        amplitudes = amplitudes_of(first, ahead)
        lowest = float(track.limit_hz[..., first:ahead].amin())
        needed = min(partials, int(np.ceil(0.5 * sample_rate / lowest)) - 1)
        counts = np.diff(borders[first : last + 1])
        if needed < 1:
            yield amplitudes.new_zeros(*amplitudes.shape[:-2], int(counts.sum()))
            continue
        audible = audible_partials(track.limit_hz[..., first:ahead], needed, sample_rate)
        amplitudes = amplitudes[..., :needed] * audible
        phases = None if phases_of is None else phases_of(first, ahead)[:, :needed]
        if ahead == last:  # the last frame is held
            amplitudes = torch.cat([amplitudes, amplitudes[..., -1:, :]], dim=-2)
            phases = None if phases is None else torch.cat([phases, phases[-1:]])
        most = int(counts.max())
        sample = borders[first:last, None] + np.arange(most)
        fraction = (sample / sample_rate + offset_s) * frame_rate - np.arange(first, last)[:, None]
        span = slice(first, last)
        audio: Tensor = _ReadTables.apply(  # type: ignore[no-untyped-call]
            period_tables(amplitudes, phases), track.start[..., span],
            track.step[..., span], track.bend[..., span], torch.from_numpy(fraction).to(f0_hz.device))
        if (counts == most).all():
            yield audio.flatten(-2)
        else:  # 44.1 kHz has 176 or 177 samples in a frame
            inside = torch.from_numpy(np.arange(most) < counts[:, None]).to(f0_hz.device)
            yield audio.flatten(-2)[..., inside.flatten()]


def harmonic_tone(
    f0_hz: Tensor,
    amplitudes: Tensor,
    *,
    sample_rate: float,
    frame_rate: float = FRAME_RATE,
    offset_s: float = 0.0,
    first_sample: int = 0,
    samples: int | None = None,
) -> Tensor:
    """The sound of harmonic partials; differentiable in f0 and amplitudes.

    Args:
        f0_hz: fundamental in Hz, > 0; [..., T].
        amplitudes: peak amplitude of partials 1..H; [..., T, H].
        sample_rate: Hz.
        frame_rate: frames per second.
        offset_s: time of sample 0 after frame 0, s, 0 or a fraction of a sample.
        first_sample: where to start; what comes is equal to that stretch of the whole, to the bit.
        samples: how many; all that is left if not given.

    Returns:
        [..., samples] in the dtype and on the device of ``amplitudes``.

    Raises:
        ValueError: shapes that do not fit, no frames, or a stretch outside the sound.
    """
    if amplitudes.ndim < 2 or amplitudes.shape[:-1] != f0_hz.shape:
        raise ValueError(f"f0_hz has frames {tuple(f0_hz.shape)} and amplitudes {tuple(amplitudes.shape)}; "
                         "give one f0 per frame and amplitudes with one more axis for the partials")
    frames, partials = amplitudes.shape[-2:]
    if frames < 1 or partials < 1:
        raise ValueError(f"amplitudes has shape {tuple(amplitudes.shape)}; give at least one frame and one partial")
    total = tone_samples(frames, sample_rate, frame_rate, offset_s)
    last_sample = total if samples is None else first_sample + samples
    if not 0 <= first_sample <= last_sample <= total:
        raise ValueError(f"samples {first_sample} to {last_sample} asked of a sound of {total}; stay inside it")
    leading = f0_hz.shape[:-1]
    rows = [(f0_hz, amplitudes)]
    if leading and not amplitudes.is_cuda:  # one row at a time stays in cache and equals that row alone to the bit
        rows = list(zip(f0_hz.reshape(-1, frames), amplitudes.reshape(-1, frames, partials)))
    tile_frames = frames if amplitudes.is_cuda else TILE_FRAMES
    whole = [_stretch(f0, amplitude, first_sample, last_sample, sample_rate, frame_rate, offset_s, tile_frames)
             for f0, amplitude in rows]
    return torch.stack(whole).reshape(*leading, -1) if leading and not amplitudes.is_cuda else whole[0]


def _stretch(f0_hz: Tensor, amplitudes: Tensor, first_sample: int, last_sample: int, sample_rate: float,
             frame_rate: float, offset_s: float, tile_frames: int) -> Tensor:
    """Samples [first_sample, last_sample) of one row, from as many tiles as that needs."""
    frames, partials = amplitudes.shape[-2:]
    borders = _frame_borders(np.arange(frames + 1), sample_rate, frame_rate, offset_s)
    first_frame = max(0, int(np.searchsorted(borders, first_sample, side="right")) - 1)
    tile_starts = [start for start in tile_borders(frames, tile_frames)[:-1] if start <= first_frame]
    position = int(borders[tile_starts[-1]])
    pieces = [amplitudes.new_zeros(*amplitudes.shape[:-2], 0)]
    tiles = tone_tiles(f0_hz, lambda first, last: amplitudes[..., first:last, :], partials, sample_rate=sample_rate,
                       frame_rate=frame_rate, offset_s=offset_s, first_frame=first_frame, tile_frames=tile_frames)
    for tile in tiles:
        if position >= last_sample:
            break
        pieces.append(tile[..., max(0, first_sample - position) : last_sample - position])
        position += tile.shape[-1]
    return torch.cat(pieces, dim=-1)
