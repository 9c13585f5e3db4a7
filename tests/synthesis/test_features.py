"""Measurements on audio: the original's numbers, and known tones."""

from __future__ import annotations

import math

import pytest
import torch

from mididdsp.synthesis.features import (
    a_weighting_db,
    frame_count,
    framed,
    log_magnitudes,
    log_mel,
    loudness,
    magnitudes,
    mel,
    mel_matrix,
    mfcc,
    power_db,
    rms,
    stft,
)


def within(found: torch.Tensor, wanted: torch.Tensor, absolute: float) -> None:
    torch.testing.assert_close(found.float(), wanted, rtol=0.0, atol=absolute)


def test_loudness_matches_the_original(golden) -> None:
    case = golden("loudness")
    audio = case["audio"]
    db = 1e-3  # the logarithm of a small float32 power
    within(loudness(audio), case["loudness_default"], db)
    within(loudness(audio), case["loudness_librosa_path"], db)
    within(loudness(audio[0]), case["loudness_1d"], db)
    within(loudness(audio, n_fft=2048), case["loudness_nfft2048"], db)
    within(loudness(audio, range_db=120.0), case["loudness_range120"], db)
    within(loudness(audio, ref_db=20.7), case["loudness_ref20"], db)
    within(loudness(audio, padding="same"), case["loudness_same"], db)
    within(loudness(audio, padding="valid"), case["loudness_valid"], db)
    within(loudness(audio, frame_rate=50.0, n_fft=1024), case["loudness_50hz_1024"], db)
    within(power_db(audio), case["power_default"], db)
    within(power_db(audio, frame_rate=50.0, frame=1024), case["power_frame1024_50hz"], db)
    within(rms(audio), case["rms_default"], 1e-6)
    within(rms(audio, padding="same"), case["rms_same"], 1e-6)
    within(rms(audio, padding="valid"), case["rms_valid"], 1e-6)
    for size in (512, 2048):
        within(a_weighting_db(torch.linspace(0.0, 8_000.0, size // 2 + 1)), case[f"a_weighting_db_nfft{size}"], db)


def test_silence_has_the_floor() -> None:
    assert torch.equal(loudness(torch.zeros(1000)), torch.full((16,), -80.0))


def test_spectra_match_the_original(golden) -> None:
    case = golden("spectrogram")
    audio = case["audio"]

    def relative(found: torch.Tensor, key: str) -> None:
        within(found, case[key], 1e-4 * float(case[key].abs().max()))  # float32 FFT

    spectra = stft(audio, 256)
    relative(spectra.real, "stft256_real")
    relative(spectra.imag, "stft256_imag")
    relative(magnitudes(audio, 64), "mag_64")
    relative(magnitudes(audio, 2048), "mag_2048")
    relative(magnitudes(audio, 512, overlap=0.5, pad_end=False), "mag_512_overlap05_nopadend")
    within(log_magnitudes(audio, 512), case["logmag_512"], 1e-3)
    relative(mel(audio, size=1024), "mel_1024")
    within(log_mel(audio), case["logmel_2048"], 1e-3)
    within(mfcc(audio, coefficients=30), case["mfcc_1024_30"], 1e-3)
    within(mfcc(audio), case["mfcc_default"], 1e-3)
    within(mel_matrix(64, 513, 16_000.0, 0.0, 8_000.0), case["mel_matrix_64_from513_0_8000"], 2e-5)
    within(mel_matrix(64, 513, 16_000.0, 40.0, 8_000.0), case["mel_matrix_64_from513_40_8000"], 2e-5)
    found = log_mel(audio, low_hz=40.0, high_hz=8_000.0, size=1024, window=128, hop=64)
    within(found, case["mididdsp_logmel_win128_hop64_nfft1024_64_fmin40"], 1e-3)


def test_frame_counts_match_the_original(golden) -> None:
    rows = golden("spectrogram")["framed_lengths_n_frame_hop_pad_nframes_padded"].long().tolist()
    for samples, frame, hop, padding, frames, _ in rows:
        name = ("valid", "same", "center")[padding]
        assert frame_count(samples, frame, hop, name) == frames
        assert framed(torch.zeros(samples), frame, hop, name).shape == (frames, frame)


def test_a_fractional_hop_does_not_drift() -> None:
    audio = torch.arange(441_000, dtype=torch.float64)
    frames = framed(audio, 100, 176.4, "same")
    starts = frames[:-1, 0]
    exact = torch.arange(len(starts)) * 176.4
    assert float((starts - exact).abs().max()) <= 0.5  # each start is the nearest sample


@pytest.mark.parametrize("rate", [16_000.0, 44_100.0, 48_000.0])
def test_a_weighted_level_of_known_tones(rate: float) -> None:
    time = torch.arange(int(rate), dtype=torch.float64) / rate
    size = int(rate * 0.032) // 2 * 2
    levels = [float(loudness(torch.sin(2 * math.pi * hz * time), rate, n_fft=size)[100]) for hz in (1_000.0, 100.0)]
    # IEC 61672: 0 dB at 1 kHz and -19.1 dB at 100 Hz; 0.4 dB for the width of the window at the steep end.
    assert levels[0] - levels[1] == pytest.approx(19.1, abs=0.4)


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(ValueError, match='padding is "full"'):
        frame_count(10, 4, 2, "full")


@pytest.mark.parametrize("feature", [
    lambda audio: loudness(audio, n_fft=32, frame_rate=1000.0), lambda audio: log_mel(audio, bands=4, size=32),
    lambda audio: mfcc(audio, bands=8, coefficients=3, size=64)])
def test_gradients(feature) -> None:
    audio = torch.randn(60, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    assert torch.autograd.gradcheck(feature, (audio,))
