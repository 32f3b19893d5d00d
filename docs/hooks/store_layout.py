"""The arrays of a store as Markdown, read from the table that writer, reader and check go by."""

from __future__ import annotations

from roadmask.streaming.store.layout import ALL_ARRAYS, DISTANCE_ARRAYS, PROPAGATED_ARRAYS, SCHEMA_VERSION


def store_page() -> str:
    """Returns the schema version, and a row for each array of an epoch."""
    lines = [
        f"Schema version: **{SCHEMA_VERSION}**.",
        "",
        "| array | dtype | dimensions | value | since |",
        "|---|---|---|---|---|",
    ]
    for name, spec in ALL_ARRAYS.items():
        since = spec.since if spec.required else f"{spec.since}, optional"
        if name in DISTANCE_ARRAYS:
            since = f"{spec.since}, of calibrated cameras"
        if name in PROPAGATED_ARRAYS:
            since = f"{spec.since}, of epochs with propagated instances"
        lines.append(f"| `{name}` | {spec.dtype} | {', '.join(spec.dims)} | {spec.meaning} | {since} |")
    return "\n".join(lines)
