"""The frame of the page: its style, light and dark, narrow and wide."""

from __future__ import annotations

import html
from collections.abc import Mapping

# The policy forbids every request: a picture that is not in the page would not be fetched.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1b1f24; --soft: #5c6570; --line: #e2e5e9;
  --a: #0b62a8; --b: #c2500a; --on: #ffffff; --code: #f1f3f5; --good: #1a7f4b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #111417; --card: #191d21; --ink: #e7eaee; --soft: #9aa5b1; --line: #2c333a;
    --a: #6cb2f0; --b: #f39a5c; --on: #0d1116; --code: #22272d; --good: #58c68c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 1160px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 12px; }
h3 { font-size: 14px; margin: 18px 0 6px; }
p { margin: 0 0 10px; max-width: 75ch; overflow-wrap: anywhere; }
a { color: var(--a); }
.note, .sub { color: var(--soft); }
nav { margin: 14px 0 20px; display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 14px; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 0 0 18px; scroll-margin-top: 12px;
}
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(136px, 1fr)); gap: 12px;
  margin: 0 0 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 14px; min-width: 0; }
.tile span { display: block; color: var(--soft); font-size: 13px; }
.tile b { font-size: 21px; font-weight: 600; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.tile small { color: var(--soft); font-size: 13px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr));
  gap: 16px 22px; }
figure { margin: 0; min-width: 0; }
.chart svg { display: block; width: 100%; max-width: 480px; height: auto; }
.chart figcaption { font-size: 14px; display: flex; flex-wrap: wrap; gap: 2px 12px; }
svg text { fill: var(--soft); font-size: 11px; font-family: inherit; }
.grid { stroke: var(--line); }
.mark { stroke: var(--soft); stroke-dasharray: 2 3; }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
polyline.a, circle.a { stroke: var(--a); } polyline.b, circle.b { stroke: var(--b); }
polyline.b { stroke-dasharray: 6 3; }
circle.a { fill: var(--a); } circle.b { fill: var(--card); }
circle.dot { fill: var(--a); fill-opacity: .45; }
.diagonal { stroke: var(--soft); stroke-dasharray: 4 4; }
.key { color: var(--soft); font-size: 13px; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: 16px; margin-right: 5px;
  vertical-align: middle; border-top: 2.5px solid var(--a); }
.key.b::before { border-top: 2.5px dashed var(--b); }
.key.dotted::before { border-top: 2px dotted var(--soft); }
.scroll { overflow: auto; max-width: 100%; max-height: 560px; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 14px 4px 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
td.n, th.n { text-align: right; }
.scroll + .charts { margin-top: 16px; }
.pairs { width: 100%; }
.pairs td { white-space: normal; overflow-wrap: anywhere; }
.pairs td:first-child { color: var(--soft); white-space: nowrap; width: 1%; }
.numbers th:not(:first-child), .numbers td:not(:first-child) { text-align: right; }
.bar { display: inline-block; vertical-align: middle; width: 84px; height: 8px;
  border-radius: 4px; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--a); }
.matrix { display: block; height: auto; width: 100%; }
.matrix text { font-size: 12px; font-variant-numeric: tabular-nums; }
.matrix .r { fill: var(--a); } .matrix .w { fill: var(--b); }
.matrix .e { fill: var(--line); fill-opacity: .35; }
.matrix text.on { fill: var(--on); } .matrix text.ink { fill: var(--ink); }
.pictures { display: flex; flex-wrap: wrap; gap: 14px; }
.pictures figcaption { font-size: 13px; line-height: 1.35; margin-top: 4px; max-width: 190px;
  overflow-wrap: anywhere; }
.tight { display: grid; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr));
  gap: 14px 8px; }
.small { gap: 6px; }
img { display: block; image-rendering: pixelated; border-radius: 3px;
  border: 1px solid var(--line); max-width: 100%; }
.two { display: flex; gap: 4px; }
.yes { color: var(--good); } .no { color: var(--b); }
pre { background: var(--code); border-radius: 6px; padding: 10px 12px; overflow: auto;
  font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  margin: 0 0 12px; }
.wide table { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 13px; }
.split { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr));
  gap: 18px 36px; align-items: start; }
@media (max-width: 600px) {
  main { padding: 18px 12px 40px; }
  section { padding: 14px 14px; }
  h1 { font-size: 22px; }
  th, td { padding-right: 8px; }
  .small img { width: 58px; height: auto; }
  .bar { display: none; }
  .tight { grid-template-columns: repeat(auto-fill, minmax(98px, 1fr)); }
}
@media print {
  section { break-inside: avoid; }
  .scroll { max-height: none; }
  nav { display: none; }
}
"""


def page(title: str, top: str, sections: Mapping[str, str], body: str) -> bytes:
    """Return the page.

    Args:
        title: in the window's title.
        top: what stands above the sections.
        sections: their titles by their anchors.
        body: the sections.
    """
    links = "".join(
        f'<a href="#{anchor}">{html.escape(text)}</a>' for anchor, text in sections.items()
    )
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{html.escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{top}\n<nav>{links}</nav>\n{body}\n"
        "</main>\n</body>\n</html>\n"
    )
    return text.encode("utf-8", "replace")
