"""The options that choose an engine, shared by the commands that run one."""

from __future__ import annotations

from typing import Annotated

import typer

from roadmask.engines.classes import DEFAULT_CLASSES
from roadmask.engines.table import engine_names

_CLASSES = ",".join(DEFAULT_CLASSES)
WeightsOption = Annotated[
    str | None, typer.Option(help="lite, resnet50, resnet50_v2 or a state dict. [dim]Default: lite[/]")
]
ENGINES = f"{', '.join(engine_names()[:-1])} or {engine_names()[-1]}."
PRECISIONS = "auto; bf16, fp32 or int8 on a CPU; fp16, int8 or fp32 on a GPU."
EngineOption = Annotated[str | None, typer.Option(help=f"{ENGINES} [dim]Default: auto[/]")]
PrecisionOption = Annotated[str | None, typer.Option(help=f"{PRECISIONS} [dim]Default: auto[/]")]
ClassesOption = Annotated[
    str | None,
    typer.Option(help=f"Classes to report, separated by commas. [dim]Default: {','.join(DEFAULT_CLASSES)}[/]"),
]
ScoreMinOption = Annotated[float | None, typer.Option(help="Drop instances below this score. [dim]Default: 0.5[/]")]
InputSizeOption = Annotated[
    str | None, typer.Option(metavar="HxW", help="Input size of the network. [dim]Default: from the frames' aspect[/]")
]
ThreadsOption = Annotated[
    int | None, typer.Option(help="Threads of an engine on the CPU. [dim]Default: one for each physical core[/]")
]
