"""The sample drive: a street drawn by our own code, with exact masks and ids in every frame, and how to score with it.

Ten seconds of a dashcam, the same on every machine, from two cameras on board (`front` and `rear`)::

    drive = SampleDrive(SampleDriveConfig(view="front"))
    image, truth = drive.frame(120)
"""

from __future__ import annotations

from roadmask.sample_drive.drive import VIEWS, SampleDrive, SampleDriveConfig, TruthFrame
from roadmask.sample_drive.score import ClassScore, DriveScore, score_drive

__all__ = ["VIEWS", "ClassScore", "DriveScore", "SampleDrive", "SampleDriveConfig", "TruthFrame", "score_drive"]
