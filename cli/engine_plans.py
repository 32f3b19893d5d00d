"""`roadmask engine list` and `remove`: the plans in the cache."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from roadmask.engines.errors import InputError, PlanError


def list_plans() -> None:
    """Lists the plans in the cache, and checks each against its manifest."""
    from roadmask.engines.tensorrt.plans import load, manifests, read_manifest, unfinished

    headings = ("plan", "weights", "flavour", "chip", "precision", "batch", "MB", "accuracy", "state")
    table = Table(*headings, title="Plans", title_justify="left")
    for path in manifests():
        try:
            plan = read_manifest(path)
            load(plan)
        except PlanError as error:
            table.add_row(path.stem, *["-"] * 7, f"refused: {error}")
            continue
        key, megabytes = plan.key, f"{plan.bytes / 1e6:.1f}"
        version = f"{key.flavour} {key.version}"
        accuracy = "unmeasured" if plan.measured is None else "accepted" if plan.measured else "-"
        what = (key.weights, version, key.chip, key.precision, str(key.batch), megabytes)
        table.add_row(path.stem, *what, accuracy, "intact")
    for name, size in unfinished().items():
        table.add_row(name, *["-"] * 5, f"{size / 1e6:.1f}", "-", "unfinished: being built, or its build failed")
    Console(highlight=False).print(table)


def remove(
    name: Annotated[str, typer.Argument(help="Name of a plan as `list` shows it, or the beginning of several names.")],
) -> None:
    """Removes plans from the cache."""
    from roadmask.engines.tensorrt.plans import remove as remove_plans

    if not name:
        raise InputError("expected the name of a plan, got an empty one: `roadmask engine list` shows the names.")
    removed = remove_plans(name)
    if not removed:
        raise InputError(
            f"expected the name of a plan, none begins with {name!r}: `roadmask engine list` shows the names."
        )
    Console(highlight=False).print(f"removed {removed}")
