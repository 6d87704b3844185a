/**
 * A terminal that asks for lines: editing is node's readline; search in the history (Ctrl-R), pasting,
 * Ctrl-Z and a history that outlives the session are added here.
 *
 * Each question has an interface of its own, so that between questions the terminal is the guest's
 * and Ctrl-C is a signal. Keys come through {@linkcode LineKeys}, one at a time: what is typed or
 * pasted behind the end of a line waits for the next question.
 *
 * @module
 */
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { PassThrough } from "node:stream";
import { HistorySearch } from "./history_search.ts";
import type { LineHistory } from "./line_history.ts";

/** What a line can be completed to, and the part of it that is meant. */
export type Completer = (line: string) => [candidates: string[], part: string];

/** Asks for a line; undefined at the end of input, an empty one after Ctrl-C. */
export type Question = (prompt: string, complete?: Completer) => Promise<string | undefined>;

/** A person's terminal. */
export interface Terminal {
  /** Asks for a line. */
  readonly question: Question;
  /** Gives the terminal back as it was found, whatever is being asked. */
  restore(): void;
  /** Rows and columns of the screen. */
  readonly size: { readonly rows: number; readonly columns: number };
}

/** Asks the terminal to mark what is pasted, or no longer to. */
const PASTE_MARKS = { on: "\x1b[?2004h", off: "\x1b[?2004l" };
/** A key as a terminal sends it: an escape sequence, or a character. */
// deno-lint-ignore no-control-regex -- keys are control characters
const KEY = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[^]|[^\x1b])?|[^]/gu;
const PASTE_BEGINS = "\x1b[200~", PASTE_ENDS = "\x1b[201~";
const CTRL_C = "\x03", CTRL_R = "\x12", CTRL_Z = "\x1a";
/** How long a stop may take to reach this process, milliseconds. */
const STOP_MS = 100;

/** Makes the terminal of this process. */
export function createTerminal(history: LineHistory): Terminal {
  return new ProcessTerminal(history);
}

class ProcessTerminal implements Terminal {
  readonly #history: LineHistory;
  #asked: AskedLine | undefined;
  /** Keys and pasted lines that nobody has asked for yet. */
  #ahead: string[] = [];
  #pasted: string[] = [];

  constructor(history: LineHistory) {
    this.#history = history;
  }

  get size(): Terminal["size"] {
    // A terminal that does not know its size says 0.
    return { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 };
  }

  readonly question: Question = async (prompt, complete) => {
    const ahead = { keys: this.#ahead, lines: this.#pasted };
    using asked = new AskedLine(prompt, complete, complete ? this.#history.lines : [], ahead);
    this.#asked = asked;
    const text = await asked.answer;
    this.#asked = undefined;
    if (text !== undefined && complete) this.#history.add(text);
    return text;
  };

  restore(): void {
    if (!this.#asked) return;
    try {
      process.stdout.write("\n");
      this.#asked[Symbol.dispose]();
    } catch {
      // The terminal is gone (SIGHUP): there is nothing to give back.
    }
  }
}

/** One question while it is open. */
class AskedLine implements Disposable {
  /** The line; undefined at the end of input. */
  readonly answer: Promise<string | undefined>;
  readonly #line: Interface;
  readonly #prompt: string;
  readonly #keys = new PassThrough();
  readonly #decoder = new TextDecoder();
  readonly #search: HistorySearch;
  readonly #ahead: { readonly keys: string[]; readonly lines: string[] };
  readonly #listening: Disposable;
  readonly #resolve: (text: string | undefined) => void;
  #open = true;
  #stopped = false;
  #paste: string | undefined;

  constructor(
    prompt: string,
    complete: Completer | undefined,
    history: readonly string[],
    ahead: { readonly keys: string[]; readonly lines: string[] },
  ) {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#prompt = prompt;
    this.#ahead = ahead;
    this.#line = createInterface({
      input: this.#keys,
      output: process.stdout,
      terminal: true,
      history: [...history],
      historySize: 1000,
      ...(complete ? { completer: complete } : {}),
    });
    this.#search = new HistorySearch(this.#line, prompt, history);
    this.#line.on("SIGINT", () => {
      process.stdout.write("^C\n");
      this.#end("");
    });
    this.#line.on("close", () => {
      if (this.#open) process.stdout.write("\n");
      this.#end(undefined);
    });
    this.#listening = this.#listen();
    this.#take(true);
    this.#line.question(prompt, (text) => this.#end(text));
    const pasted = ahead.lines.shift();
    if (pasted !== undefined) this.#line.write(pasted);
    this.#feed(ahead.keys.splice(0));
  }

  [Symbol.dispose](): void {
    this.#end(undefined);
    this.#listening[Symbol.dispose]();
  }

  #listen(): Disposable {
    const heard = (data: Uint8Array | string) => {
      const text = typeof data === "string" ? data : this.#decoder.decode(data, { stream: true });
      this.#feed(text.match(KEY) ?? []);
    };
    const ended = () => this.#line.close();
    const continued = () => this.#resume();
    process.stdin.on("data", heard);
    process.stdin.on("end", ended);
    process.stdin.resume();
    process.on("SIGCONT", continued);
    return {
      [Symbol.dispose]() {
        process.stdin.off("data", heard);
        process.stdin.off("end", ended);
        process.off("SIGCONT", continued);
      },
    };
  }

  /** Takes the terminal for keys, or gives it back. */
  #take(on: boolean): void {
    process.stdin.setRawMode(on);
    process.stdout.write(on ? PASTE_MARKS.on : PASTE_MARKS.off);
  }

  #end(text: string | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    this.#line.close();
    this.#take(false);
    process.stdin.pause();
    this.#resolve(text);
  }

  #feed(keys: readonly string[]): void {
    for (const [k, key] of keys.entries()) {
      if (!this.#open) {
        this.#ahead.keys.push(...keys.slice(k));
        return;
      }
      this.#press(key);
    }
  }

  #press(key: string): void {
    if (key === PASTE_BEGINS) this.#paste = "";
    else if (key === PASTE_ENDS) this.#insert();
    else if (this.#paste !== undefined && key !== CTRL_C) this.#paste += key;
    else if (key === CTRL_Z) this.#stop();
    else if (key === CTRL_R && !this.#search.isOn) this.#search.begin();
    else if (!this.#search.press(key)) this.#keys.emit("data", key);
  }

  /** Inserts what was pasted: one line, the others when this one has been answered. */
  #insert(): void {
    const lines = (this.#paste ?? "").split(/\r\n?|\n/)
      .map((line) => line.replace(/\p{Cc}+/gu, " "));
    this.#paste = undefined;
    if (lines.at(-1) === "") lines.pop();
    const [first = "", ...more] = lines;
    this.#search.accept();
    if (first !== "") this.#line.write(first);
    this.#ahead.lines.push(...more);
  }

  /** Stops the job, as Ctrl-Z does, with the terminal as it was found. */
  #stop(): void {
    this.#search.accept();
    this.#stopped = true;
    this.#take(false);
    process.stdout.write("\n");
    // The whole job: who started this process (npx, a script) is to stop with it.
    process.kill(0, "SIGTSTP");
    // A job that nobody could continue is not stopped by it.
    setTimeout(() => this.#stopped && this.#resume(), STOP_MS);
  }

  #resume(): void {
    if (!this.#open) return;
    this.#stopped = false;
    // Whoever stopped the job may have changed the terminal behind our back.
    process.stdin.setRawMode(false);
    this.#take(true);
    this.#line.setPrompt(this.#prompt);
    this.#line.prompt(true);
  }
}
