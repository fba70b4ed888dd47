import numpy as np
import pytest
from PIL import Image

from wavekit_core.data.fit import fit_pixels, tile_count, tile_place
from wavekit_core.data.held_out import by_index, by_name
from wavekit_core.data.views import View
from wavekit_core.errors import DataError, RecipeError

RNG = np.random.default_rng(0)


def cubic(distance):
    """Keys (1981), a = -1/2, which Pillow's bicubic filter is."""
    d = np.abs(distance)
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def matrix(length, size):
    """Bicubic resampling of one axis, antialiased: the kernel is as wide as the step, weights cut at the edge sum to one."""
    step = length / size
    centres = (np.arange(size) + 0.5) * step - 0.5
    weights = cubic((np.arange(length) - centres[:, None]) / max(step, 1))
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [128, 64, 12, 7])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 20, 31), (2, 31, 20)])
def test_resize_is_antialiased_bicubic_interpolation(shape, size):
    smooth = np.cumsum(RNG.integers(-6, 7, shape), axis=-1)
    pixels = (128 + smooth).clip(40, 215).astype(np.uint8)  # far from where 8 bits would clip what overshoots
    expected = matrix(shape[1], size) @ pixels @ matrix(shape[2], size).T
    assert np.abs(fit_pixels(pixels, size, "resize") - expected).max() < 1.6  # both passes round


def test_resize_crop_takes_the_centred_square():
    pixels = RNG.integers(0, 256, (3, 20, 50), dtype=np.uint8)
    assert np.array_equal(fit_pixels(pixels, 20, "resize-crop"), pixels[:, :, 15:35])
    halved, alone = fit_pixels(pixels, 10, "resize-crop"), fit_pixels(pixels[:, :, 15:35], 10, "resize")
    assert np.array_equal(
        halved[:, :, 2:-2], alone[:, :, 2:-2]
    )  # at the sides the filter sees what lies beyond the square


def test_pad_puts_zeros_around_and_refuses_what_is_larger():
    pixels = RNG.integers(1, 256, (3, 5, 8), dtype=np.uint8)
    padded = fit_pixels(pixels, 10, "pad")
    assert np.array_equal(padded[:, 2:7, 1:9], pixels)
    assert padded.sum() == pixels.sum()
    with pytest.raises(DataError, match=r"5×8 pixels, to be padded to 7×7; use a larger size"):
        fit_pixels(pixels, 7, "pad")


def test_an_image_of_the_size_stays_as_it_is():
    pixels = RNG.integers(0, 256, (3, 16, 16), dtype=np.uint8)
    for fit in ("resize-crop", "resize", "pad", "crop"):
        assert np.array_equal(fit_pixels(pixels, 16, fit), pixels)


def test_tiles_are_disjoint_and_inside():
    covered = np.zeros((480, 640), int)
    for tile in range(tile_count(480, 640, 128)):
        top, left = tile_place(480, 640, 128, tile)
        covered[top : top + 128, left : left + 128] += 1
    assert tile_count(480, 640, 128) == tile_count(640, 480, 128) == 15
    assert covered.max() == 1
    assert covered.sum() == 15 * 128 * 128


def test_random_crops_reach_every_place_and_nothing_outside():
    pixels = np.arange(7 * 9, dtype=np.uint8).reshape(1, 7, 9)
    view = View(4, "crop", random_crops=True)
    corners = [int(view.of(pixels, 0, int(word))[0, 0, 0]) for word in np.random.Philox(key=1).random_raw(4000)]
    reached, counts = np.unique(corners, return_counts=True)
    assert reached.tolist() == [9 * top + left for top in range(4) for left in range(6)]
    assert 100 < counts.min() <= counts.max() < 240  # 24 places, 4000 words: 167 ± 13
    assert view.of(pixels, 0, 2**64 - 1)[0, 0, 0] == 9 * 3 + 5
    assert view.of(pixels, 1, None)[0, 0, 0] == 4


def test_half_of_all_words_mirror_and_the_place_does_not_tell():
    pixels = np.arange(5 * 6, dtype=np.uint8).reshape(1, 5, 6)
    view = View(3, "crop", random_crops=True, flip=True)
    plain = View(3, "crop", random_crops=True)
    words = [int(word) for word in np.random.Philox(key=2).random_raw(1000)]
    mirrored = 0
    for word in words:
        seen, unmirrored = view.of(pixels, 0, word), plain.of(pixels, 0, word)
        same = np.array_equal(seen, unmirrored)
        assert same or np.array_equal(seen, unmirrored[:, :, ::-1])
        mirrored += not same
    assert 420 < mirrored < 580


def test_views_that_contradict_themselves_are_refused():
    with pytest.raises(RecipeError, match="write fit: crop"):
        View(8, "resize", random_crops=True)
    with pytest.raises(RecipeError, match="no size is given"):
        View(None, "crop")


def test_a_number_holds_out_the_last_and_a_fraction_spreads_evenly():
    assert np.flatnonzero(by_index("x", 10, 3)).tolist() == [7, 8, 9]
    assert np.flatnonzero(by_index("x", 40, 0.1)).tolist() == [9, 19, 29, 39]
    assert by_index("x", 10_000, 0.37).sum() == 3700
    assert by_index("x", 3, 0.001).sum() == 1
    assert by_index("x", 3, 0.999).sum() == 2
    for count, part in ((3, 3), (1, 0.5)):
        with pytest.raises(DataError, match="x: "):
            by_index("x", count, part)


def test_equal_names_stay_together():
    names = [f"slide-{i % 20}" for i in range(200)]
    chosen = by_name("x", names, 0.3)
    for name in set(names):
        assert len({bool(held) for held, other in zip(chosen, names, strict=True) if other == name}) == 1
    assert 0 < chosen.sum() < 200
    with pytest.raises(DataError, match="only one image or folder"):
        by_name("x", ["a", "a"], 0.5)


def test_pillow_agrees_on_colour():
    pixels = RNG.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    image = Image.fromarray(pixels.transpose(1, 2, 0)).resize((128, 128), Image.Resampling.BICUBIC)
    assert np.array_equal(fit_pixels(pixels, 128, "resize"), np.asarray(image).transpose(2, 0, 1))
