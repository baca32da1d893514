// The head and the tables below: what the run came to.
function el(tag, attrs, ...children) {
  const e = document.createElement(tag);
  for (const k in attrs || {}) if (k.startsWith("on")) e[k] = attrs[k]; else if (attrs[k] !== undefined) e.setAttribute(k, attrs[k]);
  for (const c of children.flat()) if (c !== null && c !== undefined) e.append(c);
  return e;
}
// table: columns are [title, "n" for numbers]; a cell is a text or a node.
function table(columns, rows) {
  return el("table", {}, el("thead", {}, el("tr", {}, columns.map(([t, n]) => el("th", { class: n }, t)))),
    el("tbody", {}, rows.map(r => el("tr", {}, r.map((c, i) => el("td", { class: columns[i][1] }, c))))));
}
// worst keeps the rows that matter most of very many, and says how many there are besides.
const MOST = 60;
function worst(columns, list, key, rows) {
  const kept = list.length > MOST ? [...list].sort((a, b) => key(b) - key(a)).slice(0, MOST) : list, t = table(columns, kept.flatMap(rows));
  return list.length > MOST ? [t, el("p", {}, "and " + count(list.length - MOST) + " more of less weight; --json has all")] : [t];
}
function card(name, small, ...children) {
  $("tables").append(el("section", { class: "card" }, el("h2", {}, name, small ? el("small", {}, small) : null), ...children));
}
const R = D.result;
const link = (ns, words) => el("a", { href: "#", onclick: e => { e.preventDefault(); lookAt(ns, ns); } }, words || clock(ns));
const share = (n, of) => n && of ? " (" + (n / of * 100).toFixed(n / of < .1 ? 1 : 0) + " %)" : "";

function buildHead() {
  const missed = (R.expectations || []).filter(e => !e.met).length, broken = R.checkers.filter(c => c.violations).length;
  const verdict = broken ? broken + " checkers broken" : missed ? missed + " not as expected" : R.expectations ? "as expected" : "all checkers held";
  const lost = R.fates.filter(f => !["delivered", "rejected", "pending"].includes(f.name)).reduce((a, f) => a + f.count, 0);
  const shakes = R.tunnels.reduce((a, t) => a + t.handshakes, 0), roamed = R.tunnels.reduce((a, t) => a + t.roamed, 0);
  const sent = R.tunnels.reduce((a, t) => a + t.a_to_b.sent + t.b_to_a.sent, 0), got = R.tunnels.reduce((a, t) => a + t.a_to_b.delivered + t.b_to_a.delivered, 0);
  const outage = Math.max(0, ...R.flows.flatMap(f => [f.forth, f.back, f.round].filter(Boolean).map(w => w.longest_outage_ns)));
  const kpi = (b, s, c) => el("div", { class: "kpi " + (c || "") }, el("b", {}, b), el("span", {}, s));
  $("head").append(
    el("div", { class: "title" }, el("h1", {}, el("span", { class: "brand" }, "wgsim / "), D.head.scenario), el("span", { class: "about" }, D.head.about || ""),
      el("span", { class: "verdict pill " + (R.ok ? "good" : "bad") }, (R.ok ? "✓ " : "✗ ") + verdict)),
    el("div", { class: "meta" }, el("span", {}, "seed " + D.head.seed + " · " + span(R.virtual_ns) + " · from " + D.head.wall.replace("T", " ")),
      el("code", { title: "Makes this run again, byte for byte" }, D.command),
      el("button", { onclick: e => { navigator.clipboard && navigator.clipboard.writeText(D.command); e.target.textContent = "Copied"; } }, "Copy"),
      el("span", { class: "right" }, el("button", { id: "theme", title: "Light or dark (t)", "aria-label": "Light or dark" }, "◐"),
        el("button", { id: "keys", title: "Keys (?)", "aria-label": "Keys" }, "?"))),
    el("div", { class: "kpis" }, kpi(count(R.datagrams), "datagrams"), kpi(count(lost) + share(lost, R.datagrams), "lost on the way", lost ? "" : "good"),
      kpi(count(shakes), "handshakes"), kpi(count(roamed), "moves noticed"), kpi(count(sent - Math.min(sent, got)) + share(sent - Math.min(sent, got), sent), "inner packets lost"),
      kpi(outage ? span(outage) : "none", "longest outage"),
      R.expectations ? kpi((R.expectations.length - missed) + " / " + R.expectations.length, "expectations", missed ? "bad" : "good") : null,
      kpi((R.checkers.length - broken) + " / " + R.checkers.length, "checkers held", broken ? "bad" : "good")));
  const notes = [];
  if (D.sampling > 1) notes.push("Of delivered data, delivered inner packets and cancelled timers, 1 of " + D.sampling + " is shown; losses and everything else are all here. The traffic plot is scaled up.");
  if (D.omitted) notes.push(count(D.omitted) + " events towards the end did not fit and are left out of diagram, list and plots; the tables count them.");
  for (const n of notes) $("head").after(el("p", { class: "note", role: "note" }, n));
}

function buildTables() {
  if (D.versus) versusCard(D.versus);
  if (R.expectations) card("Expectations", "", table([["", ""], ["Expected", ""], ["Measured", ""]], R.expectations.map(e =>
    [el("b", { class: e.met ? "good" : "bad" }, e.met ? "✓" : "✗"), e.text, e.got])));
  card("Checkers", "what every run is held to, and how often each had something to look at",
    el("div", { class: "held" }, R.checkers.map(c => el("span", { class: c.violations ? "bad" : "", title: c.rule }, c.name,
      el("em", {}, c.violations ? count(c.violations) + " violations" : count(c.checked))))),
    ...(R.violations.length ? [table([["When", ""], ["Host", ""], ["Checker", ""], ["What", ""]], R.violations.map(v => [link(v.at_ns), v.host, v.checker, v.text]))] : []));
  card("Tunnels", "", ...worst([["Direction", ""], ["Handshakes", "n"], ["Sent", "n"], ["Lost", "n"], ["Longest outage", "n"], ["Inner", "n"], ["Outer", "n"]],
    R.tunnels, t => t.a_to_b.lost + t.b_to_a.lost, t => [[t.a, t.b, t.a_to_b, count(t.handshakes)], [t.b, t.a, t.b_to_a, ""]].map(([a, b, d, h]) =>
      [a + " → " + b, h, count(d.sent), count(d.lost) + share(d.lost, d.sent), d.sent ? span(d.longest_outage_ns) : "–", size(d.delivered_bytes), size(d.wire_bytes)])));
  if (R.flows.length) card("What the users felt", "", ...worst([["Flow", ""], ["Sent", "n"], ["Lost", "n"], ["Median", "n"], ["99 %", "n"], ["Outages", "n"], ["Longest", "n"]],
    R.flows, f => felt(f).lost, f => { const w = felt(f); return [[f.name, count(w.sent), count(w.lost) + share(w.lost, w.sent),
      w.delivered ? span(w.delay_p50_ns) : "–", w.delivered ? span(w.delay_p99_ns) : "–", count(w.outage_count), w.outage_count ? span(w.longest_outage_ns) : "–"]]; }));
  losses();
  const refused = R.hosts.flatMap(h => h.drops.map(d => [h.name, d.name, d.rule, count(d.count)]));
  if (refused.length) card("Refused by the hosts", "with the rule that says so", ...worst([["Host", ""], ["Reason", ""], ["Rule", ""], ["Times", "n"]], refused, () => 0, r => [r]));
  troubles();
  const owed = D.liveness.filter(l => l.took_ns || l.exempt);
  if (owed.length) card("Recovery after the heal", "", table([["Direction", ""], ["Bound", "n"], ["Took", "n"]], owed.map(l =>
    [l.from + " → " + l.to, l.exempt ? "owes nothing: " + l.exempt : span(l.bound_ns), l.took_ns < 0 ? "never" : span(l.took_ns)])));
  card("The run", "", table([["", ""], ["", ""]], [["Command", el("code", {}, D.command)], ["Seed", D.head.seed], ["Wall clock at the start", D.head.wall],
    ["SHA-256 of all records", el("code", {}, R.digest)], ["Events in this page", count(N)]]));
}

const felt = f => f.round && f.round.sent ? f.round : f.forth;

function losses() {
  const by = new Map();
  for (const i of lists.messages) if (isLost(i)) {
    const why = S[C.why[i]], l = by.get(why) || { n: 0, first: i, last: i };
    l.n++; l.last = i; by.set(why, l);
  }
  if (by.size) card("Lost on the way", "", table([["By", ""], ["Datagrams", "n"], ["First", "n"], ["Last", "n"]], [...by].sort((a, b) => b[1].n - a[1].n).slice(0, 40).map(([why, l]) =>
    [why, count(l.n), el("a", { href: "#e=" + label(l.first) }, clock(C.at[l.first])), el("a", { href: "#e=" + label(l.last) }, clock(C.at[l.last]))])));
}

function troubles() {
  const rows = D.faults.map(f => [f.from_ns, f.until_ns, f.kind, f.name + ", " + f.where]).concat(
    R.disturbances.filter(d => d.kind !== "fault").map(d => [d.start_ns, d.end_ns, d.kind.replaceAll("-", " "), d.host && !d.name.startsWith(d.host) ? d.host + " " + d.name : d.name]));
  rows.sort((a, b) => a[0] - b[0]);
  if (rows.length) card("Troubles", "faults, attacks and what happened to hosts", table([["From", "n"], ["Until", "n"], ["What", ""], ["", ""]], rows.slice(0, 200).map(r =>
    [el("a", { href: "#", onclick: e => { e.preventDefault(); lookAt(r[0], r[1]); } }, clock(r[0])), clock(r[1]), r[2], r[3]])));
}

// versusCard compares this run with the other.
function versusCard(v) {
  const other = v.result, rows = [];
  const row = (name, a, b, form) => { if (a !== b) rows.push([name, form(a), form(b), b - a > 0 ? "+" + form(b - a) : "−" + form(a - b)]); };
  row("Datagrams", other.datagrams, R.datagrams, count);
  for (const f of new Set([...other.fates, ...R.fates].map(f => f.name))) row("Datagrams " + f, of(other.fates, f), of(R.fates, f), count);
  for (const t of R.tunnels) {
    const o = other.tunnels.find(o => o.a === t.a && o.b === t.b);
    if (!o) continue;
    row(t.a + " – " + t.b + ": handshakes", o.handshakes, t.handshakes, count);
    row(t.a + " – " + t.b + ": moves noticed", o.roamed, t.roamed, count);
    row(t.a + " – " + t.b + ": gave up", o.gave_up, t.gave_up, count);
    for (const [d, w] of [["a_to_b", t.a + " → " + t.b], ["b_to_a", t.b + " → " + t.a]]) {
      row(w + ": lost", o[d].lost, t[d].lost, count); row(w + ": longest outage", o[d].longest_outage_ns, t[d].longest_outage_ns, span);
      row(w + ": median delay", o[d].delay_p50_ns, t[d].delay_p50_ns, span); row(w + ": wire bytes", o[d].wire_bytes, t[d].wire_bytes, size);
    }
  }
  for (const h of R.hosts) {
    const o = other.hosts.find(o => o.name === h.name);
    if (o) for (const d of new Set([...o.drops, ...h.drops].map(d => d.name))) row(h.name + ": refused, " + d, of(o.drops, d), of(h.drops, d), count);
  }
  const words = v.same ? "Not one byte of the two runs differs." :
    count(v.both) + " events are in both runs, " + count(v.here) + " only in this one, " + count(v.there) + " only in the other.";
  const first = v.first ? el("p", {}, "They part at ", link(v.first.at_ns), ". Here: " + (v.first.here || "nothing more") + ". There: " + (v.first.there || "nothing more") + ".") : null;
  const ghosts = v.only_there.length ? el("details", { style: "padding:0 14px 10px" }, el("summary", {}, "Only in the other run"),
    table([["When", "n"], ["What", ""]], v.only_there.slice(0, 300).map(g => [link(g.at_ns), g.text]))) : null;
  card("Compared with " + v.head.scenario + ", seed " + v.head.seed, words, ...[first,
    rows.length ? table([["What differs", ""], ["Other run", "n"], ["This run", "n"], ["Difference", "n"]], rows.slice(0, 80)) : null, ghosts].filter(Boolean));
  $("tables").lastChild.classList.add("wide"); $("tables").lastChild.id = "versus";
}
const of = (list, name) => { const f = list.find(f => f.name === name); return f ? f.count : 0; };
