"""What a reader and its decoding process agree on; apart, so that the reader need not load FFmpeg."""

from __future__ import annotations

import struct

OPEN_TIMEOUT_S = 5.0
"""A camera that does not send an image's headers within this is tried again."""
READ_TIMEOUT_S = 2.5
"""A stream that sends nothing for this long is lost."""
FRAMING = struct.Struct("<IQ")
"""Before each message: length of its header in JSON, and of the pixels that follow."""
WISH = struct.Struct("<f")
"""Asks for one image, and says how many a second are offered at most from here on; 0: all there are."""
