// The address of a frame: `#camera=front&frame=120&track=17&classes=car&seconds=2`.
//
// It stands behind the `#`, so it is never sent to the server, and the redirection that removes a token keeps it.

/** Reads the address that the page was opened with. */
export function readAddress() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const number = (name) => (/^\d+(\.\d+)?$/.test(fields.get(name) ?? "") ? Number(fields.get(name)) : null);
  return {
    camera: fields.get("camera"),
    frame: number("frame"),
    track: number("track"),
    labels: fields.has("classes") ? new Set(fields.get("classes").split(",")) : null,
    seconds: number("seconds") ?? 0,
  };
}

/** Makes the address that of a moment, without a new entry in the browser's history. */
export function writeAddress({ camera, frame, track, labels, seconds }) {
  const fields = new URLSearchParams({ camera, frame });
  if (track !== null) fields.set("track", track);
  if (labels !== null) fields.set("classes", [...labels].sort().join(","));
  if (seconds > 0) fields.set("seconds", seconds);
  const address = `#${fields}`;
  if (address !== location.hash) history.replaceState(null, "", address);
}
