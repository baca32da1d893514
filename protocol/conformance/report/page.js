"use strict";
(() => {
  const $ = (s, in_ = document) => in_.querySelector(s);
  const $$ = (s, in_ = document) => [...in_.querySelectorAll(s)];
  const rows = $$("tr.case"), search = $("#search"), level = $("#level"), chips = $$(".chip");
  const text = new Map(rows.map(r => [r, r.dataset.text.toLowerCase()]));

  // What is shown: all words found, the level, and one of the chosen verdicts in any column.
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = chips.filter(c => c.getAttribute("aria-pressed") === "true").map(c => c.dataset.verdict);
    let shown = 0;
    for (const r of rows) {
      const has = r.dataset.verdicts.trim().split(/\s+/);
      const ok = words.every(w => text.get(r).includes(w)) && (!level.value || r.dataset.level === level.value) &&
        (!verdicts.length || verdicts.some(v => has.includes(v)));
      r.dataset.ok = ok ? "1" : "";
      const d = document.getElementById(r.dataset.case);
      if (d) d.hidden = !ok;
      if (ok) shown++;
    }
    const filtered = words.length || verdicts.length || level.value;
    for (const area of $$("tbody.area")) {
      const some = $$("tr.case", area).some(r => r.dataset.ok);
      const open = filtered || $(".areahead button", area).getAttribute("aria-expanded") === "true";
      area.hidden = !some;
      for (const r of $$("tr.case", area)) r.hidden = !r.dataset.ok || !open;
    }
    $("#shown").textContent = shown === rows.length ? `${shown} cases` : `${shown} of ${rows.length} cases`;
    $("#nothing").hidden = shown > 0;
  }
  function reset() {
    search.value = ""; level.value = "";
    for (const c of chips) c.setAttribute("aria-pressed", "false");
    filter();
  }
  search.addEventListener("input", filter);
  level.addEventListener("change", filter);
  $("#reset").addEventListener("click", reset);
  for (const c of chips) c.addEventListener("click", () => {
    c.setAttribute("aria-pressed", String(c.getAttribute("aria-pressed") !== "true"));
    filter();
  });
  for (const b of $$(".areahead button")) b.addEventListener("click", () => {
    b.setAttribute("aria-expanded", String(b.getAttribute("aria-expanded") !== "true"));
    filter();
  });

  // A link to a case opens it, whatever is filtered.
  function follow() {
    const d = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!d) return;
    if (d.hidden) reset();
    if (d.tagName === "DETAILS") d.open = true;
    for (const r of rows) r.classList.toggle("at", r.dataset.case === d.id);
    d.scrollIntoView();
  }
  addEventListener("hashchange", follow);
  for (const a of $$('a[href^="#"]')) a.addEventListener("click", () => {
    if (a.hash === location.hash) follow();
  });

  // Bytes and names of fields point at each other.
  function point(e, on) {
    const f = e.target.closest("[data-f]"), dump = f && f.closest(".dump");
    if (dump) for (const x of $$(`[data-f="${f.dataset.f}"]`, dump)) x.classList.toggle("on", on);
  }
  document.addEventListener("mouseover", e => point(e, true));
  document.addEventListener("mouseout", e => point(e, false));

  document.addEventListener("click", async e => {
    const b = e.target.closest("button.copy");
    if (!b) return;
    const code = $("code", b.parentElement), range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try { await navigator.clipboard.writeText(code.textContent); b.textContent = "Copied"; }
    catch { b.textContent = "Selected"; }
    setTimeout(() => { b.textContent = "Copy"; }, 1500);
  });

  const themes = ["", "light", "dark"], keep = {
    get() { try { return localStorage.getItem("wgconform-theme") || ""; } catch { return ""; } },
    set(v) { try { localStorage.setItem("wgconform-theme", v); } catch { /* a page from a file may not keep it */ } },
  };
  function theme(t) {
    if (t) document.documentElement.dataset.theme = t; else delete document.documentElement.dataset.theme;
    $("#theme").textContent = t ? t[0].toUpperCase() + t.slice(1) : "Theme";
  }
  theme(keep.get());
  $("#theme").addEventListener("click", () => {
    const t = themes[(themes.indexOf(document.documentElement.dataset.theme || "") + 1) % themes.length];
    keep.set(t);
    theme(t);
  });

  const keys = $("#keys");
  $("#help").addEventListener("click", () => keys.showModal());
  function step(by) {
    const bad = $$("details.detail:not([hidden])").filter(d => !/w-(pass|measured|unsupported|not-run)/.test(d.className));
    if (!bad.length) return;
    const at = bad.findIndex(d => "#" + d.id === decodeURIComponent(location.hash));
    const d = bad[at < 0 ? (by > 0 ? 0 : bad.length - 1) : (at + by + bad.length) % bad.length];
    if ("#" + d.id === decodeURIComponent(location.hash)) follow(); else location.hash = d.id;
    $("summary", d).focus({preventScroll: true});
  }
  addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || keys.open) return;
    if (e.key === "Escape") { reset(); search.blur(); return; }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    switch (e.key) {
      case "/": search.focus(); search.select(); break;
      case "j": step(1); break;
      case "k": step(-1); break;
      case "e": {
        const all = $$("details.detail:not([hidden])"), open = !all.every(d => d.open);
        for (const d of all) d.open = open;
        break;
      }
      case "t": scrollTo(0, 0); break;
      case "?": keys.showModal(); break;
      default: return;
    }
    e.preventDefault();
  });

  // The sticky heads stand below the bar, whose height depends on how it wraps.
  const bar = $(".top");
  function measure() {
    const h = getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
    document.documentElement.style.setProperty("--top", h + "px");
    document.documentElement.style.scrollPaddingTop = h + 16 + "px";
  }
  addEventListener("resize", measure);
  measure();
  filter();
  if (location.hash) follow();
})();
