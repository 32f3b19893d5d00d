"""The static graph on an NVIDIA GPU: built into TensorRT plans anywhere, run with nothing in the way.

    graph.py         the whole network, camera frames in, instances out, as one graph
    typed_onnx.py    that graph as ONNX in fp32, fp16 or int8
    acceptance.py    a precision is accepted by mask AP, or refused
    build.py         ONNX -> plan, on a machine with or without a GPU
    plans.py         the cache of plans and their manifests
    cuda.py, run.py  plan -> numbers, buffers allocated once
    segmenter.py     numbers -> instances, the same for every engine of this folder

Importing this loads neither torch nor TensorRT nor CUDA.
"""
