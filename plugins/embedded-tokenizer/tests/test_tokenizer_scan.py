"""The order of places."""

import numpy as np
import pytest
from wavekit_embedded_tokenizer.scan import scan

from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import FilterBank, WaveletTransform


def space(*image, levels=3):
    return WaveletTransform(FilterBank.from_pywt("haar"), levels=levels).target(ImageSpace(*image))


@pytest.mark.parametrize("order", ["raster", "morton"])
def test_every_coefficient_is_visited_once_in_blocks_of_its_band(order):
    source = space(2, 32, 48)
    made = scan(source, order)
    assert sorted(made.element) == list(range(source.numbers))
    blocks = {name: getattr(made, name).reshape(-1, 16) for name in ("row", "column", "band", "level", "channel")}
    coarsest = blocks["level"][:, 0] == 3
    fine = ~coarsest
    assert (np.ptp(blocks["band"], 1)[fine] == 0).all()
    assert (blocks["band"][coarsest & (blocks["band"][:, 0] == 0)] == np.repeat([0, 1, 2, 3], 4)).all()
    for axis in ("row", "column"):
        assert (blocks[axis][fine] // 4 == blocks[axis][fine][:, :1] // 4).all()
        groups = blocks[axis].reshape(-1, 4)
        assert (groups // 2 == groups[:, :1] // 2).all()
    assert (np.diff(made.channel) >= 0).all()
    assert (np.diff(made.level[made.channel == 0]) <= 0).all()


def test_relations_are_those_of_the_places_by_their_names():
    source = space(2, 16, 32, levels=2)
    made = scan(source)
    keys = list(zip(made.channel, made.level, made.band, made.row, made.column, strict=True))
    place = {key: k for k, key in enumerate(keys)}
    for k, (channel, level, band, row, column) in enumerate(keys):
        assert made.left[k] == place.get((channel, level, band, row, column - 1), -1)
        assert made.up[k] == place.get((channel, level, band, row - 1, column), -1)
        if band == 0:
            assert made.parent[k] == -1
        elif level < source.levels:
            assert made.parent[k] == place[channel, level + 1, band, row // 2, column // 2]
        else:
            above = (row // 2 * 2 + (band in (2, 3)), column // 2 * 2 + (band in (1, 3)))
            assert made.parent[k] == place[(channel, level, 0, *above)]


def test_morton_visits_blocks_along_a_z():
    made = scan(space(1, 32, 32, levels=1), "morton")
    first = made.row[made.band == 1].reshape(-1, 4)[:, 0], made.column[made.band == 1].reshape(-1, 4)[:, 0]
    assert list(zip(*(axis[:4] for axis in first), strict=True)) == [(0, 0), (0, 2), (2, 0), (2, 2)]
