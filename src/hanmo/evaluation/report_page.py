"""The page around the report: head, styles, seal.

Ink on paper: text and rivals in ink and its washes, the trained model always in cinnabar, the red of a seal.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from hanmo.evaluation.markup import Html, element, join, raw

__all__ = ["page"]

_SEAL = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#b03a2e"/>'
    '<path d="M9 8v16M23 8v16M9 16h14M16 5v22" stroke="#fff" stroke-width="2.6" stroke-linecap="round" fill="none"/></svg>'
)

_CSS = """
:root{color-scheme:light dark;
--paper:#fbfbf9;--card:#ffffff;--ink:#1d2126;--soft:#5b636d;--hair:#dfe0dc;--wash:#f0f0ec;
--seal:#ad3428;--blue:#3b6291;--grey:#8a929b;--ochre:#a87a1e;--green:#4c7f62;--plum:#7d5a86;
--chip1:#e7edf4;--chip2:#f4e9dd;--chip3:#e6efe6;--chip4:#f1e6ee;--chip5:#ece9f5;
--serif:"Iowan Old Style","Palatino Linotype",Palatino,"Source Serif 4","Noto Serif","Songti SC","Noto Serif CJK SC",SimSun,Georgia,serif;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif;
--mono:ui-monospace,"SF Mono","Cascadia Mono",Menlo,Consolas,"DejaVu Sans Mono","PingFang SC","Noto Sans Mono CJK SC","Microsoft YaHei",monospace}
@media (prefers-color-scheme:dark){:root{
--paper:#15171a;--card:#1b1e22;--ink:#e4e4df;--soft:#a0a7af;--hair:#31363c;--wash:#212529;
--seal:#ea7563;--blue:#83aedd;--grey:#7d8690;--ochre:#d5a850;--green:#7fb996;--plum:#b795c0;
--chip1:#26323f;--chip2:#3b3023;--chip3:#25362a;--chip4:#392a36;--chip5:#2e2b42}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 var(--sans);overflow-wrap:break-word}
main,header,footer{max-width:60rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:3.5rem}
a{color:inherit;text-decoration-color:var(--grey);text-underline-offset:.2em}
a:hover{text-decoration-color:var(--seal)}
:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
.brand{display:flex;align-items:center;gap:.75rem;color:var(--soft);font-size:.9rem}
.seal{flex:none;display:grid;place-items:center;width:2.1rem;height:2.1rem;border-radius:.4rem;background:var(--seal);color:var(--paper);
font:600 .95rem/1 var(--serif);writing-mode:vertical-rl}
h1{font:600 2.5rem/1.15 var(--serif);margin:1.1rem 0 .7rem;letter-spacing:-.01em}
h2{font:600 1.55rem/1.25 var(--serif);margin:0 0 .9rem}
h3{font:600 .95rem/1.4 var(--sans);margin:1.9rem 0 .6rem}h2+h3{margin-top:1.2rem}
p{margin:0 0 .9rem;max-width:44rem}
.lead{font:1.2rem/1.6 var(--serif);max-width:46rem}
.soft,.none{color:var(--soft)}
.none{font-style:italic}
:lang(zh) .none{font-style:normal}
section{padding:2.6rem 0 0;margin-top:2.6rem;border-top:1px solid var(--hair)}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;margin:1.8rem 0 0;font-size:.9rem;color:var(--soft)}
nav a{text-decoration:none;padding:.15rem 0}nav a:hover{color:var(--seal)}
.banner{border-left:3px solid var(--ochre);background:var(--wash);padding:.8rem 1.1rem;margin:1.4rem 0;border-radius:0 .4rem .4rem 0}
.banner.failed{border-color:var(--seal)}
.banner p{margin:0 0 .4rem}.banner p:last-child{margin:0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(11.5rem,1fr));gap:1px;background:var(--hair);border:1px solid var(--hair);
border-radius:.6rem;overflow:hidden;margin:1.8rem 0 0}
.card{background:var(--card);padding:1.05rem 1.2rem 1rem}
.card dt{font-size:.85rem;color:var(--soft)}
.card dd{margin:.15rem 0 0;font:600 1.75rem/1.25 var(--serif);font-variant-numeric:lining-nums tabular-nums;white-space:nowrap}
.card dd.note{font:.85rem/1.4 var(--sans);color:var(--soft);white-space:normal}
.card.main dd:not(.note){color:var(--seal)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:lining-nums tabular-nums}
th,td{text-align:left;padding:.45rem .9rem .45rem 0;border-bottom:1px solid var(--hair);vertical-align:baseline}
th{font-weight:400}.bits th,tr.sum th,tr.sum td{font-weight:600}thead th,.bits thead th{font-weight:400;color:var(--soft);font-size:.85rem}
td.n,th.n{text-align:right;white-space:nowrap}td:last-child,th:last-child{padding-right:0}
tbody tr.sum>*{border-top:1px solid var(--grey)}
th.keep{white-space:nowrap}
td.wide{width:50%;min-width:7rem}
.bits td,.bits th{border-bottom:0;padding-top:.3rem;padding-bottom:.3rem;white-space:nowrap}
.bits .ours{color:var(--seal)}
.hbar{display:block;height:.95rem;border-radius:0 .2rem .2rem 0;min-width:2px;background:var(--grey)}
.ours .hbar{background:var(--seal)}
.lean .hbar{background:var(--blue);height:.7rem}
.strips td,.strips th{vertical-align:middle}.strips svg{display:block;width:100%;overflow:visible}
.below{margin-top:.9rem}.soft,.chipnote{max-width:44rem}.hash{max-width:none;margin:0 0 .35rem}
dl.facts{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.3rem 1.2rem;margin:0;font-size:.92rem}
dl.facts dt{color:var(--soft)}dl.facts dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:lining-nums tabular-nums}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:0 2.6rem}
.two>div{min-width:0}
code,pre,.mono{font-family:var(--mono);font-size:.85em}
pre{font-size:.83rem;line-height:1.55;background:var(--wash);border-radius:.45rem;padding:.9rem 1.1rem;margin:0 0 1rem;overflow-x:auto;tab-size:4}pre code{font-size:1em}
.hash{font:.78rem/1.5 var(--mono);overflow-wrap:anywhere;color:var(--soft)}
details{margin:.8rem 0}summary{cursor:pointer;color:var(--soft);font-size:.92rem}
details[open] summary{margin-bottom:.6rem}
figure{margin:0}
.plot{margin:1.6rem 0 .6rem}
.plot .frame{padding-left:3.1rem;padding-right:.4rem}
.plot .frame>svg{display:block;width:100%;overflow:visible}
.plot.tall .frame>svg{height:19rem}.plot.low .frame>svg{height:10rem}
.plot .xlabel{padding:1.9rem .4rem 0 3.1rem;text-align:right;font-size:.8rem;color:var(--soft)}
.plot svg svg{overflow:visible}
figcaption{display:flex;flex-wrap:wrap;gap:.15rem 1.2rem;font-size:.88rem;margin-bottom:.9rem;align-items:baseline}
figcaption .what{font-weight:600;margin-right:auto}
.key{display:inline-flex;align-items:center;gap:.45rem;color:var(--soft);white-space:nowrap}
.key b{font-weight:600;color:var(--ink);font-variant-numeric:lining-nums tabular-nums}
.key i{width:.95rem;height:.2rem;border-radius:.1rem;background:currentColor;flex:none}
.share .key i{width:.7rem;height:.7rem;border-radius:.15rem}
.key i.faint{opacity:.35}
svg text{fill:var(--soft);font:12px var(--sans);font-variant-numeric:lining-nums tabular-nums}
svg text.end{text-anchor:end}svg text.mid{text-anchor:middle}
.grid{stroke:var(--hair);stroke-width:1;shape-rendering:crispEdges}.axis{stroke:var(--grey);stroke-width:1;shape-rendering:crispEdges}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.faint{stroke-width:1;opacity:.32}
circle{stroke:var(--paper);stroke-width:1.5}
.hit{fill:transparent}.hit:hover{fill:var(--ink);fill-opacity:.07}
.c-model{stroke:var(--seal);fill:var(--seal)}.key .c-model{background:var(--seal)}
.c-train{stroke:var(--blue);fill:var(--blue)}.key .c-train{background:var(--blue)}
.c-speed{stroke:var(--green);fill:var(--green)}.key .c-speed{background:var(--green)}
.c-lr{stroke:var(--ochre);fill:var(--ochre)}.key .c-lr{background:var(--ochre)}
.c-grey{stroke:var(--grey);fill:var(--grey)}.key .c-grey{background:var(--grey)}
.c-plum{stroke:var(--plum);fill:var(--plum)}.key .c-plum{background:var(--plum)}
.c-hair{stroke:var(--hair);fill:var(--hair)}.key .c-hair{background:var(--hair)}
.line.c-model,.line.c-train,.line.c-speed,.line.c-lr{fill:none}
.plot circle{stroke:var(--paper)}
.bar svg{display:block;width:100%;height:1.5rem;border-radius:.3rem}.bar rect{stroke:var(--paper);stroke-width:2}
.share{margin:.8rem 0 1.6rem}.share figcaption{margin:.7rem 0 0}
.chips{line-height:2.05;margin:.2rem 0 .3rem}
.chips span{display:inline-block;max-width:100%;padding:0 .2em;border-radius:.25em;line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere;
font-size:.95rem;margin-right:2px;background:var(--chip1)}
.chips span:nth-of-type(5n+2){background:var(--chip2)}.chips span:nth-of-type(5n+3){background:var(--chip3)}
.chips span:nth-of-type(5n+4){background:var(--chip4)}.chips span:nth-of-type(5n){background:var(--chip5)}
.chips .byte{font-family:var(--mono);font-size:.78rem;color:var(--soft)}.chips em{font-style:normal;opacity:.38}
.chips span.unknown.unknown{background:var(--seal);color:var(--paper)}
.chipnote{font-size:.82rem;color:var(--soft);margin:0 0 1.3rem}.scroll+p,.scroll+dl{margin-top:.9rem}
.sample{margin:0 0 1.3rem;padding:0 0 0 1.1rem;border-left:2px solid var(--hair)}
.sample .meta{font-size:.82rem;color:var(--soft);margin:0 0 .3rem}
.sample .text{white-space:pre-wrap;overflow-wrap:anywhere;font:1.02rem/1.75 var(--serif);margin:0;max-height:26rem;overflow-y:auto}
.sample .text.code{font:.83rem/1.6 var(--mono)}
.prompt{margin:1.9rem 0 .9rem;font:600 1.08rem/1.6 var(--serif)}
.next{display:grid;gap:0 2.6rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}
.next>div{min-width:0}.next p{margin:0 0 .35rem;font-size:.92rem;color:var(--soft)}
footer{padding-top:2.2rem;padding-bottom:4rem;font-size:.85rem;color:var(--soft)}
@media (max-width:34rem){body{font-size:15px}main,header,footer{padding-left:1.1rem;padding-right:1.1rem}header{padding-top:2rem}
h1{font-size:1.95rem}h2{font-size:1.35rem}.lead{font-size:1.1rem}.cards{grid-template-columns:1fr 1fr}.card{padding:.85rem .9rem}.card dd{font-size:1.3rem}
section{padding-top:2rem;margin-top:2rem}.plot.tall .frame>svg{height:14rem}figcaption .what{width:100%}
dl.facts{grid-template-columns:1fr;gap:0}dl.facts dd{margin-bottom:.5rem}td.wide{min-width:4rem;width:30%}
.scroll table{font-size:.82rem}th,td{padding-right:.6rem}.bits thead th{white-space:normal}}
@media print{:root{--paper:#fff;--card:#fff}body{font-size:10.5pt}header{padding-top:0}nav{display:none}
section,.plot,.sample,.cards,figure,pre,tr{break-inside:avoid}section{break-inside:auto}.sample .text{max-height:none;overflow:visible}
pre{white-space:pre-wrap}h2,h3{break-after:avoid}details>*{display:block}}
"""


def page(
    *,
    lang: str,
    title: str,
    kind: str,
    contents: str,
    sections: Sequence[tuple[str, str, Html]],
    head: Html,
    foot: Html,
) -> str:
    """Put the parts on one self-contained page that loads nothing and runs nothing.

    Args:
        lang: BCP 47 tag of the page.
        title: heading and window title.
        kind: what sort of page it is, beside the seal.
        contents: name of the navigation, for screen readers.
        sections: (anchor, heading, body) in order.
        head: what stands under the title.
        foot: the footer.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    meta = join(
        (
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", f"{title} · {kind}"),
            element("link", rel="icon", href=f"data:image/svg+xml,{quote(_SEAL)}"),
            element("style", raw(_CSS)),
        )
    )
    links = [element("a", heading, href=f"#{anchor}") for anchor, heading, _ in sections]
    brand = element(
        "div", element("span", "翰墨", cls="seal", lang="zh-Hans"), element("span", f"hanmo · {kind}"), cls="brand"
    )
    body = element(
        "body",
        element("header", brand, element("h1", title), head, element("nav", *links, aria_label=contents)),
        element("main", *(element("section", element("h2", name), body, id=anchor) for anchor, name, body in sections)),
        element("footer", foot),
    )
    return f"<!DOCTYPE html>\n{element('html', element('head', meta), body, lang=lang)}\n"
