// Runs before the first paint, so that the page does not flash in the other colours.
"use strict";

function remembered() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // forbidden by the browser's settings
  }
}

const chosen = remembered();
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;

document.addEventListener("DOMContentLoaded", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // then only until the page is closed
    }
  });
});
