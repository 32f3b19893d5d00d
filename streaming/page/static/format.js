// Numbers as people read them.

const NONE = "–";

/** Milliseconds as "143 ms", "1.4 s" or "2 min"; an unknown age is a dash, and so is one in the future. */
export function age(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms) || ms < -1000) return NONE;
  const positive = Math.max(ms, 0);
  if (positive < 1000) return `${Math.round(positive)} ms`;
  if (positive < 10_000) return `${(positive / 1000).toFixed(1)} s`;
  return duration(positive / 1000);
}

/** Seconds as "42 s", "3 min" or "2 h 05 min". */
export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** Milliseconds as a time of a recording: "4:02.48" or "1:04:02.48". */
export function mediaTime(ms) {
  const hundredths = Math.max(Math.round(ms / 10), 0);
  const minutes = Math.floor(hundredths / 6000);
  const seconds = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  if (minutes < 60) return `${minutes}:${seconds}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${seconds}`;
}

/** A rate with one decimal. */
export function rate(perSecond) {
  return perSecond === null || perSecond === undefined ? NONE : `${perSecond.toFixed(1)} fps`;
}

export function count(number) {
  return number.toLocaleString("en");
}

/** "car" as "cars" where there are several. */
export function several(number, name) {
  if (number === 1) return name;
  if (name === "person") return "people";
  return /(s|x|ch|sh)$/.test(name) ? `${name}es` : `${name}s`;
}

/** Sets a text only if it changes, so that screen readers and layout are not disturbed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
