/**
 * `watch`: the calls for which a condition on arguments, return value or duration holds.
 *
 * A condition is written as in the kernel's event filters: comparisons joined by `&&` and `||`.
 * One that speaks of `ret` or `duration` is looked at when the call returns, with the arguments it
 * was called with.
 *
 * @module
 */
import { globMatch, type GraphEntry, type Tracer } from "../mod.ts";

/** A call, as conditions see it; numbers are signed. */
interface WatchedCall {
  readonly entry: GraphEntry;
  readonly words: readonly bigint[];
  readonly result?: { readonly ret: bigint; readonly duration: bigint };
}

type Condition = (call: WatchedCall) => boolean;

/** The watch tracer. */
const watch: Tracer = {
  name: "watch",
  description: "calls whose arguments, return value or duration satisfy a condition",
  options: {
    at: {
      description: "functions, globs between blanks; none: those that -l and -n leave",
      default: "",
    },
    when: {
      description: 'as in "a0 > 4096 && caller == parse", "ret < 0", "duration >= 1000" (ns)',
      default: "ret < 0",
    },
    args: { description: "how many arguments to print, 0 to 8", default: 2 },
    times: { description: "stop watching after so many; 0: never", default: 0 },
  },
  example: "-p watch --set watch.at='read_*' --set watch.when='a2 > 4096 || ret < 0' ./prog",
  init(ftrace, options) {
    const { guest } = ftrace;
    const at = String(options["at"]);
    const when = String(options["when"]);
    const times = Number(options["times"]);
    const shown = Math.min(8, Math.max(0, Number(options["args"])));
    const holds = parseCondition(when, (address) => ftrace.symbol(address) ?? "");
    const atExit = /\b(ret|duration)\b/.test(when);
    let seen = 0, matched = 0;
    const look = (call: WatchedCall) => {
      seen++;
      if (!holds(call)) return;
      matched++;
      if (times > 0 && matched > times) return;
      const { entry, words, result } = call;
      const given = words.slice(0, shown).map((word) => wordText(word)).join(", ");
      const seconds = (Number(guest.now()) / 1e9).toFixed(6);
      const end = result ? ` = ${wordText(result.ret)} (${result.duration} ns)` : "";
      const place = guest.symbolText(entry.parentIp);
      ftrace.print(`${seconds}: ${ftrace.symbol(entry.func)}(${given})${end} from ${place}`);
    };
    const registered = ftrace.registerFtraceGraph({
      name: "watch",
      ...(at ? { filter: at.split(/[\s,]+/) } : { hash: ftrace.globalHash }),
      entryFunc(entry, fregs) {
        const words = Array.from({ length: 8 }, (_, n) => BigInt.asIntN(64, fregs.argument(n)));
        if (!atExit) look({ entry, words });
        entry.data = words;
        return atExit;
      },
      retFunc(exit) {
        if (exit.unwound) return;
        const ret = BigInt.asIntN(64, exit.returnValue);
        const result = { ret, duration: exit.returnTime - exit.callTime };
        look({ entry: exit, words: exit.data as readonly bigint[], result });
      },
    });
    return {
      [Symbol.dispose]() {
        registered[Symbol.dispose]();
        const more = times > 0 && matched > times ? `, ${times} shown` : "";
        ftrace.print(`watch: ${matched} of ${seen} calls had ${when}${more}`);
      },
    };
  },
};
export default watch;

/** Small numbers in decimal, what looks like an address in hexadecimal. */
function wordText(word: bigint): string {
  return word > -65536n && word < 65536n ? `${word}` : `0x${BigInt.asUintN(64, word).toString(16)}`;
}

const TOKEN =
  /\s*(&&|\|\||[()]|[=!<>]=|[<>~&]|"[^"]*"|-?0x[0-9a-fA-F]+|-?\d+|[A-Za-z_][\w.*?]*|\S)/g;

const COMPARE: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "&": (a, b) => (a & b) !== 0n,
};

/** Reads a condition. @throws {SyntaxError} Naming what does not belong there. */
function parseCondition(text: string, symbol: (address: bigint) => string): Condition {
  const tokens = [...text.matchAll(TOKEN)].map(([, token]) => token!);
  let at = 0;
  const refuse = (why: string): never => {
    throw new SyntaxError(`Cannot read the condition "${text}": ${why}`);
  };
  const take = (token: string) => tokens[at] === token && ++at > 0;
  const either = (): Condition => {
    const left = both();
    if (!take("||")) return left;
    const right = either();
    return (call) => left(call) || right(call);
  };
  const both = (): Condition => {
    const left = one();
    if (!take("&&")) return left;
    const right = both();
    return (call) => left(call) && right(call);
  };
  const one = (): Condition => {
    if (take("(")) {
      const inner = either();
      return take(")") ? inner : refuse('")" is missing');
    }
    const [field = "nothing", operator = "", operand = ""] = tokens.slice(at, at += 3);
    if (field === "caller") {
      const pattern = operand.replaceAll('"', "") || refuse("caller is compared with a name");
      if (operator === "~") return ({ entry }) => globMatch(pattern, symbol(entry.parentIp));
      if (operator !== "==" && operator !== "!=") refuse(`caller takes ==, != and ~`);
      return ({ entry }) => (symbol(entry.parentIp) === pattern) === (operator === "==");
    }
    const compare = COMPARE[operator] ?? refuse(`"${operator}" behind ${field} compares nothing`);
    if (!/^-?\d/.test(operand)) refuse(`${field} is compared with a number`);
    const number = operand.startsWith("-") ? -BigInt(operand.slice(1)) : BigInt(operand);
    if (/^a[0-7]$/.test(field)) return ({ words }) => compare(words[Number(field[1])]!, number);
    if (field !== "ret" && field !== "duration") {
      refuse(`there is no ${field}; there are a0 to a7, ret, duration and caller`);
    }
    return ({ result }) => compare(result![field as "ret" | "duration"], number);
  };
  const condition = either();
  return at >= tokens.length ? condition : refuse(`${tokens[at]} is left over`);
}
