"""Cameras in the world: calibration, and the distance of what they see. Independent of engines' insides and stores."""

from roadmask.geometry.calibration import Calibration, DistortionModel
from roadmask.geometry.distance.config import ClassGeometry, DistanceConfig
from roadmask.geometry.distance.distances import DistanceReason, Distances
from roadmask.geometry.distance.estimator import DistanceEstimator
from roadmask.geometry.formats.ros import from_camera_info
from roadmask.geometry.lens import undistorted
from roadmask.geometry.reading import read_calibration

__all__ = [
    "Calibration",
    "ClassGeometry",
    "DistanceConfig",
    "DistanceEstimator",
    "DistanceReason",
    "Distances",
    "DistortionModel",
    "from_camera_info",
    "read_calibration",
    "undistorted",
]
