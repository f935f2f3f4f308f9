"use strict";
// Draws the plots in the reader's colours, saves them as pictures, sorts the bills.
(() => {
  const { figures, colours } = JSON.parse(document.getElementById("page-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  // Only buttons that work offline; without a mouse they would cover the legend.
  const config = {
    displaylogo: false,
    responsive: true,
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]],
    plotlyServerURL: "",
  };

  // "@bid" becomes the palette's colour of that name, everywhere in a specification.
  const painted = (value, palette) => {
    if (typeof value === "string" && value.startsWith("@")) return palette[value.slice(1)];
    if (Array.isArray(value)) return value.map((each) => painted(each, palette));
    if (value === null || typeof value !== "object") return value;
    const pairs = Object.entries(value).map(([key, each]) => [key, painted(each, palette)]);
    return Object.fromEntries(pairs);
  };

  // Paper is narrower than most windows; without a size a plot fills its place.
  const onPaper = { width: 680, height: 320 };
  const draw = (palette, size = {}) => {
    for (const [name, figure] of Object.entries(figures)) {
      const { data, layout } = painted(figure, palette);
      if (narrow.matches) layout.font.size = 11;
      Plotly.react(`plot-${name}`, data, Object.assign(layout, size), config);
    }
  };
  const drawForScreen = () => draw(dark.matches ? colours.dark : colours.light);
  drawForScreen();
  dark.addEventListener("change", drawForScreen);
  narrow.addEventListener("change", drawForScreen);
  addEventListener("beforeprint", () => draw(colours.light, onPaper));
  addEventListener("afterprint", drawForScreen);

  // A saved picture is light on white, whatever the screen looks like.
  for (const button of document.querySelectorAll("button[data-save]")) {
    button.addEventListener("click", async () => {
      const name = button.dataset.plot;
      const { data, layout } = painted(figures[name], colours.light);
      layout.paper_bgcolor = colours.light.paper;
      const format = button.dataset.save;
      const size = { width: 1200, height: 600, scale: format === "png" ? 2 : 1 };
      const url = await Plotly.toImage({ data, layout }, { format, ...size });
      const link = document.createElement("a");
      link.href = url;
      link.download = button.dataset.file;
      link.click();
    });
  }

  // Amounts are compared as whole numbers of nano-currency, which may pass 2^53.
  const key = (row, column) => row.cells[column].dataset.value;
  const orders = {
    number: (a, b) => (BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0),
    text: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
  };
  for (const heading of document.querySelectorAll(".bills thead th")) {
    heading.querySelector("button").addEventListener("click", () => {
      const table = heading.closest("table");
      const rising = heading.getAttribute("aria-sort") !== "ascending";
      const compare = orders[heading.dataset.order];
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const order = compare(key(a, heading.cellIndex), key(b, heading.cellIndex));
        return rising ? order : -order;
      });
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    });
  }
})();
