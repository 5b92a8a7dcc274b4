"""The style sheet of a report's page: light and dark, wide and narrow, screen and paper."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --bg: #ffffff; --panel: #f6f7f9; --fg: #1a1e24; --muted: #57606b;
  --rule: #d9dee4; --passed: #146c3a; --passed-bg: #e3f4e9; --failed: #b3201f; --failed-bg: #fdeaea;
  --skipped: #5a5f68; --skipped-bg: #eceef1; --link: #0a58ae; --line-0: #0a62c2; --line-1: #c2540a;
  --line-2: #13856b; --line-3: #8a45b5; --line-4: #8d6b00; --line-5: #5c6470; }
@media (prefers-color-scheme: dark) { :root { --bg: #12151a; --panel: #1a1e25; --fg: #e4e8ee;
  --muted: #9ba5b2; --rule: #323944; --passed: #6fd39a; --passed-bg: #16301f; --failed: #ff8f8a;
  --failed-bg: #3b1a1b; --skipped: #a9b2be; --skipped-bg: #282e37; --link: #7ab8ff;
  --line-0: #66adff; --line-1: #ff9d5c; --line-2: #56d3b5; --line-3: #cf9bf0; --line-4: #e0bf55;
  --line-5: #a9b2be; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--bg); color: var(--fg); font: 16px/1.5 system-ui, sans-serif; }
main, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.25rem; }
main { padding-top: 2rem; }
h1, h2, h3, p, dl, dd, table, figure { margin: 0; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 3rem 0 0.75rem; padding-top: 1.25rem;
  border-top: 1px solid var(--rule); overflow-wrap: anywhere; }
h3 { font-size: 1rem; line-height: 1.3; }
a { color: var(--link); text-underline-offset: 0.15em; }
code, .path { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.92em; }
.kicker, .meta, .note, figcaption { color: var(--muted); font-size: 0.875rem; }
.note { max-width: 46rem; }
.verdict { border-left: 6px solid; padding: 0.25rem 0 0.25rem 1.1rem; margin: 0.5rem 0 1.75rem; }
.verdict.passed { border-color: var(--passed); } .verdict.failed { border-color: var(--failed); }
.verdict strong { font-size: 1.25rem; } .verdict.passed strong { color: var(--passed); }
.verdict.failed strong { color: var(--failed); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 0.3rem 1.5rem; }
dt { color: var(--muted); } dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.status { display: inline-block; white-space: nowrap; border-radius: 0.3rem;
  padding: 0.05rem 0.5rem; font-size: 0.8125rem; font-weight: 600;
  font-family: system-ui, sans-serif; letter-spacing: 0; }
.status.passed { color: var(--passed); background: var(--passed-bg); }
.status.failed { color: var(--failed); background: var(--failed-bg); outline: 1.5px solid;
  outline-offset: -1.5px; }
.status.not-run { color: var(--skipped); background: var(--skipped-bg); font-weight: 400; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.overview { width: 100%; }
th, td { text-align: left; padding: 0.5rem 1.25rem 0.5rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
thead th { color: var(--muted); font-weight: 500; font-size: 0.875rem; vertical-align: bottom; }
tbody th { font-weight: 500; } tbody th .meta { display: block; font-weight: 400; }
.number { text-align: right; white-space: nowrap; }
.check { padding: 1rem 1.1rem; margin: 0.85rem 0; border: 1px solid var(--rule);
  border-radius: 0.5rem; }
.check.failed { border-color: var(--failed); border-left-width: 6px;
  padding-left: calc(1.1rem - 5px); }
.check h3 { display: flex; flex-wrap: wrap; gap: 0.35rem 0.75rem; align-items: baseline; }
.detail { margin-top: 0.4rem; overflow-wrap: anywhere; white-space: pre-line; }
.evidence { display: grid; gap: 1rem 2rem; grid-template-columns: minmax(0, 1fr); margin-top: 1rem;
  align-items: start; }
.measured span { white-space: nowrap; }
.measured { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.15rem 1rem;
  font-size: 0.875rem; }
.curves { font-size: 0.875rem; } .curves th, .curves td { padding: 0.2rem 1rem 0.2rem 0; border: 0;
  }
.curves th { white-space: nowrap; } .curves svg { width: 2rem; height: 0.6rem; margin-right: 0.6rem;
  }
.curves caption { text-align: left; color: var(--muted); padding-bottom: 0.2rem; }
.numbers { display: flex; flex-wrap: wrap; gap: 1rem 3rem; } .drawn .numbers { display: grid; }
@media (min-width: 50rem) { .evidence.drawn {
  grid-template-columns: minmax(0, 1.3fr) minmax(0, 1fr); } }
figure svg { display: block; width: 100%; height: auto; } figcaption { margin-bottom: 0.35rem; }
svg text { font: 11px system-ui, sans-serif; fill: var(--muted); }
.grid { stroke: var(--rule); stroke-width: 1; } .axis { stroke: var(--muted); stroke-width: 1; }
.limit { stroke: var(--failed); stroke-width: 1.5; stroke-dasharray: 5 4; } svg text.limit-text {
  fill: var(--failed); paint-order: stroke; stroke: var(--bg); stroke-width: 4px; }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round; } .dot { stroke-width: 3; }
.line-0 { stroke: var(--line-0); } .line-1 { stroke: var(--line-1); stroke-dasharray: 7 2; }
.line-2 { stroke: var(--line-2); stroke-dasharray: 2 2; } .line-3 { stroke: var(--line-3);
  stroke-dasharray: 9 2 2 2; }
.line-4 { stroke: var(--line-4); stroke-dasharray: 4 1; } .line-5 { stroke: var(--line-5);
  stroke-dasharray: 1 3; }
footer { color: var(--muted); font-size: 0.875rem; padding-top: 2.5rem; padding-bottom: 3rem; }
@media (max-width: 40rem) { main { padding-top: 1.25rem; } h1 { font-size: 1.5rem; }
  .facts { grid-template-columns: minmax(0, 1fr); gap: 0; } .facts dd { margin-bottom: 0.5rem; }
  .scroll { margin: 0 -1.25rem; } .overview th:first-child { position: sticky; left: 0;
  background: var(--bg); padding-left: 1.25rem; min-width: 10.5rem; max-width: 10.5rem;
  overflow-wrap: anywhere; } .check { padding: 0.85rem; } svg text { font-size: 14px; } }
@media print { :root { --bg: #fff; --panel: #fff; --fg: #000; --muted: #444; --rule: #bbb;
  --passed: #0a4d26; --failed: #900; --passed-bg: #fff; --failed-bg: #fff; --skipped-bg: #fff;
  --skipped: #444; --link: #000; --line-0: #0a62c2; --line-1: #c2540a; --line-2: #13856b;
  --line-3: #8a45b5; --line-4: #8d6b00; --line-5: #5c6470; } body { font-size: 10.5pt; }
  main, footer { max-width: none; padding: 0; } a { text-decoration: none; } .check, figure, tr {
  break-inside: avoid; } h2, h3, .meta { break-after: avoid; } .scroll { overflow: visible; }
  .status { border: 1px solid; } }
"""
