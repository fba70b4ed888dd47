"""The report: one file that needs no other, complete, and safe whatever a recipe or a plugin says."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import SAME
from wavekit_core.kinds import Metric
from wavekit_core.pictures import grid, levels, pairs, png
from wavekit_core.report.glossary import sentences
from wavekit_core.report.sections import picture, table
from wavekit_core.report.standard import _coded, _in_turn, _spread, _terms
from wavekit_core.runs.folder import RunFolder
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)
RECIPE = """
name: small
data: {use: digits, size: 8}
generator: {use: wvae, width: 8, encoder: bottleneck, code: 4, regularizers: [{use: gaussian-kl}]}
sampler: {use: posterior-fit, components: 1}
train: {steps: 4, batch_size: 16, checkpoint_every: 2, log_every: 1}
samples: {count: 16, batch_size: 16}
evaluate: [{use: mse}, {use: nearest}]
control: {use: gmm, principal: 4, components: 1}
"""
HOOKS = (
    SAME
    + """
    from wavekit_core.hooks import hookimpl
    from wavekit_core.report.sections import Section

    @hookimpl
    def report_section(SIGNATURE):
        BODY
"""
)


class Page(HTMLParser):
    """Titles, the attributes that load something, and whether every element is closed."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str):
        super().__init__()
        self.titles: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action", "poster"):
                self.links.append(value)
            self.handlers += [name] if name.startswith("on") else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)


@pytest.fixture
def report(wavekit, recipe, tmp_path):
    """`report(text)` runs a recipe and gives the page's text."""

    def make(text: str = RECIPE, *settings: str) -> str:
        options = [part for setting in settings for part in ("-s", setting)]
        code, _, err = wavekit("run", recipe(text), "--out", "run", *options)
        assert code == 0, err
        return (tmp_path / "run/report.html").read_text()

    return make


def test_the_page_needs_nothing_but_itself(report):
    text = report()
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[A-Za-z0-9+/=]*", "", text))
    assert page.links
    assert all(link.startswith(("data:image/png;base64,", "data:image/jpeg;base64,", "#s")) for link in page.links)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not page.handlers
    assert page.open in ([], ["html"])
    for link in page.links:
        if link.startswith("data:"):
            Image.open(io.BytesIO(base64.b64decode(link.split(",")[1]))).verify()


def test_every_section_is_there_in_its_order(report):
    page = Page(report())
    assert page.titles == [
        "Samples",
        "Figures",
        "Reconstructions",
        "Curves",
        "Spaces",
        "Wavelet latent",
        "Recipe",
        "Environment",
    ]
    anchors = [link for link in page.links if link.startswith("#")]
    assert anchors == [f"#s{i}" for i in range(1, 9)]


def test_figures_curves_and_way_are_told(report):
    text = report()
    for words in ("mse", "nearest", "control", "real images", "averaged weights", "Samples at step 4", "step 2"):
        assert words in text
    assert 'data-step="4"' in text
    assert "# default" in text
    assert "parameters." in text


def test_samples_real_images_and_the_control_are_of_one_scale(report):
    row = re.search(r"<div class=row>(.*?)</div>", report(), re.S)[1]
    sizes = [Image.open(io.BytesIO(base64.b64decode(data))).size for data in re.findall(r"base64,([^\"]*)", row)]
    assert len(sizes) == 3
    assert {width for width, _ in sizes} == {10 * (8 * 4 + 1) + 1}


@pytest.mark.parametrize(("classes", "said"), [(10, True), (3, False)])
def test_a_column_a_class_is_said_where_there_are_as_many(wavekit, recipe, tmp_path, classes, said):
    for label in range(classes):
        (tmp_path / "images" / f"c{label}").mkdir(parents=True)
        for i in range(8):
            Image.fromarray(np.full((8, 8), 3 * i + 20 * label, np.uint8)).save(tmp_path / f"images/c{label}/{i}.png")
    text = f"""
        data: {{use: image-folder, path: '{tmp_path / "images"}', size: 8, channels: 1, held_out: 0.3}}
        generator: {{use: gmm, principal: 2, components: 1}}
        samples: {{count: 8, batch_size: 8}}
    """
    code, _, err = wavekit("run", recipe(text), "--out", "run")
    assert code == 0, err
    assert ("a column a class" in (tmp_path / "run/report.html").read_text()) == said


def test_terms_of_a_large_family_share_a_panel_and_others_have_their_own():
    names = [
        "elbo/loss",
        "elbo/mse",
        "elbo/sigma",
        "elbo/norm",
        "g/few/a",
        "g/few/b",
        *(f"elbo/noise/{i}" for i in range(12)),
    ]
    shown = _terms({name: [(1.0, 2.0)] for name in names})
    assert [panel.title for panel in shown] == [*names[:6], "elbo/noise/…"]
    assert [panel.named for panel in shown] == [False] * 6 + [True]
    looks = [(curve.colour, curve.style) for curve in shown[-1].curves]
    assert [curve.label for curve in shown[-1].curves] == [str(i) for i in range(12)]
    assert len(set(looks)) == 12


def test_what_stands_between_backticks_is_code_and_all_else_is_text():
    assert _coded("`<a>` and <b>") == "<code>&lt;a&gt;</code> and &lt;b&gt;"


def test_real_images_and_the_control_stand_beside_the_model_and_figures_are_explained_by_their_metric(report):
    text = report()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert captions[:4] == [
        "Samples at step 4, a column a class",
        "Real held-out images",
        "Samples of the control (gmm), which trains no network",
        "step 2",
    ]
    words = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    assert set(words) >= {"mse", "nearest", "control", "real images", "N", "better"}
    assert words["mse"] == "The mean squared difference of a pixel, in the data set&#x27;s range."
    assert all(said.endswith(".") and len(said) < 250 for said in words.values())


def test_real_images_are_arranged_class_after_class():
    labels = torch.tensor([2, 0, 0, 1, 2, 1, 0, 1])
    images = torch.arange(8.0).reshape(8, 1, 1, 1)
    assert _in_turn(images, labels, 3).flatten().tolist() == [1, 3, 0, 2, 5, 4]
    assert _in_turn(images, labels, 4).equal(images)  # a class is missing


class _Bare(Metric):
    """Counts what nobody asked for (Nobody et al. 1999). More than one sentence. `b`: a second figure; not more."""

    reads = "samples"

    def measure(self, evidence):
        return []


def test_a_glossary_takes_entries_by_name_and_else_the_first_sentence():
    assert sentences([_Bare()], ["b/x", "c"]) == [("b", "A second figure.")]
    assert sentences([_Bare()], ["bc"]) == [("_Bare", "Counts what nobody asked for.")]


def test_a_large_picture_is_embedded_small_enough_and_a_small_one_exactly():
    noise = np.random.default_rng(0).integers(0, 256, (2057, 2571, 3), np.uint8)
    kind, data = re.search(r'src="data:image/(\w+);base64,([^"]*)"', picture(png(noise), "large")).groups()
    shown = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (kind, shown.size) == ("jpeg", (1400, 1120))
    assert len(data) < 2_000_000  # noise is the worst of all pictures
    small = png(noise[:100, :100])
    assert base64.b64encode(small).decode() in picture(small, "small")


def test_sections_without_content_are_left_out(report):
    text = report("data: {use: digits, size: 8}\ngenerator: {use: oracle-shrinkage}\n")
    assert Page(text).titles == ["Reconstructions", "Spaces", "Recipe", "Environment"]


def test_what_a_recipe_says_is_text(wavekit, recipe, tmp_path):
    root = tmp_path / "<img src=x onerror=alert(1)>&amp;"
    for name in ("<b>one", '"two"'):
        (root / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.full((8, 8), 20 * i + (120 if name == "<b>one" else 0), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    text = f"""
        data: {{use: image-folder, path: '{root}', size: 8, channels: 1, held_out: 0.3}}
        generator: {{use: gmm, principal: 2, components: 1}}
        samples: {{count: 4, batch_size: 4}}
    """
    code, _, err = wavekit("run", recipe(text), "--out", "run")
    assert code == 0, err
    written = (tmp_path / "run/report.html").read_text()
    page = Page(written)
    assert not page.handlers
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;amp;" in written
    assert all(link.startswith(("data:", "#s")) for link in page.links)


TERMS = """
    import functools
    import torch
    from torch import nn
    from wavekit_core.kinds import Generator, Loss, Objective
    from wavekit_core.spaces import ImageSpace

    class Terms(Generator):
        def __init__(self, space: ImageSpace):
            super().__init__()
            self.space, self.p = space, nn.Parameter(torch.ones(()))

        def objectives(self):
            sgd = functools.partial(torch.optim.SGD, lr=0.1)
            return [Objective("<i>$x_$", [{"params": [self.p]}], self.loss, sgd)]

        def loss(self, batch):
            return Loss(self.p**2, {"$\\\\frac{$ <u>": self.p})
"""


def test_what_a_plugin_calls_its_terms_is_text(report, plugins):
    plugins("wk-terms", TERMS, {"wavekit.v1.generator": {"terms": "wk_terms:Terms"}})
    text = report("data: {use: digits, size: 8}\ngenerator: {use: terms}\ntrain: {steps: 1, batch_size: 4}\n")
    page = Page(text)
    assert "Curves" in page.titles
    assert not page.tags & {"i", "u"}


@pytest.mark.parametrize(
    ("signature", "body", "words"),
    [
        (
            "view",
            "raise RuntimeError('no <b>luck</b>')",
            ["A plugin's section failed", "RuntimeError: no &lt;b&gt;luck"],
        ),
        ("view", "return 'text'", ["A plugin's section failed", "it gave a str, no Section"]),
        (
            "view",
            "return Section('Mine & <yours>', '<p>all of it</p>')",
            ["Mine &amp; &lt;yours&gt;", "<p>all of it</p>"],
        ),
        ("", "return Section('Blind', '<p>sees nothing</p>')", ["Blind", "<p>sees nothing</p>"]),
        ("view", "return None", []),
    ],
    ids=["raises", "gives text", "gives a section", "takes nothing", "gives none"],
)
def test_sections_of_plugins_stand_before_the_recipe_and_their_faults_in_their_place(
    report, plugins, signature, body, words
):
    source = HOOKS.replace("SIGNATURE", signature).replace("BODY", body)
    plugins("wk-same", source, {"wavekit.v1.transform": {"same": "wk_same:Same"}})
    text = report(RECIPE, "transform={use: same}", "evaluate=[]")
    assert all(word in text.replace("&#39;", "'") for word in words)
    titles = Page(text).titles
    assert titles[-2:] == ["Recipe", "Environment"]
    assert len(titles) == 7 + bool(words)
    if words:
        assert text.index("<h2>Spaces") < text.index(words[-1]) < text.index("<h2>Recipe")


def test_the_report_can_be_written_again_and_draws_what_was_measured_since(report, wavekit, tmp_path):
    first = report(RECIPE, "evaluate=[{use: mse}]")
    assert wavekit("report", "run")[0] == 0
    assert (tmp_path / "run/report.html").read_text() == first
    before = RunFolder(tmp_path / "run").fingerprint()
    assert wavekit("evaluate", "run", "--at", "all")[0] == 0
    assert wavekit("report", "run")[0] == 0
    again = (tmp_path / "run/report.html").read_text()
    assert again.replace(curves_of(again), "") == first.replace(curves_of(first), "")
    assert curves_of(again) != curves_of(first)
    assert RunFolder(tmp_path / "run").fingerprint() == before


def curves_of(page: str) -> str:
    return re.search(r"<h2>Curves</h2>.*?</section>", page, re.S)[0]


def test_tables_and_captions_escape():
    made = table(["<a>"], [["<b>", 3]])
    assert made == "<table><tr><th>&lt;a&gt;</th></tr><tr><td>&lt;b&gt;</td><td>3</td></tr></table>"
    assert "<figcaption>&lt;i&gt;&quot;</figcaption>" in picture(b"", '<i>"')
    assert 'alt="&lt;i&gt;&quot;"' in picture(b"", '<i>"')


@pytest.mark.parametrize("count", range(1, 30))
def test_the_way_through_training_keeps_the_ends_and_at_most_six(count):
    steps = list(range(10, 10 + count))
    shown = _spread(steps, 6)
    assert len(shown) == min(count, 6)
    assert shown == sorted(set(shown))
    assert (shown[0], shown[-1]) == (steps[0], steps[-1])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_grid_shows_every_image_in_its_place(channels):
    space = ImageSpace(channels, 2, 3, -1, 1)
    images = torch.rand(5, channels, 2, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    picture_of = np.asarray(Image.open(io.BytesIO(grid(images, space, 3))))
    shown = picture_of if picture_of.ndim == 3 else picture_of[..., None]
    pixels, scale = levels(images, space), 4
    assert shown.shape[:2] == (2 * (2 * scale + 1) + 1, 3 * (3 * scale + 1) + 1)
    for i in range(5):
        top, left = (i // 3) * (2 * scale + 1) + 1, (i % 3) * (3 * scale + 1) + 1
        cell = shown[top : top + 2 * scale : scale, left : left + 3 * scale : scale]
        np.testing.assert_array_equal(cell.transpose(2, 0, 1), pixels[i][: 3 if channels >= 3 else 1])
    assert (shown[0] == 96).all()


def test_pairs_stand_above_each_other():
    upper, lower = torch.arange(5.0), -torch.arange(5.0)
    assert pairs(upper, lower, 3).tolist() == [0, 1, 2, 0, -1, -2, 3, 4, -3, -4]
    assert png(np.zeros((2, 2), np.uint8)).startswith(b"\x89PNG")
