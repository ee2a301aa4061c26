// npm's mjml and juice as a peer of the inline benchmark. Each line of stdin is a JSON array of MJML
// sources; each gets a line of JSON back: milliseconds and characters of HTML per source.
import { createInterface } from "node:readline";
import mjml2html from "mjml";
import juice from "juice";

// Like ours: no web fonts, no validation, style tags stay for the media queries.
const compile = { fonts: {}, validationLevel: "skip" };
const inline = { removeStyleTags: false, preserveImportant: true };

for await (const line of createInterface({ input: process.stdin })) {
  const ms = [];
  const characters = [];
  for (const source of JSON.parse(line)) {
    const begun = performance.now();
    const { html } = await mjml2html(source, compile);
    const mail = juice(html, inline);
    ms.push(performance.now() - begun);
    characters.push(mail.length);
  }
  console.log(JSON.stringify({ ms, characters }));
}
