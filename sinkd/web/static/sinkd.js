"use strict";
// Makes a page live that is complete without: new rows, countdowns, a search as you type.
{
  const body = document.body;
  const live = document.getElementById("live");
  const search = document.querySelector(".filter [name=q]");

  const say = (word, on) => { live.textContent = word; live.className = "live " + (on ? "on" : "off"); };

  const left = (seconds) => {
    const pad = (n) => String(n).padStart(2, "0");
    const s = Math.max(0, Math.round(seconds));
    if (s >= 86400) return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
    if (s >= 3600) return Math.floor(s / 3600) + " h " + pad(Math.floor(s % 3600 / 60)) + " min";
    return Math.floor(s / 60) + ":" + pad(s % 60);
  };
  const countDown = () => {
    if (document.hidden) return;
    for (const each of document.querySelectorAll("[data-due]")) {
      each.textContent = "in " + left(Number(each.dataset.due) - Date.now() / 1000);
    }
  };
  const localTimes = () => {
    for (const each of document.querySelectorAll("time:not([title])")) {
      each.title = new Date(each.dateTime).toLocaleString();
    }
  };
  const sift = () => {
    if (!search) return;
    const text = search.value.toLowerCase();
    for (const row of document.querySelectorAll("#jobs > tr")) row.hidden = !row.dataset.text.includes(text);
  };

  // Puts the live parts of another state of this page in the place of those here.
  const replace = (text) => {
    const other = new DOMParser().parseFromString(text, "text/html");
    for (const part of other.querySelectorAll("[data-live]")) {
      if (part.parentElement.closest("[data-live]")) continue;
      const here = document.getElementById(part.id);
      if (!here) continue;
      const href = here.contains(document.activeElement) && document.activeElement.getAttribute("href");
      here.replaceWith(part);
      if (href) [...part.querySelectorAll("a")].find((a) => a.getAttribute("href") === href)?.focus();
    }
    sift(); localTimes(); countDown();
  };
  const fetchPart = async (url) => {
    const answer = await fetch(url);
    if (answer.ok) replace(await answer.text());
  };

  let names = new Set(), all = false, busy = false;
  const update = async () => {
    if (busy || document.hidden || !(all || names.size)) return;
    busy = true;
    const whole = all, url = new URL(location.href);
    if (!whole) for (const name of names) url.searchParams.append("rows", name);
    names = new Set(); all = false;
    try {
      if (whole) await new Promise((go) => setTimeout(go, Math.random() * 2000));
      await fetchPart(url);
    } catch { all = true; }
    busy = false;
    setTimeout(update, whole ? 3000 : 500);
  };
  const changed = (event) => {
    const data = JSON.parse(event.data);
    if (body.dataset.job) {
      if (data.all || data.jobs.includes(body.dataset.job)) all = true;
    } else {
      all ||= data.all;
      data.jobs.forEach((name) => names.add(name));
    }
    update();
  };

  if (body.dataset.seq) {
    const events = new EventSource("/events?since=" + body.dataset.seq);
    events.addEventListener("change", changed);
    events.onopen = () => say("live", true);
    events.onerror = () => say("not connected", false);
    document.addEventListener("visibilitychange", update);
  }
  if (search) {
    search.addEventListener("input", () => {
      sift();
      const url = new URL(location.href);
      if (search.value) url.searchParams.set("q", search.value); else url.searchParams.delete("q");
      history.replaceState(null, "", url);
      if (!search.value.includes(search.defaultValue)) { search.defaultValue = ""; all = true; update(); }
    });
  }
  setInterval(countDown, 1000);
  countDown(); localTimes();
}
