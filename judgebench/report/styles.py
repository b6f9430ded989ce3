"""The style sheet of report.html: light and dark, phone and print."""

STEPS = 10
"""Steps of the heat map's scale; classes ``h0`` (row always loses) to ``h10`` (row always wins)."""

_LIGHT = ["f0a35e", "f3b57f", "f6c79f", "f9dabf", "fbecdf", "f4f4f4", "e0ebf4", "c3daec", "a5c8e3", "87b6da", "6aa5d1"]
_DARK = ["8a4a0c", "7a4512", "683f18", "53361c", "3d2e21", "2c2c2e", "24333f", "1f3e54", "1a4969", "15557f", "0f6195"]


def _heat(colours: list[str]) -> str:
    return "".join(f".h{step}{{background:#{colour}}}" for step, colour in enumerate(colours))


STYLES = (
    """
:root{color-scheme:light dark;--paper:#fff;--panel:#f6f7f9;--ink:#1c1e21;--muted:#565d65;--line:#d3d8de;
--accent:#0a5c9e;--grid:#e2e5e9;--warn:#7a4d00;--warn-paper:#fff1cf;--bad:#9b1216;--bad-paper:#fde6e6;--odd:#7a2a8a}
@media (prefers-color-scheme:dark){:root{--paper:#15171a;--panel:#1d2024;--ink:#e6e8ea;--muted:#a8aeb5;--line:#3a4047;
--accent:#74b7f5;--grid:#2b3036;--warn:#f2c766;--warn-paper:#3a2e10;--bad:#ffa29c;--bad-paper:#45191b;--odd:#dca0ea}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0 auto;padding:1.25rem clamp(.8rem,3vw,2rem) 4rem;max-width:76rem;background:var(--paper);color:var(--ink);
overflow-wrap:anywhere;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0}
h2{font-size:1.3rem;margin:2.6rem 0 .8rem;padding-top:.6rem;border-top:2px solid var(--line)}
h3{font-size:1.08rem;margin:1.8rem 0 .5rem;overflow-wrap:anywhere}
h4{font-size:.95rem;margin:1rem 0 .3rem;overflow-wrap:anywhere}
p{margin:.4rem 0}
a{color:var(--accent)}
.muted,.remarks,caption,figcaption{color:var(--muted);font-size:.88rem}
.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.88em}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.8rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;padding:0;margin:.8rem 0;
list-style:none}
.tile{border:1px solid var(--line);border-left:4px solid var(--line);border-radius:.4rem;background:var(--panel);
padding:.5rem .7rem}
.tile b{display:block;font-size:1.35rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tile small{color:var(--muted)}
.tile.warn{border-color:var(--warn);background:var(--warn-paper)}
.tile.bad{border-color:var(--bad);background:var(--bad-paper)}
.tile.warn b,.tile.warn small{color:var(--warn)}
.tile.bad b,.tile.bad small{color:var(--bad)}
.warnings{border:1px solid var(--warn);background:var(--warn-paper);border-radius:.4rem;padding:.6rem 1rem .6rem 2rem;
margin:.8rem 0;overflow-wrap:anywhere}
.badge{display:inline-block;border:1px solid currentColor;border-radius:.7rem;padding:0 .5rem;margin:0 .2rem;
font-size:.75rem;line-height:1.35;max-width:100%;overflow-wrap:anywhere;color:var(--muted)}
.badge.warn{color:var(--warn)}.badge.bad{color:var(--bad)}.badge.baseline{color:var(--odd);font-weight:600}
.scroll{overflow-x:auto;position:relative;margin:.4rem 0}
table{border-collapse:collapse;font-size:.92rem}
caption{text-align:left;padding:.2rem 0;white-space:nowrap}
th,td{overflow-wrap:break-word;
border-bottom:1px solid var(--line);padding:.32rem .65rem;text-align:left;vertical-align:top}
thead th{max-width:16rem;vertical-align:bottom;font-size:.84rem;border-bottom:2px solid var(--line)}
tbody th{font-weight:600;min-width:5.5rem;max-width:22rem}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
td.number{white-space:nowrap}
td.words{min-width:7rem;max-width:24rem}
.short{white-space:nowrap}td.words:not(.short):last-child{min-width:20rem}
a.way{color:inherit;text-decoration:underline dotted;text-decoration-thickness:1px;text-underline-offset:.2em}
a.way:hover,a.way:focus-visible{color:var(--accent);text-decoration:underline solid}
.heat a.way:hover,.heat a.way:focus-visible{color:inherit}
td.warn{background:var(--warn-paper);color:var(--warn)}
td.bad{background:var(--bad-paper);color:var(--bad);font-weight:600}
th button{all:unset;cursor:pointer;color:inherit;font:inherit}
th button:hover{text-decoration:underline}
a:focus-visible,button:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:3px solid var(--accent);
outline-offset:2px}
th[aria-sort=ascending] button::after{content:" ▲"}th[aria-sort=descending] button::after{content:" ▼"}
.remarks{list-style:none;padding:0;margin:.2rem 0 .6rem;overflow-wrap:anywhere}
.heats{display:flex;flex-wrap:wrap;gap:.4rem 2.4rem}.heats .scroll{max-width:100%}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(19rem,100%),1fr));gap:1rem}
figure{margin:0;padding:.7rem .9rem;border:1px solid var(--line);border-radius:.4rem;min-width:0}
figcaption{color:var(--ink);font-weight:600;padding-bottom:.3rem;overflow-wrap:anywhere}
.plot{display:block;overflow:visible}
.plot text{font-size:13px;fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:3px}
.plot .value{fill:var(--muted);font-variant-numeric:tabular-nums}
.plot .tick,.plot .axis{font-size:11.5px;fill:var(--muted)}
.plot .grid{stroke:var(--grid);stroke-width:1}
.plot .reference{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:4 4}
.plot .interval{stroke:var(--accent);stroke-width:3.5;stroke-linecap:round;opacity:.7}
.plot .dot{fill:var(--accent);stroke:var(--paper);stroke-width:1.5}
.heat td{text-align:center;border:2px solid var(--paper);min-width:6.2rem;padding:.4rem .5rem}
.heat td b{display:block;font-variant-numeric:tabular-nums}
.heat td small{display:block;font-size:.74rem;line-height:1.3;white-space:nowrap}
.heat thead th{text-align:center;max-width:9rem;overflow-wrap:anywhere}
.heat th[scope=row]{position:sticky;left:0;background:var(--paper);z-index:1}
.heat.large td{min-width:2.6rem;padding:.2rem;font-size:.8rem;font-variant-numeric:tabular-nums}
.heat.large th{font-size:.78rem;max-width:7rem;font-weight:400;padding:.2rem .4rem;vertical-align:middle}
.heat.large th[scope=row]{max-width:14rem;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
#walk{position:sticky;top:0;z-index:2;padding:.4rem .7rem;margin:.4rem 0;background:var(--panel);
border:1px solid var(--line);border-radius:.4rem}
#walk a{margin-right:.8rem}#walk:not([hidden])~section .card{scroll-margin-top:4rem}
.rows{padding-left:1.2rem}.rows li{overflow-wrap:anywhere;padding:.1rem 0}
.heat td.none{color:var(--muted)}
.legend{display:flex;align-items:center;gap:.4rem;font-size:.84rem;color:var(--muted);flex-wrap:wrap}
.legend i{display:inline-block;width:1.1rem;height:.8rem}
.legend span:first-child{margin-right:.2rem}
details>summary{cursor:pointer;padding:.25rem 0;overflow-wrap:anywhere}
.fold{margin:.5rem 0}
.controls{display:flex;flex-wrap:wrap;gap:.5rem .8rem;align-items:end;padding:.7rem;background:var(--panel);
border:1px solid var(--line);border-radius:.4rem;margin:.8rem 0}
.controls[hidden]{display:none}
.controls label{min-width:0;max-width:100%;font-size:.84rem;color:var(--muted)}
.controls input,.controls select,.controls button{display:block;font:inherit;color:var(--ink);background:var(--paper);
border:1px solid var(--muted);border-radius:.3rem;padding:.25rem .5rem;max-width:100%}
.controls output{font-size:.9rem;padding:.3rem 0}
.card{border:1px solid var(--line);border-radius:.4rem;margin:.45rem 0;padding:.1rem .8rem}
.card[open]{padding-bottom:.9rem;border-color:var(--muted)}
.card>summary b{overflow-wrap:anywhere}
.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr));gap:.7rem;margin:.6rem 0 .8rem}
.box{border:1px solid var(--line);border-radius:.4rem;padding:.4rem .7rem;min-width:0;background:var(--panel)}
.box>p:first-child{margin:0 0 .2rem;overflow-wrap:anywhere}
pre{margin:.2rem 0;white-space:pre-wrap;overflow-wrap:anywhere;max-height:32rem;overflow-y:auto;
font-family:inherit;font-size:.93rem;unicode-bidi:isolate}
.question{border-left:4px solid var(--accent);padding-left:.7rem}
.odd{color:var(--odd);font-family:ui-monospace,monospace;font-size:.85em;border:1px dotted currentColor}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:40rem){body{font-size:15px}h1{font-size:1.4rem}th,td{padding:.28rem .4rem}
thead th.number{min-width:5.5rem}figure{padding:.6rem .6rem}.card{padding:.1rem .5rem}}
@media print{:root{--paper:#fff;--panel:#fff;--ink:#000;--muted:#444;--line:#bbb;--accent:#0a5c9e;--grid:#ddd;
--warn:#7a4d00;--warn-paper:#fff;--bad:#9b1216;--bad-paper:#fff;--odd:#7a2a8a;color-scheme:light}
body{max-width:none;padding:0;font-size:10pt}.controls,nav,.skip{display:none}pre{max-height:none}
.scroll{overflow:visible}table{font-size:8pt}
th,td,td.words:last-child{padding:.15rem .3rem;min-width:0}thead th{font-size:7pt;max-width:6rem}
.number{min-width:0}.short,td.words{white-space:normal;min-width:0}
a.way{text-decoration:none}section>.fold::details-content{content-visibility:visible;block-size:auto}
h2{margin-top:1.2rem}h2,h3,h4,caption{break-after:avoid}tr,figure,.box{break-inside:avoid}
.heat th[scope=row]{position:static}.heat.large td,.heat.large th{font-size:5.5pt;min-width:0;padding:1px}
.heat td,.legend i{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
    + _heat(_LIGHT)
    + "@media screen and (prefers-color-scheme:dark){"
    + _heat(_DARK)
    + "}"
)
"""The whole style sheet."""
