/**
 * Whether text gets colours, and which: painters of traces, listings, help and notes.
 *
 * A painter takes text that is finished, control characters of a guest's written out already, and only
 * puts colours into it: without them it is the same to the character. What a line is, it sees from the
 * line, so it may get any pieces of text as long as lines are whole.
 *
 * @module
 */
/** `--color`. */
export type ColorMode = "auto" | "always" | "never";

/** Puts colours into a text of whole lines. */
export type Painter = (text: string) => string;

/** A style by the codes that begin and end it (ECMA-48, SGR). */
const style = (begin: number, end: number): Painter => (text) =>
  `\x1b[${begin}m${text}\x1b[${end}m`;
const bold = style(1, 22), dim = style(2, 22);
const red = style(31, 39), green = style(32, 39), yellow = style(33, 39);
const magenta = style(35, 39), cyan = style(36, 39);

/**
 * Whether a stream gets colours: as `--color` says, else as NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE,
 * CLICOLOR and TERM say, else if it is a terminal.
 */
export function wantsColors(
  mode: ColorMode,
  isTerminal: boolean,
  env: (name: string) => string | undefined,
): boolean {
  if (mode !== "auto") return mode === "always";
  if (env("NO_COLOR")) return false;
  const forced = env("FORCE_COLOR") ?? env("CLICOLOR_FORCE");
  if (forced) return forced !== "0" && forced !== "false";
  return isTerminal && env("CLICOLOR") !== "0" && env("TERM") !== "dumb";
}

function byLine(paint: (line: string, next: string | undefined) => string): Painter {
  return (text) => {
    const lines = text.split("\n");
    return lines.map((line, k) => line === "" ? line : paint(line, lines[k + 1])).join("\n");
  };
}

/** The kernel's marks of long durations, from 10 µs to 1 s. */
const MARKS: Readonly<Record<string, Painter>> = {
  "+": yellow,
  "!": red,
  "#": (text) => bold(red(text)),
  "*": (text) => bold(magenta(text)),
  "@": (text) => bold(magenta(text)),
  "$": (text) => bold(magenta(text)),
};

/** A trace in the kernel's text, histograms, and what tracers print. */
export const paintTrace: Painter = byLine((line) => {
  if (line.startsWith("#")) return dim(line);
  if (line.startsWith("=> ")) return bold(line);
  return paintGraph(line) ?? paintCall(line) ?? paintBar(line) ?? line;
});

/** A line of function_graph. */
function paintGraph(line: string): string | undefined {
  const [, head, body] = /^(.*?\d+\).*? \| {2})(.*)$/.exec(line) ?? [];
  if (head === undefined || body === undefined) return undefined;
  const marked = head.replace(
    /([+!#*@$])( *[\d.]+ us)/,
    (_, mark: string, time: string) => MARKS[mark]!(mark + time),
  );
  const [, indent = "", name, rest = ""] = /^(\s*)([^\s({}\/][^\s(]*)(\(.*)$/.exec(body) ?? [];
  const text = name === undefined ? body : indent + cyan(name) + rest;
  return marked + text.replace(/\/\*.*\*\//, dim);
}

/** A line of the function tracer. */
function paintCall(line: string): string | undefined {
  const [, head, name, arrow, parent] =
    /^(.*-\d+ +\[\d+\] .*?: )(\S+)(.*? <-)(\S+.*)$/.exec(line) ??
      [];
  return name === undefined ? undefined : head + cyan(name) + arrow + dim(parent!);
}

/** A row of a histogram, or of a bar chart. */
function paintBar(line: string): string | undefined {
  if (/^\{ .* \} hitcount: /.test(line)) {
    return line.replace(/^\{ .*? \}(?= hitcount:)/, cyan).replace(/hitcount: +\d+/, bold);
  }
  const bar = /(\|)([@*#]+)( *\|?)$/.exec(line);
  return bar ? line.slice(0, bar.index) + bar[1] + green(bar[2]!) + bar[3] : undefined;
}

/** A table of `list`, whose first line are the titles. */
export const paintTable: Painter = (text) =>
  text.replace(/^.+/, bold).replace(/\bdisabled: [^\n]*/g, yellow);

/** `list --why`. */
export const paintWhy: Painter = byLine((line) => {
  if (!line.startsWith(" ")) return line.replace(/^[^:]+/, bold);
  return line.replace(/^( +)yes\b/, (_, gap) => gap + green("yes"))
    .replace(/^( +)no\b/, (_, gap) => gap + red("no"))
    .replace(/^ {7,}use .*/, dim);
});

/** `--help`, and the shell's: headings and names of options. */
export const paintHelp: Painter = byLine((line, next) => {
  if (/^[A-Z][^.:]*$/.test(line) && next?.startsWith("  ")) return bold(line);
  return line.replace(/^ {2}(?:-\w, | {4})--[\w-]+/, cyan);
});

/** What goes to stderr: who speaks, red where it is an error, and the figures of `--stats`. */
export const paintNotes: Painter = byLine((line) => {
  const [, who, text = ""] = /^(\w+:)( [^]*)$/.exec(line) ?? [];
  if (who === undefined) return line;
  if (who !== "hartrace:") return bold(red(who)) + text;
  const told = text
    .replace(/^ (?:sites|patching|events|calls|instret|overhead)(?= {2,})/, cyan)
    .replace(/^ +era +trampoline .*/, bold)
    .replace(/^ \* .*/, green);
  return (/^ (?:Cannot|\[.*\] Cannot|E[A-Z0-9]+: )/.test(text) ? bold(red(who)) : dim(who)) + told;
});

/** The shell's prompt. */
export const paintPrompt: Painter = (text) => bold(green(text));
