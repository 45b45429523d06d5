"""The page's looks: light and dark from one set of names, one column, fit for a telephone and for paper."""

from typing import Final

CSS: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #e3e6eb; --text: #1b2430; --soft: #5d6b7c; --grid: #e9ecf1;
  --accent: #2563c9; --quiet: #a9c1ea; --good: #1a7f4b; --warn: #b26a00; --bad: #c22f35;
  --good-soft: #e2f4ea; --warn-soft: #fdf0d9; --bad-soft: #fbe4e4; --accent-soft: #e6eefb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11161d; --card: #1a212b; --line: #2c3644; --text: #e6ebf2; --soft: #98a6b8; --grid: #263040;
    --accent: #6ea3f7; --quiet: #35517f; --good: #56c98c; --warn: #f0b24a; --bad: #f47c7c;
    --good-soft: #173526; --warn-soft: #3a2c12; --bad-soft: #3f1f22; --accent-soft: #1c2c47;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 36px 20px 64px; }
header { margin-bottom: 22px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 12px; }
p { margin: 0; }
.eyebrow { color: var(--soft); font-size: 13px; margin-bottom: 10px; }
.lead { color: var(--soft); }
.badge { display: inline-block; padding: 2px 11px; border-radius: 999px; font-size: 13px; font-weight: 600;
  vertical-align: 5px; margin-left: 8px; letter-spacing: 0; }
.badge.good { background: var(--good-soft); color: var(--good); }
.badge.warn { background: var(--warn-soft); color: var(--warn); }
.badge.bad { background: var(--bad-soft); color: var(--bad); }
.badge.plain { background: var(--accent-soft); color: var(--accent); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin-bottom: 18px; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.tile { padding: 13px 16px; }
.tile .name { color: var(--soft); font-size: 13px; }
.tile .value { font-size: 20px; font-weight: 650; letter-spacing: -.01em; white-space: nowrap; }
.tile .value { font-variant-numeric: tabular-nums; }
.tile .more { color: var(--soft); font-size: 13px; }
.tile.bad .value { color: var(--bad); }
.tile.warn .value { color: var(--warn); } .tile.good .value { color: var(--good); }
section { padding: 20px 22px; margin-bottom: 18px; }
section.alarm { border-left: 4px solid var(--bad); }
section.notice { border-left: 4px solid var(--warn); }
figure { margin: 0 0 14px; } figure:last-of-type { margin-bottom: 4px; }
figure { overflow-x: auto; }
figcaption { font-size: 13px; color: var(--soft); margin-bottom: 2px; }
figcaption b { color: var(--text); font-weight: 600; margin-right: 6px; }
svg { display: block; width: 100%; min-width: 620px; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
svg .scale { text-anchor: end; } svg .moment { text-anchor: middle; }
svg .grid { stroke: var(--grid); } svg .axis { stroke: var(--line); }
svg .reach { fill: transparent; } svg g:hover .reach { fill: var(--grid); opacity: .55; }
svg .bar { fill: var(--quiet); } svg .bar.this { fill: var(--accent); }
svg .bar.partial { fill: var(--warn); } svg .bar.failed { fill: var(--bad); }
svg .bar.this { stroke: var(--text); stroke-width: 2; }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--soft); font-size: 13px; margin-top: 8px; }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.key .this { background: var(--accent); outline: 2px solid var(--text); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; padding: 4px 12px 6px 0; }
th { white-space: nowrap; }
td { border-top: 1px solid var(--line); padding: 6px 12px 6px 0; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.tight { white-space: nowrap; }
td.path, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 13px; }
td.path, .mono { overflow-wrap: anywhere; }
pre { margin: 0; font: 12px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre-wrap; }
tr.this td { background: var(--accent-soft); }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
dl { display: grid; grid-template-columns: minmax(110px, max-content) 1fr; gap: 5px 20px; margin: 0; font-size: 14px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 13px; }
@media print { body { background: none; } .tile, section { break-inside: avoid; } }
"""
