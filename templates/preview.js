/* The page of all editions: what is shown and how, and what differs between two of them. Plain
   JavaScript without anything from elsewhere; works from a file. A mail is never part of this
   page: it is shown in a frame that runs no script, sends no form and has an origin of its own.

   In `page`, which stands in the document as JSON, `pieces` holds every line that any edition has,
   once; an edition's `html` and `text` are numbers of lines. A page that `newsletter serve` made
   has no contents: they are asked for when somebody looks at them.

   Pictures of the workspace are put into a frame as `data:` addresses, since the public server that
   a mail names may not run; nothing is loaded from anywhere else. */
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("editions").textContent);
  const GMAIL = 102000; // bytes of HTML; what is beyond is cut
  const MOST_DRAWN = 24; // frames at a time: each is a document of its own
  const MOST_CELLS = 4e6; // of a comparison's table: beyond that, both sides are shown whole
  const find = (name) => document.getElementById(name);
  const controls = find("controls");
  const grid = find("grid");
  const number = new Intl.NumberFormat("en-GB");

  // -- what is chosen, in the address behind "#" ----------------------------------------------

  const CHOICES = { width: ["phone", "desktop"], scheme: ["light", "dark"], show: ["mail", "text", "source"] };
  const chosen = { width: "phone", scheme: "light", show: "mail", images: "on", look: page.live ? page.look : "", find: "", left: "", right: "" };

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(chosen)) {
      const value = given.get(name);
      if (value !== null && (!CHOICES[name] || CHOICES[name].includes(value))) chosen[name] = value;
    }
    for (const name of Object.keys(CHOICES)) controls.elements[name].value = chosen[name];
    controls.elements.images.checked = chosen.images !== "off";
    controls.elements.find.value = chosen.find;
    if (!controls.elements.look) chosen.look = page.live ? page.look : ""; // nothing to choose
    else {
      controls.elements.look.value = chosen.look;
      if (controls.elements.look.selectedIndex < 0) chosen.look = controls.elements.look.value = "";
    }
  }

  function writeAddress() {
    const said = new URLSearchParams();
    for (const [name, value] of Object.entries(chosen)) {
      if (value && value !== (CHOICES[name] || ["on"])[0]) said.set(name, value);
    }
    history.replaceState(null, "", `#${said}`);
  }

  // -- contents of an edition -----------------------------------------------------------------

  const escaped = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

  /** What an edition says: {bytes, html, text, pictures}, the same promise for the same edition. */
  function contents(edition) {
    if (!edition.said) edition.said = page.live ? asked(edition) : Promise.resolve(joined(edition));
    return edition.said;
  }

  function joined(edition) {
    const whole = (lines, spell) =>
      lines.map((line) => page.pieces[line]).join("\n").replace(
        /\ue000(\w+)\ue001/g, (mark, name) => (name in edition.slots ? spell(edition.slots[name]) : mark));
    return {
      bytes: edition.bytes,
      html: whole(edition.html, escaped),
      text: whole(edition.text, (text) => text),
      pictures: page.pictures,
    };
  }

  const tried = (look) => (look ? `?look=${encodeURIComponent(look)}` : "");

  async function asked(edition) {
    const answer = await fetch(`contents/${encodeURIComponent(edition.key)}${tried(page.look)}`);
    const said = await answer.json();
    if (!answer.ok) throw said;
    const pictures = Object.entries(said.pictures);
    const data = await Promise.all(pictures.map(([, name]) => picture(name)));
    return { ...said, pictures: Object.fromEntries(pictures.map(([address], n) => [address, data[n]])) };
  }

  const pictures = new Map(); // promises of `data:` addresses, by name; a name is a picture for ever

  function picture(name) {
    if (!pictures.has(name)) {
      const got = fetch(`/media/${name}`).then(async (answer) => {
        if (!answer.ok) throw new Error("a picture is gone");
        const reader = new FileReader();
        const read = new Promise((done, failed) => {
          reader.onload = () => done(reader.result);
          reader.onerror = failed;
        });
        reader.readAsDataURL(await answer.blob());
        return read;
      });
      pictures.set(name, got.catch(() => {
        pictures.delete(name);
        return ""; // its words stand there
      }));
    }
    return pictures.get(name);
  }

  // -- the frame of a mail --------------------------------------------------------------------

  /** The mail as a document that looks the same whatever the system of whoever looks is set to. */
  function framed({ html, pictures: known }, at) {
    const complete = Object.entries(known).reduce((text, [address, data]) => text.replaceAll(address, data || address), html);
    const mail = new DOMParser().parseFromString(complete, "text/html"); // runs nothing, loads nothing
    const dark = chosen.scheme === "dark";
    const scheme = (text) =>
      text.replace(/\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)/gi, (_, name) =>
        (name.toLowerCase() === "dark") === dark ? "(min-width: 0px)" : "(max-width: 0px)");
    for (const style of mail.querySelectorAll("style")) style.textContent = scheme(style.textContent);
    for (const one of mail.querySelectorAll("[media]")) one.setAttribute("media", scheme(one.getAttribute("media")));
    for (const link of mail.querySelectorAll("[target]")) link.removeAttribute("target");
    for (const pixel of mail.querySelectorAll('img[width="1"][alt=""]')) pixel.remove(); // of opens
    if (chosen.images === "off") for (const image of mail.querySelectorAll("img")) blank(mail, image);
    const pictures = chosen.images === "off" ? "'none'" : "data:";
    const first = mail.createElement("meta");
    first.httpEquiv = "Content-Security-Policy";
    first.content = `default-src 'none'; style-src 'unsafe-inline'; img-src ${pictures}`;
    const links = mail.createElement("base"); // a frame without pop-ups follows none of them
    links.target = "_blank";
    const last = mail.createElement("style");
    last.textContent = `:root { color-scheme: only ${chosen.scheme} !important; }`;
    if (at) last.textContent += ` [data-brief="${CSS.escape(at)}"] { scroll-initial-target: nearest; }`;
    mail.head.prepend(first, links);
    mail.head.append(last);
    return `<!doctype html>\n${mail.documentElement.outerHTML}`;
  }

  /** A picture as a mail program shows it that loads none: its words, or nothing. */
  function blank(mail, image) {
    const words = mail.createElement("span");
    words.textContent = image.alt;
    if (image.alt) {
      const wide = Number(image.getAttribute("width")) || 0;
      words.style.cssText = `display: inline-block; box-sizing: border-box; max-width: 100%; padding: 4px 8px; border: 1px solid; width: ${wide ? `${wide}px` : "auto"}`;
    }
    image.replaceWith(words);
  }

  /** The brief in which two versions of a mail first differ below the digest, or "". */
  function changedBrief(before, after) {
    const parts = (html) => html.split(/(?=<[^<>]*\sdata-brief=)/);
    const old = new Set(parts(before));
    const changed = parts(after).slice(1).find((part) => !old.has(part));
    return changed ? /\sdata-brief="([^"]*)"/.exec(changed)[1] : "";
  }

  // -- cards ----------------------------------------------------------------------------------

  const cards = new Map(); // by key, as long as there is such an edition
  const drawn = new Set(); // cards with a view, the one drawn longest ago first
  const near = new Set();
  const watcher = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      const card = cards.get(target.dataset.key);
      if (!card) continue;
      if (!isIntersecting) near.delete(card);
      else {
        near.add(card);
        draw(card);
      }
    }
  }, { rootMargin: "600px" });

  function makeCard(edition) {
    const node = find("card").content.firstElementChild.cloneNode(true);
    const part = (name) => node.querySelector(`.${name}`);
    const card = { node, part, edition, shown: "", html: "" };
    node.dataset.key = edition.key;
    part("compare").addEventListener("click", () => {
      const side = chosen.left && !chosen.right ? "right" : "left";
      compare({ ...chosen, [side]: card.edition.key });
    });
    return card;
  }

  function label(edition) {
    const name = [edition.lens || "General", edition.arm && `arm ${edition.arm}`].filter(Boolean).join(", ");
    return page.languages > 1 ? `${name} (${edition.language})` : name;
  }

  function describe(card) {
    const { edition, part } = card;
    part("lens").textContent = label(edition);
    part("people").textContent = `${edition.arm ? "about " : ""}${number.format(edition.recipients)} ${edition.recipients === 1 ? "reader" : "readers"}`;
    part("segments").textContent = edition.segments.length ? `In ${edition.segments.join(", ")}` : "In no segment";
    part("subject").textContent = edition.subject || "(no subject)";
    part("preheader").textContent = edition.preheader || "(no preheader: the mail’s first words)";
    part("lengths").textContent = `Subject ${edition.subject.length} characters, preheader ${edition.preheader.length}`;
    part("open").href = edition.html_file;
    part("plain").href = edition.text_file;
    for (const link of card.node.querySelectorAll(".links > *")) {
      link.setAttribute("aria-label", `${link.textContent}: ${label(edition)}`);
    }
    weigh(card, edition.bytes);
  }

  function weigh(card, bytes) {
    const size = card.part("bytes");
    const over = bytes > GMAIL - 2000; // what a sent mail's addresses may add
    card.part("filled").setAttribute("width", `${Math.min(100, (bytes || 0) / GMAIL * 100 / 1.2)}%`);
    card.node.classList.toggle("over", over);
    if (!bytes) size.textContent = "…";
    else if (over) size.textContent = `${Math.round(bytes / 1000)} kB: Gmail will cut it`;
    else size.textContent = `${Math.round(bytes / 1000)} kB, Gmail cuts at 102 kB`;
  }

  async function draw(card, at = "") {
    const { edition } = card;
    const look = page.look;
    const wanted = [look, chosen.show, chosen.width, chosen.scheme, chosen.images].join();
    if (card.shown === wanted && card.of === edition) return;
    card.shown = wanted;
    card.of = edition;
    const view = card.part("view");
    let said;
    try {
      said = await contents(edition);
    } catch (error) {
      if (card.of !== edition) return;
      card.of = null; // the next look asks again
      edition.said = null;
      tell(error && error.message ? error : { message: "The mail can’t be had just now." });
      return;
    }
    if (card.of !== edition || card.shown !== wanted) return; // overtaken
    weigh(card, said.bytes);
    const scrolls = chosen.show === "mail" && chosen.width === "desktop" && view.clientWidth < 700;
    view.toggleAttribute("tabindex", scrolls);
    if (scrolls) view.tabIndex = 0; // it is wider than the screen, and the arrow keys move it
    if (chosen.show === "mail") {
      const frame = document.createElement("iframe");
      frame.setAttribute("sandbox", "");
      frame.title = `Mail for ${label(edition)}`;
      const earlier = card.look === look ? card.html : ""; // in another look, everything has changed
      card.look = look;
      frame.srcdoc = framed(said, at || (earlier && changedBrief(earlier, said.html)));
      const before = [...view.children];
      if (before.length) frame.classList.add("waiting"); // the old one stays until there is a new one
      const loaded = new Promise((done) => frame.addEventListener("load", done, { once: true }));
      view.append(frame);
      keep(card, said.html);
      await loaded;
      before.forEach((one) => one.remove());
      frame.classList.remove("waiting");
    } else {
      const text = document.createElement("pre");
      text.tabIndex = 0;
      text.setAttribute("role", "region");
      text.setAttribute("aria-label", `${chosen.show === "text" ? "Text part" : "Source"} for ${label(edition)}`);
      text.className = chosen.show;
      text.textContent = chosen.show === "text" ? said.text : said.html;
      const kept = view.firstElementChild ? view.firstElementChild.scrollTop : 0;
      view.replaceChildren(text);
      text.scrollTop = kept;
      keep(card, said.html);
    }
  }

  function keep(card, html) {
    card.html = html;
    drawn.delete(card);
    drawn.add(card);
    for (const old of drawn) {
      if (drawn.size <= MOST_DRAWN) break;
      if (!near.has(old)) clear(old);
    }
  }

  let turn = 0;

  /** Draw what is looked at, then what is near, one after the other: what somebody waits for does not
      wait for the rest. */
  async function drawNear() {
    const mine = (turn += 1);
    const away = ({ node }) => {
      const { top, bottom } = node.getBoundingClientRect();
      return bottom < 0 || top > innerHeight ? 1 : 0;
    };
    const order = [...near].sort((one, other) => away(one) - away(other));
    order.forEach((card, n) => {
      if (n < 4) contents(card.edition).catch(() => {}); // meanwhile; `draw` says what is wrong
    });
    for (const card of order) {
      if (mine !== turn) return;
      if (near.has(card)) await draw(card);
    }
  }

  function clear(card) {
    card.part("view").replaceChildren();
    card.shown = "";
    drawn.delete(card);
  }

  /** One card an edition, in the order of the editions; cards that stay keep their place. */
  function reconcile() {
    const keys = new Set(page.editions.map((edition) => edition.key));
    for (const [key, card] of cards) {
      if (keys.has(key)) continue;
      watcher.unobserve(card.node);
      card.node.remove();
      cards.delete(key);
      drawn.delete(card);
      near.delete(card);
    }
    let after = null;
    for (const edition of page.editions) {
      let card = cards.get(edition.key);
      if (!card) {
        card = makeCard(edition);
        cards.set(edition.key, card);
      }
      card.edition = edition;
      describe(card);
      const place = after ? after.nextElementSibling : grid.firstElementChild;
      if (place !== card.node) {
        if (after) after.after(card.node);
        else grid.prepend(card.node);
        watcher.observe(card.node);
      }
      after = card.node;
    }
    for (const card of drawn) if (!near.has(card)) clear(card);
    drawNear();
    filter();
    const all = page.editions.reduce((sum, edition) => sum + edition.recipients, 0);
    const count = page.editions.length;
    find("count").textContent = `${number.format(count)} ${count === 1 ? "edition" : "editions"} for ${number.format(all)} ${all === 1 ? "reader" : "readers"}, the one for most readers first.`;
  }

  function filter() {
    const words = chosen.find.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { node, edition } of cards.values()) {
      const said = [label(edition), edition.language, ...edition.segments, edition.subject, edition.preheader].join(" ").toLowerCase();
      node.hidden = !words.every((word) => said.includes(word));
      shown += !node.hidden;
    }
    find("found").textContent = words.length ? `${shown} of ${cards.size} editions` : "";
  }

  function apply() {
    document.body.dataset.width = chosen.width;
    document.body.dataset.show = chosen.show;
    document.body.dataset.scheme = chosen.scheme;
    for (const card of drawn) if (!near.has(card)) clear(card);
    drawNear();
    writeAddress();
  }

  // -- what differs ---------------------------------------------------------------------------

  /** The paragraphs of an edition: its text part without addresses and without line breaks, below
      what an inbox shows of it. */
  function paragraphs(edition, text) {
    const body = text
      .replace(/^[-=_*]{8,}$/gm, "\n")
      .split(/\n\s*\n/)
      .map((block) => block.replace(/https?:\/\/\S+/g, "").replace(/\s+/g, " ").trim())
      .filter(Boolean);
    return [`Subject: ${edition.subject}`, `Preheader: ${edition.preheader}`, ...body];
  }

  /** Steps from one list to the other, each [sign, item] with sign " ", "-" or "+"; of a longest
      common subsequence. */
  function steps(a, b) {
    let from = 0;
    while (from < a.length && from < b.length && a[from] === b[from]) from += 1;
    let enda = a.length;
    let endb = b.length;
    while (enda > from && endb > from && a[enda - 1] === b[endb - 1]) {
      enda -= 1;
      endb -= 1;
    }
    const rows = enda - from;
    const columns = endb - from;
    const found = a.slice(0, from).map((item) => [" ", item]);
    if (rows * columns > MOST_CELLS) {
      found.push(...a.slice(from, enda).map((item) => ["-", item]), ...b.slice(from, endb).map((item) => ["+", item]));
    } else {
      const wide = columns + 1;
      const longest = new Uint16Array((rows + 1) * wide);
      for (let i = rows - 1; i >= 0; i -= 1) {
        for (let j = columns - 1; j >= 0; j -= 1) {
          longest[i * wide + j] = a[from + i] === b[from + j]
            ? longest[(i + 1) * wide + j + 1] + 1
            : Math.max(longest[(i + 1) * wide + j], longest[i * wide + j + 1]);
        }
      }
      let i = 0;
      let j = 0;
      while (i < rows || j < columns) {
        if (i < rows && j < columns && a[from + i] === b[from + j]) {
          found.push([" ", a[from + i]]);
          i += 1;
          j += 1;
        } else if (j === columns || (i < rows && longest[(i + 1) * wide + j] >= longest[i * wide + j + 1])) {
          found.push(["-", a[from + i]]);
          i += 1;
        } else {
          found.push(["+", b[from + j]]);
          j += 1;
        }
      }
    }
    found.push(...a.slice(enda).map((item) => [" ", item]));
    return found;
  }

  const words = (text) => text.match(/\S+|\s+/g) || [];

  function paragraph(sign, parts) {
    const line = document.createElement("p");
    line.className = { "-": "gone", "+": "came", " ": "same" }[sign];
    const said = { "-": "Only left:", "+": "Only right:", " ": "" }[sign];
    if (said) line.append(Object.assign(document.createElement("span"), { className: "said", textContent: `${said} ` }));
    for (const [marked, text] of parts) {
      const node = marked ? document.createElement(sign === "-" ? "del" : "ins") : null;
      if (node) node.textContent = text;
      line.append(node || text);
    }
    return line;
  }

  /** Steps in which a short word, or a space, between two changes is taken for changed: "by" alone says
      nothing of what is the same. */
  function joinedUp(all) {
    const found = [];
    for (let at = 0; at < all.length; ) {
      if (all[at][0] !== " ") {
        found.push(all[at]);
        at += 1;
        continue;
      }
      let end = at;
      while (end < all.length && all[end][0] === " ") end += 1;
      const run = all.slice(at, end).map(([, word]) => word);
      const island = at > 0 && end < all.length && run.join("").trim().length <= 3;
      if (island) found.push(...run.map((word) => ["-", word]), ...run.map((word) => ["+", word]));
      else found.push(...all.slice(at, end));
      at = end;
    }
    return found;
  }

  /** Both sides of a pair of paragraphs, the words that differ marked. */
  function pair(left, right) {
    const both = joinedUp(steps(words(left), words(right)));
    const same = both.filter(([sign, word]) => sign === " " && word.trim()).length;
    const whole = same < 0.3 * Math.max(words(left).length, words(right).length) / 2;
    const side = (sign) => {
      if (whole) return [[true, sign === "-" ? left : right]];
      const parts = [];
      both.filter(([one]) => one === " " || one === sign).forEach(([one, word]) => {
        const marked = one !== " ";
        if (parts.length && parts[parts.length - 1][0] === marked) parts[parts.length - 1][1] += word;
        else parts.push([marked, word]);
      });
      return parts;
    };
    return [paragraph("-", side("-")), paragraph("+", side("+"))];
  }

  function rest(hidden) {
    const box = document.createElement("details");
    const title = document.createElement("summary");
    title.textContent = hidden.length === 1 ? "1 paragraph is the same" : `${hidden.length} paragraphs are the same`;
    box.append(title, ...hidden.map((text) => paragraph(" ", [[false, text]])));
    return box;
  }

  function differences(left, right) {
    const nodes = [];
    let [gone, came, same, count] = [[], [], [], 0];
    const flush = () => {
      const pairs = Math.min(gone.length, came.length);
      for (let n = 0; n < pairs; n += 1) nodes.push(...pair(gone[n], came[n]));
      for (const text of gone.slice(pairs)) nodes.push(paragraph("-", [[true, text]]));
      for (const text of came.slice(pairs)) nodes.push(paragraph("+", [[true, text]]));
      count += Math.max(gone.length, came.length);
      [gone, came] = [[], []];
    };
    for (const [sign, text] of steps(left, right)) {
      if (sign === " ") {
        flush();
        same.push(text);
      } else {
        if (same.length) nodes.push(rest(same));
        same = [];
        (sign === "-" ? gone : came).push(text);
      }
    }
    flush();
    if (same.length) nodes.push(rest(same));
    return { nodes, count };
  }

  let comparison = 0;

  async function showDifferences() {
    const turn = (comparison += 1);
    const [left, right] = [chosen.left, chosen.right].map((key) => cards.get(key)?.edition);
    const [result, summary] = [find("differences"), find("differs")];
    if (!left || !right) {
      result.replaceChildren();
      summary.textContent = "Choose two editions.";
      return;
    }
    try {
      const [a, b] = await Promise.all([contents(left), contents(right)]);
      if (turn !== comparison) return;
      const { nodes, count } = differences(paragraphs(left, a.text), paragraphs(right, b.text));
      result.replaceChildren(...nodes);
      summary.textContent = count === 0 ? "Both say the same; only addresses may differ."
        : `${count === 1 ? "1 paragraph differs" : `${count} paragraphs differ`}: what only the left one says is struck through and marked −, what only the right one says is underlined and marked +.`;
    } catch (error) {
      [left, right].forEach((edition) => (edition.said = null));
      tell(error);
    }
  }

  function fillChoices() {
    for (const side of ["left", "right"]) {
      const box = find(side);
      const none = new Option(side === "left" ? "Choose the left one" : "Choose the right one", "");
      box.replaceChildren(none, ...page.editions.map((edition) =>
        new Option(`${label(edition)}, ${number.format(edition.recipients)}`, edition.key)));
      box.value = cards.has(chosen[side]) ? chosen[side] : "";
    }
  }

  /** Open the comparison; the sides are keys of editions, "" for none yet. */
  function compare({ left, right }, { quietly = false } = {}) {
    Object.assign(chosen, { left, right });
    const open = Boolean(left || right);
    find("comparison").hidden = !open;
    find("begin").setAttribute("aria-expanded", String(open));
    fillChoices();
    writeAddress();
    showDifferences();
    if (!quietly && open) {
      find("comparison").scrollIntoView({ block: "start" });
      (left ? find("right") : find("left")).focus({ preventScroll: true });
    }
  }

  // -- errors, and files that change ----------------------------------------------------------

  function tell(error) {
    const box = find("error");
    box.hidden = !error;
    document.body.classList.toggle("stale", Boolean(error));
    if (!error) return;
    const place = [error.file, error.line].filter((one) => one !== null && one !== undefined && one !== "").join(":");
    find("place").textContent = place;
    find("problem").textContent = error.message;
    find("older").hidden = !page.editions.length;
  }

  function findings(all) {
    find("findings").hidden = !all.length;
    find("blocking").replaceChildren(...all.map((one) => {
      const item = document.createElement("li");
      item.append(Object.assign(document.createElement("code"), { textContent: one.place }), ` ${one.code}: ${one.message}`);
      return item;
    }));
  }

  let [busy, again] = [false, false];

  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    do {
      again = false;
      try {
        const { look } = chosen;
        const answer = await fetch(`data${tried(look)}`);
        const said = await answer.json();
        if (look !== chosen.look) { // another was chosen meanwhile
          again = true;
          continue;
        }
        if (!said.error) {
          page.look = said.look;
          page.editions = said.editions;
          page.languages = said.languages;
          findings(said.findings);
        }
        tell(said.error);
        if (!said.error) {
          reconcile();
          fillChoices();
          if (chosen.left && chosen.right) showDifferences();
        }
        find("state").textContent = `As saved at ${new Date().toLocaleTimeString("en-GB")}`;
      } catch {
        find("state").textContent = "newsletter serve does not answer";
      }
    } while (again);
    busy = false;
  }

  /** Ask for the mails in another look, if one is chosen. */
  function tryLook() {
    if (page.live && chosen.look !== page.look) refresh();
  }

  function listen() {
    const source = new EventSource(`/events?since=${encodeURIComponent(page.version)}`);
    source.addEventListener("changed", refresh);
    source.addEventListener("open", () => (find("state").textContent = "Shows what is saved, as it is saved"));
    source.addEventListener("error", () => (find("state").textContent = "newsletter serve does not answer; trying again"));
  }

  // -- begin ----------------------------------------------------------------------------------

  readAddress();
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("change", () => {
    for (const name of Object.keys(CHOICES)) chosen[name] = controls.elements[name].value;
    chosen.images = controls.elements.images.checked ? "on" : "off";
    if (controls.elements.look) chosen.look = controls.elements.look.value;
    apply();
    tryLook();
  });
  controls.elements.find.addEventListener("input", (event) => {
    chosen.find = event.target.value;
    filter();
    writeAddress();
  });
  find("begin").addEventListener("click", () => {
    const box = find("comparison");
    const open = box.hidden;
    if (!open) return compare({ left: "", right: "" }, { quietly: true });
    const [first, second] = page.editions;
    return compare({ left: first ? first.key : "", right: second ? second.key : "" });
  });
  find("swap").addEventListener("click", () => compare({ left: chosen.right, right: chosen.left }, { quietly: true }));
  for (const side of ["left", "right"]) {
    find(side).addEventListener("change", (event) => {
      chosen[side] = event.target.value;
      writeAddress();
      showDifferences();
    });
  }
  addEventListener("hashchange", () => {
    readAddress();
    filter();
    apply();
    tryLook();
    compare(chosen, { quietly: true });
  });
  apply();
  reconcile();
  findings(page.findings);
  tell(page.error);
  compare(chosen, { quietly: true });
  tryLook();
  if (page.live) listen();
})();
