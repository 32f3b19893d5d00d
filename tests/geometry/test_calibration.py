"""Calibrations: all formats of one camera agree, and points are undistorted as OpenCV does it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from roadmask.engines.errors import CalibrationError
from roadmask.geometry import Calibration, from_camera_info, read_calibration, undistorted
from roadmask.geometry.formats.fields import mounting

K = [[721.5377, 0.0, 609.5593], [0.0, 719.25, 172.854], [0.0, 0.0, 1.0]]
FLAT = [each for row in K for each in row]
D = [-0.3728, 0.2037, 0.0002, 0.0005, -0.0723]
FISHEYE = [0.01, -0.02, 0.003, -0.001]
RATIONAL = [0.5, 0.1, 0.001, -0.001, 0.02, 0.9, 0.2, 0.03]
SIZE = (375, 1242)
PITCH, ROLL, HEIGHT = 0.02, -0.01, 1.65


def ros_yaml(model: str, d: list[float]) -> str:
    return (
        f"image_width: {SIZE[1]}\nimage_height: {SIZE[0]}\ncamera_name: front\n"
        f"camera_matrix:\n  rows: 3\n  cols: 3\n  data: {FLAT}\n"
        f"distortion_model: {model}\ndistortion_coefficients:\n  rows: 1\n  cols: {len(d)}\n  data: {d}\n"
        "rectification_matrix:\n  rows: 3\n  cols: 3\n  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]\n"
    )


def echoed(d: list[float]) -> str:
    return (
        "header:\n  stamp: {sec: 1, nanosec: 2}\n  frame_id: front\n"
        f"height: {SIZE[0]}\nwidth: {SIZE[1]}\ndistortion_model: plumb_bob\nd: {d}\nk: {FLAT}\n---\nheight: 1\n---\n"
    )


def kalibr_yaml(model: str, d: list[float]) -> str:
    return (
        f"cam0:\n  camera_model: pinhole\n  intrinsics: [{K[0][0]}, {K[1][1]}, {K[0][2]}, {K[1][2]}]\n"
        f"  distortion_model: {model}\n  distortion_coeffs: {d}\n  resolution: [{SIZE[1]}, {SIZE[0]}]\n"
        "cam1:\n  camera_model: omni\n  intrinsics: [1, 2]\n"
    )


def opencv_file(path: Path, d: list[float], **more: int) -> Path:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", SIZE[1])
    storage.write("image_height", SIZE[0])
    storage.write("camera_matrix", np.array(K))
    storage.write("distortion_coefficients", np.array([d]).T)
    for name, value in more.items():
        storage.write(name, value)
    storage.release()
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_formats_with_distortion_give_one_calibration(tmp_path: Path) -> None:
    files = [
        written(tmp_path / "ros.yaml", ros_yaml("plumb_bob", D)),
        written(tmp_path / "echo.yaml", echoed(D)),
        opencv_file(tmp_path / "opencv.yaml", D),
        opencv_file(tmp_path / "opencv.xml", D),
        opencv_file(tmp_path / "opencv.json", D),
    ]
    message = SimpleNamespace(k=np.array(FLAT), d=D, distortion_model="plumb_bob", width=SIZE[1], height=SIZE[0])
    ros1 = SimpleNamespace(K=FLAT, D=D, distortion_model="plumb_bob", width=SIZE[1], height=SIZE[0])
    for found in (*map(read_calibration, files), from_camera_info(message), from_camera_info(ros1)):
        np.testing.assert_array_equal(found.matrix, K)
        assert found.distortion == tuple(D)
        assert found.distortion_model == "plumb_bob"
        assert found.image_size == SIZE
        assert (found.height, found.pitch, found.roll) == (None, None, None)
        assert found.sources


def test_four_coefficients_are_five_with_a_zero(tmp_path: Path) -> None:
    kalibr = read_calibration(written(tmp_path / "chain.yaml", kalibr_yaml("radtan", D[:4])), "cam0")
    ros = read_calibration(written(tmp_path / "ros.yaml", ros_yaml("plumb_bob", [*D[:4], 0.0])))
    assert (kalibr.focal, kalibr.centre, kalibr.distortion) == (ros.focal, ros.centre, ros.distortion)
    assert kalibr.image_size == ros.image_size == SIZE


def test_fisheyes_of_ros_kalibr_and_opencv_agree(tmp_path: Path) -> None:
    found = [
        read_calibration(written(tmp_path / "ros.yaml", ros_yaml("equidistant", FISHEYE))),
        read_calibration(written(tmp_path / "fisheye.yaml", ros_yaml("fisheye", FISHEYE))),
        read_calibration(written(tmp_path / "chain.yaml", kalibr_yaml("equidistant", FISHEYE)), "cam0"),
        read_calibration(opencv_file(tmp_path / "opencv.yaml", FISHEYE, fisheye_model=1)),
    ]
    assert {(each.focal, each.distortion_model, each.distortion) for each in found} == {
        ((K[0][0], K[1][1]), "equidistant", tuple(FISHEYE))
    }


def rotation_of(pitch: float, roll: float, yaw: float = 0.3) -> Any:
    """Rotation from the camera to a vehicle with x ahead, y left, z up."""
    axes = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    rx = cv2.Rodrigues(np.array([-pitch, 0.0, 0]))[0]  # about the camera's x: down is positive, so against it
    rz = cv2.Rodrigues(np.array([0.0, 0, roll]))[0]
    return cv2.Rodrigues(np.array([0.0, 0, yaw]))[0] @ axes @ rx @ rz


def quaternion(r: Any) -> list[float]:
    vector = cv2.Rodrigues(r)[0].ravel()
    angle = float(np.linalg.norm(vector))
    return [math.cos(angle / 2), *(vector / angle * math.sin(angle / 2)).tolist()]


def test_formats_without_distortion_agree_in_height_pitch_and_roll(tmp_path: Path) -> None:
    p2 = " ".join(str(each) for row in K for each in (*row, 0.0))
    kitti = read_calibration(written(tmp_path / "calib.txt", f"P0: {' 0' * 12}\nP2: {p2}\nR0_rect: 1 0 0\n"))
    raw = read_calibration(
        written(tmp_path / "calib_cam_to_cam.txt", f"S_rect_02: 1242 375\nK_02: 1\nP_rect_02: {p2}\n"), "image_02"
    )
    rows = [
        {"token": "a", "sensor_token": "s", "camera_intrinsic": [], "rotation": [1, 0, 0, 0], "translation": [0, 0, 2]},
        {
            "token": "b",
            "sensor_token": "t",
            "camera_intrinsic": K,
            "rotation": quaternion(rotation_of(PITCH, ROLL)),
            "translation": [1.7, 0, HEIGHT],
        },
    ]
    (tmp_path / "sensor.json").write_text(json.dumps([{"token": "t", "channel": "CAM_FRONT"}]))
    nuscenes = read_calibration(written(tmp_path / "calibrated_sensor.json", json.dumps(rows)), "front")
    openpilot = read_calibration(
        written(
            tmp_path / "live.json",
            json.dumps({"rpyCalib": [ROLL, PITCH, 0.01], "height": [HEIGHT], "intrinsics": K}),
        )
    )
    for found in (kitti, raw, nuscenes, openpilot):
        np.testing.assert_array_equal(found.matrix, K)
        assert found.distortion == (0.0,) * 5
    assert raw.image_size == SIZE
    assert kitti.height is None
    for found in (nuscenes, openpilot):
        assert (found.height, found.pitch, found.roll) == pytest.approx((HEIGHT, PITCH, ROLL), abs=1e-6)


def test_up_of_pitch_and_roll_is_that_of_the_rotation() -> None:
    rotation = rotation_of(0.2, -0.1)
    placed = mounting(rotation, 1.5)
    calibration = Calibration((700.0, 700.0), (320.0, 180.0), **placed)
    np.testing.assert_allclose(calibration.up, rotation.T @ (0, 0, 1), atol=1e-9)


def test_a_camera_that_looks_down_has_its_horizon_above_the_centre() -> None:
    looking_down = Calibration((700.0, 700.0), (320.0, 180.0), pitch=math.radians(1))
    assert looking_down.horizon == pytest.approx(180 - 700 * math.tan(math.radians(1)))


@pytest.mark.parametrize(
    ("model", "coefficients"), [("plumb_bob", D), ("rational_polynomial", RATIONAL), ("equidistant", FISHEYE)]
)
def test_undistorted_points_are_those_of_opencv(model: str, coefficients: list[float]) -> None:
    calibration = Calibration.from_matrix(K, model, coefficients)
    x, y = np.meshgrid(np.linspace(200, 1000, 9), np.linspace(20, 360, 7))
    ideal = np.stack([x.ravel(), y.ravel()], axis=1)
    rays = (ideal - calibration.centre) / calibration.focal
    if model == "equidistant":
        bent = cv2.fisheye.distortPoints(rays[:, None], np.array(K), np.array(coefficients))[:, 0]
    else:
        bent = cv2.projectPoints(
            np.c_[rays, np.ones(len(rays))], np.zeros(3), np.zeros(3), np.array(K), np.array(coefficients)
        )[0][:, 0]
    assert np.abs(bent - ideal).max() > 1  # the lens does something
    assert np.abs(undistorted(calibration, bent) - ideal).max() < 1e-3


def test_scaled_images_scale_the_camera_and_cropped_ones_are_refused() -> None:
    whole = Calibration((700.0, 700.0), (639.5, 359.5), image_size=(720, 1280))
    half = whole.for_images((360, 640))
    assert half.focal == (350.0, 350.0)
    assert half.centre == (319.5, 179.5)
    with pytest.raises(CalibrationError, match="cropped"):
        whole.for_images((480, 1280))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.pkl", "x", "pickled files can run code"),
        ("a.yaml", "", "empty file"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "cannot be parsed"),
        ("a.yaml", "[" * 3000, "cannot be parsed"),
        ("a.yaml", "cameras: 3", "got a file with cameras"),
        ("a.yaml", "- 1", "got list"),
        ("a.json", "{", "cannot be parsed"),
        ("a.json", "{}", "nothing in it"),
        ("a.yaml", ros_yaml("plumb_bob", D).replace(str(K[0][0]), ".nan"), "finite numbers"),
        ("a.yaml", ros_yaml("plumb_bob", D).replace(str(FLAT), "[1, 2]"), "expected 9 numbers in K, got 2"),
        ("a.yaml", ros_yaml("plumb_bob", D).replace(str(FLAT), str([0] * 9)), "was not calibrated"),
        ("a.yaml", ros_yaml("mei", D), "expected a distortion model of ROS"),
        ("a.yaml", ros_yaml("plumb_bob", [0.1] * 6), "at most 5 coefficients"),
        ("a.yaml", ros_yaml("plumb_bob", D).replace("375", "-1"), "whole pixels"),
        ("a.yaml", kalibr_yaml("radtan", D[:4]), "expected the name of one of its cameras"),
        ("calib.txt", "P2: 1 2 three", "expected numbers in P2"),
        ("a.yaml", "%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: 3\n", "FileStorage"),
        ("a.json", '{"rpyCalib": [0, 0, 0], "height": 1.2}', "expected intrinsics, or focal_length"),
        ("a.json", json.dumps({"rpyCalib": [0, 1.2, 0], "height": 1.2, "intrinsics": K}), "pitch of at most 45"),
        ("a.json", json.dumps({"rpyCalib": [0, 0, 0], "height": 1220, "intrinsics": K}), "0.1 to 20 m"),
    ],
)
def test_bad_files_are_refused_with_a_reason(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(CalibrationError, match=expected) as error:
        read_calibration(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\x80\x04\x95\xff")
    with pytest.raises(CalibrationError, match="not UTF-8"):
        read_calibration(tmp_path / "a.yaml")
    with pytest.raises(CalibrationError, match="No such file"):
        read_calibration(tmp_path / "b.yaml")


def test_given_height_and_pitch_go_before_those_of_the_file() -> None:
    found = Calibration((700.0, 700.0), (320.0, 180.0), height=1.2, sources=("front.yaml",))
    changed = found.with_mounting(height=1.5, source="--camera-height")
    assert (changed.height, changed.pitch) == (1.5, None)
    assert changed.sources == ("front.yaml", "height from --camera-height")
