"""What is to be installed for a model's file is told at once, and where an image gets it from."""

import pytest

from scoring.forms import extras
from scoring.forms.extras import lacking

SKOPS = ModuleNotFoundError("No module named 'skops'", name="skops")


@pytest.fixture
def installed(monkeypatch):
    """Only what is named here is installed."""
    names: set[str] = set()
    monkeypatch.setattr(extras, "find_spec", lambda name: object() if name in names else None)
    return names


@pytest.mark.parametrize(
    ("data", "extra", "argument"),
    [
        (b'"sklearn.svm"', "sklearn", "sklearn"),
        (b'"sklearn.pipeline" "lightgbm.sklearn"', "lightgbm", "lightgbm"),
        (b"sklearn.x lightgbm.y xgboost.z", "lightgbm,xgboost", "lightgbm xgboost"),
        (b"", "sklearn", "sklearn"),
    ],
)
def test_every_extra_that_the_file_needs(installed, data, extra, argument):
    told = str(lacking("model.skops", SKOPS, data))
    assert "model.skops: skops is not installed" in told
    assert f"pip install 'shapserve[{extra}]'" in told
    assert f"--build-arg EXTRAS='{argument}'" in told


def test_what_is_installed_is_not_asked_for(installed):
    installed |= {"skops", "sklearn", "pandas", "scipy", "joblib", "xgboost"}
    missed = ModuleNotFoundError("No module named 'lightgbm'", name="lightgbm")
    told = str(lacking("model.skops", missed, b"sklearn.x lightgbm.y xgboost.z"))
    assert "EXTRAS='lightgbm'" in told


def test_a_module_of_the_users_own(installed):
    installed.update(extras.EXTRAS)
    missed = ModuleNotFoundError("No module named 'zq_own'", name="zq_own.parts")
    told = str(lacking("model.pkl", missed, b"sklearn.x zq_own.y"))
    assert "No module named 'zq_own'" in told
    assert "requirements/own" in told
