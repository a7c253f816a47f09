// What makes the pages a little nicer; all of them work without it.
"use strict";

const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

for (const time of document.querySelectorAll("time[datetime]")) {
  const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
  const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  time.title = time.textContent;
  time.textContent = unit === "second" ? "just now" : relative.format(Math.round(seconds / size), unit);
}

// Who reads with ears or a magnifier learns first what went wrong.
document.querySelector(".summary")?.focus();

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault(); // a double click posts once
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.forms) delete form.dataset.sent;
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// "/" goes to the search, as in many places.
document.addEventListener("keydown", (event) => {
  const search = document.getElementById("q");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !search) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  event.preventDefault();
  search.focus();
});
