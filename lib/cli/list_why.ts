/**
 * `list --why`: what can be done with a function or an address, and why not what cannot.
 *
 * @module
 */
import type { Ftrace } from "../../mod.ts";
import type { WhyAnswer, WhyReport, WhyUse } from "../ftrace/mod.ts";

/** The reports on each of `names`, as text or, with `json`, as JSON. */
export function whyText(ftrace: Ftrace, names: readonly string[], json: boolean): string {
  const reports = names.flatMap((name) => ftrace.why(name));
  if (json) {
    const asHex = (_: string, value: unknown) =>
      typeof value === "bigint" ? `0x${value.toString(16)}` : value;
    return `${JSON.stringify(reports, asHex, 2)}\n`;
  }
  return reports.map(reportText).join("\n");
}

function reportText({ name, address, what, answers }: WhyReport): string {
  const where = address === undefined ? "" : ` at 0x${address.toString(16).padStart(8, "0")}`;
  // Uses with the same answer stand in one line.
  const lines = new Map<string, WhyUse[]>();
  for (const each of answers) {
    const text = answerText(each);
    lines.set(text, [...lines.get(text) ?? [], each.use]);
  }
  const body = [...lines].map(([text, uses]) => text.replace("USES", uses.join(", ")));
  return `${name}${where}: ${what}\n${body.join("")}`;
}

function answerText({ possible, code, reason, text, instead }: WhyAnswer): string {
  const verdict = possible ? reason : `${code} ${reason}`;
  const because = verdict ? `${verdict}: ${text}` : text;
  return `  ${possible ? "yes" : "no "}  USES: ${because}\n${
    instead ? `       use ${instead}\n` : ""
  }`;
}
