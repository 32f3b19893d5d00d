"""What knowing the camera's motion is worth to the tracker."""
