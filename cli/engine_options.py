"""The options that choose an engine, shared by the commands that run one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from roadmask.engines.classes import DEFAULT_CLASSES
from roadmask.engines.table import engine_names, precisions


def either(names: Sequence[str]) -> str:
    """Returns names as a list for help texts: `a, b or c`."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


WeightsOption = Annotated[
    str | None, typer.Option(help="lite, resnet50, resnet50_v2 or a state dict. [dim]Default: lite[/]")
]
ENGINES = f"{either(engine_names())}."
PRECISIONS = f"auto; {either(precisions(on_gpu=False))} on a CPU; {either(precisions(on_gpu=True))} on a GPU."
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
