"""The network's graph captured as a CUDA graph: its inputs and outputs stay in place, and a run is one launch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from roadmask.engines.networks.convergence import run_until_converged
from roadmask.engines.networks.graph_io import KEEPS, Inputs, Outputs
from roadmask.engines.segmenter import Image


@dataclass(frozen=True)
class CapturedGraph:
    """The graph with inputs and outputs at fixed addresses."""

    inputs: Inputs
    outputs: Outputs
    """Outputs of the graph on the device."""
    frames: torch.Tensor
    """Frames in pinned memory, which the GPU copies from."""
    host: Outputs
    """Outputs in pinned memory, which the GPU copies to; the `keep` outputs stay on the device."""
    replay: Callable[[], None]
    """Enqueues the copy of the frames, the graph and the copy of its outputs; does not wait."""
    wait: Callable[[], None]
    """Waits for the last replay."""

    @classmethod
    def of(cls, graph: Callable[..., Outputs], inputs: Inputs, *, capture: bool) -> CapturedGraph:
        """Runs the graph twice to let torch choose its kernels, then captures it.

        Args:
            graph: takes `Inputs`, gives `Outputs`.
            inputs: on the device where they stay.
            capture: as a CUDA graph; otherwise each replay calls the graph.
        """
        on_gpu = inputs.frames.is_cuda
        pin = {"pin_memory": True} if on_gpu else {}
        frames = torch.zeros(inputs.frames.shape, dtype=torch.uint8, **pin)  # type: ignore[call-overload]

        with torch.inference_mode():
            outputs = graph(*inputs)
            host = Outputs(
                *(torch.zeros(each.shape, dtype=each.dtype, **pin) for each in outputs)  # type: ignore[call-overload]
            )

        def run(to: Outputs) -> None:
            with torch.inference_mode():
                inputs.frames.copy_(frames, non_blocking=True)
                for place, values in zip(to, graph(*inputs), strict=True):
                    place.copy_(values)
                for place, values in zip(host[:6], to[:6], strict=True):
                    place.copy_(values, non_blocking=True)

        if not capture:
            wait = torch.cuda.synchronize if on_gpu else lambda: None
            return cls(inputs, outputs, frames, host, lambda: run(outputs), wait)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run(outputs)
        stream.synchronize()
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded, stream=stream):
            run(outputs)

        def replay() -> None:
            with torch.cuda.stream(stream):
                recorded.replay()

        return cls(inputs, outputs, frames, host, replay, stream.synchronize)

    def run(self, images: Sequence[Image]) -> Outputs:
        """Returns the outputs in pinned memory, overwritten by the next run; runs again until NMS has converged."""
        places = self.frames.numpy()
        for place, image in enumerate(images):
            places[place] = image  # what is in the slots behind them is of no consequence
        with torch.inference_mode():
            keeps = [getattr(self.inputs, name) for name in KEEPS]
            stopped = [getattr(self.outputs, f"{name}_out") for name in KEEPS]

            def run() -> bool:
                self.replay()
                self.wait()
                return bool(self.host.converged[: len(images)].all())

            def resume() -> None:
                for keep, stop in zip(keeps, stopped, strict=True):
                    keep.copy_(stop)
                self._wait_for_device()

            if run_until_converged(run, resume, (each.shape[-1] for each in keeps)) > 1:
                for keep in keeps:
                    keep.fill_(1)
                self._wait_for_device()
        return self.host

    def _wait_for_device(self) -> None:
        """What was enqueued on torch's own stream must be done before the graph runs on its other one; rare."""
        if self.frames.is_pinned() and torch.cuda.is_available():
            torch.cuda.synchronize()
