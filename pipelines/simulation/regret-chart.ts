import type { Estimate } from './compare.ts';

export interface Chart {
  readonly title: string;
  readonly curves: readonly { readonly name: string /** One for each day. */; readonly points: readonly Estimate[] }[];
}

const size = { width: 760, height: 440 };
const plot = { left: 56, top: 44, right: 600, bottom: 390 };

// Okabe and Ito's colours, which people with any kind of colour vision tell apart, a little darker where they have to be to
// stand out 3 to 1 from the page of either scheme (WCAG 2.2, 1.4.11). Grey is for the yardstick, which comes first.
const colours = ['#808080', '#c28000', '#009e73', '#2f96d0', '#d55e00', '#c872a2', '#0072b2'];

/** Curves over days with their intervals as bands, as an SVG that follows the reader's light or dark scheme. */
export function drawRegret({ title, curves }: Chart): string {
  const days = Math.max(...curves.map(({ points }) => points.length));
  const highest = Math.max(...curves.flatMap(({ points }) => points.map(({ high }) => high)));
  const step = niceStep(highest / 5);
  const top = Math.ceil(highest / step) * step;
  const x = (day: number) => round(plot.left + (day / days) * (plot.right - plot.left));
  const y = (value: number) => round(plot.bottom - (value / top) * (plot.bottom - plot.top));
  const weeks = Array.from({ length: Math.floor(days / 7) + 1 }, (_, week) => week * 7);
  const levels = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);

  const grid = [
    ...levels.map((value) => `<path class="grid" d="M${plot.left} ${y(value)}H${plot.right}"/>`),
    ...levels.map((value) => `<text x="${plot.left - 8}" y="${y(value) + 4}" text-anchor="end">${round(value)}</text>`),
    ...weeks.map((day) => `<text x="${x(day)}" y="${plot.bottom + 18}" text-anchor="middle">${day}</text>`),
  ];
  const coloured = curves.map((curve, i) => ({ ...curve, colour: colours[i % colours.length] ?? '' }));
  const bands = coloured.map(({ points, colour }) => {
    const along = (which: 'low' | 'high') =>
      points.map((point, day) => `${x(day + 1)} ${y(Math.max(0, point[which]))}`);
    const outline = [`${x(0)} ${y(0)}`, ...along('high'), ...along('low').reverse()].join('L');
    return `<path d="M${outline}Z" fill="${colour}" fill-opacity="0.18"/>`;
  });
  const lines = coloured.map(({ points, colour }) => {
    const line = [`${x(0)} ${y(0)}`, ...points.map(({ mean }, day) => `${x(day + 1)} ${y(mean)}`)].join('L');
    return `<path d="M${line}" fill="none" stroke="${colour}" stroke-width="2"/>`;
  });
  const byEnd = coloured.toSorted((a, b) => (b.points.at(-1)?.mean ?? 0) - (a.points.at(-1)?.mean ?? 0));
  const legend = byEnd.map(({ name, points, colour }, i) => {
    const middle = plot.top + 10 + 22 * i;
    const from = plot.right + 16;
    return `<path d="M${from} ${middle}h18" stroke="${colour}" stroke-width="3"/><text x="${from + 24}" y="${middle + 4}">${escaped(name)} ${points.at(-1)?.mean.toFixed(1)}</text>`;
  });
  const centre = (plot.top + plot.bottom) / 2;

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escaped(title)}">
<style>
  svg { background: #fff; font: 12px system-ui, sans-serif } text { fill: #24292f } .grid { stroke: #d0d7de }
  @media (prefers-color-scheme: dark) { svg { background: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } }
</style>
<text x="${plot.left}" y="24" font-size="14" font-weight="600">${escaped(title)}</text>
${[...grid, ...bands, ...lines, ...legend].join('\n')}
<text x="${(plot.left + plot.right) / 2}" y="${plot.bottom + 38}" text-anchor="middle">days since a person joined</text>
<text transform="translate(16 ${centre}) rotate(-90)" text-anchor="middle">regret, in rewards</text>
</svg>
`;
}

/** 1, 2 or 5 times a power of ten, at least as much. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10);
}

const round = (value: number): number => Math.round(value * 100) / 100;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
