/**
 * A terminal that asks for lines: editing, history and completion are node's readline.
 *
 * Each question has an interface of its own, so that between questions the terminal is the guest's
 * and Ctrl-C is a signal.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";

/** What a line can be completed to, and the part of it that is meant. */
export type Completer = (line: string) => [candidates: string[], part: string];

/** Asks for a line; undefined at the end of input, an empty one after Ctrl-C. */
export type Question = (prompt: string, complete?: Completer) => Promise<string | undefined>;

/** Makes questions on this process's terminal. */
export function createTerminal(): Question {
  const history: string[] = [];
  return (prompt, complete) =>
    new Promise((resolve) => {
      const line = createInterface({
        input: process.stdin,
        output: process.stdout,
        terminal: true,
        history: [...history],
        historySize: 1000,
        ...(complete ? { completer: complete } : {}),
      });
      let answered = false;
      const answer = (text: string | undefined) => {
        if (answered) return;
        answered = true;
        line.close();
        process.stdin.pause();
        if (text !== undefined && text !== "" && complete) history.unshift(text);
        resolve(text);
      };
      line.on("SIGINT", () => {
        process.stdout.write("^C\n");
        answer("");
      });
      line.on("close", () => {
        if (!answered) process.stdout.write("\n");
        answer(undefined);
      });
      line.question(prompt, answer);
    });
}
