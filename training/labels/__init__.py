"""Label sets: folders of labelled objects with ids over time, who labelled them, and what is decided of each.

    records.py      one labelled image, one label, and their lines in a file
    description.py  set.toml: classes with category ids, and sources with licences
    reading.py      a folder -> `LabelSet`, checked line by line
    writing.py      adds lines so that a crash loses none of those before
    frames.py       the pixels of labelled images, which the set only refers to
    doubts.py       where the labels of a model are doubtful, by what tracks show
    annotate.py     recordings and stores -> labels without a click
    balance.py      objects and sightings by class, size, hour and drive
    formats/        COCO, CVAT, YouTube-VIS, KITTI MOTS, Darwin

Importing this package loads no torch.
"""
