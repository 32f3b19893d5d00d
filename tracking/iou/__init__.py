"""The IoU tracker: follows instances by the overlap of their boxes and masks."""
