// The guide looks again while feeds are read for the first time; a step that somebody types in is left alone.
const EVERY_MS = 2000, MOST = 60;
const steps = () => [...document.querySelectorAll("[data-steps] > li")];
const touched = (step) => step.contains(document.activeElement) && document.activeElement !== document.body
  || [...step.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => field.value !== field.defaultValue);

async function look(left) {
  if (!left || !document.querySelector("[data-waiting]")) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* the service restarts, perhaps: the next look will tell */ }
  }
  setTimeout(look, EVERY_MS, left - 1);
}
function show(page) {
  for (const step of steps()) {
    const fresh = page.getElementById(step.id);
    if (fresh && !touched(step)) step.replaceWith(fresh);
  }
}
setTimeout(look, EVERY_MS, MOST);
document.addEventListener("swapped", () => setTimeout(look, EVERY_MS, MOST));
