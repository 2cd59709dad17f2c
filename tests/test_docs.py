"""README.md and docs/*.md: every block of Python runs and prints what it says."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)]+)\)")
# Pages whose code needs libraries that the tests do not.
NEEDS = {
    "forecasting.md": ["matplotlib", "statsmodels"],
    "large_panels.md": ["dask.dataframe", "distributed", "pyarrow"],
    "other_libraries.md": ["sktime", "skforecast", "mlforecast"],
}
NUMBER = re.compile(r"-?\d+\.\d+")


def expected_lines(code):
    """Return what the comments behind the prints of a block say."""
    return re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)


def assert_same(printed, expected):
    """Compare a line; decimals may differ a little from host to host."""
    assert NUMBER.sub("0.0", printed) == NUMBER.sub("0.0", expected)
    values = [float(x) for x in NUMBER.findall(printed)]
    assert values == pytest.approx(
        [float(x) for x in NUMBER.findall(expected)], abs=0.01
    )


@pytest.mark.needs_jit
# sktime's, about a default of its own
@pytest.mark.filterwarnings("ignore:The default of config:FutureWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_runs_and_prints_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where pages may write files
    for library in NEEDS.get(page.name, []):
        pytest.importorskip(library)
    namespace = {"__name__": page.stem}
    for number, code in enumerate(PYTHON.findall(page.read_text("utf-8")), 1):
        output = io.StringIO()
        with redirect_stdout(output):
            exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)
        printed, expected = output.getvalue().splitlines(), expected_lines(code)
        assert len(printed) == len(expected), (number, printed)
        for pair in zip(printed, expected, strict=True):
            assert_same(*pair)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    targets = [t.split("#")[0] for t in LINK.findall(page.read_text("utf-8"))]
    local = [t for t in targets if t and "://" not in t]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing


def test_readme_has_the_two_commands_that_ci_runs():
    blocks = re.findall(
        r"^```bash\n(.*?)^```", PAGES[0].read_text("utf-8"), re.M | re.S
    )
    commands = [line for block in blocks for line in block.splitlines() if "&&" in line]
    assert commands == [
        'pip install ".[examples]" && python examples/quickstart.py',
        'pip install ".[test]" && pytest',
    ]
