/** The style sheet of all pages: system fonts, no images; light and dark by the choice of the system. */
export const STYLE = `:root{color-scheme:light dark;
--bg:light-dark(#fbfbfa,#14161a);--panel:light-dark(#fff,#1b1e24);--line:light-dark(#e4e4e0,#2c313a);--control:light-dark(#8a8f96,#6b7482);
--text:light-dark(#1d2126,#e4e7ec);--muted:light-dark(#565e69,#9aa4b2);--accent:light-dark(#0f6a73,#5cc6cf);--accent-soft:light-dark(#e3f1f2,#17343a);
--warn:light-dark(#8a4b08,#f0b265);--warn-soft:light-dark(#fdf1e1,#3a2a14);--bad:light-dark(#a3202c,#ff8d92);
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;--s1:4px;--s2:8px;--s3:12px;--s4:16px;--s5:24px;--s6:40px}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}
a{color:var(--accent);text-decoration:none}
a:hover,main p a,main dd a{text-decoration:underline}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-999px}.skip:focus{left:var(--s4);top:var(--s2);background:var(--panel);padding:var(--s2) var(--s4);z-index:1}
.top{display:flex;gap:var(--s4);align-items:center;padding:var(--s3) var(--s5);border-bottom:1px solid var(--line);background:var(--panel)}
.brand{font-weight:650;color:var(--text);letter-spacing:-.01em}
.top form[role=search]{flex:1;max-width:460px}
.top nav{margin-left:auto;display:flex;gap:var(--s4);align-items:center;color:var(--muted)}
input,select{padding:6px 10px;border:1px solid var(--control);border-radius:6px;background:var(--bg);color:inherit;font:inherit;max-width:100%}
input[type=search]{width:100%}
input[type=checkbox]{width:18px;height:18px;margin:0;vertical-align:-3px;accent-color:var(--accent)}
main{overflow-wrap:anywhere;max-width:1120px;margin:0 auto;padding:var(--s5)}
h1{font-size:22px;line-height:1.25;margin:0 0 var(--s1);letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:15px;margin:var(--s5) 0 var(--s2)}
.crumbs,.sub,.muted{color:var(--muted)}
.crumbs ol{display:flex;flex-wrap:wrap;gap:var(--s1);list-style:none;margin:0 0 var(--s2);padding:0;font-size:13px}
.crumbs li+li::before{content:"/ "}
.sub{margin:0 0 var(--s4);overflow-wrap:anywhere}
.panel{background:var(--panel);border:1px solid var(--line);border-radius:8px;overflow-x:auto}
.empty{padding:var(--s5);color:var(--muted)}.empty p{margin:0 0 var(--s3)}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:9px var(--s4);border-top:1px solid var(--line);vertical-align:baseline;white-space:nowrap}
thead :is(th,td){border-top:0}thead th{font-size:12px;font-weight:600;color:var(--muted)}
tbody th{font-weight:inherit}
tbody tr:hover{background:var(--accent-soft)}
.num{text-align:right}
.wide{white-space:normal;width:100%;overflow-wrap:anywhere}
.wrap{white-space:normal;min-width:7em}
code,pre{font:13px/1.5 var(--mono)}
pre{margin:0;padding:var(--s4);overflow:auto;max-height:70vh;white-space:pre-wrap;overflow-wrap:anywhere}
.chip{display:inline-block;padding:0 7px;border-radius:20px;font-size:12px;line-height:20px;background:var(--accent-soft);color:var(--accent);margin-right:4px}
.chip.plain{background:none;border:1px solid var(--line);color:var(--muted);line-height:18px}
.chip.warn{background:var(--warn-soft);color:var(--warn)}
.tabs ul{display:flex;gap:var(--s1);list-style:none;padding:0;border-bottom:1px solid var(--line);margin:var(--s4) 0;overflow-x:auto}
.tabs a{display:block;padding:7px 12px;color:var(--muted);border-bottom:2px solid transparent;white-space:nowrap}
.tabs a[aria-current]{color:var(--text);border-color:var(--accent);font-weight:550}
.copy{display:flex;align-items:center;gap:var(--s3);padding:var(--s2) var(--s4);background:var(--panel);border:1px solid var(--line);border-radius:8px;margin:0 0 var(--s3)}
.copy code{flex:1;overflow-x:auto;white-space:nowrap}
button,.button{font:inherit;font-size:13px;padding:4px 12px;border:1px solid var(--control);border-radius:6px;background:var(--panel);color:inherit;cursor:pointer;display:inline-block}
.primary{background:var(--accent);border-color:var(--accent);color:var(--bg)}
.danger{color:var(--bad);border-color:currentColor}
.notice,.problem{padding:var(--s3) var(--s4);border-radius:8px;margin:0 0 var(--s4);background:var(--accent-soft)}
.notice form{display:inline}
.problem{background:var(--warn-soft);color:var(--warn)}
.claim{padding:var(--s3) var(--s4);margin:0 0 var(--s3)}.claim p{margin:0 0 var(--s2)}
dl.facts{display:grid;grid-template-columns:fit-content(40%) minmax(0,1fr);gap:6px var(--s5);margin:0}
dl.facts dt{color:var(--muted);overflow-wrap:anywhere}dl.facts dd{margin:0;overflow-wrap:anywhere}
.grid{display:grid;grid-template-columns:minmax(0,2fr) minmax(260px,1fr);gap:var(--s5)}
.filters{display:flex;flex-wrap:wrap;gap:var(--s2);align-items:center;margin-bottom:var(--s3)}
.filters input[type=search]{width:auto;flex:0 1 260px}
.stats{display:flex;flex-wrap:wrap;gap:var(--s5);margin:0 0 var(--s5);padding:0}
.stats div{line-height:1.3;display:flex;flex-direction:column-reverse}.stats dd{margin:0;font-size:20px;font-weight:600;letter-spacing:-.01em}.stats dt{color:var(--muted)}
.login{max-width:360px;margin:var(--s6) auto}
.login label{display:block;margin:0 0 var(--s3)}.login input{display:block;width:100%}
.actions{display:flex;gap:var(--s3);align-items:center;margin:var(--s4) 0}
@media(max-width:760px){main{padding:var(--s4)}.grid{grid-template-columns:minmax(0,1fr)}.top{flex-wrap:wrap;padding:var(--s3) var(--s4)}
.top form[role=search]{order:3;flex-basis:100%;max-width:none}.opt{display:none}th,td{padding:9px var(--s3)}}
@media(prefers-reduced-motion:no-preference){a,button{transition:background-color .1s}}
`;
