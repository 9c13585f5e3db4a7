"""Timbre transfer: fitting octave and level, silence and breath, and the command from file to file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import untrained

from bench import pitch
from mididdsp.audio_files import AudioFileError
from mididdsp.audio_stream import recording_of
from mididdsp.checkpoints import save_checkpoint
from mididdsp.cli import run
from mididdsp.synthesis.conditions import QUIET_DB, measured_loudness
from mididdsp.transfer import Fit, Heard, TransferError, colour_of, fit, gated, listen, transferred, without_strays

RATE = 22_050


def voice(midi: float, seconds: float = 1.2, rate: int = RATE, level: float = 0.2) -> np.ndarray:
    """A made-up voice: a few partials with vibrato, faded at both ends; float32 [N]."""
    time = np.arange(int(seconds * rate)) / rate
    bent = midi + 0.2 * np.sin(2 * np.pi * 5.5 * time)
    phase = 2 * np.pi * np.cumsum(440.0 * 2 ** ((bent - 69.0) / 12.0)) / rate
    sound = sum(np.sin(k * phase) / k for k in range(1, 9))
    return (level * sound * np.clip(np.minimum(time, seconds - time) / 0.05, 0, 1)).astype(np.float32)


def heard_of(midi: float, level: float = -40.0, frames: int = 300) -> Heard:
    return Heard(
        f0_hz=np.full(frames, 440.0 * 2 ** ((midi - 69) / 12)),
        voiced=np.ones(frames, bool),
        loudness_db=np.full(frames, level),
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "autoencoder"
    tensors, model = untrained.autoencoder(lookahead=True, embedding=4).to_checkpoint()
    save_checkpoint(
        folder,
        tensors,
        {
            "level": "autoencoder",
            "model": model,
            "recipe": "none",
            "data": {},
            "figures": {},
            "licence": "none",
            "attribution": "none",
        },
    )
    return folder


def test_listening_hears_pitch_and_loudness() -> None:
    sound = voice(57.0)
    heard = listen(recording_of(np.stack([sound, sound]), RATE))
    assert np.median(69 + 12 * np.log2(heard.f0_hz[heard.sounding] / 440.0)) == pytest.approx(57.0, abs=0.05)
    expected = measured_loudness(sound, RATE)
    count = min(len(expected), len(heard.loudness_db))
    np.testing.assert_allclose(heard.loudness_db[20 : count - 20], expected[20 : count - 20], atol=0.1)


@pytest.mark.parametrize(("midi", "octaves"), [(74.0, 0), (45.0, 1), (33.0, 2), (104.0, -1)])
def test_the_nearest_octave_inside_the_range_is_chosen(midi: float, octaves: int) -> None:
    found = fit(heard_of(midi), untrained.autoencoder(), "violin")  # trained from 55 to 96
    assert found == Fit(octaves=octaves, gain_db=pytest.approx(10.0), inside=1.0)  # -40 dB to its median of -30


def test_octave_and_level_can_be_asked_for() -> None:
    found = fit(heard_of(74.0), untrained.autoencoder(), "violin", octaves=2, gain_db=-3.0)
    assert (found.octaves, found.gain_db, found.inside) == (2, -3.0, 0.0)


def test_breath_is_lowered_and_what_is_far_below_is_silent() -> None:
    heard = heard_of(60.0, level=-20.0)
    heard.voiced[100:150] = False
    heard.loudness_db[200:250] = -95.0
    level = gated(heard)
    assert (level[:90] == -20.0).all()
    assert (level[110:140] == -44.0).all()
    assert (level[205:245] == QUIET_DB).all()
    params = transferred(heard, untrained.autoencoder(), "violin", Fit(octaves=0, gain_db=6.0, inside=1.0))
    assert len(params.segments) == 1  # 0.2 s of silence do not part a phrase, and louder silence is silence
    quiet = params.segments[0].amplitude_db
    assert quiet[210:240].max() < quiet[:90].min() - 50.0


def test_hum_between_the_notes_is_no_music() -> None:
    heard = heard_of(70.0, level=-25.0)
    heard.f0_hz[100:110] = 50.0
    heard.loudness_db[100:110] = -50.0
    found = without_strays(heard)
    np.testing.assert_array_equal(found.f0_hz, np.full(300, heard.f0_hz[0]))
    assert not found.voiced[100:110].any()
    assert found.voiced.sum() == 290


@pytest.mark.parametrize("frames", [10, 60])
def test_a_deep_note_of_the_music_stays(frames: int) -> None:
    heard = heard_of(70.0, level=-25.0)
    heard.f0_hz[100 : 100 + frames] = 50.0
    heard.loudness_db[100 : 100 + frames] = -30.0 if frames == 10 else -58.0  # loud enough, or too long for a slip
    assert without_strays(heard) is heard


def test_a_colour_moves_the_model_towards_a_recording() -> None:
    model = untrained.autoencoder(lookahead=True, embedding=4)
    bright = voice(69.0, 1.0) + np.float32(0.1) * voice(88.0, 1.0)
    colour = colour_of(recording_of(bright, RATE), model, "violin")
    assert np.isfinite(colour.partials_db).all()
    assert np.isfinite(colour.noise_db).all()
    # above the recording's Nyquist nothing is known: the last gain holds
    assert len(set(colour.partials_db[-3:])) == 1


@pytest.mark.parametrize(
    ("sound", "error", "sentence"),
    [
        (np.zeros(RATE), AudioFileError, "is silent"),
        (np.random.default_rng(0).normal(0, 0.1, RATE), TransferError, "no pitch was heard"),
        (np.full(RATE, np.nan), AudioFileError, "not numbers"),
    ],
)
def test_what_cannot_be_transferred_is_one_sentence(sound: np.ndarray, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        listen(recording_of(sound.astype(np.float32), RATE))


def test_the_command_from_file_to_file(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "voice of ü.wav", tmp_path / "out.wav"
    soundfile.write(source, voice(50.0), RATE)
    before = source.read_bytes()
    words = ["transfer", str(source), "--to", "violin", "-o", str(out), "--checkpoint", str(checkpoint)]
    assert run([*words, "--room", "none", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["instrument"] == "violin"
    assert report["octaves"] == 1
    assert source.read_bytes() == before
    audio, rate = soundfile.read(out, always_2d=True)
    assert rate == 48_000
    contour = pitch.track(audio.mean(axis=1), rate, 56, 68)
    assert np.median(contour.f0_hz[contour.sounding]) == pytest.approx(440.0 * 2 ** (-7 / 12), rel=0.004)
    first = out.read_bytes()
    assert run([*words, "--room", "none", "--quiet"]) == 0
    assert out.read_bytes() == first
    assert run([*words, "--octave", "0", "--loudness", "-6", "--like", str(source), "--quiet"]) == 0
    assert out.read_bytes() != first


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--to", "kazoo"], 2, "no instrument is called 'kazoo'"),
        (["--to", "flute"], 2, "does not play flute; it plays violin, tuba"),
        (["--to", "violin", "--octave", "half"], 2, "'half' is no octave"),
        (["--to", "violin", "--loudness", "loud"], 2, "'loud' is no loudness"),
        (["--to", "violin", "--room", "nowhere.wav"], 2, "there is no file 'nowhere.wav'"),
        (["--to", "violin"], 1, "no pitch was heard"),
    ],
)
def test_a_wrong_call_leaves_one_sentence_and_no_file(
    options: list[str], code: int, sentence: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    assert run(["transfer", str(source), "-o", str(out), "--checkpoint", str(checkpoint), *options]) == code
    printed = capsys.readouterr().err
    assert sentence in printed
    assert len(printed.splitlines()) == 1
    assert not out.exists()


def test_an_output_is_never_the_input(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, voice(60.0), RATE)
    assert run(["transfer", str(source), "--to", "violin", "-o", str(source), "--checkpoint", str(checkpoint)]) == 2
