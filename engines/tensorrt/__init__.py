"""TensorRT on an NVIDIA GPU: the network is built into plans on any machine, and run from memory allocated once.

    tensorrt_module.py  imports TensorRT 10, 11 or TensorRT for RTX
    build.py            ONNX of networks/typed_onnx.py -> plan, on a machine with or without a GPU
    plans.py            the cache of plans and their manifests
    device.py           the GPU of this machine
    opening.py          finds the plans that this GPU can run, and opens the engine
    segmenter.py        the engine: frames of any size -> instances
    runner.py, cuda.py  one plan on frames of one size
    status.py           rows for `roadmask doctor`

Importing this loads neither torch nor TensorRT nor CUDA.
"""
