"""Published errors on ETT test windows, to stand beside ours: never compared across lookbacks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Mean squared and absolute error of one model, in z-units, by horizon."""

    model: str  # name of the forecaster here
    data: str
    context: int  # lookback
    source: str
    errors: dict[int, tuple[float, float]]  # horizon -> (MSE, MAE)


ZENG = "Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023"
LIU = "Liu et al., iTransformer, ICLR 2024 (second-hand)"
PUBLISHED = (
    Published(
        "informer",
        "ETTh1",
        48,
        "Zhou et al., Informer, AAAI 2021",
        {24: (0.577, 0.549)},
    ),
    Published(
        "informer",
        "ETTh1",
        96,
        ZENG,
        {96: (0.865, 0.713), 192: (1.008, 0.792), 336: (1.107, 0.809), 720: (1.181, 0.865)},
    ),
    Published(
        "autoformer",
        "ETTh1",
        96,
        "Wu et al., Autoformer, NeurIPS 2021",
        {96: (0.449, 0.459), 192: (0.500, 0.482), 336: (0.521, 0.496), 720: (0.514, 0.512)},
    ),
    Published(
        "dlinear",
        "ETTh1",
        336,
        ZENG,
        {96: (0.375, 0.399), 192: (0.405, 0.416), 336: (0.439, 0.443), 720: (0.472, 0.490)},
    ),
    Published(
        "nlinear",
        "ETTh1",
        336,
        ZENG,
        {96: (0.374, 0.394), 192: (0.408, 0.415), 336: (0.429, 0.427), 720: (0.440, 0.453)},
    ),
    Published(
        "patchtst",
        "ETTh1",
        512,
        "Nie et al., PatchTST/64, ICLR 2023",
        {96: (0.370, 0.400), 192: (0.413, 0.429), 336: (0.422, 0.440), 720: (0.447, 0.468)},
    ),
    Published(
        "itransformer",
        "ETTh1",
        96,
        LIU,
        {96: (0.386, 0.405), 192: (0.441, 0.436), 336: (0.487, 0.458), 720: (0.503, 0.491)},
    ),
    Published(
        "patchtst",
        "ETTh1",
        96,
        LIU,
        {96: (0.414, 0.419), 192: (0.460, 0.445), 336: (0.501, 0.466), 720: (0.500, 0.488)},
    ),
)


def published(model: str, data: str | None, context: int) -> Published | None:
    """The published errors of a model on a data set with a lookback, where there are any."""
    wanted = (model, data, context)
    return next((p for p in PUBLISHED if (p.model, p.data, p.context) == wanted), None)
