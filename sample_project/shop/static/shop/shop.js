// What a page shows gets old: another tab fills the cart or signs out, and the Back button shows a page as it was left.
const SECONDS = 30;

async function refresh() {
  if (document.hidden) return;
  const link = document.querySelector("[data-summary]");
  let response;
  try {
    response = await fetch(link.dataset.summary, { headers: { Accept: "application/json" } });
  } catch {
    return; // no network; the next time, perhaps
  }
  if (!response.ok) return;
  const { items, is_authenticated } = await response.json();
  const badge = link.querySelector(".badge");
  badge.dataset.items = badge.textContent = items;
  badge.setAttribute("aria-label", `${items} in the cart`);
  document.querySelector("#signed-out").hidden = is_authenticated || !("signedIn" in link.dataset);
}

addEventListener("pageshow", (event) => event.persisted && refresh());
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, SECONDS * 1000);
