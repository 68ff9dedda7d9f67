// The line's last day, and how many lines of an incident were down when.
import { h, svg } from "./dom.js";
import { clock, now, number, t } from "./words.js";

export function chart(data) {
  const at = data.at.map((text) => Date.parse(text));
  const end = at.at(-1) + data.bin_s * 1000;
  const begin = Math.min(at[0], end - 3600e3);
  const known = data.rtt_ms.filter((v) => v != null).toSorted((a, b) => a - b);
  const top = Math.max(1, (known[Math.floor(known.length * 0.995)] ?? 1) * 1.25);
  const x = (ms) => ((ms - begin) / (end - begin)) * 1000;
  const y = (v) => 100 - Math.min(1, v / top) * 94;
  const outages = [];
  let path = "";
  let last = null;
  at.forEach((ms, i) => {
    const width = Math.max(1.5, x(ms + data.bin_s * 1000) - x(ms));
    if (data.sent[i] > 0 && data.received[i] === 0) {
      const open = outages.at(-1);
      if (open && x(ms) - open[1] < 0.5) open[1] = x(ms) + width;
      else outages.push([x(ms), x(ms) + width]);
      last = null;
    } else if (data.rtt_ms[i] != null) {
      const near = last != null && ms - last <= data.bin_s * 2500;
      path += `${near ? "L" : "M"}${(x(ms) + width / 2).toFixed(1)} ${y(data.rtt_ms[i]).toFixed(1)}`;
      last = ms;
    }
  });
  const bands = outages.flatMap(([from, to]) => [["gap", 100], ["gap-top", 4]].map(([name, height]) => svg("rect", { class: name, x: from, y: 0, width: to - from, height })));
  const grid = [25, 50, 75].map((at) => svg("line", { class: "grid", x1: 0, x2: 1000, y1: at, y2: at }));
  const rtt = data.rtt_ms.findLast((v) => v != null);
  const label = t("history_text", { rtt: rtt == null ? "–" : number(rtt) });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((f) => h("span", {}, clock(begin + f * (end - begin), f === 0 && end - begin > 20 * 3600e3)));
  return [svg("svg", { class: "chart", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": label }, ...bands, ...grid, svg("path", { class: "rtt", d: path })),
    h("div.axis", { "aria-hidden": "true" }, ticks), h("p.small.muted", {}, label)];
}

export function curve(i) {
  const points = i.history.map((s) => [Date.parse(s.at), s.lines_down]);
  // It begins at the onset, before anybody knew of it.
  if (Date.parse(i.started_at) < points[0][0]) points.unshift([Date.parse(i.started_at), 0]);
  const [begin, end] = [points[0][0], i.resolved_at ? Math.max(Date.parse(i.resolved_at), points.at(-1)[0]) : now()];
  const top = Math.max(1, ...points.map((p) => p[1]));
  const x = (ms) => (((ms - begin) / Math.max(1, end - begin)) * 1000).toFixed(1);
  const y = (down) => (100 - (down / top) * 92).toFixed(1);
  let d = `M0 ${y(points[0][1])}`;
  for (const [ms, down] of points.slice(1)) d += `H${x(ms)}V${y(down)}`;
  d += "H1000";
  const label = t("incident_curve", { top: number(top), now: number(points.at(-1)[1]) });
  const ticks = [begin, (begin + end) / 2, end].map((ms) => h("span", {}, clock(ms)));
  return h("figure.figure", {}, svg("svg", { class: "curve", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": label }, svg("path", { class: "fill", d: `${d}V100H0Z` }), svg("path", { d })),
    h("div.axis", { "aria-hidden": "true" }, ticks), h("figcaption.small.muted", {}, label));
}

// An element's last day: how many of its lines were down, the worst minute of each step.
export function downs(data) {
  const at = data.at.map((text) => Date.parse(text));
  const [begin, end] = [at[0], at.at(-1) + data.step_s * 1000];
  const values = data.down_max.map((v) => v ?? 0);
  const top = Math.max(1, ...values);
  const x = (ms) => (((ms - begin) / Math.max(1, end - begin)) * 1000).toFixed(1);
  const y = (down) => (100 - (down / top) * 92).toFixed(1);
  let d = `M0 ${y(values[0])}`;
  at.forEach((ms, i) => { d += `H${x(ms)}V${y(values[i])}`; });
  d += "H1000";
  const label = t("tree_curve", { top: number(Math.max(...values)), now: number(Math.round(data.down.at(-1) ?? 0)) });
  const ticks = [begin, (begin + end) / 2, end].map((ms) => h("span", {}, clock(ms)));
  return h("figure.figure", {}, svg("svg", { class: "curve", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": label }, svg("path", { class: "fill", d: `${d}V100H0Z` }), svg("path", { d })),
    h("div.axis", { "aria-hidden": "true" }, ticks), h("figcaption.small.muted", {}, label));
}
