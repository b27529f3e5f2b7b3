// The texts of the scripts in the reader's language: t("…") and tn("one", "several", n) look them up in what
// the page carries; values stand in for %(name)s. Loaded before the other scripts, which find both as globals.

const carried = document.querySelector("[data-texts]");
const texts = JSON.parse(carried?.content?.textContent || carried?.textContent || "{}");
const language = document.documentElement.lang || "en";
const plural = new Intl.PluralRules(language);
const CATEGORIES = ["zero", "one", "two", "few", "many", "other"]
  .filter((name) => plural.resolvedOptions().pluralCategories.includes(name));

const filled = (text, values) => text.replace(/%\((\w+)\)s/g, (whole, name) => String(values[name] ?? whole));

globalThis.t = (text, values = {}) => filled(texts[text] ?? text, values);

globalThis.tn = (one, many, n, values = {}) => {
  const forms = texts[one] ?? [one, many];
  const place = Math.min(Math.max(CATEGORIES.indexOf(plural.select(n)), 0), forms.length - 1);
  return filled(forms[place], { n: n.toLocaleString(language), ...values });
};
