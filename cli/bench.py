"""`roadmask bench`: measures speed on this machine. One file per command; `python -m benchmarks.NAME` has more."""

from __future__ import annotations

import typer

from roadmask.cli.bench_engine import engine
from roadmask.cli.bench_live import live
from roadmask.cli.bench_masks import masks
from roadmask.cli.bench_propagation import propagation
from roadmask.cli.bench_run import run

bench_app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)
bench_app.command()(run)
bench_app.command()(engine)
bench_app.command()(masks)
bench_app.command()(live)
bench_app.command()(propagation)
