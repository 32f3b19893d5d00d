"""`roadmask engine`: builds, lists, verifies and removes TensorRT plans, and calibrates int8. One file per command."""

from __future__ import annotations

import typer

from roadmask.cli.engine_build import build
from roadmask.cli.engine_measure import activations, calibrate
from roadmask.cli.engine_plans import list_plans, remove
from roadmask.cli.engine_verify import verify

engine_app = typer.Typer(help="Build and manage TensorRT plans; calibrate int8.", no_args_is_help=True)
engine_app.command()(build)
engine_app.command("list")(list_plans)
engine_app.command()(remove)
engine_app.command()(verify)
engine_app.command()(activations)
engine_app.command()(calibrate)
