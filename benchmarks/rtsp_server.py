"""An RTSP camera: GStreamer's server, run by the system's Python, which has its bindings.

`/usr/bin/python3 rtsp_server.py PORT CLIP CODEC [USER PASSWORD [udp]]` serves rtsp://127.0.0.1:PORT/camera at the
clip's own pace; CODEC is h264 or h265. With `udp` it refuses TCP.
Imports nothing of roadmask: another Python runs it.
"""

import sys


def main(port: str, clip: str, codec: str, user: str = "", password: str = "", transport: str = "") -> None:
    """Serves until it is killed."""
    import gi  # noqa: PLC0415 - only the system's Python has it

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: PLC0415 - after the versions

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{clip}" ! qtdemux ! {codec}parse config-interval=-1 ! rtp{codec}pay name=pay0 pt=96 )'
    )
    if transport == "udp":
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    if user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "watcher")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("watcher", "media.factory.access", True)
        permissions.add_permission_for_role("watcher", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        sys.exit(f"cannot listen on port {port}")
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
