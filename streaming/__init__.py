"""Cameras in, stores out: the only room that knows sources, Ray, Zarr and the command line. Import its modules."""
