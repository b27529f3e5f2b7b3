// The editors of a file of rules and of one rule: line numbers and colours behind a plain text area, problems at their
// lines while typing, what the edit would change, and a draft that is never lost. Beside one rule stands its form: what is
// typed there comes into the YAML, and the other way round. Without this script the buttons post the form.

const form = document.querySelector("[data-editor]");
const area = form.querySelector("[data-yaml]");
const one = form.dataset.editor === "item";
const fields = [...form.querySelectorAll("[data-form]")];
const gutter = form.querySelector("[data-gutter]");
const ink = form.querySelector("[data-ink]");
const verdict = form.querySelector("[data-verdict]");
const preview = form.querySelector("[data-preview]");
// What the file holds: a draft and the question before leaving are compared with it, not with what this page began with.
const onDisk = one ? form.elements.opened.value : form.dataset.disk ?? area.defaultValue;
const language = document.documentElement.lang;
let marks = new Map();
let asked = 0;
const touched = {}; // what was typed in the form and has not come into the YAML yet

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const baseName = (path) => path.slice(path.lastIndexOf("/") + 1);

const TOKENS = /(#[^\n]*)|("(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*')|([\w$-]+(?=:(?:\s|$)))/gm;
function coloured(line) {
  const out = element("span");
  let at = 0;
  for (const found of line.matchAll(TOKENS)) {
    const [text, comment, string] = found;
    if (comment && found.index && !/\s/.test(line[found.index - 1])) continue;
    out.append(line.slice(at, found.index), element("span", comment ? "comment" : string ? "string" : "key", text));
    at = found.index + text.length;
    if (comment) break;
  }
  out.append(line.slice(at));
  return out;
}

function draw() {
  const lines = area.value.split("\n");
  const numbers = document.createDocumentFragment();
  const text = document.createDocumentFragment();
  lines.forEach((line, index) => {
    const severity = marks.get(index + 1);
    numbers.append(element("span", severity ?? "", String(index + 1)));
    const words = line.trimStart();
    const drawn = coloured(words);
    if (severity) drawn.className = `line-${severity}`;
    text.append(line.slice(0, line.length - words.length), drawn, "\n");
  });
  gutter.replaceChildren(numbers);
  ink.replaceChildren(text);
  follow();
}

function follow() {
  gutter.scrollTop = area.scrollTop;
  ink.scrollTop = area.scrollTop;
  ink.scrollLeft = area.scrollLeft;
}

function goTo(line, column) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  area.focus();
  area.setSelectionRange(start + column - 1, start + column - 1);
  area.scrollTop = Math.max(0, (line - 6) * (area.scrollHeight / Math.max(lines.length, 1)));
}

async function post(path, more = {}) {
  const about = one ? { rule: form.dataset.rule || null, item: area.value } : { name: form.elements.name.value, text: area.value };
  const answer = await fetch(`/api/v1/rules/${one ? `${path}-item` : path}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ ...about, ...more }),
  });
  const body = await answer.json();
  if (!answer.ok && !body.problems) throw new Error(typeof body.detail === "string" ? body.detail : t("The check failed."));
  return answer.ok ? body : { ok: false, rules: [], problems: body.problems };
}

// The form. A field that the person is in keeps what was typed; the YAML keeps its place and its selection.
const said = (field) => field.type === "checkbox" ? String(field.checked) : field.value;
function fillForm(values) {
  form.elements.shown.value = area.value;
  for (const field of fields) {
    if (field === document.activeElement || !(field.name in values)) continue;
    if (field.type === "checkbox") field.checked = values[field.name] === "true";
    else if (field.value.trim() !== values[field.name]) field.value = values[field.name];
  }
}
function replaceText(text) {
  if (text === area.value) return;
  const { selectionStart, selectionEnd, scrollTop } = area;
  area.value = text;
  if (document.activeElement === area) area.setSelectionRange(selectionStart, selectionEnd);
  area.scrollTop = scrollTop;
  draw();
}

function showVerdict(found) {
  const mine = found.problems.filter((p) => one ? !p.file : p.file.endsWith(form.elements.name.value));
  marks = new Map(mine.map((p) => [p.line, p.severity]));
  const list = element("ul", "problems");
  for (const problem of found.problems) {
    const item = element("li", problem.severity);
    const place = element("a", "", problem.file ? `${baseName(problem.file)}:${problem.line}:${problem.column}` : t("line %(n)s", { n: problem.line }));
    place.title = problem.file;
    place.href = "#text";
    place.className = "place";
    place.dataset.line = problem.line;
    place.dataset.column = problem.column;
    item.append(place, ` ${problem.message}`);
    if (problem.hint) item.append(" ", element("span", "dim", `(${problem.hint})`));
    list.append(item);
  }
  const parts = [element("h2", "", t("Check"))];
  if (found.problems.length) parts.push(list);
  const fine = one ? t("No errors") : tn("%(n)s rule, no errors", "%(n)s rules, no errors", found.rules?.length ?? 0);
  if (found.ok) parts.push(element("p", "fine", fine));
  verdict.replaceChildren(...parts);
  draw();
}

function showPreview(found) {
  const values = { entries: found.entries.toLocaleString(language), n: 30 };
  const parts = [element("h2", "", t("Effect"))];
  if (!found.changes.length) {
    parts.push(element("p", "fine", t("No change in %(entries)s entries from the last %(n)s days.", values)));
  } else {
    const words = found.complete ? t("In %(entries)s entries from the last %(n)s days:", values)
      : t("In %(entries)s entries from the last %(n)s days (not all were read):", values);
    parts.push(element("p", "dim", words));
    const list = element("ul", "changes");
    for (const change of found.changes) {
      const item = element("li");
      const line = element("p", "", `${change.rule} `);
      line.append(element("span", "plus", `+${change.added}`), " ", element("span", "minus", `−${change.removed}`));
      item.append(line);
      for (const [samples, kind] of [[change.added_samples, "plus"], [change.removed_samples, "minus"]]) {
        for (const sample of samples) {
          const shown = element("p", `sample ${kind}`, sample.title);
          shown.dir = "auto";
          item.append(shown);
        }
      }
      list.append(item);
    }
    parts.push(list);
  }
  preview.replaceChildren(...parts);
}

async function look() {
  const mine = ++asked;
  try {
    const sent = { ...touched }, before = area.value;
    const found = await post("check", one ? { form: sent } : {});
    if (mine !== asked || area.value !== before) return; // what was typed meanwhile is looked at in a moment
    if (one && found.form) {
      for (const name of Object.keys(sent)) if (touched[name] === sent[name]) delete touched[name];
      replaceText(found.item);
      fillForm(found.form);
      keepDraft();
    }
    showVerdict(found);
    const edited = area.value !== onDisk;
    preview.classList.toggle("busy", edited && found.ok);
    if (!found.ok || !edited) return;
    const effect = await post("preview");
    if (mine !== asked) return;
    showPreview(effect);
    preview.classList.remove("busy");
  } catch (error) {
    if (mine === asked) verdict.replaceChildren(element("h2", "", t("Check")), element("p", "error", error.message));
  }
}

// A draft is kept in the browser while it differs from the file, and comes back with this page.
const draftKey = `draft ${location.pathname}${one ? location.search : ` ${form.elements.name.value}`}`;
const posted = form.dataset.posted !== undefined; // this page answers what was just sent, and holds it
const saving = sessionStorage.getItem("saving");
sessionStorage.removeItem("saving");
if (saving && !posted) localStorage.removeItem(saving); // it was saved: another page came in between
const notice = document.querySelector("[data-draft]");
function keepDraft() {
  try {
    if (area.value === onDisk) localStorage.removeItem(draftKey);
    else localStorage.setItem(draftKey, JSON.stringify({ text: area.value, from: onDisk, at: Date.now() }));
  } catch { /* a browser without storage: the question before leaving remains */ }
}
function storedDraft() {
  try { return JSON.parse(localStorage.getItem(draftKey) ?? "null"); } catch { return null; }
}
function restoreDraft() {
  const draft = storedDraft();
  if (!draft || draft.text === area.value) return;
  if (draft.text === onDisk) { localStorage.removeItem(draftKey); return; }
  if (posted) return;
  area.value = draft.text;
  const when = new Date(draft.at).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
  notice.querySelector("[data-draft-words]").textContent = draft.from === onDisk
    ? t("Your draft of %(when)s is back.", { when })
    : t("Your draft of %(when)s is back. The file has changed since: compare before you save.", { when });
  notice.hidden = false;
  notice.querySelector("[data-draft-drop]").addEventListener("click", () => {
    area.value = onDisk || area.defaultValue;
    notice.hidden = true;
    keepDraft();
    draw();
    look();
  });
}

let waiting;
function soon() {
  keepDraft();
  clearTimeout(waiting);
  waiting = setTimeout(look, 400);
}
area.addEventListener("input", () => { draw(); soon(); });
for (const field of fields) field.addEventListener("input", () => { touched[field.name] = said(field); soon(); });
area.addEventListener("scroll", follow);
area.addEventListener("keydown", (event) => {
  if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit(form.querySelector('[value="save"]'));
  }
});
for (const field of fields) {
  field.addEventListener("keydown", (event) => {
    if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector('[value="save"]'));
    }
  });
}
verdict.addEventListener("click", (event) => {
  const place = event.target.closest("[data-line]");
  if (!place) return;
  event.preventDefault();
  goTo(Number(place.dataset.line), Number(place.dataset.column));
});
let leaving = false;
form.addEventListener("submit", (event) => {
  leaving = true;
  keepDraft();
  if (event.submitter?.value === "save") sessionStorage.setItem("saving", draftKey);
});
addEventListener("beforeunload", (event) => { if (!leaving && area.value !== (onDisk || area.defaultValue)) event.preventDefault(); });

form.classList.add("scripted");
restoreDraft();
for (const problem of verdict.querySelectorAll("[data-line]")) {
  marks.set(Number(problem.dataset.line), problem.closest("li").className);
}
draw();
if (!notice.hidden || (one && !form.dataset.rule && area.value.trim())) look();
if (!one && form.dataset.rule) {
  const lines = area.value.split("\n");
  const line = lines.findIndex((text) => text.includes(`id: ${form.dataset.rule}`)) + 1;
  if (line) goTo(line, 1);
}
