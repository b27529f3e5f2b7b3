// The rules editor: line numbers and colours behind a plain text area, problems at their lines while
// typing, and what the edit would change. Without this script the buttons post the form.

const form = document.querySelector("[data-editor]");
const area = form.elements.text;
const gutter = form.querySelector("[data-gutter]");
const ink = form.querySelector("[data-ink]");
const verdict = form.querySelector("[data-verdict]");
const preview = form.querySelector("[data-preview]");
const saved = area.value;
let marks = new Map();
let asked = 0;

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
  const answer = await fetch(`/api/v1/rules/${path}`, {
    method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: form.elements.name.value, text: area.value, ...more }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(typeof body.detail === "string" ? body.detail : "The check failed.");
  return body;
}

function showVerdict(found) {
  const mine = found.problems.filter((p) => p.file.endsWith(form.elements.name.value));
  marks = new Map(mine.map((p) => [p.line, p.severity]));
  const list = element("ul", "problems");
  for (const problem of found.problems) {
    const item = element("li", problem.severity);
    const place = element("a", "", `${baseName(problem.file)}:${problem.line}:${problem.column}`);
    place.title = problem.file;
    place.href = "#text";
    place.className = "place";
    place.dataset.line = problem.line;
    place.dataset.column = problem.column;
    item.append(place, ` ${problem.message}`);
    if (problem.hint) item.append(" ", element("span", "dim", `(${problem.hint})`));
    list.append(item);
  }
  const parts = [element("h2", "", "Check")];
  if (found.problems.length) parts.push(list);
  if (found.ok) parts.push(element("p", "fine", `${found.rules.length} rules, no errors`));
  verdict.replaceChildren(...parts);
  draw();
}

function showPreview(found) {
  const days = "from the last 30 days";
  const parts = [element("h2", "", "Effect")];
  if (!found.changes.length) {
    parts.push(element("p", "fine", `No change in ${found.entries.toLocaleString("en")} entries ${days}.`));
  } else {
    const some = found.complete ? "" : " (not all were read)";
    parts.push(element("p", "dim", `In ${found.entries.toLocaleString("en")} entries ${days}${some}:`));
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
    const found = await post("check");
    if (mine !== asked) return;
    showVerdict(found);
    preview.classList.toggle("busy", area.value !== saved);
    if (!found.ok || area.value === saved) return;
    const effect = await post("preview");
    if (mine !== asked) return;
    showPreview(effect);
    preview.classList.remove("busy");
  } catch (error) {
    if (mine === asked) verdict.replaceChildren(element("h2", "", "Check"), element("p", "error", error.message));
  }
}

let waiting;
area.addEventListener("input", () => {
  draw();
  clearTimeout(waiting);
  waiting = setTimeout(look, 400);
});
area.addEventListener("scroll", follow);
area.addEventListener("keydown", (event) => {
  if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit(form.querySelector('[value="save"]'));
  }
});
verdict.addEventListener("click", (event) => {
  const place = event.target.closest("[data-line]");
  if (!place) return;
  event.preventDefault();
  goTo(Number(place.dataset.line), Number(place.dataset.column));
});
let leaving = false;
form.addEventListener("submit", () => { leaving = true; });
addEventListener("beforeunload", (event) => { if (!leaving && area.value !== saved) event.preventDefault(); });

form.classList.add("scripted");
for (const problem of verdict.querySelectorAll("[data-line]")) {
  marks.set(Number(problem.dataset.line), problem.closest("li").className);
}
draw();
if (form.dataset.rule) {
  const lines = area.value.split("\n");
  const line = lines.findIndex((text) => text.includes(`id: ${form.dataset.rule}`)) + 1;
  if (line) goTo(line, 1);
}
