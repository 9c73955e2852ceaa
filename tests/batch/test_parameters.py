"""Wrong names and types are refused with what was expected."""

import pytest

from utils.batch.parameters import ParameterError, check_parameters, parse_parameters
from utils.notebooks import NotebookError

DEFAULTS = {
    "session": "small",
    "overrides": [],
    "seed": 0,
    "fraction": 0.5,
    "quick": False,
    "rate": None,
    "options": {},
    "run_dir": "",
}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("session", "1e-3", "1e-3"),
        ("session", "20", "20"),
        ("seed", "7", 7),
        ("fraction", "2", 2.0),
        ("fraction", "1e-3", 0.001),
        ("fraction", ".5", 0.5),
        ("quick", "true", True),
        ("quick", "False", False),
        ("overrides", "[model=linear, model.context=96]", ["model=linear", "model.context=96"]),
        ("overrides", '["a=1"]', ["a=1"]),
        ("options", "{a: 1}", {"a": 1}),
        ("rate", "10", 10),
        ("rate", "5.07", 5.07),
        ("rate", "null", None),
        ("rate", "None", None),
        ("rate", "nominal", "nominal"),
        ("rate", "[1, 2]", [1, 2]),
    ],
)
def test_texts_are_read_by_the_type_of_the_default(name, text, value):
    parsed = parse_parameters([(name, text)], DEFAULTS)
    assert parsed == {name: value}
    assert type(parsed[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seed", "1.5"),
        ("seed", "seven"),
        ("seed", "true"),
        ("fraction", "half"),
        ("quick", "1"),
        ("overrides", "a=1"),
        ("overrides", "{a: 1}"),
        ("options", "[1"),
    ],
)
def test_a_wrong_type_is_refused(name, text):
    with pytest.raises(
        ParameterError, match=f"'{name}' = .*expected {type(DEFAULTS[name]).__name__}"
    ):
        parse_parameters([(name, text)], DEFAULTS)


def test_a_misspelt_name_is_refused_with_near_matches():
    with pytest.raises(ParameterError, match="unknown parameter 'sesion'; did you mean session"):
        parse_parameters([("sesion", "small")], DEFAULTS)
    with pytest.raises(ParameterError, match="unknown parameter 'sede'"):
        check_parameters({"sede": 1}, DEFAULTS, "tiny")


def test_the_ledger_owns_run_dir():
    with pytest.raises(ParameterError, match="set by the run ledger"):
        check_parameters({"run_dir": "here"}, DEFAULTS, "tiny")
    with pytest.raises(NotebookError, match="tiny: no parameter 'run_dir'"):
        check_parameters({}, {"session": "small"}, "tiny")


def test_defaults_are_completed_and_none_is_only_for_optional_ones():
    complete = check_parameters({"seed": 3}, DEFAULTS, "tiny")
    assert complete == {**{k: v for k, v in DEFAULTS.items() if k != "run_dir"}, "seed": 3}
    with pytest.raises(ParameterError, match="expected int"):
        check_parameters({"seed": None}, DEFAULTS, "tiny")
