// Keys, the palette, relative times and live parts. Everything works without this file.
(() => {
  "use strict";
  document.documentElement.classList.remove("no-js");
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Relative times, corrected twice a minute against the browser's clock.
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const relative = (then) => {
    const gap = Math.round((Date.now() - then) / 1000), size = Math.abs(gap);
    if (size < 10) return "now";
    const [seconds, unit] = units.find(([s, u]) => size >= (u === "d" ? 2 * s : s)) || units[3];
    const text = `${Math.floor(size / seconds)} ${unit}`;
    return gap >= 0 ? `${text} ago` : `in ${text}`;
  };
  const refresh = () => all("time[datetime][title]").forEach((each) => {
    const text = relative(Date.parse(each.dateTime));
    if (each.textContent !== text) each.textContent = text;
  });
  setInterval(refresh, 30000);

  // Clocks that count: what the server said was left, less the time since it said so, and only while its
  // calendar is open. Spans alone are used, so a wrong clock on this side shows nothing wrong.
  const heard = new WeakMap();
  const spans = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const span = (milliseconds) => {
    let rest = Math.floor(Math.abs(milliseconds) / 1000);
    const parts = [];
    for (const [size, unit] of spans) {
      const count = Math.floor(rest / size);
      rest -= count * size;
      if (count || parts.length) parts.push(`${count} ${unit}`);
      if (parts.length === 2) break;
    }
    return (parts.join(" ") || "0 s") + (milliseconds < 0 ? " over" : "");
  };
  const count_down = () => all("[data-left]").forEach((each) => {
    if (!heard.has(each)) heard.set(each, performance.now());
    const open = each.dataset.openFor === "" ? Infinity : Number(each.dataset.openFor);
    const text = span(Number(each.dataset.left) - Math.min(performance.now() - heard.get(each), open));
    if (each.textContent !== text) each.textContent = text;
  });
  if (one("[data-live-every], [data-left]")) setInterval(count_down, 1000);

  // Rows: j/k move, x chooses, Enter opens.
  const rows = () => all("tr[data-row], [data-row]");
  // The way to the record, wherever the reader has put its column.
  const way = (row) => one("th[scope=row] a[href]", row) || one("a[href]", row);
  let at = -1;
  const move = (step) => {
    const found = rows();
    if (!found.length) return;
    found.forEach((row) => row.classList.remove("at-row"));
    at = Math.max(0, Math.min(found.length - 1, at + step));
    const row = found[at];
    row.classList.add("at-row");
    row.scrollIntoView({ block: "nearest" });
    const target = way(row) || row;
    target.focus({ preventScroll: true });
  };
  const chosen = () => one("[data-row].at-row");
  const palette = one("#palette"), keys = one("#keys");
  const typing = (target) => target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && target.type !== "checkbox";
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && palette) {
      event.preventDefault();
      palette.open ? palette.close() : palette.showModal();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
    const done = {
      "/": () => one("#find")?.focus(),
      "?": () => keys?.showModal(),
      j: () => move(1),
      k: () => move(-1),
      x: () => { const box = chosen() && one("input[type=checkbox]", chosen()); if (box) box.click(); },
      Enter: () => { if (event.target === document.body && chosen()) way(chosen())?.click(); else return false; },
    }[event.key];
    if (done && done() !== false) event.preventDefault();
  });
  one("[data-show-keys]")?.removeAttribute("hidden");
  one("[data-show-keys]")?.addEventListener("click", () => keys?.showModal());

  // The palette narrows its list while typing; Enter without a match searches records.
  const box = one("#palette-q");
  const entries = all("#palette-list li");
  box?.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    entries.forEach((each) => { each.hidden = !!wanted && !each.textContent.toLowerCase().includes(wanted); });
  });
  box?.form.addEventListener("submit", (event) => {
    const shown = entries.filter((each) => !each.hidden);
    if (box.value.trim() && shown.length && shown.length < entries.length) {
      event.preventDefault();
      one("a", shown[0]).click();
    }
  });
  palette?.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const links = entries.filter((each) => !each.hidden).map((each) => one("a", each));
    const now = links.indexOf(document.activeElement);
    const next = event.key === "ArrowDown" ? Math.min(links.length - 1, now + 1) : now - 1;
    event.preventDefault();
    next < 0 ? box.focus() : links[next]?.focus();
  });

  // Choosing all rows, and how many are chosen.
  const count = () => all("[data-chosen-count]").forEach((each) => {
    each.textContent = String(all("input[data-choose]:checked").length);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-choose-all]")) {
      all("input[data-choose]").forEach((each) => { each.checked = event.target.checked; });
    }
    if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
    count();
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches("[data-print]")) window.print();
  });

  // Columns are put in order in place; without this, each press is a page of its own.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-arrange] button[name=move]");
    if (!button) return;
    event.preventDefault();
    const row = button.closest("li"), up = button.value.startsWith("up:");
    const other = up ? row.previousElementSibling : row.nextElementSibling;
    if (other) up ? other.before(row) : other.after(row);
    button.focus();
    const said = one("[data-arrange-said]"), rows = [...row.parentElement.children];
    if (said) said.textContent = `${one("label", row).textContent.trim()}: place ${rows.indexOf(row) + 1} of ${rows.length}`;
  });

  // Live parts: the hub says "something changed"; the part is fetched again, at most every two seconds.
  const parts = all("[data-live]");
  if (parts.length && "EventSource" in window) {
    let due = 0, pulling = false, errors = 0;
    const pull = async () => {
      if (pulling || document.hidden || document.querySelector("main :is(textarea, input:not([type=hidden]), select):focus")) { due = Date.now() + 2000; return; }
      pulling = true;
      try {
        const answer = await fetch(location.href, { headers: { "X-Isthmus-Live": "1" }, credentials: "same-origin" });
        if (!answer.ok || answer.redirected) return;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        parts.forEach((part) => {
          const next = part.id && fresh.getElementById(part.id);
          const now = part.id && document.getElementById(part.id);
          if (next && now && next.innerHTML !== now.innerHTML && !now.contains(document.activeElement) && !one("input:checked", now)) now.innerHTML = next.innerHTML;
        });
        refresh();
      } finally { pulling = false; }
    };
    setInterval(() => { if (due && Date.now() >= due) { due = 0; pull(); } }, 500);
    const every = Math.min(...parts.map((part) => Number(part.dataset.liveEvery) || Infinity));
    if (every !== Infinity) setInterval(() => { due ||= Date.now(); }, every * 1000);
    const listen = async () => {
      let ticket;
      try {
        const answer = await fetch("/live-ticket", { credentials: "same-origin" });
        if (!answer.ok) return;
        ticket = await answer.json();
      } catch { return; }
      const stream = new EventSource(`/live/events?ticket=${encodeURIComponent(ticket.ticket)}`);
      const soon = () => { due ||= Date.now() + 1000; };
      stream.onmessage = soon;
      ["entry", "reset"].forEach((name) => stream.addEventListener(name, soon));
      stream.onopen = () => { errors = 0; };
      stream.onerror = () => { stream.close(); errors += 1; setTimeout(listen, Math.min(60000, 2000 * 2 ** errors)); };
    };
    listen();
  }
})();
