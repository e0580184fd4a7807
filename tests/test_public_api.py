import resource
import subprocess
import sys

import pytest

import histocerb
from histocerb.core import errors

HEAVY = ("torch", "cv2", "pyarrow", "numba", "lightning", "openvino", "scipy", "openslide", "ray", "fsspec")


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("name", histocerb.__all__)
def test_every_public_name_resolves(name):
    assert getattr(histocerb, name) is getattr(histocerb, name)


def test_all_is_what_resolves():
    assert sorted(dir(histocerb)) == sorted(histocerb.__all__) == sorted(set(histocerb.__all__))
    assert sorted(histocerb._HOME_OF) == sorted(set(histocerb.__all__) - {"__version__"})


def test_every_error_is_public():
    own = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert own <= set(histocerb.__all__)
    assert all(issubclass(getattr(histocerb, name), histocerb.HistocerbError) for name in own)


def test_names_keep_their_own_name():
    functions = [name for name in histocerb.__all__ if name not in ("CERBERUS", "__version__")]
    assert [getattr(histocerb, name).__name__ for name in functions] == functions


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        histocerb.nothing  # noqa: B018


@pytest.mark.parametrize(
    "code",
    ["import histocerb", "from histocerb.cli.main import main; main(['--help'])"],
    ids=["import", "help"],
)
def test_nothing_heavy_is_imported(code):
    loaded = fresh(f"{code}\nimport sys\nprint('loaded', *(m for m in {HEAVY!r} if m in sys.modules))")
    assert loaded.splitlines()[-1] == "loaded"


def test_help_is_quick():
    code = "from histocerb.cli.main import main; main(['--help'])"
    fresh(code)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    fresh(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1, "about 0.15 s of processor time"
