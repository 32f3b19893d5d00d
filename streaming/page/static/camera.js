// One camera: its image, its figures, its timeline.

import { age, count, rate, setText, several } from "./format.js";
import { Marks, instanceAt } from "./marks.js";
import { Timeline } from "./timeline.js";

const STATES = {
  connecting: ["connecting", "wait"],
  live: ["live", "good"],
  stalled: ["stalled", "bad"],
  reconnecting: ["reconnecting", "bad"],
  refused: ["refused", "bad"],
  ended: ["ended", "quiet"],
  failed: ["failed", "bad"],
};
const LATE_MS = 2000;
const RATE_OVER_MS = 3000;

/** Events: `follow` (detail: a track id). */
export class Camera extends EventTarget {
  timeline;
  #parts;
  #marks;
  #followed = null;
  #drawnAt = [];
  #wanted = 0;
  #report = null;

  /** What differs between pages is in the options of the time line. */
  constructor(name, template, timeline = {}) {
    super();
    this.name = name;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.dataset.camera = name;
    this.element.setAttribute("aria-label", `Camera ${name}`);
    const part = (selector) => this.element.querySelector(selector);
    this.#parts = {
      state: part(".state"),
      canvas: part(".image"),
      veil: part(".veil"),
      counts: part(".counts"),
      shownAge: part(".shown-age"),
      imageAge: part(".image-age"),
      masksAge: part(".masks-age"),
      capturedFps: part(".captured-fps"),
      segmentedFps: part(".segmented-fps"),
      drawnFps: part(".drawn-fps"),
      detail: part(".detail"),
      losses: part(".losses"),
      ledger: part(".ledger tbody"),
      ages: part(".ages tbody"),
      agesTable: part(".ages"),
    };
    setText(part("h2"), name);
    this.#parts.canvas.setAttribute("aria-label", `Newest image of ${name}`);
    this.context = this.#parts.canvas.getContext("2d", { alpha: false });
    this.image = null;
    this.#marks = new Marks(part(".marks"));
    this.timeline = new Timeline(part(".tracks"), timeline);
    this.timeline.addEventListener("follow", ({ detail }) => this.#follow(detail));
    this.#listen(part(".stage"), part(".enlarge"));
  }

  /** Draws an image unless a newer request arrives in the meantime; resolves to whether it was drawn.
   *
   * Without a clock, the image has no age: it was recorded.
   */
  async draw(image, clock = null) {
    const wanted = ++this.#wanted;
    let bitmap;
    try {
      bitmap = await createImageBitmap(image.jpeg);
    } catch {
      return false; // a damaged image is not worth more than the one on the screen
    }
    const isNewest = wanted === this.#wanted;
    if (isNewest) {
      const { canvas } = this.#parts;
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
        this.element.querySelector(".stage").style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
      }
      this.context.drawImage(bitmap, 0, 0);
      this.image = image;
      this.#drawnAt.push(performance.now());
      this.#parts.veil.hidden = true;
      this.#showCounts(image.instances);
      this.#marks.draw(image, this.#followed);
      if (clock !== null) this.showAges(clock);
    }
    bitmap.close();
    return isNewest;
  }

  /** Keeps an image that is still being decoded off the screen. */
  hold() {
    this.#wanted++;
  }

  /** Shows how old everything is; called many times a second, as ages grow by themselves. */
  showAges(clock) {
    const now = clock.at();
    const shown = this.image === null || now === null ? null : now - this.image.captured;
    setText(this.#parts.shownAge, age(shown));
    this.#parts.shownAge.classList.toggle("late", shown > LATE_MS);
  }

  showReport(report, isLate) {
    this.#report = report;
    const [word, kind] = STATES[report.state] ?? [report.state, "wait"];
    setText(this.#parts.state, word);
    this.#parts.state.dataset.kind = kind;
    this.element.dataset.state = report.state;
    setText(this.#parts.imageAge, isLate ? "–" : age(report.image_age_ms));
    setText(this.#parts.masksAge, isLate ? "–" : age(report.masks_age_ms));
    this.#parts.imageAge.classList.toggle("late", report.image_age_ms > LATE_MS);
    this.#parts.masksAge.classList.toggle("late", report.masks_age_ms > LATE_MS);
    setText(this.#parts.capturedFps, isLate ? "–" : rate(report.captured_fps));
    setText(this.#parts.segmentedFps, isLate ? "–" : rate(report.segmented_fps));
    const now = performance.now();
    this.#drawnAt = this.#drawnAt.filter((at) => now - at < RATE_OVER_MS);
    setText(this.#parts.drawnFps, rate((this.#drawnAt.length * 1000) / RATE_OVER_MS));
    this.#parts.detail.hidden = report.detail === "";
    setText(this.#parts.detail, report.detail);
    if (this.image === null) setText(this.#parts.veil, report.state === "live" ? "No masks yet" : `No image: ${word}`);
    this.showLosses(report);
  }

  showTracks(tracks, from, to, at = to) {
    this.timeline.show(tracks, from, to, at);
    this.#marks.colours = new Map(tracks.map((track) => [track.id, track.colour]));
  }

  follow(id) {
    this.#followed = id;
    this.timeline.follow(id);
    if (this.image) this.#marks.draw(this.image, id);
  }

  #listen(stage, enlarge) {
    const place = ({ clientX, clientY }) => {
      const box = this.#parts.canvas.getBoundingClientRect();
      const scale = this.#parts.canvas.width / box.width;
      return [(clientX - box.left) * scale, (clientY - box.top) * scale];
    };
    // a finger needs more room around small things than a mouse
    const found = (event) => this.image && instanceAt(this.image, place(event), event.pointerType === "mouse" ? 2 : 14);
    stage.addEventListener("click", (event) => {
      const instance = found(event);
      this.#follow(instance && instance.id !== this.#followed ? instance.id : null);
    });
    stage.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse") return;
      const instance = found(event);
      stage.classList.toggle("pointing", Boolean(instance));
      stage.title = instance ? `Follow ${instance.label} ${instance.id}` : "";
    });
    enlarge.addEventListener("click", () => {
      const isLarge = this.element.classList.toggle("large");
      enlarge.setAttribute("aria-pressed", String(isLarge));
      if (isLarge) this.element.scrollIntoView({ block: "start" });
    });
  }

  #follow(id) {
    this.dispatchEvent(new CustomEvent("follow", { detail: id }));
  }

  #showCounts(instances) {
    const numbers = new Map();
    for (const { id, label } of instances) if (id > 0) numbers.set(label, (numbers.get(label) ?? 0) + 1);
    const texts = [...numbers].sort().map(([label, number]) => [label, `${number} ${several(number, label)}`]);
    fill(this.#parts.counts, texts.length ? texts : [["", "nothing tracked"]], () => document.createElement("li"), (item, [label, text]) => {
      item.dataset.label = label;
      setText(item, text);
    });
  }

  /** Shows how many frames were lost, and the tables of all frames and ages. */
  showLosses(report) {
    const lost = (word, reasons) => {
      const all = Object.entries(reasons).filter(([, number]) => number > 0).sort((one, two) => two[1] - one[1]);
      if (all.length === 0) return `None ${word}`;
      return `${count(sum(reasons))} ${word}: ${all.map(([reason, number]) => `${reason} ${count(number)}`).join(", ")}`;
    };
    const changes = `${count(report.limit_changes)} ${report.limit_changes === 1 ? "change" : "changes"}`;
    const limit = report.limit_fps === null ? "" : ` · limited to ${report.limit_fps.toFixed(1)} a second (${changes})`;
    const again = report.reconnects ? ` · reconnected ${report.reconnects}×` : "";
    const frames = `${lost("dropped", report.dropped)} · ${lost("failed", report.failed)}`;
    setText(this.#parts.losses, `${frames}${again}${limit}`);
    this.#showTables(report);
  }

  #showTables(report) {
    const rows = [
      ["captured", report.captured],
      ["stored", report.stored],
      ["watched only", report.watched],
      ...Object.entries(report.dropped).map(([reason, number]) => [`dropped: ${reason}`, number]),
      ...Object.entries(report.failed).map(([reason, number]) => [`failed: ${reason}`, number]),
      ["in flight", report.in_flight],
    ];
    fill(this.#parts.ledger, rows, () => row(2), (line, [name, number]) => cells(line, [name, count(number)]));
    const stages = Object.entries(report.ages);
    this.#parts.agesTable.hidden = stages.length === 0;
    fill(this.#parts.ages, stages, () => row(4), (line, [stage, ages]) => {
      cells(line, [stage, ...[ages.p50_ms, ages.p95_ms, ages.p99_ms].map((ms) => (ms === null ? "–" : count(Math.round(ms))))]);
    });
  }
}

function sum(reasons) {
  return Object.values(reasons).reduce((total, number) => total + number, 0);
}

/** Gives a parent one child for each item, keeping those that are there. */
function fill(parent, items, make, write) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, index) => write(parent.children[index], item));
}

function row(columns) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  line.append(head, ...Array.from({ length: columns - 1 }, () => document.createElement("td")));
  return line;
}

function cells(line, texts) {
  texts.forEach((text, index) => setText(line.children[index], text));
}
