/**
 * Ctrl-R: looks back in the history for a line that contains what is typed, as bash does.
 *
 * Drawing is readline's: while it searches, the prompt says for what, and the line is what was found.
 *
 * @module
 */
import type { Interface } from "node:readline";

const CTRL_C = "\x03", CTRL_G = "\x07", CTRL_R = "\x12", CTRL_S = "\x13";

/** A line that is being edited; node documents both as properties that may be written. */
type EditedLine = Interface & { line: string; cursor: number };

/** A search in the history of one question. */
export class HistorySearch {
  readonly #line: EditedLine;
  readonly #prompt: string;
  readonly #history: readonly string[];
  #wanted: string | undefined;
  #at = 0;
  #before = "";

  /** `history` has the newest line first. */
  constructor(line: Interface, prompt: string, history: readonly string[]) {
    this.#line = line as EditedLine;
    this.#prompt = prompt;
    this.#history = history;
  }

  /** Whether keys are for the search. */
  get isOn(): boolean {
    return this.#wanted !== undefined;
  }

  /** Begins to search. */
  begin(): void {
    this.#wanted = "";
    this.#at = 0;
    this.#before = this.#line.line;
    this.#draw(this.#before);
  }

  /** Takes a key; false if it is for the line, which has what was found then. */
  press(key: string): boolean {
    if (this.#wanted === undefined) return false;
    if (key === CTRL_C || key === CTRL_G) {
      this.#end(this.#before);
    } else if (key === CTRL_R || key === CTRL_S) {
      this.#look(key === CTRL_R ? 1 : -1, this.#at + (key === CTRL_R ? 1 : -1));
    } else if (key === "\x7f" || key === "\b") {
      this.#wanted = this.#wanted.slice(0, -1);
      this.#look(1, 0);
    } else if (key >= " ") {
      this.#wanted += key;
      this.#look(1, this.#at);
    } else {
      this.accept();
      return false;
    }
    return true;
  }

  /** Goes on with what was found, if it searches. */
  accept(): void {
    if (this.#wanted !== undefined) this.#end(this.#line.line);
  }

  #end(text: string): void {
    this.#wanted = undefined;
    this.#line.setPrompt(this.#prompt);
    this.#show(text, text.length);
  }

  #look(step: number, from: number): void {
    const wanted = this.#wanted!;
    for (let at = from; at >= 0 && at < this.#history.length; at += step) {
      const line = this.#history[at]!;
      if (!line.includes(wanted) || at !== this.#at && line === this.#line.line) continue;
      this.#at = at;
      return this.#draw(line);
    }
    this.#draw(this.#line.line, "failed ");
  }

  #draw(text: string, how = ""): void {
    this.#line.setPrompt(`(${how}reverse-i-search)\`${this.#wanted}': `);
    this.#show(text, Math.max(0, text.indexOf(this.#wanted!)));
  }

  #show(text: string, cursor: number): void {
    this.#line.line = text;
    this.#line.cursor = cursor;
    this.#line.prompt(true);
  }
}
