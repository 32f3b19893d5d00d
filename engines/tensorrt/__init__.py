"""The static graph on an NVIDIA GPU: built into TensorRT plans anywhere, run with nothing in the way.

    graph.py         the whole network, camera frames in, instances out, as one graph
    typed_onnx.py    that graph as ONNX in fp32, fp16 or int8
    onnx_engine.py   that ONNX run on a CPU, to judge it
    build.py         ONNX -> plan, on a machine with or without a GPU
    plans.py         the cache of plans and their manifests
    cuda.py, run.py  plan -> numbers, buffers allocated once
    segmenter.py     numbers -> instances, for the sizes of frames that newest.py keeps ready
    opening.py       which plans of the cache the GPU here can run

Importing this loads neither torch nor TensorRT nor CUDA.
"""
