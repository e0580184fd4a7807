from __future__ import annotations

from histocerb.core.geometry import Region
from histocerb.postproc.seams import CutUnit, Seams

LEFT = CutUnit(Region(6, 0, 2, 3), (0, 7), [(1, 8, 0), (1, 8, 2)])
MIDDLE = CutUnit(Region(8, 0, 8, 1), (0, 8), [(1, 8, 0), (1, 16, 0)])
LOWER = CutUnit(Region(8, 2, 1, 1), (2, 8), [(1, 8, 2)])
RIGHT = CutUnit(Region(16, 0, 1, 1), (0, 16), [(1, 16, 0)])


def test_a_group_is_complete_when_every_place_is_settled():
    seams = Seams()
    assert seams.add([LEFT]) == []
    assert seams.add([RIGHT]) == []
    (group,) = seams.add([MIDDLE, LOWER])
    assert group.box == Region(6, 0, 11, 3)
    assert group.open_places == 0
    assert len(group.members) == 4
    assert seams.remaining() == []


def test_units_of_one_tile_may_turn_out_to_be_one():
    seams = Seams()
    seams.add([MIDDLE, LOWER])
    assert seams.add([LEFT]) == []
    (group,) = seams.remaining()
    assert group.open_places == 1
    assert group.box == Region(6, 0, 10, 3)


def test_two_units_may_meet_more_than_once():
    seams = Seams()
    seams.add([LEFT])
    (group,) = seams.add([CutUnit(Region(8, 0, 3, 3), (0, 8), LEFT.places)])
    assert (group.open_places, len(group.members)) == (0, 2)


def test_the_state_goes_on_where_it_stopped():
    seams = Seams()
    seams.add([LEFT])
    seams.add([RIGHT])
    again = Seams.from_state(seams.state())
    assert {k: v.tolist() for k, v in again.state().items()} == {
        k: v.tolist() for k, v in seams.state().items()
    }
    assert [g.box for g in again.add([MIDDLE, LOWER])] == [g.box for g in seams.add([MIDDLE, LOWER])]
