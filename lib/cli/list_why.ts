/**
 * `list --why`: what can be done with a function or an address, and why not what cannot.
 *
 * @module
 */
import { type Ftrace, globMatch } from "../../mod.ts";
import type { WhyAnswer, WhyReport, WhyUse } from "../ftrace/mod.ts";

/** What `list --why` prints, and whether something that was asked about is not there. */
export interface WhyListing {
  /** The reports, as text or as JSON. */
  readonly text: string;
  /** Whether a name is that of no function, or a glob matches none. */
  readonly missing: boolean;
}

/** The reports on each of `names`, where a glob is all functions that it matches. */
export function whyText(ftrace: Ftrace, names: readonly string[], json: boolean): WhyListing {
  const asked = names.flatMap((name) => {
    const functions = isGlob(name) ? functionsMatching(ftrace, name) : [];
    return functions.length > 0 ? functions : [name];
  });
  const reports = asked.flatMap((name) => ftrace.why(name));
  const missing = reports.some(({ what }) => what === "no symbol");
  return { text: reportsText(reports, json), missing };
}

const isGlob = (name: string): boolean => /[*?[]/.test(name);

function functionsMatching({ machine, records }: Ftrace, glob: string): readonly string[] {
  const names = [...records, ...machine.symbols.functions].map(({ name }) => name);
  return [...new Set(names)].filter((name) => globMatch(glob, name)).sort();
}

function reportsText(reports: readonly WhyReport[], json: boolean): string {
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
