// Sets the theme that was chosen here, before anything is drawn.
try {
  const chosen = localStorage.getItem("hookline-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // a browser that keeps nothing goes by the system's theme
}
