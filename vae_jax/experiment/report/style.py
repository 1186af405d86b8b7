"""How the page looks: narrow and wide, light and dark, on paper."""

CSS = """
:root {
  color-scheme: light dark;
  --ink: #1b1e24; --soft: #5b6270; --line: #dde1e7; --page: #ffffff; --card: #f6f7f9; --link: #1f5fae;
  --good: #1d7a46; --fair: #8a5a00; --bad: #b3261e;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e7ec; --soft: #a3a8b0; --line: #343a44; --page: #14171c; --card: #1d2128; --link: #8db9f2;
    --good: #6fd49b; --fair: #f0bd62; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 64rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.8rem 0 .6rem; padding-top: .9rem; border-top: 1px solid var(--line); font-size: 1.3rem; }
h3 { margin: 1.4rem 0 .4rem; font-size: 1.02rem; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: var(--link); }
.soft, figcaption, small { color: var(--soft); font-size: .89rem; }
.verdict {
  margin: 1.1rem 0; padding: .8rem 1rem; border-left: .3rem solid var(--soft); border-radius: .3rem; background: var(--card);
}
.verdict p { margin: 0; }
.verdict strong { display: block; font-size: 1.08rem; }
.good { border-color: var(--good); } .good strong { color: var(--good); }
.fair { border-color: var(--fair); } .fair strong { color: var(--fair); }
.bad { border-color: var(--bad); } .bad strong { color: var(--bad); }
.headline { font-size: 1.15rem; font-variant-numeric: tabular-nums; }
nav { margin-top: 1.2rem; font-size: .92rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .15rem 1rem; margin: 0; padding: 0; list-style: none; }
nav a { display: inline-block; padding: .2rem 0; text-decoration: none; }
nav a:hover { text-decoration: underline; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .93rem; }
th, td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { position: sticky; left: 0; background: var(--page); font-weight: 500; }
tbody th code { white-space: nowrap; overflow-wrap: normal; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
td.text { min-width: 14rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; }
.picture { overflow-x: auto; border-radius: .4rem; background: #ffffff; border: 1px solid var(--line); }
.picture img { margin: 0 auto; }
.picture.rows img { min-width: 36rem; }
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 0 1.5rem; align-items: start;
}
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr)); gap: .5rem 1.5rem; }
.charts figure { margin: .4rem 0; }
.charts img { width: 100%; max-width: 28rem; }
.note { padding: .5rem .8rem; border: 1px dashed var(--line); border-radius: .3rem; color: var(--soft); font-size: .92rem; }
code, pre { font: .88em/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre {
  overflow-x: auto; padding: .7rem .9rem; border-radius: .3rem; background: var(--card); white-space: pre-wrap;
  overflow-wrap: anywhere;
}
details { margin: .8rem 0; }
summary { cursor: pointer; color: var(--link); }
@media (min-width: 40.01rem) { table.meanings th { white-space: nowrap; } }
@media (max-width: 40rem) {
  body { padding-top: 1rem; }
  h1 { font-size: 1.5rem; }
  table.meanings thead { display: none; }
  table.meanings, table.meanings tbody { display: block; }
  table.meanings tr {
    display: grid; grid-template-columns: 1fr auto; gap: 0 .8rem; padding: .45rem 0; border-bottom: 1px solid var(--line);
  }
  table.meanings th, table.meanings td { padding: 0; border: 0; }
  table.meanings td.text { grid-column: 1 / -1; min-width: 0; color: var(--soft); font-size: .89rem; }
  table.meanings td.extra { display: none; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2 { break-after: avoid; }
  figure, tr, .verdict { break-inside: avoid; }
  tbody th { position: static; }
  .pair { grid-template-columns: 1fr 1fr; }
  .charts { grid-template-columns: repeat(3, 1fr); }
  .picture { overflow: visible; border: 0; }
  .picture.rows img { min-width: 0; }
  .picture img { max-height: 22cm; }
}
"""
