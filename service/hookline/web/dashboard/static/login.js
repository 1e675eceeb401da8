// Logging in: show the token once, and go on to the page that was asked for.
const form = document.getElementById("login");
const why = document.getElementById("why");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  why.textContent = "";
  try {
    const answer = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Hookline": "dashboard" },
      body: JSON.stringify({ token: form.elements.token.value }),
    });
    if (answer.ok) return location.assign(form.dataset.next);
    const told = await answer.json().catch(() => ({}));
    why.textContent = told.detail ?? `the service answered ${answer.status}`;
  } catch {
    why.textContent = "The service does not answer";
  }
  form.elements.token.select();
});
