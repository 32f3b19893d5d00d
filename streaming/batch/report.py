"""The report of a batch: one HTML file that loads nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from roadmask.engines.errors import StoreError
from roadmask.engines.files import write_atomically
from roadmask.streaming.batch.batch import BatchResult
from roadmask.streaming.batch.outcome import DriveOutcome

_STYLE = """
:root{--ink:#1c2430;--dim:#5d6878;--line:#e1e6ec;--paper:#fff;--back:#f5f7f9;
--stored:#0a7d55;--incomplete:#a86200;--failed:#b3261e;--waiting:#5d6878;--bar:#3f7fbf}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ef;--dim:#9aa6b5;--line:#323b47;--paper:#1d242d;--back:#141a21;
--stored:#4fc79a;--incomplete:#f0ab4a;--failed:#ff8a80;--waiting:#9aa6b5;--bar:#6ba8e0}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0}
h2{font-size:17px;margin:34px 0 10px}
.dim{color:var(--dim)}
.totals{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px;margin-top:20px}
.total{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.total b{display:block;font-size:22px;line-height:1.25;font-variant-numeric:tabular-nums}
.card{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:14px;overflow-wrap:anywhere}
table{width:100%;border-collapse:collapse;background:var(--paper);border:1px solid var(--line);border-radius:10px;
overflow:hidden}
th,td{padding:9px 12px;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0;font-weight:600;font-size:13px;color:var(--dim)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td img{display:block;width:150px;border-radius:6px}
.chip{display:inline-block;padding:1px 9px;border-radius:99px;font-size:13px;
font-weight:600;border:1px solid currentColor}
.stored{color:var(--stored)}
.incomplete{color:var(--incomplete)}
.failed{color:var(--failed)}
.interrupted,.waiting,.locked{color:var(--waiting)}
.name{font-weight:600;overflow-wrap:anywhere}
.errors .card{margin-bottom:10px;border-left:4px solid var(--failed)}
.errors .card.incomplete{border-left-color:var(--incomplete)}
.errors p{margin:4px 0 0;color:var(--ink)}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--dim);font-size:11px}
@media(max-width:720px){main{padding:18px 12px 40px}
thead{display:none}
table,tbody,tr,td{display:block}
table{border:0;background:none}
tr{background:var(--paper);border:1px solid var(--line);border-radius:10px;margin-bottom:10px;
padding:8px 2px}
td{border:0;padding:3px 12px;display:flex;justify-content:space-between;gap:16px;text-align:right}
td:not(.plain):before{content:attr(data-l);color:var(--dim);text-align:left}
td.plain{display:block;text-align:left}
td img{width:100%}
td.empty{display:none}}
"""


def write_report(result: BatchResult, path: Path) -> None:
    """Writes the report of a batch.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        write_atomically(path, report_page(result))
    except OSError as error:
        raise StoreError(
            f"cannot write the report {path}: {error.strerror or error}. Make room or choose another --out."
        ) from error


def report_page(result: BatchResult) -> str:
    """Returns the report as HTML: totals, errors, a time line, and a row for each drive."""
    outcomes = result.outcomes
    where = result.published_at or str(result.out)
    name = where.rstrip("/").rpartition("/")[2]
    ended = datetime.fromtimestamp(result.started + result.seconds, UTC)
    state = (
        "ended because nothing could be written any more"
        if result.out_error
        else "was interrupted"
        if result.interrupted
        else ""
    )
    heading = f"{ended:%Y-%m-%d %H:%M} UTC, after {length(result.seconds)}" + (f"; the batch {state}" if state else "")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>roadmask batch: {escape(name)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>Batch {escape(name)}</h1>",
        f'<div class="dim">{escape(heading)}<br>{escape(where)}</div>',
        _totals(outcomes),
        _errors(result),
        _timeline(result),
        "<h2>Drives</h2>",
        _table(outcomes),
        _left_out(result),
        "</main></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def length(seconds: float) -> str:
    """Returns 42 s, 3 min 5 s or 2 h 7 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole} s"


def size(count: float) -> str:
    """Returns 12 kB, 3.4 MB or 1.2 GB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _totals(outcomes: list[DriveOutcome]) -> str:
    tracks: Counter[str] = Counter()
    for outcome in outcomes:
        tracks.update(outcome.tracks)
    good = sum(outcome.good for outcome in outcomes)
    values = [
        (f"{good} of {len(outcomes)}", "drives stored completely"),
        (f"{sum(outcome.frames for outcome in outcomes):,}", "frames stored"),
        (f"{sum(sum(outcome.lost.values()) for outcome in outcomes):,}", "frames lost"),
        (length(sum(outcome.video_s for outcome in outcomes)), "of video"),
        *((f"{count:,}", f"{name} tracks") for name, count in sorted(tracks.items())),
        (size(sum(outcome.stored_bytes for outcome in outcomes)), "on disk"),
    ]
    boxes = "".join(f'<div class="total"><b>{escape(value)}</b>{escape(what)}</div>' for value, what in values)
    return f'<div class="totals">{boxes}</div>'


def _errors(result: BatchResult) -> str:
    bad = [outcome for outcome in result.outcomes if not outcome.good and outcome.status != "waiting"]
    cards = [f'<div class="card failed"><p>{escape(result.out_error)}</p></div>'] if result.out_error else []
    cards += [
        f'<div class="card {outcome.status}">{_chip(outcome)} <span class="name" style="color:var(--ink)">'
        f"{escape(outcome.drive)}</span><p>{escape(outcome.reason)}</p></div>"
        for outcome in bad
    ]
    return f'<section class="errors"><h2>What went wrong</h2>{"".join(cards)}</section>' if cards else ""


def _timeline(result: BatchResult) -> str:
    """Draws when each drive was recorded, in as few lanes as possible."""
    recorded = sorted((o for o in result.outcomes if o.started and o.seconds), key=lambda outcome: outcome.started)
    if not recorded:
        return ""
    begin = min(outcome.started for outcome in recorded)
    span = max(outcome.started + outcome.seconds for outcome in recorded) - begin
    lanes: list[float] = []
    bars = []
    for outcome in recorded:
        lane = next((n for n, end in enumerate(lanes) if end <= outcome.started), len(lanes))
        lanes[lane : lane + 1] = [outcome.started + outcome.seconds]
        x, width = 1000 * (outcome.started - begin) / span, max(1000 * outcome.seconds / span, 2)
        kind = "bar" if outcome.good else outcome.status
        title = f"{outcome.drive}: {outcome.status}, {length(outcome.seconds)}, {outcome.host}"
        bars.append(
            f'<rect x="{x:.1f}" y="{lane * 18}" width="{width:.1f}" height="14" rx="2" fill="var(--{kind})" '
            f'stroke="var(--paper)"><title>{escape(title)}</title></rect>'
        )
    height = len(lanes) * 18
    marks = "".join(
        f'<text x="{250 * n}" y="{height + 14}" text-anchor="{anchor}">{length(span * n / 4)}</text>'
        for n, anchor in enumerate(("start", "middle", "middle", "middle", "end"))
    )
    return (
        f'<h2>Timeline</h2><div class="card"><svg viewBox="0 0 1000 {height + 20}" role="img" '
        f'aria-label="When each drive was recorded">{"".join(bars)}{marks}</svg></div>'
    )


def _left_out(result: BatchResult) -> str:
    cards = [
        f'<div class="card"><span class="name">{escape(str(path))}</span><p>{escape(reason)}</p></div>'
        for path, reason in result.left_out.items()
    ]
    return f'<section class="errors"><h2>Left out</h2>{"".join(cards)}</section>' if cards else ""


def _chip(outcome: DriveOutcome) -> str:
    word = outcome.status + (" earlier" if outcome.skipped else "")
    return f'<span class="chip {outcome.status}">{word}</span>'


def _table(outcomes: list[DriveOutcome]) -> str:
    headings = ("", "drive", "status", "frames", "frames/s", "tracks", "lost", "time", "size")
    head = "".join(f"<th{' class=n' if name in _NUMBERS else ''}>{name}</th>" for name in headings)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, outcomes))}</tbody></table>"


_NUMBERS = ("frames", "frames/s", "time", "size")


def _row(outcome: DriveOutcome) -> str:
    image = outcome.thumbnail and (
        f'<img alt="A frame of {escape(outcome.drive)} with its masks" '
        f'src="data:image/jpeg;base64,{outcome.thumbnail}">'
    )
    what = f"{outcome.width} x {outcome.height}, {length(outcome.video_s)}" if outcome.width else ""
    if outcome.cameras > 1:
        what += f", {outcome.cameras} cameras"
    cells = [
        ("plain", "", image or ""),
        ("plain", "", f'<span class="name">{escape(outcome.drive)}</span><div class="dim">{what}</div>'),
        ("", "status", _chip(outcome)),
        ("n", "frames", f"{outcome.frames:,}" if outcome.frames else ""),
        ("n", "frames/s", f"{outcome.frames / outcome.seconds:.1f}" if outcome.frames and outcome.seconds else ""),
        ("", "tracks", escape(", ".join(f"{count} {name}" for name, count in outcome.tracks.items()))),
        ("", "lost", escape(", ".join(f"{count} {why}" for why, count in outcome.lost.items()))),
        ("n", "time", length(outcome.seconds) if outcome.seconds else ""),
        ("n", "size", size(outcome.stored_bytes) if outcome.stored_bytes else ""),
    ]
    return (
        "<tr>"
        + "".join(
            f'<td class="{kind}{"" if text else " empty"}" data-l="{label}">{text}</td>' for kind, label, text in cells
        )
        + "</tr>"
    )
