// Traffic and latency of the inner packets, from the packets in view. What is sampled counts for as many as it stands for.
const flows = [];
const flowOf = new Map();
for (const i of lists.packets) {
  const key = C.why[i] * 65536 + C.host[i];
  if (!flowOf.has(key)) { flowOf.set(key, flows.length); flows.push({ name: S[C.host[i]] + " → " + S[C.peer[i]], n: 0 }); }
  flows[flowOf.get(key)].n++;
}
// Few directions have a colour each; many share one.
const flowNames = [...new Set(flows.map(f => f.name))], few = flowNames.length <= 6;
const directions = few ? flowNames : ["all " + count(flowNames.length) + " directions"];
const flowColor = flows.map(f => few ? flowNames.indexOf(f.name) : 0);
const packetColor = Uint8Array.from(lists.packets, i => flowColor[flowOf.get(C.why[i] * 65536 + C.host[i])]);
let slowest = 1e6, floor = 1e9;
for (const i of lists.packets) if (C.dur[i] >= 0) { slowest = Math.max(slowest, C.dur[i]); floor = Math.min(floor, Math.max(1e3, C.dur[i] * .7)); }
const TRAFFIC = { y: 22, h: 74 }, LATENCY = { y: 126, h: 76 };

function drawPlots() {
  const g = canvas("plots", PLOTH), w = width - GUTTER - RIGHT;
  g.save(); g.beginPath(); g.rect(GUTTER, 0, w, PLOTH); g.clip();
  drawBands(g, 0, PLOTH, false);
  g.strokeStyle = theme.grid; g.beginPath();
  for (const t of ticks().list) { const x = Math.round(px(t)) + .5; g.moveTo(x, 0); g.lineTo(x, PLOTH); }
  g.stroke();
  const traffic = binTraffic(w);
  const top = paintTraffic(g, traffic);
  paintLatency(g);
  if (selected >= 0) { const x = Math.round(px(C.at[selected])) + .5; g.strokeStyle = theme.accent; g.beginPath(); g.moveTo(x, 0); g.lineTo(x, PLOTH); g.stroke(); }
  g.restore();
  plotAxes(g, top);
}

function binTraffic(w) {
  const step = 3, bins = Math.ceil(w / step), list = lists.packets, t = { step, bins, colors: [], lost: new Float64Array(bins), peak: 0, peakLost: 0 };
  for (let c = 0; c < 6; c++) t.colors.push(new Float64Array(bins));
  const scale = w / (view.b - view.a) / step;
  for (let k = first(list, view.a), to = first(list, view.b); k < to; k++) {
    const i = list[k], b = Math.floor((C.at[i] - view.a) * scale);
    if (matches && !matches[i]) continue;
    if (C.dur[i] < 0) t.lost[b]++; else t.colors[packetColor[k]][b] += C.size[i] * D.sampling;
  }
  for (let b = 0; b < bins; b++) {
    let sum = 0;
    for (const c of t.colors) sum += c[b];
    t.peak = Math.max(t.peak, sum); t.peakLost = Math.max(t.peakLost, t.lost[b]);
  }
  return t;
}

function paintTraffic(g, t) {
  const { y, h } = TRAFFIC, base = new Float64Array(t.bins);
  if (t.peak) t.colors.forEach((v, c) => {
    g.fillStyle = theme["s" + c]; g.globalAlpha = .8;
    for (let b = 0; b < t.bins; b++) if (v[b]) {
      const k = v[b] / t.peak * (h - 6);
      g.fillRect(GUTTER + b * t.step, y + h - base[b] - k, t.step - .4, k); base[b] += k;
    }
  });
  g.globalAlpha = 1; g.fillStyle = theme.bad;
  for (let b = 0; b < t.bins; b++) if (t.lost[b]) {
    const k = Math.max(2, t.lost[b] / t.peakLost * 12);
    g.fillRect(GUTTER + b * t.step, y + h + 1, t.step - .4, k);
  }
  return t.peak / (t.step / (width - GUTTER - RIGHT) * (view.b - view.a) / 1e9);
}

// The scale of latency is logarithmic, from the fastest packet of the run to the slowest.
const latencyY = d => LATENCY.y + LATENCY.h - Math.log(Math.max(d, floor) / floor) / Math.log(slowest * 1.15 / floor) * LATENCY.h;
function paintLatency(g) {
  const list = lists.packets, from = first(list, view.a), to = first(list, view.b), dot = to - from > 4000 ? 2 : 3;
  const cols = Math.ceil(width / 2), cells = new Uint32Array(cols * 48 * 6);
  for (let k = from; k < to; k++) {
    const i = list[k];
    if (C.dur[i] < 0 || matches && !matches[i]) continue;
    const x = Math.floor(px(C.at[i]) / 2), r = Math.min(47, Math.max(0, Math.floor((latencyY(C.dur[i]) - LATENCY.y) / 2)));
    cells[(packetColor[k] * 48 + r) * cols + x]++;
  }
  for (let c = 0; c < 6; c++) {
    g.fillStyle = theme["s" + c];
    for (const [least, most, alpha] of [[1, 1, .5], [2, 4, .72], [5, 1e9, .95]]) {
      g.globalAlpha = to - from > 4000 ? alpha : Math.min(1, alpha + .25);
      for (let r = 0; r < 48; r++) for (let x = 0, o = (c * 48 + r) * cols; x < cols; x++) {
        const n = cells[o + x];
        if (n >= least && n <= most) g.fillRect(x * 2, LATENCY.y + r * 2, dot, dot);
      }
    }
  }
  g.globalAlpha = 1;
}

function plotAxes(g, top) {
  g.textAlign = "left"; g.font = theme.bold; g.fillStyle = theme.ink;
  g.fillText("Traffic", 14, TRAFFIC.y + 8); g.fillText("Latency", 14, LATENCY.y + 8);
  g.font = theme.small; g.fillStyle = theme.faint;
  g.fillText("inner, delivered", 14, TRAFFIC.y + 24); g.fillStyle = theme.bad; g.fillText("lost below", 14, TRAFFIC.y + 38);
  g.fillStyle = theme.faint; g.fillText("one way", 14, LATENCY.y + 24);
  g.textAlign = "right"; g.fillStyle = theme.soft;
  if (top > 0) g.fillText(size(top) + "/s", GUTTER - 8, TRAFFIC.y - 6);
  g.strokeStyle = theme.line; g.beginPath();
  let above = 1e9;
  for (let p = 1e4; p <= 1e10; p *= 10) for (const d of [p, 2 * p, 5 * p]) {
    const y = Math.round(latencyY(d)) + .5;
    if (d < floor || d > slowest * 1.15 || above - y < 15) continue;
    g.moveTo(GUTTER, y); g.lineTo(width - RIGHT, y); g.fillText(span(d), GUTTER - 8, y); above = y;
  }
  g.moveTo(GUTTER, TRAFFIC.y + TRAFFIC.h + .5); g.lineTo(width - RIGHT, TRAFFIC.y + TRAFFIC.h + .5); g.stroke();
  let x = width - RIGHT - 4;
  for (let c = directions.length - 1; c >= 0; c--) {
    const w = g.measureText(directions[c]).width;
    if (x - w < GUTTER + 60) break;
    g.fillStyle = theme.soft; g.fillText(directions[c], x, 11); x -= w + 6;
    g.fillStyle = theme["s" + c]; g.fillRect(x - 8, 7, 8, 8); x -= 20;
  }
  if (!lists.packets.length) { g.textAlign = "center"; g.fillStyle = theme.faint; g.fillText("no inner traffic", (width + GUTTER) / 2, 60); }
}
