"""The options that choose an engine, shared by the commands that run one."""

from __future__ import annotations

from typing import Annotated

import typer

from roadmask.engines.classes import DEFAULT_CLASSES

WeightsOption = Annotated[
    str | None, typer.Option(help="lite, resnet50, resnet50_v2 or a state dict. [dim]Default: lite[/]")
]
EngineOption = Annotated[
    str | None, typer.Option(help="auto, openvino, tensorrt, torch-cuda or torch. [dim]Default: auto[/]")
]
PrecisionOption = Annotated[
    str | None, typer.Option(help="auto, bf16, fp32 or int8, on a GPU fp16, int8 or fp32. [dim]Default: auto[/]")
]
ClassesOption = Annotated[
    str | None, typer.Option(help=f"What to look for. [dim]Default: {','.join(DEFAULT_CLASSES)}[/]")
]
ScoreMinOption = Annotated[float | None, typer.Option(help="Drop instances below this score. [dim]Default: 0.5[/]")]
SizeOption = Annotated[
    str | None, typer.Option(metavar="HxW", help="Network input. [dim]Default: from the frames' aspect[/]")
]
ThreadsOption = Annotated[
    int | None, typer.Option(help="Threads of the engine. [dim]Default: one for each physical core[/]")
]
