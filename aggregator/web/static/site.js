// What every page gains from a script: the reader's zone, times that stay true, keys, actions without a reload with
// their Undo, the pulse, and news of new hits. Every page is complete without it: what acts is a form or a link.
// docs/decisions/0019 describes the attributes (data-row, data-swap, data-quick, …) by which templates ask for this.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `aggregator_zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;

// Times said in words ("14 min ago") are said anew each half minute; the words are those of filters.py.
const UNITS = { s: t("%(n)s s"), min: t("%(n)s min"), h: t("%(n)s h"), d: t("%(n)s d") };
const said = (unit, n) => UNITS[unit].replace("%(n)s", n);
function span(seconds) {
  const whole = Math.round(Math.abs(seconds));
  if (whole < 60) return said("s", whole);
  if (whole < 3600) return said("min", Math.round(whole / 60));
  if (whole < 86400) {
    const minutes = Math.round(whole / 60), hours = Math.floor(minutes / 60), rest = minutes % 60;
    return rest && hours < 10 ? `${said("h", hours)} ${said("min", rest)}` : said("h", hours);
  }
  const hours = Math.round(whole / 3600), days = Math.floor(hours / 24), rest = hours % 24;
  return rest && days < 3 ? `${said("d", days)} ${said("h", rest)}` : said("d", days);
}
// The difference between this clock and the server's does not matter: words move by what passes here.
const began = new Map();
const lengths = { s: 1, min: 60, h: 3600, d: 86400 };
const wordOf = Object.fromEntries(Object.entries(UNITS).map(([unit, words]) => [words.replace("%(n)s", "").trim(), lengths[unit]]));
const [before, behind] = t("%(span)s ago").split("%(span)s");
function secondsOf(words) {
  return [...words.matchAll(/(\d+)\s(\p{L}+)/gu)].reduce((sum, [, n, word]) => sum + n * (wordOf[word] ?? 0), 0);
}
function watchTimes() {
  began.clear();
  for (const time of document.querySelectorAll("time")) {
    const words = time.textContent, seconds = secondsOf(words);
    if (seconds && words.startsWith(before) && words.endsWith(behind)) began.set(time, Date.now() - 1000 * seconds);
  }
}
watchTimes();
document.addEventListener("swapped", watchTimes);
setInterval(() => {
  for (const [time, from] of began) time.textContent = before + span((Date.now() - from) / 1000) + behind;
}, 30000);

// Rows. A row has the focus; what a key does stands on the button or link as aria-keyshortcuts: in the bar for
// several while rows are ticked, else in the row that has the focus, else outside of rows.
const rows = () => [...document.querySelectorAll("[data-row]")];
const rowOf = (element) => element?.closest?.("[data-row]");
const ticked = () => [...document.querySelectorAll("[data-select]:checked")];
const calm = matchMedia("(prefers-reduced-motion: reduce)");
function focusRow(row) {
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
}
function move(step) {
  const all = rows();
  if (!all.length) return;
  const here = all.indexOf(rowOf(document.activeElement));
  if (step > 0 && here === all.length - 1) document.querySelector("a[rel=next]")?.focus();
  else focusRow(all[Math.max(here + step, 0)]);
}
function extend(step) { // Shift with j or k ticks what it passes
  tick(rowOf(document.activeElement));
  move(step);
  tick(rowOf(document.activeElement));
}
let lastTicked = null;
function tick(row, on = true) {
  const box = row?.querySelector("[data-select]");
  if (!box) return;
  box.checked = on;
  lastTicked = row;
  counted();
}
function select() {
  const row = rowOf(document.activeElement);
  tick(row, !row?.querySelector("[data-select]")?.checked);
}
function counted() {
  for (const place of document.querySelectorAll("[data-selected]")) place.textContent = String(ticked().length);
}
document.addEventListener("click", (event) => {
  const box = event.target.closest?.("[data-select]");
  if (!box) return;
  const all = rows(), from = all.indexOf(lastTicked), to = all.indexOf(rowOf(box));
  if (event.shiftKey && from >= 0) {
    for (const row of all.slice(Math.min(from, to), Math.max(from, to) + 1)) tick(row, box.checked);
  }
  lastTicked = rowOf(box);
  counted();
});
let pressed = false; // by a key: who works with keys goes on with the next row
function press(key) {
  const wanted = `[aria-keyshortcuts="${CSS.escape(key)}"]`;
  const found = (ticked().length && document.querySelector(`[data-bulk] ${wanted}`))
    || rowOf(document.activeElement)?.querySelector(wanted)
    || [...document.querySelectorAll(wanted)].find((one) => !rowOf(one) && !one.closest("[data-bulk]") && one.checkVisibility());
  if (found?.matches("input, textarea")) { found.focus(); return true; }
  pressed = true;
  found?.click();
  pressed = false;
  if (found?.matches("summary")) found.parentElement.querySelector("a, button, input:not([type=hidden])")?.focus();
  return Boolean(found);
}
function actions() { // to the first thing that can be done: with what is ticked, else in the row, else on the page
  const place = (ticked().length && document.querySelector("[data-bulk]")) || rowOf(document.activeElement) || document.querySelector("main");
  const menu = place.querySelector(":scope > details.menu, .doing > details.menu");
  if (menu) menu.open = true;
  [...place.querySelectorAll("button, .acts a, a.button")].find((one) => one.checkVisibility() && (place.matches("[data-row], [data-bulk]") || !rowOf(one)))?.focus();
}
function open() {
  const row = rowOf(document.activeElement);
  (row?.querySelector("h2 a, h3 a, th a") ?? row?.querySelector("a"))?.click();
}
function search() {
  const field = document.querySelector("[data-search]");
  if (field) { field.focus(); field.select(); } else location.assign("/search");
}
function escape() {
  for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
  for (const box of ticked()) box.checked = false;
  counted();
}
const PAGES = { h: "/", r: "/rules", f: "/feeds", a: "/alerts", c: "/channels", m: "/silences", s: "/status" };
const help = document.querySelector("[data-keys]");
const keys = {
  "/": search, "?": () => help.showModal(), j: () => move(1), k: () => move(-1), o: open,
  J: () => extend(1), K: () => extend(-1), x: select, ".": actions, Escape: escape,
};
let went = 0;
function act(key) {
  const page = Date.now() - went < 1500 && PAGES[key];
  went = key === "g" ? Date.now() : 0;
  if (page) location.assign(page);
  else if (key === "x" && !rowOf(document.activeElement)?.querySelector("[data-select]")) return press(key);
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
    if (event.target.closest?.("input:not([type=checkbox]), textarea, select")) return;
    if (event.key === "Enter" && event.target.matches?.("[data-row]")) open();
    else if (on.checked && act(event.key)) event.preventDefault();
  });
}

// The names of the pages may be wider than a phone: the one on show is in view.
const shown = document.querySelector(".bar nav [aria-current]");
if (shown) shown.parentElement.scrollLeft = shown.offsetLeft + (shown.offsetWidth - shown.parentElement.clientWidth) / 2;

// Menus close when something else is pressed.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// Theme and density change at once; the cookie is the one that the form would set.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!event.target.closest("[data-display]") || !button) return;
  event.preventDefault();
  document.documentElement.dataset[button.name] = button.value;
  document.cookie = `aggregator_${button.name}=${button.value}; path=/; max-age=31536000; samesite=lax`;
  for (const one of document.querySelectorAll(`[data-display] button[name="${button.name}"]`)) {
    one.setAttribute("aria-pressed", String(one.value === button.value));
  }
});

// What was just done, with its Undo. Undone is what was done last, as often as something was done on this page.
const toast = document.querySelector("[data-toast]");
const undos = [];
function showMessage(page, wasUndo = false) { // the toast of a page that the server rendered; after an undo the one before
  const given = page.querySelector("[data-toast]");
  const address = given.querySelector("form")?.getAttribute("action");
  if (address) undos.push(address);
  toast.replaceChildren(...given.childNodes);
  if (!address && wasUndo && toast.childElementCount && undos.length) offer(undos.at(-1));
}
function say(message, undo) {
  const words = document.createElement("p");
  words.textContent = message;
  toast.replaceChildren(words);
  if (undo) { undos.push(undo); offer(undo); }
  const close = document.createElement("button");
  close.className = "close"; close.dataset.dismiss = ""; close.textContent = "×"; close.ariaLabel = t("Dismiss");
  toast.append(close);
}
function offer(undo) {
  const form = document.createElement("form"), button = document.createElement("button");
  form.method = "post"; form.action = undo; form.dataset.swap = "";
  button.textContent = t("Undo"); button.setAttribute("aria-keyshortcuts", "u");
  const next = document.createElement("input");
  next.type = "hidden"; next.name = "next"; next.value = here();
  form.append(next, button);
  toast.querySelector("p").after(form);
}
document.addEventListener("click", (event) => {
  if (!event.target.closest?.("[data-dismiss]")) return;
  event.preventDefault();
  toast.replaceChildren();
  document.querySelector("main").focus();
});
if (toast?.querySelector("form")) undos.push(toast.querySelector("form").getAttribute("action"));
function here() { // the address without what it says was done
  const address = new URL(location.href);
  for (const name of ["done", "n", "undo"]) address.searchParams.delete(name);
  return address.pathname + address.search;
}

// Actions. A form with data-swap is sent, and its answer takes the place of the page's main part; one with data-quick
// changes its own row at once, and the answer is only a sentence and the name of its undo.
document.addEventListener("submit", (event) => {
  const form = event.target, button = event.submitter;
  if (event.defaultPrevented) return;
  if (form.matches("[data-quick]") && button) { event.preventDefault(); quick(form, button, pressed); }
  else if (form.matches("[data-swap]")) { event.preventDefault(); swap(form, button); }
});
function sending(form, button) {
  const data = new FormData(form, button);
  return form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
}
async function swap(form, button) {
  const row = rowOf(document.activeElement) ?? rowOf(form);
  const place = rows().indexOf(row), id = row?.id;
  const isUndo = form.getAttribute("action").startsWith("/undo/");
  try {
    const answer = await fetch(form.action, { method: "POST", body: sending(form, button) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html"), main = page.querySelector("main");
    if (answer.status === 401 || !main) throw new Error(String(answer.status));
    if (isUndo) undos.pop();
    document.querySelector("main").replaceWith(main);
    document.title = page.title;
    if (answer.redirected) {
      const address = new URL(answer.url);
      for (const name of ["done", "n", "undo"]) address.searchParams.delete(name);
      history.replaceState(null, "", address.pathname + address.search);
    }
    showMessage(page, isUndo);
    counted();
    const next = (id && document.getElementById(id)) || rows()[Math.min(place, rows().length - 1)];
    if (place >= 0 && next) focusRow(next);
    document.dispatchEvent(new CustomEvent("swapped"));
  } catch {
    plainly(form, button?.name, button?.value, form.action);
  }
}
async function quick(form, button, byKey) {
  const row = rowOf(form), body = sending(form, button), chosen = button.value;
  const address = button.getAttribute("formaction") ?? form.action;
  if (button.dataset.value) {
    for (const other of form.querySelectorAll("[data-value]")) {
      const on = other.dataset.value === chosen;
      other.setAttribute("aria-pressed", String(on));
      other.value = on ? "" : other.dataset.value;
    }
  }
  if (row) {
    const was = row.classList.contains("handled"), is = Boolean(chosen);
    row.classList.toggle("handled", is);
    if (was !== is) left(is ? -1 : 1);
    if (byKey && is) move(1);
  }
  try {
    const answer = await fetch(address, { method: "POST", body, headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const { message, undo } = await answer.json();
    say(message, undo);
  } catch {
    plainly(form, button.name, chosen, address);
  }
}
// Sends a form as without a script, so that the browser or the site says what is wrong.
function plainly(form, name, value, address) {
  if (name) {
    const field = document.createElement("input");
    field.type = "hidden"; field.name = name; field.value = value;
    form.append(field);
  }
  form.action = address;
  HTMLFormElement.prototype.submit.call(form);
}

// How many are left to do stands in the title of the tab.
function left(change) {
  const place = document.querySelector("[data-todo]");
  if (!place || !/^\d+$/.test(place.textContent)) return;
  place.textContent = String(Math.max(Number(place.textContent) + change, 0));
  document.title = document.title.replace(/^(\(\d+\) )?/, place.textContent === "0" ? "" : `(${place.textContent}) `);
}

// Who acts on a row and comes back to the list finds the focus there again, or on the row that took its place.
function leave(event) {
  const row = rowOf(event.target);
  const goes = event.type === "submit" || event.target.closest('a[href^="/silences/add"]');
  if (row && goes && !event.defaultPrevented) sessionStorage.setItem("row", JSON.stringify([here(), rows().indexOf(row)]));
}
document.addEventListener("submit", leave);
document.addEventListener("click", leave);
const [listed, place] = JSON.parse(sessionStorage.getItem("row") ?? "[]");
if (listed === here()) {
  sessionStorage.removeItem("row");
  (rows()[Math.min(place, rows().length - 1)] ?? document.querySelector("main")).focus();
}
if (location.pathname === "/search") {
  const field = document.querySelector("[data-search]");
  if (field && !field.value) field.focus();
}

// The days of a chart are links. One of them is a tab stop, the arrows move on, and a drag selects several.
for (const chart of document.querySelectorAll("[data-days]")) {
  const days = [...chart.querySelectorAll("[data-day]")];
  const at = (event) => {
    const box = chart.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * days.length);
    return Math.min(Math.max(place, 0), days.length - 1);
  };
  let from = null, to = null;
  const paint = () => days.forEach((day, n) => {
    day.classList.toggle("drawn", from !== null && n >= Math.min(from, to) && n <= Math.max(from, to));
  });
  chart.addEventListener("dragstart", (event) => event.preventDefault());
  chart.addEventListener("pointerdown", (event) => {
    if (event.button || event.pointerType === "touch") return; // a finger scrolls; it taps a day
    from = to = at(event);
  });
  addEventListener("pointermove", (event) => {
    if (from === null || at(event) === to) return;
    to = at(event);
    paint();
  });
  addEventListener("pointerup", () => {
    if (from === null) return;
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    from = null;
    if (first === last) { paint(); return; } // a click, and the link's own affair
    const address = new URL(days[first].href.baseVal ?? days[first].href, location.href);
    address.searchParams.set("since", `${days[first].dataset.day}..${days[last].dataset.day}`);
    location.assign(address);
  });
  addEventListener("pointercancel", () => { from = null; paint(); });
  chart.addEventListener("click", (event) => { if (from === null && chart.querySelector(".drawn")) event.preventDefault(); });
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -days.length, End: days.length }[event.key];
    const here = days.indexOf(document.activeElement);
    if (!step || here < 0) return;
    event.preventDefault();
    const next = days[Math.min(Math.max(here + step, 0), days.length - 1)];
    days[here].setAttribute("tabindex", "-1");
    next.removeAttribute("tabindex");
    next.focus();
  });
}

// Notifications of the browser, if the reader wants them: of alerts, while a page is open and not in view. The wish is
// this browser's, as its permission is. Pages in several tabs say one thing once: it has the same tag.
const wish = document.querySelector("[data-notify]");
const notifies = () => localStorage.getItem("notify") === "on" && Notification.permission === "granted";
if (wish && "Notification" in window && isSecureContext) {
  const box = wish.querySelector("input");
  wish.hidden = false;
  box.checked = notifies();
  box.addEventListener("change", async () => {
    const granted = box.checked && (await Notification.requestPermission()) === "granted";
    if (box.checked && !granted) say(t("This browser does not allow notifications of this site; its settings decide."));
    box.checked = granted;
    localStorage.setItem("notify", granted ? "on" : "off");
  });
}
function notify(hit) {
  if (hit.state !== "alerted" || !wish || wish.hidden || !document.hidden || !notifies()) return;
  const shown = new Notification(hit.entry.title || hit.rule_title, {
    body: `${hit.rule_title} · ${hit.feed_title ?? hit.feed}`, tag: hit.story ?? hit.id, icon: document.querySelector("link[rel=apple-touch-icon]").href,
  });
  shown.addEventListener("click", () => { focus(); location.assign(`/hits/${encodeURIComponent(hit.id)}`); shown.close(); });
}

// The pulse beside "Status".
const pulse = document.querySelector("[data-pulse]");
async function feel() {
  let words = t("no answer"), late = true;
  try {
    const found = await (await fetch("/api/v1/findings")).json();
    late = !found.ok;
    words = late ? found.findings[0].what : t("no problems");
  } catch { /* the words say it */ }
  pulse.className = `pulse ${late ? "late" : "ok"}`;
  pulse.title = words;
}
if (pulse) { feel(); setInterval(feel, 30000); }

// New hits: counted on every page, announced on the stream.
const badge = document.querySelector("[data-new]");
if (badge) {
  const cards = new Set(); // a card is a story, or an entry without one
  const source = new EventSource("/api/v1/events");
  source.addEventListener("hit", (event) => {
    const hit = JSON.parse(event.data);
    if (hit.state === "collapsed" || hit.state === "folded") return; // its story is shown at its first hit
    notify(hit);
    cards.add(hit.story ?? `${hit.feed} ${hit.entry.id}`);
    const count = cards.size;
    badge.textContent = count > 99 ? "99+" : String(count);
    badge.hidden = false;
    const live = document.querySelector("[data-live]");
    if (live) {
      live.querySelector("[data-live-link]").textContent = tn("%(n)s new", "%(n)s new", count);
      live.hidden = false;
    }
  });
  addEventListener("pagehide", () => source.close());
}
