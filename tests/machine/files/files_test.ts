/**
 * What files a Linux process sees: nothing, a tree of its own, or what is allowed by name.
 *
 * @module
 */
import { hostFiles } from "../../../lib/host/files.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type FileAccess, Files } from "../../../lib/machine/files/files.ts";
import type { MachineOptions } from "../../../lib/machine/machine.ts";
import { type GuestText, runGuest } from "../linux_guest.ts";

const O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0o100, O_EXCL = 0o200, O_TRUNC = 0o1000;
const O_APPEND = 0o2000, O_DIRECTORY = 0o200000, O_NOFOLLOW = 0o400000;
const ENOENT = -2, ENXIO = -6, EBADF = -9, EACCES = -13, EEXIST = -17, ENOTDIR = -20, EISDIR = -21;
const EINVAL = -22, EROFS = -30, ELOOP = -40;
const AT_FDCWD = -100;

/** Two folders side by side: `inside`, that is shown, and `outside`, that never is. */
async function withTree(
  use: (tree: { readonly inside: string; readonly outside: string }) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  const inside = `${folder}/inside`, outside = `${folder}/outside`;
  try {
    await Deno.mkdir(`${inside}/folder`, { recursive: true });
    await Deno.mkdir(outside);
    await Deno.writeTextFile(`${outside}/secret`, "secret");
    await Deno.writeTextFile(`${inside}/file`, "contents");
    await Deno.writeTextFile(`${inside}/folder/deep`, "deep");
    const links: Readonly<Record<string, string>> = {
      relative: "folder/deep",
      absolute: "/folder/deep",
      "folder/absolute": "/file",
      up: "../outside/secret",
      host: `${outside}/secret`,
      away: outside,
      parent: "..",
      loop: "loop",
      dangling: "nothing",
    };
    for (const [name, target] of Object.entries(links)) {
      await Deno.symlink(target, `${inside}/${name}`);
    }
    await use({ inside, outside });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a file holds, or a negated errno. */
function contents(files: Files, path: string, flags = O_RDONLY): string | number {
  const descriptor = files.open(path, flags, 0o644);
  if (descriptor < 0) return descriptor;
  const open = files.get(descriptor)!;
  const data = new Uint8Array(100);
  const count = files.read(open, data);
  files.close(descriptor);
  return count < 0 ? count : new TextDecoder().decode(data.subarray(0, count));
}

const noWarning = (line: string) => {
  throw new Error(`unexpected: ${line}`);
};

/** Descriptors over this host's files. */
function filesOf(access: Omit<FileAccess, "random">): Files {
  return new Files(hostFiles(), { ...access, random: (bytes) => void bytes.fill(7) });
}

Deno.test("Files.open() shows a tree of its own when there is a root", () =>
  withTree(({ inside }) => {
    const files = filesOf({ root: inside, warn: noWarning });
    assertEquals(contents(files, "/file"), "contents");
    assertEquals(contents(files, "file"), "contents");
    assertEquals(contents(files, "//folder/.//deep"), "deep");
    assertEquals(contents(files, "/relative"), "deep");
    assertEquals(contents(files, "/absolute"), "deep", "absolute links begin at the root");
    assertEquals(contents(files, "/folder/absolute"), "contents");
    assertEquals(contents(files, "/nothing"), ENOENT);
    assertEquals(contents(files, "/file/x"), ENOTDIR);
    assertEquals(contents(files, "/loop"), ELOOP);
    assertEquals(contents(files, "/relative", O_NOFOLLOW), ELOOP);
    assertEquals(contents(files, "/folder"), EISDIR);
    assertEquals(contents(files, "/file", O_DIRECTORY), ENOTDIR);
    assertEquals(files.cwd, "/");
  }));

Deno.test("Files.open() stays below the root whatever the path", () =>
  withTree(({ inside, outside }) => {
    const files = filesOf({ root: inside, warn: noWarning });
    const secret = `${outside}/secret`;
    const paths = [secret, "/../outside/secret", "../../../../../outside/secret", "/up", "/host"];
    paths.push("/away/secret", "/parent/outside/secret", "/folder/../../outside/secret");
    paths.push("/parent/parent/../outside/secret", "/relative/../../../outside/secret");
    for (const path of paths) {
      const got = contents(files, path);
      assert(got === ENOENT || got === ENOTDIR, `${path} gives ${got}`);
      assert(typeof files.stat(path) === "number", path);
    }
    assertEquals(contents(files, "/../../file"), "contents", "the root's parent is the root");
    assertEquals(contents(files, "/parent/file"), "contents");
    assertEquals(files.readLink("/up"), "../outside/secret", "a link itself may be looked at");
    assertEquals(files.readLink("/away/secret"), ENOENT);
  }));

Deno.test("Files.open() writes nothing below a root", () =>
  withTree(async ({ inside }) => {
    const files = filesOf({ root: inside, warn: noWarning });
    for (const flags of [O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND]) {
      assertEquals(files.open("/file", flags, 0), EROFS);
    }
    assertEquals(files.open("/new", O_WRONLY | O_CREAT, 0o644), EROFS);
    assertEquals(files.open("/new", O_RDONLY | O_CREAT, 0o644), EROFS);
    const descriptor = files.open("/file", O_RDONLY | O_TRUNC, 0);
    assert(descriptor === EROFS || files.close(descriptor) === 0);
    assertEquals(await Deno.readTextFile(`${inside}/file`), "contents");
  }));

Deno.test("Files.open() shows what is allowed by its own name, and nothing beside it", () =>
  withTree(({ inside, outside }) => {
    const files = filesOf({ allow: [`${inside}/folder`, `${inside}/file`], warn: () => {} });
    assertEquals(contents(files, `${inside}/folder/deep`), "deep");
    assertEquals(contents(files, `${inside}/folder/../file`), "contents");
    assertEquals(
      contents(files, `${inside}/relative`),
      "deep",
      "the link leads to what is allowed",
    );
    assertEquals(contents(files, `${outside}/secret`), ENOENT);
    assertEquals(contents(files, `${inside}/up`), ENOENT);
    assertEquals(contents(files, `${inside}/folder/nothing`), ENOENT);
    assertEquals(contents(files, `${inside}/file/x`), ENOTDIR);
    assertEquals(
      contents(files, `${outside}/secret/x`),
      ENOENT,
      "of what is hidden nothing is told",
    );
    assertEquals(contents(files, `${inside}/folder2`), ENOENT);
    assertEquals(files.open(`${inside}/file`, O_WRONLY, 0), EACCES);
    assertEquals(files.open(`${inside}/folder/new`, O_WRONLY | O_CREAT, 0o644), EACCES);
  }));

Deno.test("Files.open() creates and writes where it is allowed to with :rw", () =>
  withTree(async ({ inside, outside }) => {
    const files = filesOf({ allow: [`${inside}:rw`], warn: () => {} });
    const write = (path: string, flags: number, text: string) => {
      const descriptor = files.open(path, flags, 0o640);
      if (descriptor < 0) return descriptor;
      const count = files.write(files.get(descriptor)!, new TextEncoder().encode(text));
      files.close(descriptor);
      return count;
    };
    assertEquals(write(`${inside}/new`, O_WRONLY | O_CREAT | O_EXCL, "ab"), 2);
    assertEquals(write(`${inside}/new`, O_WRONLY | O_CREAT | O_EXCL, "ab"), EEXIST);
    assertEquals(write(`${inside}/new`, O_WRONLY | O_APPEND, "c"), 1);
    assertEquals(await Deno.readTextFile(`${inside}/new`), "abc");
    assertEquals(write(`${inside}/new`, O_WRONLY | O_TRUNC, "d"), 1);
    assertEquals(await Deno.readTextFile(`${inside}/new`), "d");
    assertEquals(write(`${inside}/new`, O_RDONLY, "e"), EBADF);
    assertEquals(write(`${inside}/folder`, O_WRONLY, "e"), EISDIR);
    assertEquals(write(`${inside}/dangling`, O_WRONLY | O_CREAT, "x"), 1, "through the link");
    // Links do not lead writing astray.
    assertEquals(write(`${inside}/up`, O_WRONLY | O_TRUNC, "x"), ENOENT);
    assertEquals(write(`${inside}/away/made`, O_WRONLY | O_CREAT, "x"), ENOENT);
    assertEquals(await Deno.readTextFile(`${outside}/secret`), "secret");
    assertEquals([...Deno.readDirSync(outside)].length, 1);
  }));

Deno.test("Files.open() shows what is allowed beside a root under the host's name", () =>
  withTree(({ inside, outside }) => {
    const files = filesOf({
      root: `${inside}/folder`,
      allow: [`${outside}:rw`],
      warn: noWarning,
    });
    assertEquals(contents(files, "/deep"), "deep");
    assertEquals(contents(files, `${outside}/secret`), "secret");
    assertEquals(files.open("/new", O_WRONLY | O_CREAT, 0), EROFS);
    const made = files.open(`${outside}/new`, O_WRONLY | O_CREAT, 0o600);
    assert(made > 0);
    files.close(made);
  }));

Deno.test("Files.open() says once which option helps when nothing is shown", () => {
  const lines: string[] = [];
  const files = filesOf({ warn: (line) => void lines.push(line) });
  assertEquals(files.open("/etc/passwd", O_RDONLY, 0), ENOENT);
  assertEquals(files.open("/etc/group", O_RDONLY, 0), ENOENT);
  assertEquals(files.stat("/"), ENOENT);
  assertEquals(lines.length, 1);
  assert(lines[0]!.includes("--allow /etc/passwd") && lines[0]!.includes("--root"), lines[0]);
});

Deno.test("Files.open() does not wait for a writer of a pipe of the host's", () =>
  withTree(async ({ inside }) => {
    const made = await new Deno.Command("mkfifo", { args: [`${inside}/pipe`] }).output();
    assert(made.success);
    assertEquals(filesOf({ root: inside, warn: noWarning }).open("/pipe", O_RDONLY, 0), ENXIO);
  }));

Deno.test("Files names the option and the path when what it is to show is not there", () => {
  for (const access of [{ root: "/no/such/folder" }, { allow: ["/no/such/folder"] }]) {
    const error = assertThrows(() => filesOf({ ...access, warn: () => {} }), RangeError);
    assert(error.message.includes("/no/such/folder") && error.message.includes("--"));
  }
});

Deno.test("Files.duplicate() shares the place in the file, and closes it with its last descriptor", () =>
  withTree(({ inside }) => {
    const files = filesOf({ root: inside, warn: noWarning });
    const first = files.open("/file", O_RDONLY, 0);
    const second = files.duplicate(first);
    assertEquals([first, second], [3, 4]);
    assertEquals(files.seek(first, 4, 0), 4);
    files.close(first);
    const data = new Uint8Array(10);
    assertEquals(files.read(files.get(second)!, data), 4);
    assertEquals(new TextDecoder().decode(data.subarray(0, 4)), "ents");
    assertEquals(files.duplicate(second, 10), 10);
    files.closeAll();
    assertEquals(files.duplicate(second), EBADF);
  }));

/** Names and types of packed entries. */
function unpack(bytes: Uint8Array): readonly (readonly [string, number])[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const found: (readonly [string, number])[] = [];
  for (let at = 0; at < bytes.length; at += view.getUint16(at + 16, true)) {
    const name = bytes.subarray(at + 19, bytes.indexOf(0, at + 19));
    found.push([new TextDecoder().decode(name), view.getUint8(at + 18)]);
    assert(view.getBigUint64(at, true) !== 0n);
  }
  return found;
}

Deno.test("Files.entries() gives a folder's names in order, in pieces that fit, and again after a rewind", () =>
  withTree(({ inside }) => {
    const files = filesOf({ root: inside, warn: noWarning });
    const descriptor = files.open("/", O_DIRECTORY, 0);
    const open = files.get(descriptor)!;
    const read = (room: number) => {
      const bytes = files.entries(open, room);
      assert(typeof bytes !== "number");
      return unpack(bytes);
    };
    const all = read(10_000);
    assertEquals(all.slice(0, 6), [
      [".", 4],
      ["..", 4],
      ["absolute", 10],
      ["away", 10],
      ["dangling", 10],
      ["file", 8],
    ]);
    assertEquals(all.length, 12);
    assertEquals(read(10_000), []);
    assertEquals(files.seek(descriptor, 0, 0), 0);
    const pieces: (readonly [string, number])[] = [];
    for (let piece = read(70); piece.length > 0; piece = read(70)) {
      assert(piece.length <= 2);
      pieces.push(...piece);
    }
    assertEquals(pieces, all);
    files.seek(descriptor, 0, 0);
    assertEquals(files.entries(open, 20), EINVAL);
    assertEquals(files.entries(files.get(0)!, 100), ENOTDIR);
  }));

/** A program that looks at a file in several ways; it notes what it gets. */
function looking(guest: GuestText): void {
  const at = guest.place(64), stat = guest.place(128);
  const noteStat = () => {
    guest.line(`ld t0, ${16}(a1)`);
    guest.note("t0");
    guest.line(`ld t0, ${48}(a1)`);
    guest.note("t0");
  };
  guest.noteCall("openat", AT_FDCWD, guest.place("/folder"), O_DIRECTORY, 0);
  guest.noteCall("openat", 3, guest.place("deep"), O_RDONLY, 0);
  guest.noteCall("read", 4, at, 8);
  guest.noteWord(at);
  guest.noteCall("read", 4, at, 8);
  guest.noteCall("pread64", 4, at + 8, 8, 2);
  guest.noteWord(at + 8);
  guest.noteCall("lseek", 4, 0, 2);
  guest.noteCall("fstat", 4, stat);
  guest.load("a1", stat);
  noteStat();
  guest.noteCall("openat", 3, guest.place("../../../outside/secret"), O_RDONLY, 0);
  guest.noteCall("openat", 4, guest.place("deep"), O_RDONLY, 0);
  guest.noteCall("openat", 77, guest.place("deep"), O_RDONLY, 0);
  guest.noteCall("newfstatat", AT_FDCWD, guest.place("/relative"), stat, 0x100);
  guest.line("lwu t0, 16(a2)");
  guest.line("srli t0, t0, 12");
  guest.note("t0");
  guest.noteCall("faccessat", AT_FDCWD, guest.place("/folder/deep"), 4);
  guest.noteCall("readlinkat", AT_FDCWD, guest.place("/relative"), at, 6);
  guest.noteCall("mmap", 0x50000000, 4096, 1, 0x12, 4, 0);
  guest.noteWord(0x50000000);
  guest.noteCall("mmap", 0, 4096, 3, 1, 4, 0);
  guest.noteCall("mmap", 0, 4096, 1, 2, 3, 0);
  guest.noteCall("close", 4);
  guest.noteCall("read", 4, at, 8);
  guest.finish();
}

Deno.test("createLinux() reads, maps and describes files of its root", () =>
  withTree(async ({ inside }) => {
    await Deno.chmod(`${inside}/folder/deep`, 0o640);
    const { notes, warnings } = await runGuest(looking, { root: inside });
    const deep = 0x70656564n;
    const link = 0o12n;
    const modeAndLinks = 1n << 32n | 0o100640n;
    assertEquals(notes, [
      ...[3n, 4n, 4n, deep, 0n, 2n, 0x7065n, 4n, 0n, modeAndLinks, 4n],
      ...[BigInt(ENOENT), BigInt(ENOTDIR), BigInt(EBADF), 0n, link, 0n, 6n],
      ...[0x50000000n, deep, -19n, -19n, 0n, BigInt(EBADF)],
    ]);
    assertEquals(warnings, []);
  }));

Deno.test("createLinux() shows no file and says why when it was given none", async () => {
  const options: MachineOptions = { name: "folder/some-program" };
  const { notes, warnings } = await runGuest((guest) => {
    const at = guest.place(64);
    guest.noteCall("openat", AT_FDCWD, guest.place("/proc/self/maps"), O_RDONLY, 0);
    guest.noteCall("openat", AT_FDCWD, guest.place("other"), O_RDONLY, 0);
    guest.noteCall("readlinkat", AT_FDCWD, guest.place("/proc/self/exe"), at, 64);
    guest.noteCall("getcwd", at, 64);
    guest.noteWord(at);
    guest.finish();
  }, options);
  assertEquals(notes, [BigInt(ENOENT), BigInt(ENOENT), 20n, 2n, BigInt(notes[4]!)]);
  assertEquals(notes[4]! & 0xffffn, 0x2fn, "a slash");
  assertEquals(warnings.length, 1);
});

Deno.test("Files.open() opens no device of the host's, but the guest's own", () => {
  const files = filesOf({ root: "/", warn: noWarning });
  const data = new Uint8Array(4).fill(9);
  const device = (path: string, flags = O_RDWR) => {
    const number = files.open(path, flags, 0);
    assert(number > 0, `${path} ${number}`);
    return files.get(number)!;
  };
  assertEquals(files.read(device("/dev/null"), data), 0);
  assertEquals(files.write(device("/dev/null"), data), 4);
  assertEquals([files.read(device("//dev/zero"), data), data], [4, new Uint8Array(4)]);
  assertEquals([files.read(device("/dev/urandom"), data), data], [4, new Uint8Array(4).fill(7)]);
  assertEquals(files.write(device("/dev/full"), data), -28);
  assertEquals(files.write(device("/dev/./../dev/null"), data), 4);
  assertEquals(files.write(device("/dev/null", O_RDONLY), data), EBADF);
  const stat = files.statOf(device("/dev/null"));
  assert(typeof stat === "object" && stat.kind === "character device");
  for (const path of ["/dev/tty", "/dev/ptmx", "/dev/console", "/dev/mem"]) {
    const answer = files.open(path, O_RDONLY, 0);
    assert(answer === EACCES || answer === ENOENT, `${path} ${answer}`);
  }
});
