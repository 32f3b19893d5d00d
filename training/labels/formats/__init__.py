"""Label sets in the formats of other tools, both ways.

registry.py      the formats, by name
interchange.py   what all of them share: names of images, and what comes back
merging.py       adds what comes back to a label set: decisions where it was there before
polygons.py      masks -> rings with holes and separate parts -> masks
coco.py, cvat.py, youtube_vis.py, kitti_mots.py, darwin.py
"""
