// What every page may have of help from JavaScript; nothing needs it.

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button[type=submit], button:not([type])")) {
      // After the form's data was gathered: a disabled button's value is not sent.
      setTimeout(() => { button.disabled = true; }, 0);
    }
  });
}
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form[method=post] button:disabled")) button.disabled = false;
});

// A field that filters sends its form when it is changed; the button for that is for those without JavaScript.
for (const field of document.querySelectorAll("[data-send-on-change]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
