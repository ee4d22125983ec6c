"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.rows, pageSize = 25;
  const $ = id => document.getElementById(id);
  const text = p => p.w ?? p.p.join("");
  // Arabic is searched without marks, lengthening and the forms of alef.
  const fold = s => s.normalize("NFKC").toLowerCase().replace(/[\u0640\u064b-\u065f\u0670]/g, "").replace(/[أإآ]/g, "ا");
  rows.forEach(r => {
    r.n = fold([r.id, r.t, r.w, ...r.m.flatMap(m => [text(m.t), m.s ? text(m.s) : ""])].join("\n"));
  });

  // Verdicts by id, kept in the browser between visits where it allows that.
  const known = new Map(rows.map(r => [r.id, r]));
  const key = "barka-review " + data.name + " " + rows.length + " " + (rows[0].d || rows[0].id);
  let verdicts = new Map(Object.entries(data.review)), reviewer = "";
  try {
    const saved = JSON.parse(localStorage.getItem(key) || "null");
    if (saved) { saved.verdicts.forEach(v => verdicts.set(v.id, v)); reviewer = saved.reviewer; }
  } catch { /* a private window, or storage is off */ }
  const save = () => {
    try { localStorage.setItem(key, JSON.stringify({ reviewer, verdicts: [...verdicts.values()] })); } catch { /* as above */ }
  };

  const el = (tag, cls, content) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (content !== undefined) e.textContent = content;
    return e;
  };

  // The filters: what a row says for each, and the choices that the rows have.
  const state = r => verdicts.get(r.id)?.verdict || "not reviewed";
  const filters = [
    ["part", "kept and rejected", r => [r.p, ...(r.r ? ["rejected: " + r.r] : [])]],
    ["source", "all sources", r => [r.s]], ["form", "all forms", r => [r.f]],
    ["kind", "all kinds", r => (r.k || "").split(" ")], ["flag", "all flags", r => r.g || []],
    ["verdict", "all verdicts", r => [state(r)], ["not reviewed", "accept", "edit", "reject"]],
  ];
  const choice = { page: 0, q: "" };
  filters.forEach(([name, all, of, fixed]) => {
    const counts = new Map();
    rows.forEach(r => new Set(of(r)).forEach(v => v && counts.set(v, (counts.get(v) || 0) + 1)));
    choice[name] = "";
    if (!fixed && counts.size < 2) return;
    const s = el("select");
    s.id = "by-" + name;
    s.setAttribute("aria-label", name);
    s.append(new Option(all, ""));
    (fixed || [...counts.keys()].sort()).forEach(v => s.append(new Option(fixed ? v : v + " (" + counts.get(v) + ")", v)));
    s.onchange = () => { choice[name] = s.value; choice.page = 0; draw(); };
    $("selects").append(s, " ");
  });

  // The address holds the choices, so that a view can be bookmarked.
  const readAddress = () => {
    const p = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(choice)) choice[name] = name === "page" ? Math.max(0, (+p.get(name) || 1) - 1) : p.get(name) || "";
    $("search").value = choice.q;
    filters.forEach(([name]) => { const s = $("by-" + name); if (s) s.value = choice[name]; });
  };
  const writeAddress = () => {
    const p = new URLSearchParams();
    for (const [name, v] of Object.entries(choice)) if (v) p.set(name, name === "page" ? v + 1 : v);
    history.replaceState(null, "", "#" + p);
  };

  const selected = () => {
    const words = fold(choice.q).split(/\s+/).filter(Boolean);
    return rows.filter(r => words.every(w => r.n.includes(w)) && filters.every(([name, , of]) => !choice[name] || of(r).includes(choice[name])));
  };

  const say = (p, cls) => {
    const d = el("div", "say " + (cls || ""));
    d.dir = p.a ? "rtl" : "ltr";
    p.p.forEach((part, i) => {
      if (i % 2 === 0) { d.append(part); return; }
      const b = el("bdi", /^[`$\\<]/.test(part) ? "code" : "", part);
      b.dir = "ltr";
      d.append(b);
    });
    return d;
  };

  const set = (r, verdict, more) => {
    verdicts.set(r.id, { id: r.id, digest: r.d, verdict, ...more });
    save();
  };

  let current = 0, editing = "";
  const turns = r => {
    const box = el("div"), edited = verdicts.get(r.id)?.verdict === "edit" ? verdicts.get(r.id).messages : null;
    r.m.forEach((m, i) => {
      const t = el("div", "turn"), pair = el("div", "pair" + (m.s ? "" : " one"));
      if (m.r) t.append(el("div", "role", m.r + (edited ? " (edited)" : "")));
      if (m.s) pair.append(say(m.s, "from"));
      if (editing === r.id) {
        const a = el("textarea");
        a.value = edited ? edited[i].content : text(m.t);
        a.dir = m.t.a ? "rtl" : "auto";
        pair.append(a);
      } else {
        pair.append(edited ? say({ a: m.t.a, p: [edited[i].content] }) : say(m.t));
      }
      t.append(pair);
      box.append(t);
    });
    return box;
  };

  const finish = (r, box) => {
    const messages = [...box.querySelectorAll("textarea")].map((a, i) => ({ role: r.m[i].r, content: a.value }));
    if (messages.some(m => !m.content.trim())) { box.querySelector("textarea").focus(); return; }
    const old = verdicts.get(r.id) || {};
    set(r, "edit", { messages, ...(old.note ? { note: old.note } : {}) });
    editing = "";
    draw();
  };

  const judge = (r, box) => {
    const line = el("div", "verdict"), v = verdicts.get(r.id);
    const note = () => { const n = line.querySelector("input").value.trim(); return n ? { note: n } : {}; };
    const button = (label, on, act) => {
      const b = el("button", on ? "on" : "", label);
      b.type = "button";
      b.dataset.act = label;
      b.onclick = act;
      line.append(b);
    };
    if (editing === r.id) {
      button("save", false, () => finish(r, box));
      button("cancel", false, () => { editing = ""; draw(); });
    } else {
      button("accept", v?.verdict === "accept", () => { set(r, "accept", note()); draw(); });
      button("edit", v?.verdict === "edit", () => { editing = r.id; draw(); });
      button("reject", v?.verdict === "reject", () => { set(r, "reject", note()); draw(); });
      if (v) button("undo", false, () => { verdicts.delete(r.id); save(); draw(); });
    }
    const n = el("input");
    n.placeholder = "Note";
    n.setAttribute("aria-label", "Note");
    n.value = v?.note || "";
    n.onchange = () => { const w = verdicts.get(r.id); if (w) { delete w.note; Object.assign(w, note()); save(); } };
    line.append(n);
    if (v && v.digest !== r.d) line.append(el("span", "why", "The row has changed since this verdict."));
    return line;
  };

  const card = (r, i) => {
    const v = verdicts.get(r.id);
    const box = el("article", "row" + (r.r ? " rejected" : "") + (v ? " " + v.verdict : "") + (i === current ? " now" : ""));
    const head = el("div", "head");
    if (r.t) { const b = el("b", "", r.t); b.dir = "auto"; head.append(b); }
    [r.s, r.f, r.k, r.p === "kept" ? "" : r.p].filter(Boolean).forEach(s => head.append(el("span", "", s)));
    head.append(el("code", "", r.id));
    box.append(head);
    if (r.r) { const w = el("div", "why", r.r + (r.w ? ": " + r.w : "")); w.dir = "auto"; box.append(w); }
    box.append(turns(r));
    const more = el("div", "more");
    (r.o || []).forEach(o => more.append(el("div", "", o)));
    (r.x || []).forEach(([name, value]) => more.append(el("div", "", name + ": " + value)));
    box.append(more);
    if (r.d && !r.r) box.append(judge(r, box));
    return box;
  };

  let shown = [];
  const draw = scroll => {
    const all = selected(), pages = Math.max(1, Math.ceil(all.length / pageSize));
    choice.page = Math.min(choice.page, pages - 1);
    shown = all.slice(choice.page * pageSize, (choice.page + 1) * pageSize);
    current = Math.max(0, Math.min(current, shown.length - 1));
    $("rows").replaceChildren(...shown.map(card));
    $("where").textContent = all.length + " of " + rows.length + " rows, page " + (choice.page + 1) + " of " + pages;
    $("back").disabled = choice.page === 0;
    $("next").disabled = choice.page >= pages - 1;
    $("done").textContent = [...verdicts.keys()].filter(id => known.has(id)).length + " reviewed";
    $("export").disabled = verdicts.size === 0;
    writeAddress();
    if (scroll) $("rows").children[current]?.scrollIntoView({ block: "nearest" });
  };
  const turn = by => { choice.page += by; current = 0; draw(); window.scrollTo(0, 0); };
  $("back").onclick = () => turn(-1);
  $("next").onclick = () => turn(1);
  $("search").oninput = () => { choice.q = $("search").value; choice.page = 0; draw(); };
  $("reviewer").value = reviewer;
  $("reviewer").onchange = () => { reviewer = $("reviewer").value.trim(); save(); };

  const lines = () => [...verdicts.values()].map(v => JSON.stringify({ ...v, ...(v.reviewer || !reviewer ? {} : { reviewer }) }) + "\n").join("");
  $("export").onclick = () => {
    const a = el("a");
    a.href = URL.createObjectURL(new Blob([lines()], { type: "application/jsonl" }));
    a.download = data.name + ".review.jsonl";
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
  };

  document.onkeydown = e => {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) return;
    const act = { a: "accept", e: "edit", r: "reject", u: "undo" }[e.key];
    if (e.key === "j" || e.key === "k") current += e.key === "j" ? 1 : -1;
    else if (act) $("rows").children[current]?.querySelector("[data-act=" + act + "]")?.click();
    else return;
    e.preventDefault();
    draw(true);
  };
  window.onhashchange = () => { readAddress(); draw(); };
  readAddress();
  draw();
})();
