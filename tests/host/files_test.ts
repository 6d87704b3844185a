/**
 * The host's files: what they say, and failures as values.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { HostFailure, type HostFile, hostFiles } from "../../lib/host/files.ts";
import { yieldToHost } from "../../lib/host/yielding.ts";
import { withFolder } from "../folder.ts";

const HOW = { create: false, truncate: false, append: false, mode: 0o644 };

function opened(file: HostFile | HostFailure): HostFile {
  if (file instanceof HostFailure) throw new Error(file.errno);
  return file;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const errno = (result: unknown) => result instanceof HostFailure ? result.errno : undefined;

Deno.test("HostFile reads, writes and seeks by an offset of its own, and reads elsewhere without moving it", () =>
  withFolder((folder) => {
    const file = opened(
      hostFiles().open(`${folder}/f`, { ...HOW, read: true, write: true, create: true }),
    );
    const data = new Uint8Array(3);
    assertEquals([file.write(bytes("hello")), file.write(bytes("!"))], [5, 1]);
    assertEquals([file.read(data), file.seek(1, 0), file.read(data)], [0, 1, 3]);
    assertEquals(data, bytes("ell"));
    assertEquals([file.read(data, 0), data, file.seek(0, 1)], [3, bytes("hel"), 4]);
    assertEquals([file.seek(-1, 2), file.read(data), data[0]], [5, 1, "!".charCodeAt(0)]);
    assertEquals(errno(file.seek(-7, 2)), "EINVAL");
    file.close();
    assertEquals(errno(file.read(data)), "EBADF");
  }));

Deno.test("HostFile appends behind what others wrote meanwhile", () =>
  withFolder((folder) => {
    const path = `${folder}/f`;
    Deno.writeTextFileSync(path, "one");
    const file = opened(
      hostFiles().open(path, { ...HOW, read: false, write: true, append: true }),
    );
    file.write(bytes(" two"));
    Deno.writeTextFileSync(path, " three", { append: true });
    file.write(bytes(" four"));
    file.close();
    assertEquals(Deno.readTextFileSync(path), "one two three four");
  }));

Deno.test("HostFiles gives the errno's name instead of throwing", () =>
  withFolder((folder) => {
    const files = hostFiles();
    const read = { ...HOW, read: true, write: false };
    assertEquals(errno(files.open(`${folder}/none`, read)), "ENOENT");
    assertEquals(errno(files.open(folder, { ...read, write: true })), "EISDIR");
    assertEquals(errno(files.stat(`${folder}/none`, true)), "ENOENT");
    assertEquals(errno(files.list(`${folder}/none`)), "ENOENT");
    assertEquals(errno(files.readLink(folder)), "EINVAL");
    assertEquals(errno(files.realPath(`${folder}/none/more`)), "ENOENT");
    Deno.writeTextFileSync(`${folder}/f`, "");
    assertEquals(errno(files.stat(`${folder}/f/more`, true)), "ENOTDIR");
    assertEquals(files.list(folder), ["f"]);
  }));

Deno.test("HostFiles.stat() tells every kind of file, and a link from what it leads to", () =>
  withFolder((folder) => {
    const files = hostFiles();
    Deno.writeTextFileSync(`${folder}/f`, "12345");
    Deno.symlinkSync("f", `${folder}/link`);
    const kind = (path: string, follow = true) => {
      const info = files.stat(path, follow);
      return info instanceof HostFailure ? info.errno : `${info.kind} ${info.links > 0}`;
    };
    assertEquals(kind(folder), "directory true");
    assertEquals([kind(`${folder}/link`), kind(`${folder}/link`, false)], [
      "file true",
      "symlink true",
    ]);
    assertEquals(kind("/dev/null"), "character device true");
    const info = files.stat(`${folder}/f`, true);
    assert(!(info instanceof HostFailure) && info.size === 5 && info.modified > 0);
  }));

Deno.test("yieldToHost() lets timers and promises of others through", async () => {
  let timer = false;
  setTimeout(() => timer = true, 0);
  for (let turns = 0; turns < 10_000 && !timer; turns++) await yieldToHost();
  assert(timer);
});
