"""The examples with other libraries run, and the network is better than repetition."""

import re

import pytest

from tests.test_examples import load

pytestmark = [
    pytest.mark.needs_jit,
    # of a default of sktime's that is to change
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize("library", ["sktime", "skforecast", "mlforecast", "dask"])
def test_example_runs_and_beats_the_period_before(library, capsys):
    pytest.importorskip(library)
    if library == "dask":
        pytest.importorskip("distributed")
        pytest.importorskip("pyarrow")
    load(f"with_{library}").main()
    printed = capsys.readouterr().out
    before, network = re.findall(r"^\D+ (\d+\.\d\d)$", printed, re.MULTILINE)
    assert float(network) < 0.5 * float(before)
