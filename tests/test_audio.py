"""Recordings to sequences of spectral features."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted

from skrnn import RNNClassifier, Sequences, SequenceScaler
from skrnn.audio import MFCC, LogMel
from skrnn.audio.filters import cosines, filter_edges, mel_filters, to_hz, to_mel
from skrnn.audio.spectra import Analysis, window_of
from tests.oracles import speech

# Few values a frame, so that the oracle is quick.
SMALL = {
    "sample_rate": 1000,
    "frame_length": 0.02,
    "frame_shift": 0.008,
    "n_mels": 4,
    "f_min": 50.0,
}
LENGTHS = [75, 1, 20, 19, 21, 28, 130]


def recordings(lengths=LENGTHS, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=length) for length in lengths]


def tone(hz, rate=8000, n_values=4000, loudness=0.5):
    return loudness * np.sin(2 * np.pi * hz * np.arange(n_values) / rate)


# --- the definition -------------------------------------------------------------------

SETTINGS = [
    {},
    {"center": True},
    {"center": True, "frame_length": 0.021},
    {"center": True, "frame_length": 0.021, "n_fft": 45},
    {"center": True, "frame_shift": 0.03, "frame_length": 0.017},
    {"frame_shift": 0.033},
    {"preemphasis": None, "window": "hamming"},
    {"power": 1.0, "norm": "slaney"},
    {"mel_scale": "slaney", "f_max": 420, "sample_rate": 1000.0},
    {"n_fft": 45, "frame_length": 0.021},
    {"log_floor": 20.0},
    {"normalize": "mean", "deltas": 1},
    {"normalize": "mean_variance", "deltas": 2},
]


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_log_mel_is_what_the_definition_says(options):
    transformer = LogMel(**SMALL | options)
    X = recordings()
    features = transformer.fit_transform(X)
    assert len(features) == len(X)
    parameters = transformer.get_params()
    for x, ours in zip(X, features, strict=True):
        static = speech.log_mel(x, parameters)
        theirs = speech.trajectories(static, transformer.normalize, transformer.deltas)
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("lifter", [None, 22, 3.5])
def test_mfcc_is_what_the_definition_says(lifter):
    transformer = MFCC(n_mfcc=3, lifter=lifter, deltas=1, **SMALL)
    X = recordings()
    parameters = transformer.get_params()
    for x, ours in zip(X, transformer.transform(X), strict=True):
        theirs = speech.trajectories(speech.mfcc(x, parameters), None, 1)
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_scales(scale):
    hz = np.array([0.0, 150.0, 999.0, 1000.0, 1001.0, 6400.0, 11025.0])
    assert_allclose(to_mel(hz, scale), [speech.pitch(f, scale) for f in hz])
    assert_allclose(to_hz(to_mel(hz, scale), scale), hz, atol=1e-9)
    assert to_mel(1000, scale) == pytest.approx(1000 if scale == "htk" else 15, 1e-4)


def test_filters_overlap_so_that_all_of_the_spectrum_between_counts_once():
    edges = filter_edges(20, 0, 4000, "htk")
    filters = mel_filters(8000, 1024, edges)
    hz = np.arange(513) * 8000 / 1024
    inside = (hz >= edges[1]) & (hz <= edges[-2])
    assert_allclose(filters.sum(axis=0)[inside], 1)
    areas = mel_filters(8000, 2**16, edges, "slaney").sum(axis=1) * 8000 / 2**16
    assert_allclose(areas, 1, rtol=1e-3)


def test_all_cosines_together_are_a_rotation():
    assert_allclose(cosines(7, 7) @ cosines(7, 7).T, np.eye(7), atol=1e-12)
    assert_array_equal(cosines(3, 7), cosines(7, 7)[:3])


def test_energy_of_the_spectrum_is_that_of_the_values():
    """Parseval's theorem, for frames that do not overlap and are not tapered."""
    n = 16
    double = np.full((1, n // 2 + 1), 2.0)
    double[0, [0, -1]] = 1.0  # the two without a mirror image
    analysis = Analysis(
        window=np.ones(n),
        shift=n,
        n_fft=n,
        filters=double,
        power=2.0,
        preemphasis=0.0,
        center=False,
    )
    (x,) = recordings([5 * n])
    energies = analysis.energies(x, np.array([len(x)]))
    assert_allclose(energies[:, 0], n * (x.reshape(5, n) ** 2).sum(axis=1))


@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
@pytest.mark.parametrize("hz", [300, 700, 1500, 3100])
def test_tone_is_loudest_in_the_band_with_the_nearest_centre(hz, mel_scale):
    transformer = LogMel(8000, n_mels=20, n_fft=1024, mel_scale=mel_scale)
    (features,) = transformer.transform([tone(hz)])
    centres = filter_edges(20, 0, 4000, mel_scale)[1:-1]
    pitches = to_mel(centres, mel_scale)
    nearest = np.abs(pitches - to_mel(hz, mel_scale)).argmin()
    assert (features.argmax(axis=1) == nearest).all()


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_loudness_adds_a_constant(power):
    (x,) = recordings([3000])
    transformer = LogMel(8000, power=power)
    quiet, loud = transformer.transform([x, 8 * x])
    assert_allclose(loud - quiet, power * np.log(8), rtol=1e-9)
    quiet, loud = MFCC(8000, normalize="mean").transform([x, 8 * x])
    assert_allclose(loud, quiet, atol=1e-9)


def test_windows_are_those_for_spectra():
    from scipy.signal import get_window

    for name in ("hann", "hamming"):
        assert_allclose(window_of(name, 25), get_window(name, 25), atol=1e-12)


# --- frames ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_values", "n_whole", "n_centred"),
    [(1, 1, 1), (199, 1, 3), (200, 1, 3), (279, 1, 4), (280, 2, 4), (8000, 98, 101)],
)
def test_number_of_frames(n_values, n_whole, n_centred):
    x = np.ones((1, n_values))
    assert LogMel(8000).transform(x).shape == (1, n_whole, 40)
    assert LogMel(8000, center=True).transform(x).shape == (1, n_centred, 40)


def test_short_recording_is_filled_up_with_silence():
    (x,) = recordings([50])
    filled = np.append(x, np.zeros(150))
    filled[50] = -0.97 * x[-1]  # what pre-emphasis makes of the fall to silence
    plain = LogMel(8000, preemphasis=None)
    assert_allclose(*plain.transform([x, np.append(x, np.zeros(150))]))
    assert len(LogMel(8000).transform([x])[0]) == 1


def test_centred_frames_are_those_of_the_recording_between_silence():
    (x,) = recordings([1000])
    centred, padded = (
        LogMel(8000, center=center).transform([values])[0]
        for center, values in [(True, x), (False, np.pad(x, 100))]
    )
    assert_allclose(centred[1:-1], padded[1 : len(centred) - 1])


def test_silence_is_the_floor():
    features = LogMel(8000, log_floor=1e-6).transform(np.zeros((1, 400)))
    assert_allclose(features, np.log(1e-6))
    flat = LogMel(8000, normalize="mean_variance", deltas=2)
    assert_array_equal(flat.transform(np.zeros((2, 400))), 0)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=6),
    st.integers(0, 2**16),
    st.sampled_from(SETTINGS),
)
def test_features_do_not_depend_on_the_neighbours(lengths, seed, options):
    transformer = LogMel(**SMALL | options)
    X = recordings(lengths, seed)
    for x, together in zip(X, transformer.transform(X), strict=True):
        assert_allclose(together, transformer.transform([x])[0], rtol=1e-9, atol=1e-9)


def test_more_than_a_block_of_recordings_or_frames(monkeypatch):
    X = recordings([700, 1, 30, 9000, 20, 20])
    transformer = MFCC(**SMALL, n_mfcc=3, deltas=2, normalize="mean_variance")
    whole = transformer.transform(X)
    monkeypatch.setattr("skrnn.audio.spectra.CACHE_BYTES", 2000)
    monkeypatch.setattr(Sequences.blocks, "__defaults__", (400,))
    assert len(list(Sequences(X).blocks())) > 3
    pieces = transformer.transform(X)
    assert_array_equal(pieces.lengths, whole.lengths)
    assert_allclose(pieces.values, whole.values, rtol=1e-9, atol=1e-9)


def test_memory_is_that_of_the_features_and_a_block():
    X = np.random.default_rng(0).normal(size=(1000, 4000)).astype(np.float32)
    transformer = MFCC(8000).fit(X)
    tracemalloc.start()
    features = transformer.transform(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    all_frames = features.shape[0] * features.shape[1] * 200 * 8
    assert peak - features.nbytes < all_frames / 8


# --- what a user may pass -------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "silence", "full"),
    [
        ("int8", 0, 2**7),
        ("uint8", 2**7, 2**7),
        ("int16", 0, 2**15),
        (">i2", 0, 2**15),
        ("int32", 0, 2**31),
    ],
)
def test_pcm_is_scaled_by_its_type(dtype, silence, full):
    floats = [
        np.round(np.clip(x / 3, -1, 0.99) * 2**7) / 2**7 for x in recordings([500, 300])
    ]
    pcm = [(x * full + silence).astype(dtype) for x in floats]
    expected = LogMel(8000).transform([x.astype(np.float32) for x in floats])
    for X in (
        pcm,
        tuple(pcm),
        pd.Series(pcm),
        np.array([*pcm, None], dtype=object)[:2],
    ):
        features = LogMel(8000).fit_transform(X)
        assert features.dtype == np.float32
        assert_array_equal(features.values, expected.values)
    array = LogMel(8000).transform(pcm[0][np.newaxis])
    assert array.dtype == np.float32
    assert_array_equal(array[0], expected[0])
    frame = pd.DataFrame(pcm[0].astype(np.dtype(dtype).newbyteorder("="))[np.newaxis])
    assert_array_equal(LogMel(8000).transform(frame), array)


# integers are what this is about
@pytest.mark.filterwarnings("ignore:The first recording has integers")
def test_other_numbers_are_taken_as_they_are():
    x = np.arange(-300, 300)
    expected = LogMel(8000).transform([x.astype(np.float64)])[0]
    for values in (x, x.astype(np.float16), x.tolist(), pd.Series(x)):
        features = LogMel(8000).transform(
            [values] if not isinstance(values, list) else np.array([values])
        )
        assert features.dtype == np.float64
        assert_array_equal(features[0], expected)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["f4", "f4"], "f4"),
        (["i2", "f4"], "f4"),
        (["i2", "f8"], "f8"),
        (["f8", "f4"], "f8"),
    ],
)
def test_dtype_of_the_features(dtypes, expected):
    pairs = zip(recordings([300, 400]), dtypes, strict=True)
    X = [(9 * x).astype(dtype) for x, dtype in pairs]
    assert LogMel(8000).transform(X).dtype == expected


def test_float32_is_as_good_as_float64():
    X = recordings([3000])
    single = MFCC(8000, deltas=2).transform([x.astype(np.float32) for x in X])
    assert_allclose(single[0], MFCC(8000, deltas=2).transform(X)[0], atol=1e-4)


def test_every_form_of_the_same_recordings():
    X = recordings([500, 300, 700])
    transformer = LogMel(8000)
    expected = transformer.transform(X)
    assert isinstance(expected, Sequences) and expected.index is None
    ragged = np.empty(3, dtype=object)
    ragged[:] = X
    labels = ["c", "a", "b"]
    series = pd.Series(X, index=labels, name="recording")
    keys = [
        (label, i) for label, x in zip(labels, X, strict=True) for i in range(len(x))
    ]
    long = pd.DataFrame(
        {"value": np.concatenate(X)}, index=pd.MultiIndex.from_tuples(keys)
    )
    channel = [x[:, np.newaxis] for x in X]
    forms = [tuple(X), ragged, series, series.to_frame(), long, long["value"]]
    for form in [*forms, channel, Sequences(X), [pd.Series(x) for x in X]]:
        features = transformer.fit_transform(form)
        assert_array_equal(features.values, expected.values)
        assert_array_equal(features.lengths, expected.lengths)
    for form in (series, series.to_frame(), long):
        assert list(LogMel(8000).transform(form).index) == labels


def test_an_array_gives_an_array():
    X = np.stack(recordings([400] * 3))
    expected = LogMel(8000).transform(list(X))
    for form in (X, X.tolist(), X[:, :, np.newaxis], pd.DataFrame(X)):
        features = LogMel(8000).fit_transform(form)
        assert isinstance(features, np.ndarray) and features.shape == (3, 3, 40)
        assert_array_equal(features.reshape(-1, 40), expected.values)
    # whatever the columns in fit, lists may be of any lengths
    assert LogMel(8000).fit(X).transform([X[0, :250]]).lengths == [1]


def test_input_is_not_changed():
    X = [x.astype(dtype) for x, dtype in zip(recordings([300] * 3), "dfh", strict=True)]
    copies = [x.copy() for x in X]
    for form in (X, X[:1], np.stack([X[0]]), np.stack([X[2]]), Sequences(X)):
        MFCC(8000, normalize="mean").fit_transform(form)
    for x, copy in zip(X, copies, strict=True):
        assert_array_equal(x, copy)


GOOD = np.ones(300)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "0 sample"),
        ([GOOD, []], "no steps: sample 1"),
        (np.empty((2, 0)), r"0 feature\(s\)"),
        ([GOOD, np.array([1, np.nan])], "NaN: sample 1, step 1"),
        (pd.Series([GOOD, GOOD * np.inf], index=["a", "b"]), "infinity.*sample 1"),
        ([GOOD, np.ones((300, 2))], "same number of channels.*sample 1 has 2"),
        ([np.ones((300, 2))], r"one channel, but X has 2.*x\.mean\(axis=1\)"),
        (np.ones((2, 300, 2)), "one channel, but X has 2"),
        (np.ones((2, 3, 4, 1)), "dim 4"),
        (GOOD, r"Pass one recording as \[recording\]"),
        ("a.wav", "recordings, got the one text 'a.wav'"),
        ([GOOD, "a.wav"], r"sample 1 is 'a.wav'.*Read files first"),
        (pd.Series(["a.wav"]), r"sample 0 is 'a.wav'"),
        (np.array(["a.wav"]), r"sample 0 is 'a.wav'"),
        ([(8000, GOOD)], "sample 0 is a pair.*sample_rate"),
        ([np.array(["1", "2"])], "sample 0 holds strings"),
        ([GOOD * 1j], "Complex"),
        ([np.ma.masked_equal(GOOD, 0)], "Masked arrays"),
        ([np.ma.masked_equal(np.zeros(9, np.int16), 0)], "Masked arrays"),
    ],
    ids=str,
)
def test_wrong_recordings(X, message):
    for method in (LogMel(8000).fit, LogMel(8000).transform, MFCC(8000).transform):
        with pytest.raises(ValueError, match=message):
            method(X)


@pytest.mark.parametrize(
    "form",
    [
        lambda x: np.array([x, x], object),
        lambda x: Sequences([x]),
        lambda x: [x.astype(np.int64)],
        lambda x: [x.tolist()],
        lambda x: [pd.Series(x, dtype="Int16")],
    ],
)
def test_integers_that_are_not_scaled(form):
    recording = (2**14 * tone(440, n_values=300)).astype(np.int16)
    with pytest.warns(UserWarning, match="integers up to 8192"):
        LogMel(8000).transform(form(recording))


@pytest.mark.parametrize("kind", [LogMel, MFCC])
def test_values_whose_energies_are_beyond_floats(kind):
    with pytest.raises(ValueError, match="values of sample 2 are too large"):
        kind(8000).transform([GOOD, GOOD[:9], GOOD * 1e300, GOOD])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"f_max": 4001}, "f_max=4001 Hz is above half of sample_rate=8000"),
        ({"f_min": 4000}, "f_min=4000 must be well below f_max=4000"),
        ({"f_min": 3000, "f_max": 2000}, "f_min=3000 must be well below f_max=2000"),
        ({"n_fft": 199}, "n_fft=199 must be at least .* 200 at sample_rate=8000"),
        ({"n_mels": 99}, r"Filter 0 of n_mels=99, .* 31.2 Hz apart. Set n_fft=512,"),
        ({"f_min": 10.0, "f_max": 10.01}, "10.0 Hz, would .* Set fewer n_mels"),
        ({"frame_shift": 1e-5}, "frame_shift=1e-05 is in seconds, and shorter"),
        ({"frame_length": 25}, "'frame_length' parameter"),
        ({"sample_rate": 0}, "'sample_rate' parameter"),
        ({"window": "box"}, "'window' parameter"),
        ({"deltas": 3}, "'deltas' parameter"),
        ({"normalize": "variance"}, "'normalize' parameter"),
        ({"n_mfcc": 41}, "n_mfcc=41 coefficients cannot .* n_mels=40"),
    ],
    ids=str,
)
def test_wrong_parameters(parameters, message):
    kind = MFCC if "n_mfcc" in parameters else LogMel
    transformer = kind(**{"sample_rate": 8000} | parameters)
    for method in (transformer.fit, transformer.transform):
        with pytest.raises(ValueError, match=message):
            method([GOOD])


def test_the_n_fft_that_an_error_names_is_enough():
    assert LogMel(8000, n_mels=99, n_fft=512).fit([GOOD])


# --- scikit-learn ---------------------------------------------------------------------

TRANSFORMERS = [
    LogMel(),
    LogMel(8, frame_length=0.25, frame_shift=0.125, n_fft=128, n_mels=4),
    MFCC(deltas=2, normalize="mean_variance", center=True, lifter=22),
]
PAIRS = [pair for t in TRANSFORMERS for pair in estimator_checks_generator(t)]


def name_of(value):
    return getattr(getattr(value, "func", None), "__name__", str(value))


@pytest.mark.contract
@pytest.mark.parametrize(("estimator", "check"), PAIRS, ids=name_of)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_needs_no_fit():
    X = recordings([900])
    unfitted = MFCC(8000)
    check_is_fitted(unfitted)
    fitted = MFCC(8000).fit(X)
    assert_array_equal(unfitted.transform(X).values, fitted.transform(X).values)
    assert fitted.n_features_in_ == fitted.n_channels_in_ == 1
    assert not hasattr(unfitted, "n_features_in_")


@pytest.mark.parametrize("transformer", [LogMel(n_mels=3), MFCC(n_mfcc=3, deltas=1)])
def test_names_of_the_features(transformer):
    names = list(transformer.get_feature_names_out())
    logmel = ["logmel0", "logmel1", "logmel2"]
    mfcc = ["mfcc0", "mfcc1", "mfcc2", "delta_mfcc0", "delta_mfcc1", "delta_mfcc2"]
    assert names == (logmel if isinstance(transformer, LogMel) else mfcc)
    assert transformer.transform([GOOD]).n_channels == len(names)
    slopes = clone(transformer).set_params(deltas=2).get_feature_names_out()
    assert slopes[-1] == f"delta2_{names[2]}"


def test_sequences_are_never_put_into_a_frame():
    with config_context(transform_output="pandas"):
        assert isinstance(LogMel(8000).fit_transform([GOOD]), Sequences)
        assert isinstance(LogMel(8000).transform([GOOD]), Sequences)


def test_survives_pickling():
    transformer = MFCC(8000, n_mfcc=5).fit([GOOD])
    again = pickle.loads(pickle.dumps(transformer))
    assert_array_equal(again.transform([GOOD])[0], transformer.transform([GOOD])[0])


@pytest.fixture(scope="module")
def spoken():
    """Low and high tones of any length in noise, as 16-bit PCM."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = []
    for high in y:
        n = rng.integers(900, 2500)
        x = tone(rng.uniform(1800, 2200) if high else rng.uniform(400, 600), n_values=n)
        X.append(((x + rng.normal(0, 0.1, n)) * 2**14).astype(np.int16))
    return X, y


@pytest.mark.needs_jit
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_pipeline_and_search(spoken):
    X, y = spoken
    network = RNNClassifier((8,), cell="gru", max_iter=15, random_state=0)
    pipeline = make_pipeline(MFCC(8000), SequenceScaler(), network)
    assert pipeline.fit(X[:30], y[:30]).score(X[30:], y[30:]) == 1
    grid = {"mfcc__n_mfcc": [2, 5], "mfcc__normalize": [None, "mean"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(pd.Series(X), y)
    assert set(search.best_params_) == set(grid)
    assert search.best_estimator_["mfcc"].n_mfcc == search.best_params_["mfcc__n_mfcc"]


# --- real speech ----------------------------------------------------------------------


def split(values, lengths):
    return np.split(values, np.cumsum(lengths)[:-1])


def test_spoken_digits_have_the_coefficients_that_others_computed(data_dir):
    """The files are of the same recordings, the second by another program.

    That program divides energies by the length of the Fourier transform, which adds a
    constant to the first coefficient alone; it adds 1e-10 instead of having a floor;
    and it kept 16-bit floats.
    """
    audio = np.load(data_dir / "fsdd_audio.npz")
    reference = np.load(data_dir / "fsdd_mfcc13.npz")
    names = zip(audio["digit"], audio["speaker"], audio["index"], strict=True)
    recordings = dict(zip(names, split(audio["values"], audio["lengths"]), strict=True))
    names = zip(reference["y"], reference["speaker"], reference["index"], strict=True)
    transformer = MFCC(
        8000, n_mels=26, f_min=50, window="hamming", log_floor=256 * 1e-10
    )
    features = transformer.fit_transform([recordings[name] for name in names])

    assert_array_equal(features.lengths, reference["lengths"])
    ours, theirs = features.values, reference["values"].astype(np.float32)
    theirs[:, 0] += np.sqrt(26) * np.log(256)
    for i in range(13):
        assert np.corrcoef(ours[:, i], theirs[:, i])[0, 1] > 0.9998, i
    assert np.abs(ours - theirs).mean() < 0.02
