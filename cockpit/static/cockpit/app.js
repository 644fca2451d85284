/* The only script of our own: keyboard, theme, and the manners of htmx.
   Every page works without it. */
(() => {
  "use strict";

  const find = (selector) => document.querySelector(selector);
  const cookie = (name) =>
    document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
  const remember = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  };

  /* ---- htmx: CSRF header, lost sessions, failures ---- */

  const csrfToken = () => find("meta[name=csrf-token]")?.content ?? "";
  const show = (id, isShown) => {
    const note = document.getElementById(id);
    if (note) note.hidden = !isShown;
  };

  document.addEventListener("htmx:config:request", (event) => {
    const request = event.detail.ctx.request;
    if (!["GET", "HEAD"].includes(request.method)) request.headers["X-CSRFToken"] = csrfToken();
  });
  document.addEventListener("htmx:before:swap", (event) => {
    const raw = event.detail.ctx.response?.raw;
    if (!raw) return;
    /* A fragment that was redirected is a whole page: the sign-in page, or the saved record. */
    if (raw.redirected) {
      event.preventDefault();
      location.assign(raw.url);
      return;
    }
    const isReadOnly = raw.status === 503;
    const isLost = raw.status >= 500 && !isReadOnly;
    if (isReadOnly || isLost) event.preventDefault();
    show("read-only", isReadOnly);
    show("lost", isLost);
  });
  document.addEventListener("htmx:error", () => show("lost", true));
  /* What went wrong with a form is read first, after a swap as after a full load. */
  const focusSummary = () => find("[data-summary]")?.focus();
  document.addEventListener("htmx:after:swap", focusSummary);
  focusSummary();

  /* ---- theme: light, dark, as the device says ---- */

  const themes = ["auto", "light", "dark"];
  const applyTheme = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    remember("theme", name);
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.value === name));
    }
  };
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-theme-form]")) return;
    const name = event.submitter?.value;
    if (!themes.includes(name)) return;
    event.preventDefault();
    applyTheme(name);
  });

  /* A form is sent once: a second click while it is under way does nothing. */
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    else event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  /* ---- menus and the help dialog ---- */

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu-pop[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const opener = event.target.closest?.("[data-opens]");
    if (opener) {
      event.preventDefault();
      document.getElementById(opener.dataset.opens)?.showModal();
    }
    if (event.target.closest?.("[data-retry]")) location.reload();
    if (event.target.closest?.("[data-closes]")) show(event.target.closest("[data-closes]").dataset.closes, false);
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "single-keys") remember("keys", event.target.checked ? "on" : "off");
    if (event.target.dataset.submits !== undefined) event.target.form?.requestSubmit();
    if (event.target.dataset.selects) {
      const { form, checked, dataset } = event.target;
      for (const box of form.elements) if (box.name === dataset.selects) box.checked = checked;
    }
  });
  /* Needs this script, so without it there is nothing to see. */
  for (const box of document.querySelectorAll("[data-selects]")) box.closest("label").hidden = false;

  /* ---- keyboard ---- */

  const isTyping = (element) =>
    element?.matches?.("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");
  const follow = (selector) => {
    const link = find(selector);
    if (link) link.click();
    return Boolean(link);
  };
  const focusSearch = () => {
    const box = find("[data-search]");
    if (!box || box.offsetParent === null) return follow("[data-search-page]");
    box.focus();
    box.select();
    return true;
  };
  const singleKeys = {
    "/": focusSearch,
    n: () => follow("[data-key=n]"),
    e: () => follow("[data-key=e]"),
    "?": () => {
      find("#help")?.showModal();
      return true;
    },
  };
  const moveInRows = (step) => {
    const links = [...document.querySelectorAll("[data-rows] a")];
    if (!links.length) return false;
    const box = find("[data-search]");
    const at = links.indexOf(document.activeElement);
    if (at < 0 && document.activeElement !== box && document.activeElement !== document.body) return false;
    const next = at + step;
    if (next < 0) box?.focus();
    else links[Math.min(next, links.length - 1)].focus();
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const element = document.activeElement;
    const isSearch = element?.matches?.("[data-search]");
    if (find("dialog[open]")) return;
    let isDone = false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!isTyping(element) || isSearch) isDone = moveInRows(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Escape") {
      const menu = find("details.menu-pop[open]");
      if (menu) {
        menu.open = false;
        menu.querySelector("summary").focus();
        isDone = true;
      } else if (isSearch && element.value) {
        element.value = "";
        element.dispatchEvent(new Event("input", { bubbles: true }));
        isDone = true;
      } else if (isSearch) element.blur();
    } else if (!isTyping(element) && cookie("keys") !== "off") {
      isDone = singleKeys[event.key]?.() ?? false;
    }
    if (isDone) event.preventDefault();
  });

  const keys = document.getElementById("single-keys");
  if (keys) keys.checked = cookie("keys") !== "off";
})();
