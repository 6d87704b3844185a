/**
 * What the Tab key offers at the shell: commands first on a line, control files behind them.
 *
 * @module
 */
import type { Tracefs } from "../tracefs/mod.ts";
import { SHELL_COMMANDS } from "./shell_commands.ts";

/**
 * The words that may stand where the line ends, and the part of one that is there already.
 * `absolute` gives a typed path as the tree of files takes it.
 */
export function completeShellLine(
  tracefs: Tracefs,
  absolute: (path: string) => string,
  line: string,
): [string[], string] {
  const part = /[^\s;|<>&'"]*$/.exec(line)?.[0] ?? "";
  const first = /(?:^|[;|&])\s*$/.test(line.slice(0, line.length - part.length));
  if (first) {
    const names = SHELL_COMMANDS.flatMap((command) => command.names);
    return [names.filter((name) => name.startsWith(part)), part];
  }
  const slash = part.lastIndexOf("/") + 1;
  const folder = absolute(part.slice(0, slash));
  if (tracefs.kind(folder) !== "directory") return [[], part];
  const names = tracefs.list(folder).filter((name) => name.startsWith(part.slice(slash)));
  return [
    names.map((name) => {
      const path = part.slice(0, slash) + name;
      return tracefs.kind(absolute(path)) === "directory" ? `${path}/` : path;
    }),
    part,
  ];
}
