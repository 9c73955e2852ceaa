"""The assembled twin: published sizes, one pass equal to the evaluation bin by bin, causality."""

import pytest
import torch
from torch import Tensor, nn

from tests.models.v1_twin.conftest import BEHAVIOR_DIMS, DATASETS, narrow
from utils.models.v1_twin import V1Twin, build_model, load_config
from utils.models.v1_twin.losses import twin_loss

FLAGSHIP = "learned_resnet_none_convgru_gaussian"
CONFIGS = [
    FLAGSHIP,
    "learned_resnet_concat_convgru_gaussian",
    "learned_resnet_film_convgru_gaussian",
    "learned_densenet_concat_convgru_gaussian",
    "behavior_only",
    "small",
]
N_LAGS = 33


@pytest.fixture(scope="module")
def flagship() -> V1Twin:
    torch.manual_seed(0)
    return build_model(FLAGSHIP, DATASETS)


def test_the_core_of_the_flagship_has_2_84_million_parameters(flagship):
    frontend = 4 * 16
    stem = 4 * 8 * 7 * 7
    first = 16 * 64 * 3 * 9 * 9  # splitrelu made 16 channels of the stem's 8
    second = 128 * 128 * 3 * 5 * 5
    shortcuts = 16 * 128 + 128 * 256  # 1 x 1, onto the channels after splitrelu
    recurrent = 3 * (256 + 128) * 128 * 3 * 3  # update, reset, candidate
    weights = frontend + stem + first + second + shortcuts + recurrent
    biases_and_norms = (8 + 64 + 128) + (8 + 64 + 128) + 2 * (64 + 128) + 3 * 128
    count = sum(values.numel() for values in flagship.core_parameters())
    assert count == weights + biases_and_norms == 2_842_352


def test_the_flagship_has_the_published_shapes(flagship):
    shapes: list[tuple[int, ...]] = []

    def note(module: nn.Module, inputs: object, output: Tensor) -> None:
        shapes.append(tuple(output.shape))

    convnet = flagship.core.convnet
    watched = [flagship.core.frontend, convnet, flagship.core.recurrent]
    handles = [module.register_forward_hook(note) for module in watched]
    with torch.no_grad():
        rates = flagship.predict_last("right", torch.zeros(1, N_LAGS, 51, 51))
    for handle in handles:
        handle.remove()
    assert shapes == [(1, 4, 18, 51, 51), (1, 256, 9, 14, 14), (1, 128, 9, 14, 14)]
    sizes = [(51, 51)]
    for block in convnet.blocks:
        sizes.append(block.output_size(*sizes[-1]))
    assert sizes == [(51, 51), (45, 45), (18, 18), (14, 14)]
    assert [block.out_channels for block in convnet.blocks] == [16, 128, 256]
    assert rates.shape == (1, 5)


def test_the_flagship_trains_a_step(make_inputs):
    twin = build_model(FLAGSHIP, DATASETS[:1])
    before = {name: values.clone() for name, values in twin.named_parameters()}
    optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-3)
    inputs = make_inputs(frames=20)
    rates = twin("left", inputs.stimulus, n_bins=4)
    loss = twin_loss("poisson", rates, inputs.responses[:, -4:], torch.ones(1, 4, 3))
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    still = [name for name, values in twin.named_parameters() if torch.equal(values, before[name])]
    assert still == []


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_predicts_each_data_set(name: str, make_twin, make_inputs):
    twin = make_twin(name)
    inputs = make_inputs(frames=20, batch=2)
    with torch.no_grad():
        rates = twin("left", inputs.stimulus, inputs.behavior, n_bins=3)
        others = twin("right", inputs.stimulus, inputs.behavior)
    assert rates.shape == (2, 3, 3)
    assert others.shape == (2, 20 - twin.core.lost_frames, 5)
    assert (rates > 0).all()
    assert rates.std(dim=1).min() > 0


@pytest.mark.parametrize("frames", [20, 21])
@pytest.mark.parametrize("name", CONFIGS)
def test_one_pass_equals_the_evaluation_of_each_bin(name: str, frames: int, make_twin, make_inputs):
    """Each bin by itself, from the frames up to it: time pooling strides there."""
    twin = make_twin(name)
    inputs = make_inputs(frames, batch=2)
    with torch.no_grad():
        rates = twin("left", inputs.stimulus, inputs.behavior)
        first = frames - rates.shape[1] - twin.core.lost_frames  # frames that fill no phase
        for place in range(rates.shape[1]):
            prefix = inputs.part(first, frames - rates.shape[1] + place)
            alone = twin.predict_last("left", prefix.stimulus, prefix.behavior)
            torch.testing.assert_close(alone, rates[:, place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"modulator": {"type": "film"}}])
def test_without_recurrence_a_window_of_all_lags_is_enough(changes: dict, make_twin, make_inputs):
    twin = make_twin(FLAGSHIP, recurrent={"type": "none"}, **changes)
    inputs = make_inputs(frames=N_LAGS + 4)
    with torch.no_grad():
        rates = twin("left", inputs.stimulus, inputs.behavior, n_bins=5)
        for place in range(5):
            window = inputs.part(place, place + N_LAGS - 1)
            alone = twin.predict_last("left", window.stimulus, window.behavior)
            torch.testing.assert_close(alone, rates[:, place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_bin_sees_what_comes_later(name: str, make_twin, make_inputs):
    twin = make_twin(name, history={"type": "mlp", "lags": 4})
    inputs = make_inputs(frames=20)
    later = make_inputs(frames=20)
    later.stimulus[:, 18:] = 255 - later.stimulus[:, 18:]
    later.behavior[:, 18:] += 1
    later.responses[:, 17:] += 1  # a bin does not see its own responses either
    with torch.no_grad():
        before, after = twin("left", *inputs), twin("left", *later)
    torch.testing.assert_close(before[:, :-2], after[:, :-2], atol=0, rtol=0)
    assert (before[:, -2:] != after[:, -2:]).all()


def test_a_history_adds_to_the_drive_and_equals_the_evaluation_of_each_bin(make_twin, make_inputs):
    twin = make_twin("small", history={"type": "mlp", "lags": 4})
    inputs = make_inputs(frames=8)
    with torch.no_grad():
        rates = twin("left", *inputs)
        for last in range(8):
            alone = twin.predict_last("left", *inputs.part(0, last))
            torch.testing.assert_close(alone, rates[:, last], atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="data set 'left': a twin with a history needs responses"):
        twin("left", inputs.stimulus, inputs.behavior)


def test_pixels_are_normalised_and_floats_taken_as_they_are(make_twin, make_inputs):
    twin = make_twin("small")
    inputs = make_inputs(frames=4)
    as_floats = (inputs.stimulus.float() - 127) / 255
    with torch.no_grad():
        expected = twin("left", inputs.stimulus, inputs.behavior)
        found = twin("left", as_floats, inputs.behavior)
        with_channel = twin("left", as_floats[:, :, None], inputs.behavior)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(with_channel, expected)


def test_rates_are_float32_under_autocast_and_float64_in_double(make_twin, make_inputs):
    twin = make_twin("learned_resnet_film_convgru_gaussian")
    inputs = make_inputs(frames=18)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        halved = twin("left", inputs.stimulus, inputs.behavior)
    with torch.no_grad():
        exact = twin.double()("left", inputs.stimulus, inputs.behavior.double())
    assert (halved.dtype, exact.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(halved.double(), exact, atol=2e-3, rtol=0)


def test_behaviour_alone_does_not_look_at_the_stimulus(make_twin, make_inputs):
    twin = make_twin("behavior_only")
    inputs = make_inputs(frames=4)
    assert torch.equal(
        twin("left", None, inputs.behavior), twin("left", inputs.stimulus, inputs.behavior)
    )


def test_several_channels_of_a_stimulus():
    values = narrow(load_config("small")).model_dump() | {"modulator": {"type": "none"}}
    data = {"name": "on_off", "cell_ids": [1], "behavior_dims": 0, "stimulus_channels": 2}
    twin = build_model(values | {"frontend": {"type": "learned_temporal"}}, [data])
    assert twin("on_off", torch.rand(1, 18, 2, 51, 51)).shape == (1, 3, 1)


def test_a_frontend_may_take_from_the_frames_sides():
    values = narrow(load_config("small")).model_dump() | {"modulator": {"type": "none"}}
    frontend = {"type": "conv", "kernel": [3, 5, 7], "channels": 2}
    twin = build_model(values | {"frontend": frontend}, DATASETS)
    frames = torch.rand(1, 6, 51, 51)
    assert twin.core_features("left", frames).shape[-2:] == twin.core.size == (10, 9)
    assert twin("left", frames).shape == (1, 4, 3)


def test_parameters_are_of_the_core_or_of_one_data_set(make_twin):
    twin = make_twin(FLAGSHIP, history={"type": "mlp"})
    parts = [twin.core_parameters(), *(twin.dataset_parameters(name) for name in twin.datasets)]
    counted = [id(values) for part in parts for values in part]
    assert sorted(counted) == sorted(id(values) for values in twin.parameters())
    n_cells, channels = 3, twin.core.out_channels
    readout = n_cells * (2 + 2 + 1 + channels + 1)
    adapter = 2 + 1 + 2 + 1
    history = (n_cells * 10 * 32 + 32) + (32 * 10 + 10) + (10 * n_cells + n_cells)
    found = sum(values.numel() for values in twin.dataset_parameters("left"))
    assert found == readout + adapter + history


def test_the_features_are_what_the_readout_sees(make_twin, make_inputs):
    twin = make_twin(FLAGSHIP)
    inputs = make_inputs(frames=22)
    with torch.no_grad():
        features = twin.core_features("left", inputs.stimulus)
        drive = twin.readouts["left"](features)
        torch.testing.assert_close(twin.output(drive), twin("left", inputs.stimulus))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lef", "stimulus", "behavior"), "no data set 'lef'; did you mean left"),
        (("left", None, "behavior"), r"'left': this twin sees a stimulus.*behavior_only: true"),
        (("left", "stimulus", None), r"'left': the modulator needs behaviour"),
        (("left", "narrow", "behavior"), r"\(1, 51, 51\), found shape \(1, 20, 51, 50\)"),
        (("left", "stimulus", "wide"), r"20 frames and 6 columns, found shape \(1, 20, 7\)"),
        (("left", "stimulus", "short"), r"20 frames and 6 columns, found shape \(1, 19, 6\)"),
    ],
)
def test_wrong_inputs_are_refused_by_name(arguments, message, make_twin, make_inputs):
    twin = make_twin("learned_resnet_concat_convgru_gaussian")
    inputs = make_inputs(frames=20)
    known = {
        "stimulus": inputs.stimulus,
        "behavior": inputs.behavior,
        "narrow": inputs.stimulus[..., 1:],
        "wide": torch.zeros(1, 20, BEHAVIOR_DIMS + 1),
        "short": inputs.behavior[:, 1:],
    }
    with pytest.raises(ValueError, match=message):
        twin(arguments[0], *(known.get(key) for key in arguments[1:]))


@pytest.mark.parametrize(("frames", "n_bins", "possible"), [(12, None, 0), (20, 5, 4), (21, 5, 4)])
def test_too_few_frames_are_refused_with_their_numbers(
    frames, n_bins, possible, make_twin, make_inputs
):
    message = f"{frames} frames allow {possible}: the first 16 are context, .* in steps of 2"
    with pytest.raises(ValueError, match=message):
        make_twin(FLAGSHIP)("left", make_inputs(frames).stimulus, n_bins=n_bins)
