// The browser's Back button shows a page as it was left: bring its cart badge up to date.
addEventListener("pageshow", async (event) => {
  if (!event.persisted) return;
  const link = document.querySelector("[data-summary]");
  const response = await fetch(link.dataset.summary, { headers: { Accept: "application/json" } });
  if (!response.ok) return;
  const { items } = await response.json();
  const badge = link.querySelector(".badge");
  badge.dataset.items = badge.textContent = items;
  badge.setAttribute("aria-label", `${items} in the cart`);
});
