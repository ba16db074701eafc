// Sorting by a column. Without JavaScript the models stand in the order of their average, which is the order of the file.
for (const head of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const ascending = head.getAttribute("aria-sort") === "descending";
    const column = [...head.parentNode.children].indexOf(head);
    const body = head.closest("table").tBodies[0];
    const value = (row) => {
      const number = parseFloat(row.children[column].textContent.replace("−", "-"));
      return Number.isNaN(number) ? -Infinity : number;
    };
    // What has no number stays at the end in both directions.
    const rows = [...body.rows].map((row) => [value(row), row]);
    rows.sort(([a], [b]) => (a === b ? 0 : a === -Infinity ? 1 : b === -Infinity ? -1 : ascending ? a - b : b - a));
    body.append(...rows.map(([, row]) => row));
    head.parentNode.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  });
}
