from __future__ import annotations

from typing import Any

import pytest

import seekvl
from seekvl import GenerationConfig, ImageConfig
from seekvl.errors import OptionError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature is -1"),
        ({"temperature": float("nan")}, "temperature is NaN"),
        ({"top_p": 1.5}, "top_p is 1.5; it must be a number from 0 to 1"),
        ({"min_p": -0.5}, "min_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"max_new_tokens": -1}, "max_new_tokens is -1"),
        ({"seed": 2**64}, "seed"),
        ({"stop": ["a", ""]}, "stop"),
        ({"repetition_guard": (0, 2, 2)}, "max_period"),
    ],
)
def test_values_outside_their_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        GenerationConfig(**options)


def test_unknown_names_get_a_hint(tiny: seekvl.Model) -> None:
    with pytest.raises(TypeError, match="'max_tokens'; did you mean 'max_new_tokens'"):
        tiny.ask(None, "Hello", max_tokens=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        GenerationConfig(temprature=1.0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="there are: crop, max_tiles"):
        ImageConfig(zzz=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="GenerationConfig"):
        tiny.ask(None, "Hello", config={"max_new_tokens": 3})  # type: ignore[call-overload]


def test_wrong_types_are_named() -> None:
    with pytest.raises(TypeError, match="max_new_tokens"):
        GenerationConfig(max_new_tokens="many")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="temperature"):
        GenerationConfig(temperature=None)  # type: ignore[arg-type]
    for stop in (5, ["a", 5]):
        with pytest.raises(TypeError, match=r"stop .*; it must be text"):
            GenerationConfig(stop=stop)  # type: ignore[arg-type]
    for candidates in ([384], [(1, 2, 3)], ["ab"]):
        with pytest.raises(OptionError, match="pairs of width and height"):
            ImageConfig(candidate_resolutions=candidates)  # type: ignore[arg-type]


def test_configurations_are_told_from_others(tiny: seekvl.Model) -> None:
    with pytest.raises(TypeError, match="image_config is a dict"):
        tiny.ask(None, "Hello", image_config={"crop": False})  # type: ignore[call-overload]


def test_configurations_are_values() -> None:
    config = GenerationConfig(stop="###", top_k=5)
    assert config == GenerationConfig(stop=["###"], top_k=5)
    assert hash(config) == hash(GenerationConfig(stop=("###",), top_k=5))
    assert GenerationConfig(repetition_guard=[9, 2, 2]) == GenerationConfig(repetition_guard=(9, 2, 2))  # type: ignore[arg-type]
    assert config.replace(top_k=7) == GenerationConfig(stop=("###",), top_k=7)
    assert ImageConfig(candidate_resolutions=[(384, 384)]) == ImageConfig(candidate_resolutions=((384, 384),))
    with pytest.raises(AttributeError):
        config.top_k = 3  # type: ignore[misc]
