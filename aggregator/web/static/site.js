// What every page gains from a script: the reader's zone, times that stay true, keys, marks without
// a reload, the pulse, and news of new hits. Every page is complete without it.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `aggregator_zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;

// Times said in words ("14 min ago") are said anew each half minute; the words are those of phrases.py.
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

// Keys. A key that is typed into a field is only a letter.
const rows = () => [...document.querySelectorAll("[data-row]")];
function move(step) {
  const all = rows();
  if (!all.length) return;
  const here = all.indexOf(document.activeElement?.closest?.("[data-row]"));
  const next = all[Math.min(Math.max(here + step, 0), all.length - 1)];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}
const press = (selector) => document.activeElement?.closest?.("[data-row]")?.querySelector(selector)?.click();
const keys = {
  "/": () => {
    const field = document.querySelector("[data-search]");
    if (field) { field.focus(); field.select(); } else location.assign("/search");
  },
  j: () => move(1),
  k: () => move(-1),
  o: () => press("h2 a, h3 a, th a, a"),
  r: () => press('[data-value="relevant"]'),
  i: () => press('[data-value="irrelevant"]'),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select")) return;
  const act = keys[event.key];
  if (act) { event.preventDefault(); act(); }
});
if (location.pathname === "/search") {
  const field = document.querySelector("[data-search]");
  if (field && !field.value) field.focus();
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
    if (JSON.parse(event.data).state === "collapsed") return; // its story stands where it was told first
    count += 1;
    badge.textContent = String(count);
    badge.hidden = false;
    if (live) {
      live.querySelector("[data-live-link]").textContent = count === 1 ? "1 new hit" : `${count} new hits`;
      live.hidden = false;
    }
  });
  addEventListener("pagehide", () => source.close());
}
