// The leaderboard, quicker: the same addresses, without loading the whole page. On a site of files, where there is no server to
// sort and to filter, it is done here.
const board = document.getElementById("board");

function swapped(html) {
  const found = new DOMParser().parseFromString(html, "text/html");
  const fresh = found.getElementById("board");
  if (!fresh) return false;
  const old = document.getElementById("board");
  const typing = document.activeElement && document.activeElement.id === "q" ? document.activeElement : null;
  const scrolled = old.querySelector(".board") ? old.querySelector(".board").scrollLeft : 0;
  old.replaceWith(document.adoptNode(fresh));
  document.title = found.title;
  const region = fresh.querySelector(".board");
  if (region) region.scrollLeft = scrolled;
  if (typing) {
    const field = fresh.querySelector("#q");
    field.value = typing.value;
    field.focus();
    field.setSelectionRange(typing.selectionStart, typing.selectionEnd);
  }
  return true;
}

let asked = 0;
async function go(address, push) {
  const mine = ++asked;
  document.getElementById("board").setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    const html = await answer.text();
    if (mine !== asked) return;
    if (!answer.ok || !swapped(html)) { location.assign(address); return; }
    if (push) history.pushState(null, "", address);
  } catch {
    location.assign(address);
  }
}

function isHere(link) {
  return link.origin === location.origin && link.pathname === location.pathname && !link.hash && !link.hasAttribute("download");
}

function address(form) {
  const given = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  return form.action.split("?")[0] + (given.size ? "?" + given : "");
}

if (board && board.dataset.static === "no") {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#board a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || !isHere(link)) return;
    event.preventDefault();
    go(link.href, true);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-swap]")) return;
    event.preventDefault();
    go(address(event.target), true);
  });
  let waiting;
  document.addEventListener("input", (event) => {
    if (event.target.id !== "q") return;
    clearTimeout(waiting);
    waiting = setTimeout(() => go(address(event.target.form), true), 250);
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "family") go(address(event.target.form), true);
  });
  window.addEventListener("popstate", () => go(location.href, false));
}

if (board && board.dataset.static === "yes") {
  const table = board.querySelector(".board table");
  const filters = board.querySelector("[data-filters]");
  if (filters && table) {
    filters.hidden = false;
    const count = board.querySelector("[data-count]");
    filters.querySelector("[data-filter]").addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.querySelector(".model").textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = shown;
    });
  }
  for (const head of table ? table.querySelectorAll("th[data-sort]") : []) {
    const button = document.createElement("button");
    button.type = "button";
    const about = head.querySelector(".about");
    for (const node of [...head.childNodes]) if (node !== about) button.append(node);
    head.prepend(button);
    button.addEventListener("click", () => {
      const isText = head.dataset.sort === "text";
      const was = head.getAttribute("aria-sort");
      const ascending = was ? was === "descending" : isText;
      const column = [...head.parentNode.children].indexOf(head);
      const value = (row) => {
        const text = row.children[column].textContent;
        if (isText) return text.toLowerCase();
        const number = parseFloat(text.replace("−", "-"));
        return Number.isNaN(number) ? null : number;
      };
      const rows = [...table.tBodies[0].rows].map((row) => [value(row), row]);
      // What has no number stays at the end in both directions.
      rows.sort(([a], [b]) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : (a < b ? -1 : 1) * (ascending ? 1 : -1)));
      table.tBodies[0].append(...rows.map(([, row]) => row));
      for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    });
  }
}
