"""Makes the road users of a recorded drive unrecognisable, in a video that may be shown.

    python demos/06_anonymize.py [drive.zarr]

Reads out/demo/drive.zarr, which `make demo` records, unless another store is named. Its recording must be beside it, as
`my.mp4` is beside `my.zarr`; the sample drive is rendered again. Road users that were not detected stay visible.
"""

# %% A store knows where its road users are; the recording has their pixels
import sys
from pathlib import Path

import numpy as np

import roadmask
from roadmask.extend import ExportJob, export_drive

STORE = Path(next((text for text in sys.argv[1:] if ".zarr" in text), "out/demo/drive.zarr"))
drive = roadmask.open_drive(STORE)
camera = drive[next(iter(drive))]
plain, hidden = (STORE.with_name(f"{STORE.stem}-{name}.mp4") for name in ("plain", "anonymous"))
for path in (plain, hidden):
    path.unlink(missing_ok=True)

# %% Two videos: one with its masks drawn, one in which every road user is blurred irreversibly
export_drive(ExportJob(drive, camera=camera.name), "video", str(plain))
export_drive(ExportJob(drive, camera=camera.name, anonymize=True), "video", str(hidden))

# %% How much detail is left inside the masks of the busiest frame: the mean step between neighbouring pixels
busiest = max(range(len(camera)), key=lambda position: len(camera.frame(position)))
inside = camera.id_map(busiest) > 0


def detail(video: Path) -> float:
    """Returns the mean difference of neighbouring pixels inside the masks, grey levels."""
    with roadmask.open_camera("front", [str(video)]) as source:
        image = next(item.image for number, item in enumerate(source) if number == busiest)
    steps = np.abs(np.diff(image.mean(axis=2), axis=1))
    return float(steps[inside[:, 1:]].mean()) if inside.any() else 0.0


print(f"{int(inside.sum())} px of road users in frame {busiest}")
print(f"detail inside them: {detail(hidden):.1f} grey levels, {detail(plain):.1f} where masks are only drawn")
print(hidden)
