"""Counts what a store holds with xarray and pandas, and plots it. roadmask itself is not needed: a store is plain Zarr.

    python demos/04_count_and_plot.py [drive.zarr]

Reads out/demo/drive.zarr, which `make demo` records, unless another store is named. Run it as a whole, or cell by cell
in an editor that knows `# %%`.
"""

# %% Open the first camera of the store, and its first epoch
import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr

STORE = Path(next((text for text in sys.argv[1:] if ".zarr" in text), "out/demo/drive.zarr"))
camera = sorted(path.parent.parent.name for path in STORE.glob("*/0/zarr.json"))[0]
frames = xr.open_zarr(STORE, group=f"{camera}/0/frames")
instances = xr.open_zarr(STORE, group=f"{camera}/0/instances")
names = json.loads((STORE / "zarr.json").read_text())["attributes"]["class_names"]
names = {int(category_id): name for category_id, name in names.items()}

# %% One row for each instance: the instances of frame t are offsets[t] to offsets[t + 1]
per_frame = np.diff(instances["offsets"].values)
seconds = frames["timestamp_ns"].values.astype("int64") / 1e9
table = pd.DataFrame(
    {
        "seconds": np.repeat(seconds, per_frame),
        "class": pd.Series(instances["category_id"].values).map(names),
        "track": instances["track_id"].values,
        "area": instances["area"].values,
    }
)
table = table[table["track"] > 0]

# %% Count: tracks of each class, how long they were seen, and how large they were
lives = table.groupby(["class", "track"])["seconds"].agg(["min", "max", "size"])
lives["length"] = lives["max"] - lives["min"]
counted = lives.groupby("class").agg(tracks=("size", "size"), masks=("size", "sum"), median_s=("length", "median"))
print(counted.round(2))
print(f"median area of a mask: {table['area'].median():.0f} px")

# %% Plot: how many of each class are in the image, over time
mpl.use("Agg")
counts = table.groupby(["seconds", "class"])["track"].nunique().unstack(fill_value=0).reindex(seconds, fill_value=0)
axes = counts.plot(drawstyle="steps-post", figsize=(9, 3), xlabel="seconds", ylabel="in the image", title=STORE.name)
out = STORE.with_name("counts.png")
axes.figure.savefig(out, dpi=120, bbox_inches="tight")
print(out)
