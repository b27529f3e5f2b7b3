// What every page gains from a script: the reader's zone, times that stay true, keys, marks without
// a reload, the pulse, and news of new hits. Every page is complete without it.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `aggregator_zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;

// Times said in words ("14 min ago") are said anew each half minute; the words are those of filters.py.
function span(seconds) {
  const whole = Math.round(Math.abs(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  if (whole < 86400) {
    const minutes = Math.round(whole / 60), hours = Math.floor(minutes / 60), rest = minutes % 60;
    return rest && hours < 10 ? `${hours} h ${rest} min` : `${hours} h`;
  }
  const hours = Math.round(whole / 3600), days = Math.floor(hours / 24), rest = hours % 24;
  return rest && days < 3 ? `${days} d ${rest} h` : `${days} d`;
}
// The difference between this clock and the server's does not matter: words move by what passes here.
const opened = Date.now();
const said = [...document.querySelectorAll("time")].filter((t) => / ago$/.test(t.textContent));
const began = new Map(said.map((t) => [t, secondsOf(t.textContent)]));
function secondsOf(words) {
  const units = { s: 1, min: 60, h: 3600, d: 86400 };
  return [...words.matchAll(/(\d+) (s|min|h|d)/g)].reduce((sum, [, n, unit]) => sum + n * units[unit], 0);
}
setInterval(() => {
  for (const [time, seconds] of began) time.textContent = `${span(seconds + (Date.now() - opened) / 1000)} ago`;
}, 30000);

// Keys. What a key does stands on the button or link as aria-keyshortcuts: first in the row that has the
// focus, then outside of rows. A key that is typed into a field is only a character.
const rows = () => [...document.querySelectorAll("[data-row]")];
const rowOf = (element) => element?.closest?.("[data-row]");
function move(step) {
  const all = rows();
  if (!all.length) return;
  const here = all.indexOf(rowOf(document.activeElement));
  const next = all[Math.min(Math.max(here + step, 0), all.length - 1)];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}
function press(key) {
  const wanted = `[aria-keyshortcuts="${CSS.escape(key)}"]`;
  const inRow = rowOf(document.activeElement)?.querySelector(wanted);
  const found = inRow ?? [...document.querySelectorAll(wanted)].find((one) => !rowOf(one) && one.checkVisibility());
  found?.click();
  return Boolean(found);
}
function open() {
  const row = rowOf(document.activeElement);
  (row?.querySelector("h2 a, h3 a, th a") ?? row?.querySelector("a"))?.click();
}
function search() {
  const field = document.querySelector("[data-search]");
  if (field) { field.focus(); field.select(); } else location.assign("/search");
}
const PAGES = { h: "/", r: "/rules", f: "/feeds", a: "/alerts", s: "/status" };
const help = document.querySelector("[data-keys]");
const keys = { "/": search, "?": () => help.showModal(), j: () => move(1), k: () => move(-1), o: open };
let went = 0;
function act(key) {
  const page = Date.now() - went < 1500 && PAGES[key];
  went = key === "g" ? Date.now() : 0;
  if (page) location.assign(page);
  else if (keys[key]) keys[key]();
  else return key.length === 1 && press(key);
  return true;
}
if (help) {
  const on = help.querySelector("[data-keys-on]");
  const hint = document.querySelector("[data-keys-hint]");
  on.checked = localStorage.getItem("keys") !== "off";
  on.addEventListener("change", () => localStorage.setItem("keys", on.checked ? "on" : "off"));
  help.addEventListener("click", (event) => { if (event.target === help) help.close(); });
  hint.hidden = false;
  hint.querySelector("button").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.target.closest?.("input, textarea, select")) return;
    if (event.key === "Enter" && event.target.matches?.("[data-row]")) open();
    else if (on.checked && act(event.key)) event.preventDefault();
  });
}

// Marks.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-mark]");
  if (!form || !event.submitter) return;
  event.preventDefault();
  const button = event.submitter;
  const mark = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.value;
  try {
    const answer = await fetch(`/api/v1/hits/${encodeURIComponent(form.dataset.mark)}/mark`, {
      method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ mark }),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    for (const other of form.querySelectorAll("[data-value]")) {
      const on = other.dataset.value === mark;
      other.setAttribute("aria-pressed", String(on));
      other.value = on ? "" : other.dataset.value;
    }
  } catch {
    HTMLFormElement.prototype.submit.call(withButton(form, button));
  }
});
function withButton(form, button) {
  const field = document.createElement("input");
  field.type = "hidden"; field.name = button.name; field.value = button.value;
  form.append(field);
  return form;
}

// Who acts on a row and comes back to the list finds the focus there again, or on the row that took its place.
const here = location.pathname + location.search.replace(/[?&]done=\w*/, "");
function leave(event) {
  const row = rowOf(event.target);
  const goes = event.type === "submit" || event.target.closest('a[href^="/silences/add"]');
  if (row && goes && !event.defaultPrevented) sessionStorage.setItem("row", JSON.stringify([here, rows().indexOf(row)]));
}
document.addEventListener("submit", leave);
document.addEventListener("click", leave);
const [listed, place] = JSON.parse(sessionStorage.getItem("row") ?? "[]");
if (listed === here) {
  sessionStorage.removeItem("row");
  (rows()[Math.min(place, rows().length - 1)] ?? document.querySelector("main")).focus();
}
if (location.pathname === "/search") {
  const field = document.querySelector("[data-search]");
  if (field && !field.value) field.focus();
}

// The pulse beside "Status".
const pulse = document.querySelector("[data-pulse]");
async function feel() {
  let words = "no answer", late = true;
  try {
    const answer = await fetch("/healthz");
    late = !answer.ok;
    words = late ? "a loop is late" : "all is well";
  } catch { /* the words say it */ }
  pulse.className = `pulse ${late ? "late" : "ok"}`;
  pulse.title = words;
}
if (pulse) { feel(); setInterval(feel, 30000); }

// New hits: counted on every page, announced on the stream.
const badge = document.querySelector("[data-new]");
const live = document.querySelector("[data-live]");
if (badge) {
  let count = 0;
  const source = new EventSource("/api/v1/events");
  source.addEventListener("hit", (event) => {
    if (JSON.parse(event.data).state === "collapsed") return; // its story is shown at its first hit
    count += 1;
    badge.textContent = count > 99 ? "99+" : String(count);
    badge.hidden = false;
    if (live) {
      live.querySelector("[data-live-link]").textContent = count === 1 ? "1 new hit" : `${count} new hits`;
      live.hidden = false;
    }
  });
  addEventListener("pagehide", () => source.close());
}
