/**
 * What a program gets to see without being given it: the files that its own arguments name, read-only,
 * and the few variables that every environment has. `--isolated` takes both away.
 *
 * What a guest may see is enforced in `lib/machine/files/files.ts`.
 *
 * @module
 */
import type { CliArguments } from "./arguments.ts";

/** Variables of a bare container, where the command line says nothing else. */
const USUAL_ENVIRONMENT: readonly string[] = [
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  "HOME=/",
];

/** Files and folders of the host that the guest's arguments name: `FILE`, or `--option=FILE`. */
export function namedFiles({ rest, switches, values, lists }: CliArguments): readonly string[] {
  if (switches.has("isolated") || values["root"] !== undefined) return [];
  const given = new Set((lists["allow"] ?? []).map((entry) => entry.replace(/:rw$/, "")));
  const words = rest.slice(1).flatMap((arg) => [arg, /^-[^=]*=(.+)$/.exec(arg)?.[1] ?? ""]);
  return [...new Set(words)].filter((word) => !given.has(word) && isShown(word));
}

/** Regular files and folders are shown; devices and pipes are not, nor is everything at once. */
function isShown(path: string): boolean {
  if (path === "" || path.includes("\0") || path.endsWith(":rw")) return false;
  try {
    const { isFile, isDirectory } = Deno.statSync(path);
    return isFile || isDirectory && Deno.realPathSync(path) !== "/";
  } catch {
    return false;
  }
}

/**
 * The guest's environment: `NAME=VALUE`, the host's value for a bare `NAME`, and what is usual.
 *
 * @throws {SyntaxError} If a name is empty.
 */
export function environmentOf({ lists, switches }: CliArguments): readonly string[] {
  const given = (lists["env"] ?? []).flatMap((text) => {
    const [, name, value] = /^([^=]+)(?:=([^]*))?$/.exec(text) ?? [];
    if (name === undefined) {
      throw new SyntaxError(
        `Cannot read --env "${text}": write --env NAME=VALUE, or --env NAME for the host's value`,
      );
    }
    const known = value ?? Deno.env.get(name);
    return known === undefined ? [] : [`${name}=${known}`];
  });
  if (switches.has("isolated")) return given;
  const nameOf = (entry: string) => entry.slice(0, entry.indexOf("="));
  const names = new Set(given.map(nameOf));
  return [...given, ...USUAL_ENVIRONMENT.filter((entry) => !names.has(nameOf(entry)))];
}
