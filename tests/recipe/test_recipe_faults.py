"""Every fault of a recipe at once, with its place, what was found and what to do."""

import pytest

from wavekit_core.recipe.faults import RecipeFaults
from wavekit_core.recipe.recipe import load

SIX_MISTAKES = """
    name: six mistakes
    data: {use: digits, size: 17}
    transform: {use: harr, levels: 2}
    generator:
      use: wvae
      encodr: bottleneck
      width: "32"
      code: 0
    sampler: {use: posterior-fit}
    train: {steps: .nan}
"""


def test_six_mistakes_are_six_faults_each_with_its_line(wavekit, recipe):
    code, _, err = wavekit("check", recipe(SIX_MISTAKES))
    assert code == 2
    for line, words in {
        1: ["name of a recipe", "six mistakes"],
        2: ["size of digits is 17", "16"],
        3: ["'harr'", "did you mean 'haar'"],
        6: ["'encodr'", "did you mean 'encoder'"],
        7: ["width of wvae is '32'", "integer"],
        8: ["code of wvae is 0", "greater than"],
        10: ["train.steps"],
    }.items():
        fault = next(part for part in err.split("error: ") if f"recipe.yaml:{line}:" in part)
        assert all(word in fault for word in words), fault
        assert "^" in fault
    assert "Traceback" not in err
    assert err.count("\n") <= 40


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("generator: {use: gmm}", ["needs `data`"]),
        ("data: {use: digits}", ["needs `generator`"]),
        ("data: digits\ngenerator: {use: gmm}", ["write {use: digits}"]),
        ("data: {use: digits}\ngenerator: {use: gmm}\ngenerator: {use: vae}", ["written twice", "line 2"]),
        ("data: {use: haar}\ngenerator: {use: gmm}", ["'haar' is a transform", "dataset is wanted"]),
        (
            "data: {use: digits}\ngenerator: {use: gmm}\ntrain: {stepz: 1}",
            ["train has no parameter 'stepz'", "'steps'"],
        ),
        ("data: {use: digits}\ngenerator: {use: gmm}\ntrain: {steps: true}", ["train.steps", "True", "integer"]),
        ("data: {use: digits}\ngenerator: {use: gmm}\ntrain: {batch_size: 6, shards: 4}", ["4 shards do not divide"]),
        ("- 1\n- 2", ["a recipe is a mapping"]),
        ("", ["is empty"]),
        ("data: &a {use: digits}\ngenerator: *a", ["anchors"]),
        ("data: !!python/name:os.system {}", ["tags"]),
        ("a: [1, 2", ["is no YAML"]),
        ("extends: nowhere.yaml", ["extends 'nowhere.yaml'", "no such recipe"]),
    ],
)
def test_faults_say_what_was_found_and_what_to_do(recipe, text, words):
    with pytest.raises(RecipeFaults) as caught:
        load(recipe(text))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_settings_are_named_in_their_faults(wavekit, recipe):
    path = recipe("data: {use: digits}\ngenerator: {use: gmm}\n")
    code, _, err = wavekit("check", path, "-s", "generator.componentz=3", "-s", "train.steps=-1")
    assert code == 2
    assert "-s generator.componentz=3: gmm has no parameter" in err
    assert "-s train.steps=-1: train.steps of a recipe is -1" in err


def test_extends_merges_and_replaces_components_whole(recipe):
    recipe(
        "data: {use: digits, size: 8}\ngenerator: {use: gmm, components: 3}\ntrain: {steps: 5, ema: 0.5}\n", "base.yaml"
    )
    over = load(recipe("extends: base.yaml\ntrain: {steps: 7}\ngenerator: {use: vae}\n", "over.yaml")).plain()
    assert over["data"]["size"] == 8
    assert (over["train"]["steps"], over["train"]["ema"]) == (7, 0.5)
    assert over["generator"]["use"] == "vae"
    assert "components" not in over["generator"]


def test_a_circle_of_extends_is_refused(recipe):
    recipe("extends: b.yaml\n", "a.yaml")
    with pytest.raises(RecipeFaults, match="circle"):
        load(recipe("extends: a.yaml\n", "b.yaml"))


def test_resolved_names_the_origin_of_every_value_and_runs_as_it_is(wavekit, recipe):
    recipe("data: {use: digits, size: 8}\ngenerator: {use: gmm}\n", "base.yaml")
    path = recipe("extends: base.yaml\ntrain: {steps: 0}\n")
    code, out, _ = wavekit("show", path, "-s", "seed=3")
    assert code == 0
    lines = {line.split(":")[0].strip(): line for line in out.splitlines()}
    assert lines["size"].endswith("# base.yaml:1")
    assert lines["steps"].endswith("# recipe.yaml:2")
    assert lines["seed"].endswith("# -s seed")
    assert lines["ema"].endswith("# default")
    again = load(recipe(out, "resolved.yaml"))
    assert again.digest() == load(path, ["seed=3"]).digest()


@pytest.mark.parametrize("word", ["harr", "haar2", "hara", "ahar", "Haar"])
def test_one_letter_typos_are_recognised(recipe, word):
    text = f"data: {{use: digits}}\ntransform: {{use: {word}}}\ngenerator: {{use: gmm}}\n"
    with pytest.raises(RecipeFaults, match="did you mean 'haar'"):
        load(recipe(text))


def test_control_characters_do_not_reach_the_terminal(wavekit, recipe):
    code, _, err = wavekit("check", recipe('"\\e]0;pwned\\a": 1\ndata: {use: "\\e[2J"}\n'))
    assert code == 2
    assert "\x1b" not in err
