"use strict";
// Forms marked data-send are sent by script, so that a label which was not saved says so and the page stays.
const trouble = document.getElementById("trouble");
let sending = false;

function say(text) {
  sending = false;
  document.querySelectorAll("button").forEach((button) => { button.disabled = false; });
  if (trouble) {
    trouble.textContent = text;
    trouble.hidden = false;
    trouble.scrollIntoView({ block: "nearest" });
  }
}

async function send(form, button) {
  if (sending) return;
  sending = true;
  const fields = new URLSearchParams(new FormData(form));
  if (button && button.name) fields.set(button.name, button.value);
  document.querySelectorAll("button").forEach((each) => { each.disabled = true; });
  try {
    const reply = await fetch(form.action, { method: "POST", body: fields, headers: { Accept: "application/json" } });
    const found = await reply.json().catch(() => ({}));
    if (reply.ok && found.next) location.assign(found.next);
    else say("NOT saved: " + (found.error || "the server answered " + reply.status) + ". Reload to see what is there.");
  } catch (error) {
    say("NOT known to be saved: the server does not answer. Start it again and open the address that it prints: what is there is shown.");
  }
}

document.querySelectorAll("form[data-send]").forEach((form) => {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, event.submitter);
  });
});

// Keys that the page shows: a digit or letter presses its button, follows its link, or goes to its field.
function typing(target) {
  return /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && target.type !== "radio";
}

// In a form of several fields a key answers the one that has the focus, or the first that is open, and goes on.
function answered(key) {
  const groups = [...document.querySelectorAll("form[data-fields] fieldset")];
  const open = groups.filter((group) => !group.querySelector(":checked"));
  const group = groups.find((each) => each.contains(document.activeElement)) || open[0] || groups[0];
  const radio = group && [...group.querySelectorAll("[data-code]")].find((each) => each.dataset.code === key);
  if (!radio) return false;
  radio.checked = true;
  const rest = groups.slice(groups.indexOf(group) + 1).find((each) => !each.querySelector(":checked"));
  const next = rest ? rest.querySelector("input") : document.getElementById("save");
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.toLowerCase();
  if (answered(key)) {
    event.preventDefault();
    return;
  }
  const found = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
  if (!found) return;
  event.preventDefault();
  if (found.tagName === "INPUT") found.focus();
  else found.click();
});

const number = document.querySelector("form[data-fields] input[type=number]");
if (number) number.focus({ preventScroll: true });

// A page that shows something still being written asks for itself again, while it is looked at.
const live = document.querySelector("[data-live]");
if (live) {
  const gone = document.createElement("p");
  gone.className = "warnings";
  gone.setAttribute("role", "status");
  gone.textContent = "The server does not answer any more: what stands here may be old.";
  gone.hidden = true;
  live.before(gone);
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const reply = await fetch(live.dataset.live, { headers: { Accept: "text/html" } });
      gone.hidden = true;
      if (!reply.ok) return;
      const fresh = new DOMParser().parseFromString(await reply.text(), "text/html").querySelector("[data-live]");
      if (!fresh || fresh.innerHTML === live.innerHTML) return;
      const at = [...live.querySelectorAll("a")].indexOf(document.activeElement);
      live.replaceChildren(...fresh.childNodes);
      if (at >= 0) live.querySelectorAll("a")[at]?.focus();
    } catch (error) {
      gone.hidden = false;
    }
  }, 2000);
}
