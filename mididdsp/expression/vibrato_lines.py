"""How a vibrato is played on average: lines in pitch, length and velocity for each instrument, in place of a network.

A few dozen single notes of an instrument tell its vibrato, and the published figures tell but medians: a network that
sees all the music around a note reads more out of them than is there. So extent, rate and delay have as mean a line in
pitch, length and velocity, with bells over the pitch, one for notes that stand alone and one for notes among others,
and as spread a width. Where players tell it, the width hangs on pitch, length and velocity too, and the spread is bent
away from a Gaussian: few notes vibrate at another rate than the rest, but those at quite another. How they vary
together with the other attributes remains the network's.

This tells how players play, as it is measured. What is *asked for* in a note among others is then shifted: how often a
vibrato is played, and these means, so that what is found in the sound is what is found in that of players
(``mididdsp.training.vibrato``); and how often in lone notes of strings (``mididdsp.training.lone_vibrato``).

Conventions: attributes on the scale of ``mididdsp.expression.scales.SCALES``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mididdsp.expression.bends import KNOTS, bent, straightened
from mididdsp.expression.types import ATTRIBUTES, VIBRATO_ATTRIBUTES
from mididdsp.instruments import INSTRUMENTS

LINED = VIBRATO_ATTRIBUTES
"""The attributes that lines tell."""

SLOPE_REACH = 1.0
"""By no more than this the logarithm of a width moves with pitch, length and velocity, however long a note is."""

CHANCE = 0
"""Column of the shifts that belongs to the chance of a vibrato (a logit); those of ``LINED`` follow."""


class VibratoLines(nn.Module):
    """Means and widths of ``LINED``, and what is to be asked for them to be heard; all 0 changes nothing.

    Args:
        features: of a note, the last of them 1.
        plain: how many of them, the first, widths hang on.

    Attributes:
        weights: of the lines; the first index is 0 for notes that stand alone, 1 for notes among others;
            [2, instruments, LINED, features].
        widths: standard deviations, 0 where the network's mean and spread stand; [2, instruments, LINED].
        slopes: of the logarithm of the widths; [2, instruments, LINED, plain].
        bends: of deviations in widths, see ``mididdsp.expression.bends``; [2, instruments, LINED, KNOTS].
        shifts: of what is asked for in notes among others: of the logit of having a vibrato, of each mean;
            [instruments, 1 + LINED].
        lone: of what is asked for in notes that stand alone, of the logit of having a vibrato; [instruments].
        stretches: by how much more than measured their deviations from the mean are drawn, as a share; [instruments,
            LINED].
    """

    def __init__(self, features: int, plain: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(2, len(INSTRUMENTS), len(LINED), features))
        self.register_buffer("widths", torch.zeros(2, len(INSTRUMENTS), len(LINED)))
        self.register_buffer("slopes", torch.zeros(2, len(INSTRUMENTS), len(LINED), plain))
        self.register_buffer("bends", torch.zeros(2, len(INSTRUMENTS), len(LINED), len(KNOTS)))
        self.register_buffer("shifts", torch.zeros(len(INSTRUMENTS), 1 + len(LINED)))
        self.register_buffer("lone", torch.zeros(len(INSTRUMENTS)))
        self.register_buffer("stretches", torch.zeros(len(INSTRUMENTS), len(LINED)))
        self.weights: Tensor
        self.widths: Tensor
        self.slopes: Tensor
        self.bends: Tensor
        self.shifts: Tensor
        self.lone: Tensor
        self.stretches: Tensor

    def forward(
        self, features: Tensor, instrument: Tensor, among: Tensor, mean: Tensor, factor: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and Cholesky factor with the lines in place.

        Args:
            features: [N, features].
            instrument: [N].
            among: whether there is anything around the note; bool [N].
            mean, factor: of the network; [N, A], [N, A, A].
        """
        columns = _columns(mean)
        place = among.long()
        widths = self.widths[place, instrument]
        told = widths > 0
        slopes = self.slopes[place, instrument]
        steep = (slopes * features[:, None, : slopes.shape[-1]]).sum(-1)
        widths = widths * torch.exp(steep.clamp(-SLOPE_REACH, SLOPE_REACH))
        line = (self.weights[place, instrument] * features.unsqueeze(1)).sum(-1)
        mean = mean.index_copy(1, columns, torch.where(told, line, mean[:, columns]))
        # a row of the factor scaled: another spread, the same correlations
        scale = torch.where(told, widths / factor[:, columns].norm(dim=-1).clamp_min(1e-6), torch.ones_like(widths))
        rows = torch.ones_like(mean).index_copy(1, columns, scale)
        return mean, factor * rows.unsqueeze(-1)

    def asked(
        self, instrument: Tensor, among: Tensor, mean: Tensor, factor: Tensor, logit: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean [N, A], Cholesky factor [N, A, A] and logit of having a vibrato [N] to play by, of those that players
        are found to have."""
        company = among.to(mean.dtype).unsqueeze(-1)
        shift = self.shifts[instrument] * company
        columns = _columns(mean)
        rows = torch.ones_like(mean).index_add(1, columns, self.stretches[instrument] * company)
        return (mean.index_add(1, columns, shift[:, CHANCE + 1 :]), factor * rows.unsqueeze(-1),
                logit + torch.where(among, self.shifts[instrument, CHANCE], self.lone[instrument]))

    def played(self, instrument: Tensor, among: Tensor, mean: Tensor, factor: Tensor, drawn: Tensor) -> Tensor:
        """Values on the model's scale of those drawn from the joint Gaussian; [N, A]."""
        columns = _columns(mean)
        centre, width = mean[:, columns], factor[:, columns].norm(dim=-1)
        deviations = bent((drawn[:, columns] - centre) / width, self.bends[among.long(), instrument].to(mean))
        return drawn.index_copy(1, columns, centre + width * deviations)

    def evened(
        self, instrument: Tensor, among: Tensor, mean: Tensor, factor: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What would have been drawn from the joint Gaussian for values [N, A] to be played, and what the logarithm of
        each one's density gains; both [N, A]. The inverse of :meth:`played`."""
        columns = _columns(mean)
        centre, width = mean[:, columns], factor[:, columns].norm(dim=-1)
        straight, gain = straightened((values[:, columns] - centre) / width,
                                      self.bends[among.long(), instrument].to(mean))
        return (values.index_copy(1, columns, centre + width * straight),
                torch.zeros_like(values).index_copy(1, columns, gain))


def _columns(mean: Tensor) -> Tensor:
    return torch.tensor([ATTRIBUTES.index(name) for name in LINED], device=mean.device)
