import pytest

from utils.sessions.regions import UNKNOWN, area_of, region_table

LAYER_1_TO_AREA = {
    593: ("VISp", 385),
    421: ("VISl", 409),
    1074: ("VISal", 402),
    312782604: ("VISrl", 417),
    312782550: ("VISa", 312782546),
    281: ("VISam", 394),
    805: ("VISpm", 533),
    671: ("RSPagl", 894),
    442: ("RSPd", 879),
    656: ("MOs", 993),
    320: ("MOp", 985),
    981: ("SSp-bfd", 329),
    1006: ("SSp-tr", 361),
    450: ("SSp-ul", 369),
    1030: ("SSp-ll", 337),
}


@pytest.mark.parametrize(("layer", "area"), LAYER_1_TO_AREA.items())
def test_layers_become_areas(layer, area):
    assert area_of(layer) == area


def test_areas_stay_and_hemispheres_join():
    table = region_table([385, -593, 593])
    assert table["region"].tolist() == ["VISp"] * 3
    assert table["region_id"].tolist() == [385] * 3


def test_unknown_ids_are_said():
    table = region_table([5_000_000, 0])
    assert table["region"].tolist() == [UNKNOWN, UNKNOWN]
    assert table["region_id"].tolist() == [5_000_000, 0]


def test_no_rois():
    assert region_table([]).shape == (0, 2)


def test_a_layer_in_the_name_of_an_area_is_no_cortical_layer():
    assert area_of(842)[0] == "SCsg"  # "Superior colliculus, superficial gray layer"
