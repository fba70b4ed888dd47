"""Plugins of every kind of badness: one line each, and everything else works."""

import pytest

from tests.conftest import FIXTURES, SAME
from wavekit_core.errors import PluginError
from wavekit_core.kinds import Transform
from wavekit_core.registry import UnknownComponent, installed

GROUP = "wavekit.v1.transform"
RECIPE = "data: {use: digits, size: 8}\ntransform: {use: NAME}\ngenerator: {use: gmm}\ntrain: {steps: 0}\n"


def test_a_good_plugin_is_listed_without_import_and_loaded_by_name(plugins):
    plugins("wk-same", "raise SystemExit('imported')", {GROUP: {"same": "wk_same:Same"}})
    assert "same" in installed().names("transform")


def test_loading_registers_the_module_for_hooks(plugins):
    plugins("wk-same", SAME, {GROUP: {"same": "wk_same:Same"}})
    entry = installed().find("transform", "same")
    assert issubclass(installed().load(entry), Transform)
    assert installed().manager.has_plugin("wk-same:wk_same")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("x = (", "SyntaxError"),
        ("", "has no attribute"),
        ("class Same: pass", "must be a subclass"),
        ("Same = 3", "must be a subclass"),
        (SAME.replace("def target", "def __init__(self, *args): pass\n\n        def target"), "no \\*args"),
        (SAME.replace("def target", "def __init__(self, size): pass\n\n        def target"), "no annotation"),
        (SAME.replace("def target", "def __init__(self, size: Nowhere): pass\n\n        def target"), "Nowhere"),
    ],
)
def test_a_broken_plugin_is_a_sentence_when_used_and_harms_nobody(plugins, recipe, wavekit, source, words):
    plugins("wk-same", source, {GROUP: {"same": "wk_same:Same"}})
    with pytest.raises(PluginError, match=words):
        installed().load(installed().find("transform", "same"))
    code, out, _ = wavekit("plugins", "list")
    assert code == 0
    assert "same" in out
    code, _, err = wavekit("check", recipe(RECIPE.replace("NAME", "same")))
    assert code == 3
    assert "wk-same 1.0" in err
    assert "Traceback" not in err
    assert wavekit("check", recipe(RECIPE.replace("NAME", "haar")))[0] == 0


def test_another_api_version_is_refused_with_a_sentence(plugins, recipe, wavekit):
    plugins("wk-same", SAME, {"wavekit.v2.transform": {"same": "wk_same:Same"}})
    assert "made for API version 2, this is 1" in wavekit("plugins", "list")[1]
    code, _, err = wavekit("check", recipe(RECIPE.replace("NAME", "same")))
    assert code == 3
    assert "is made for API version 2" in err


def test_two_owners_are_an_error_only_when_used(plugins, recipe, wavekit):
    plugins("wk-one", SAME, {GROUP: {"same": "wk_one:Same"}})
    plugins("wk-two", SAME, {GROUP: {"same": "wk_two:Same"}})
    code, _, err = wavekit("check", recipe(RECIPE.replace("NAME", "same")))
    assert code == 3
    assert "'wk-one:same' or 'wk-two:same'" in err
    assert wavekit("check", recipe(RECIPE.replace("NAME", "wk-two:same")))[0] == 0


def test_built_in_names_cannot_be_stolen(plugins):
    plugins("wk-thief", "raise SystemExit", {"wavekit.v1.dataset": {"digits": "wk_thief:Digits"}})
    assert installed().find("dataset", "digits").distribution == "wavekit-core"


def test_a_malformed_entry_points_file_costs_a_line(plugins, wavekit):
    info = plugins("wk-same", SAME, {GROUP: {"same": "wk_same:Same"}})
    (info / "entry_points.txt").write_text("[wavekit.v1.transform\nsame")
    installed.cache_clear()
    code, out, _ = wavekit("plugins", "list")
    assert code == 0
    assert "haar" in out


def test_illegal_names_are_said(plugins):
    plugins("wk-same", SAME, {GROUP: {"sаme": "wk_same:Same"}})  # a Cyrillic letter
    assert any("no legal component name" in fault for fault in installed().faults)


def test_the_three_messages_for_an_unknown_name():
    with pytest.raises(UnknownComponent, match="did you mean 'haar'"):
        installed().find("transform", "harr")
    with pytest.raises(PluginError, match="planned"):
        installed().find("regularizer", "lwd-mask")


def test_known_but_not_installed_names_the_pip_command(monkeypatch):
    registry = installed()
    monkeypatch.delitem(registry.entries, ("transform", "haar"))
    with pytest.raises(PluginError, match="pip install wavekit-haar"):
        registry.find("transform", "haar")


def test_a_failing_constructor_names_the_plugin(plugins, recipe, wavekit):
    source = SAME.replace("def target", "def __init__(self): 1 / 0\n\n        def target")
    plugins("wk-same", source, {GROUP: {"same": "wk_same:Same"}})
    code, _, err = wavekit("check", recipe(RECIPE.replace("NAME", "same")))
    assert code == 3
    assert "wk-same 1.0 failed while it was built: ZeroDivisionError" in err


def test_a_qualified_name_stays_with_the_run(plugins, recipe, wavekit):
    plugins("wk-one", SAME, {GROUP: {"same": "wk_one:Same"}})
    plugins("wk-two", SAME, {GROUP: {"same": "wk_two:Same"}})
    assert wavekit("run", recipe(RECIPE.replace("NAME", "wk-one:same")), "--out", "run")[0] == 0
    assert wavekit("sample", "run", "-n", "2", "-o", "x.png")[0] == 0
    code, _, err = wavekit("run", recipe(RECIPE.replace("NAME", "wk-two:same")), "--out", "run")
    assert code == 2
    assert "another recipe" in err


def test_a_hook_that_fails_is_switched_off_and_ends_no_training(plugins, recipe, wavekit):
    source = (FIXTURES / "tiny_gan.py").read_text() + (
        "\n@hookimpl\ndef step_done(folder, step, row):\n    raise ConnectionRefusedError('no tracker')\n"
    )
    plugins("tiny-gan", source, {"wavekit.v1.generator": {"tiny-gan": "tiny_gan:TinyGan"}})
    text = "data: {use: digits, size: 8}\ngenerator: {use: tiny-gan}\ntrain: {steps: 4, batch_size: 8, log_every: 1}\n"
    code, _, err = wavekit("run", recipe(text))
    assert code == 0
    assert (
        err.count("hook step_done of tiny-gan:tiny_gan failed and is switched off: ConnectionRefusedError: no tracker")
        == 1
    )


def test_samples_that_are_not_finite_are_no_result(plugins, recipe, wavekit):
    source = (
        (FIXTURES / "tiny_gan.py")
        .read_text()
        .replace("return self.space.unflatten(", "return float('nan') * self.space.unflatten(")
    )
    plugins("tiny-gan", source, {"wavekit.v1.generator": {"tiny-gan": "tiny_gan:TinyGan"}})
    text = "data: {use: digits, size: 8}\ngenerator: {use: tiny-gan}\ntrain: {steps: 2, batch_size: 8}\n"
    code, _, err = wavekit("run", recipe(text))
    assert code == 7
    assert "gave numbers that are not finite while drawing samples" in err
