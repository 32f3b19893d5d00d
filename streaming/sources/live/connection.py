"""One connection to a live camera, and what each way in which it can fail means."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import av
from av.codec.context import Flags, ThreadType

from roadmask.streaming.redaction import HIDDEN
from roadmask.streaming.sources.files import split_query
from roadmask.streaming.sources.live.address import Address
from roadmask.streaming.sources.live.protocol import OPEN_TIMEOUT_S, READ_TIMEOUT_S, CameraState
from roadmask.streaming.sources.video import best_track, video_tracks

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_FORMATS = "mjpeg,mpegts,mpjpeg,rtp,rtsp,sdp,video4linux2,v4l2"
_IMAGE = "one image per request, not a stream"
_FILE = "a file, not a live stream: download it and record it with `roadmask run`"
_NAMED = {
    "hls": "an HLS playlist, whose images arrive in files of several seconds",
    "dash": "a DASH manifest, whose images arrive in files of several seconds",
    "jpeg_pipe": f"a JPEG snapshot, {_IMAGE}",
    "png_pipe": f"a PNG snapshot, {_IMAGE}",
    "webp_pipe": f"a WebP snapshot, {_IMAGE}",
    "bmp_pipe": f"a BMP snapshot, {_IMAGE}",
    "gif": f"a GIF, {_IMAGE}",
    "flv": "FLV over HTTP, which is not read live",
    "mov": f"MP4, {_FILE}",
    "matroska": f"Matroska or WebM, {_FILE}",
    "avi": f"AVI, {_FILE}",
}
"""What cameras send over HTTP and is no live stream, by the names of FFmpeg's formats: opened only to be named."""
_REPLAYED = "asf,avi,flv,h264,hevc,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,webm"
_PROTOCOLS = "http,https,httpproxy,crypto,rtp,srtp,tcp,tls,udp"
_ANY_PART = {"format": "mjpeg", "fpsprobesize": "0", "analyzeduration": "1"}
"""How motion JPEG is read whose parts are not called image/jpeg: by the marks in the images themselves."""
_STAMPLESS = frozenset({"mpjpeg", "mjpeg"})
"""Formats that carry no times; FFmpeg guesses 25 frames per second."""
_CODEC = "a codec that this build of FFmpeg cannot decode: set the camera to H.264, H.265 or MJPEG."
_HTTP_STATES = {
    "HTTPUnauthorizedError": "the login was refused (401): check user and password in the address",
    "HTTPForbiddenError": "access was refused (403): this user may not see the camera",
    "HTTPNotFoundError": "no such path on the camera (404): check what follows the host in the address",
}


class StreamError(Exception):
    """A connection that failed or ended.

    Args:
        state: state of the camera from now on: RECONNECTING, REFUSED, ENDED or FAILED.
        detail: one sentence for people, without credentials.
    """

    def __init__(self, state: CameraState, detail: str) -> None:
        super().__init__(detail)
        self.state = state
        self.detail = detail


class Connection:
    """An open stream. A context manager; leaving it closes the stream.

    Args:
        address: the camera.

    Raises:
        StreamError: there is no stream that can be decoded.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        _, query = split_query(address.secret) if address.kind == "replay" else ("", "")
        self._track = int(track) if (track := dict(parse_qsl(query)).get("track", "")).isdigit() else None
        self._container = _open(address)
        try:
            self._require_live()
            self.stream: VideoStream = self._video_stream()
            if self._container.format.name == "mpjpeg" and not self.stream.codec_context.width:
                # FFmpeg takes no part that is called image/jpg, or nothing at all
                self._container.close()
                self._container = _open(address, _ANY_PART)
                self.stream = self._video_stream()
        except BaseException:
            self._container.close()
            raise
        context = self.stream.codec_context
        self.codec: str = context.name
        self.intra_only: bool = context.codec.intra_only
        """Whether every image can be decoded by itself."""
        # Frame threads would hold images back; slices cost no time.
        context.thread_type = ThreadType.AUTO if address.ends else ThreadType.SLICE
        context.thread_count = 2 if address.ends else 1
        context.flags |= 0 if address.ends else Flags.low_delay
        self.stamped = self._container.format.name not in _STAMPLESS
        """Whether the times of the stream are the camera's own."""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yields packets that hold an image, until the stream ends.

        Raises:
            StreamError: how it ended; always raised.
        """
        try:
            for packet in self._container.demux(self.stream):
                if packet.size:
                    yield packet
        except (av.FFmpegError, OSError, IndexError) as error:
            raise _meaning(self._address, error, opening=False) from error
        raise _end(self._address)

    def close(self) -> None:
        """Ends the connection; may be called again."""
        self._container.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_live(self) -> None:
        """Refuses by its name what is no live stream."""
        name = _NAMED.get(self._container.format.name.partition(",")[0])
        if name is not None and self._address.kind == "http":
            raise StreamError(
                CameraState.FAILED,
                f"{self._address.shown} is {name}. Use the camera's rtsp:// address, or its MJPEG stream.",
            )

    def _video_stream(self) -> VideoStream:
        tracks = video_tracks(self._container)
        stream = best_track(tracks if self._track is None else tracks[self._track - 1 : self._track])
        if stream is not None:
            return stream
        shown = self._address.shown
        if any(stream.type == "video" for stream in self._container.streams):
            raise StreamError(
                CameraState.FAILED,
                f"{shown} uses {_CODEC}",
            )
        kinds = ", ".join(sorted({stream.type for stream in self._container.streams})) or "nothing"
        state = CameraState.FAILED if self._address.ends else CameraState.RECONNECTING
        raise StreamError(state, f"expected a video stream from {shown}, got {kinds}.")


def _open(address: Address, changed: Mapping[str, str] | None = None) -> InputContainer:
    options = {**_options(address), **(changed or {})}
    try:
        return av.open(
            f"file:{split_query(address.secret)[0]}" if address.kind == "replay" else address.secret,
            format=options.pop("format", None),
            options=options,
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S),
            metadata_errors="replace",
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _meaning(address, error, opening=True) from error


def _options(address: Address) -> dict[str, str]:
    timeout = str(round(READ_TIMEOUT_S * 1e6))
    if address.kind == "replay":
        return {"format_whitelist": _REPLAYED, "protocol_whitelist": "file"}
    common = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": _PROTOCOLS,
        "fpsprobesize": "0",
        "analyzeduration": "800000",
        "probesize": "1000000",
    }
    return (
        common
        | {
            # TCP loses no packets; a camera that refuses it (461) is asked for UDP
            "rtsp": {"rtsp_transport": "tcp+udp+udp_multicast", "rtsp_flags": "prefer_tcp", "timeout": timeout},
            "http": {
                "rw_timeout": timeout,
                "multiple_requests": "0",
                "format_whitelist": ",".join((_FORMATS, *_NAMED, "webm,mp4")),
            },
            "udp": {"timeout": timeout, "overrun_nonfatal": "1", "fifo_size": "50000"},
            "device": {"protocol_whitelist": "file", "format": "v4l2"},
        }[address.kind]
    )


def _end(address: Address) -> StreamError:
    if address.ends:
        return StreamError(CameraState.ENDED, f"{address.shown} was replayed to its end.")
    return StreamError(CameraState.RECONNECTING, f"{address.shown} ended the stream.")


def _meaning(address: Address, error: BaseException, *, opening: bool) -> StreamError:
    """Returns what an error of FFmpeg means for the camera."""
    kind, shown = type(error).__name__, address.shown
    if kind in _HTTP_STATES:
        return StreamError(CameraState.REFUSED, f"{shown}: {_HTTP_STATES[kind]}.")
    if isinstance(error, av.DecoderNotFoundError):
        return StreamError(
            CameraState.FAILED,
            f"{shown} uses a codec that this build of FFmpeg cannot decode: set the camera to H.264, H.265 or MJPEG.",
        )
    lost = CameraState.FAILED if address.ends else CameraState.RECONNECTING
    if isinstance(error, EOFError):
        if opening:
            return StreamError(lost, f"{shown} answered, but sent nothing: check the path in the address.")
        return _end(address)
    return StreamError(lost, f"{shown}: {_reason(address, error, opening=opening)}.{_doubt(shown)}")


def _doubt(shown: str) -> str:
    """Returns what to try if the address can be read in two ways, so that its host is not shown."""
    if not shown.endswith(f"://{HIDDEN}"):
        return ""
    return " If the password holds '@' or '/', write %40 and %2F for them, and %40 for an '@' of the path."


def _reason(address: Address, error: BaseException, *, opening: bool) -> str:
    number: Any = getattr(error, "errno", None)
    silent = isinstance(error, TimeoutError | av.ExitError)
    damaged = isinstance(error, av.InvalidDataError)
    unable = (number, address.kind) == (errno.ENOENT, "device")
    status = {"HTTPBadRequestError": "400", "HTTPOtherClientError": "4xx", "HTTPServerError": "5xx"}.get(
        type(error).__name__
    )
    known = (
        (
            status is not None,
            f"it refused the request ({status}): check the path in the address, and the log of the camera",
        ),
        (
            isinstance(error, ConnectionRefusedError),
            "connection refused, nothing listens there: check host and port, and that the camera is on",
        ),
        (
            silent and opening,
            f"no image within {OPEN_TIMEOUT_S:.0f} s: check the address, and that the camera sends",
        ),
        (silent, f"no data for {READ_TIMEOUT_S:.1f} s"),
        (damaged and opening, "not a video stream: expected RTSP, MPEG-TS or MJPEG"),
        (damaged, "the stream is damaged"),
        (
            number == errno.EADDRINUSE,
            "the port is in use by another program: stop it, or have the camera send to another port",
        ),
        (
            number == errno.EPROTONOSUPPORT and address.kind == "rtsp",
            "it refuses RTSP over TCP (461) and sent nothing over UDP: allow RTP over TCP in the camera's settings, or "
            "UDP from the camera in the firewall",
        ),
        (
            number == errno.EINVAL and opening and not address.ends,
            "not a video stream that is read live: expected RTSP, MPEG-TS or MJPEG",
        ),
        (unable, "no such device: plug the camera in"),
        (number == errno.EACCES, "this user may not open it: change its permissions"),
        (
            number == errno.EIO and opening and not _has_host(address),
            "no host of that name: check the address and the network",
        ),
        (number == errno.EIO and opening, "it answered, but sent no video stream: expected RTSP, MPEG-TS or MJPEG"),
    )
    for applies, reason in known:
        if applies:
            return reason
    text = getattr(error, "strerror", None) or str(error)
    return address.redact(str(text)).rstrip(".") or type(error).__name__


def _has_host(address: Address) -> bool:
    """FFmpeg gives the same error for a name that is unknown and for an answer that is empty."""
    host = urlsplit(address.shown).hostname if "://" in address.shown else None
    try:
        return host is None or bool(socket.getaddrinfo(host, None))
    except OSError:
        return False
