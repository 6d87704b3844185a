/**
 * System calls that change names, permissions and lengths of files, as QEMU's host does them, and
 * only where the guest may.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { askQemu, type GuestText, hasQemu, runGuest } from "./linux_guest.ts";
import { withFolder } from "../folder.ts";

const AT_FDCWD = -100, AT_REMOVEDIR = 0x200, AT_SYMLINK_FOLLOW = 0x400;
const O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0o100, O_APPEND = 0o2000;
const RENAME_NOREPLACE = 1;
const EPERM = -1n, ENOENT = -2n, EACCES = -13n, EBUSY = -16n, EEXIST = -17n, EXDEV = -18n;
const EROFS = -30n;

/** Everything in a folder: what each name is, its permissions, links, and what it holds. */
async function listing(folder: string, under = ""): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const { name } of Deno.readDir(`${folder}${under}`)) {
    const path = `${under}/${name}`;
    const { mode, nlink, isDirectory, isSymlink } = await Deno.lstat(`${folder}${path}`);
    const what = isSymlink
      ? `-> ${await Deno.readLink(`${folder}${path}`)}`
      : isDirectory
      ? "folder"
      : JSON.stringify(await Deno.readTextFile(`${folder}${path}`));
    const links = isDirectory ? "" : ` ${nlink} names`;
    lines.push(`${path} ${((mode ?? 0) & 0o7777).toString(8)}${links} ${what}`);
    if (isDirectory) lines.push(...await listing(folder, path));
  }
  return lines.sort();
}

/** A program that works in `folder`, which is empty when it starts. */
type FolderProgram = (guest: GuestText, folder: string) => void;

const PROGRAMS: Readonly<Record<string, FolderProgram>> = {
  "makes and removes folders": (guest, folder) => {
    const at = (name: string) => guest.place(`${folder}/${name}`);
    const make = (name: string, mode = 0o755) =>
      guest.noteCall("mkdirat", AT_FDCWD, at(name), mode);
    const remove = (name: string, flags = AT_REMOVEDIR) =>
      guest.noteCall("unlinkat", AT_FDCWD, at(name), flags);
    for (const name of ["one", "one/two", "one", "none/two", "three/", ".", "three/.."]) make(name);
    make("kept", 0o700);
    guest.noteCall("openat", AT_FDCWD, at("file"), O_WRONLY | O_CREAT, 0o644);
    make("file");
    make("file/x");
    for (const name of ["one", "one/two", "one", "one", "file", "three/.", "three/.."]) {
      remove(name);
    }
    for (const name of ["three", "file", "file", "kept/..", "kept/."]) remove(name, 0);
    remove("kept", 1);
    guest.noteCall("mkdirat", AT_FDCWD, 0, 0o755);
    guest.noteCall("mkdirat", 77, guest.place("relative"), 0o755);
  },
  "renames": (guest, folder) => {
    const at = (name: string) => guest.place(`${folder}/${name}`);
    const file = (name: string, text: string) => {
      guest.call("openat", AT_FDCWD, at(name), O_WRONLY | O_CREAT, 0o644);
      guest.line("addi s2, a0, 0");
      guest.call("write", "s2", guest.place(text), text.length);
      guest.call("close", "s2");
    };
    const move = (name: string, to: string, flags = 0) =>
      guest.noteCall("renameat2", AT_FDCWD, at(name), AT_FDCWD, at(to), flags);
    for (const name of ["folder", "empty", "full"]) {
      guest.call("mkdirat", AT_FDCWD, at(name), 0o755);
    }
    file("a", "first");
    file("b", "second");
    file("full/c", "third");
    move("a", "new");
    move("a", "b");
    move("new", "b", RENAME_NOREPLACE);
    move("new", "b");
    move("b", "folder");
    move("folder", "b");
    move("folder", "empty");
    move("empty", "full");
    move("full", "full/inside");
    move("b", "full/b");
    move("full/b", "none/b");
    move("full/b", "slash/");
    move("empty", "slash/");
    move("full/.", "x");
    move("full", "empty/..");
    move("full/b", "x", 64);
    guest.noteCall("renameat2", AT_FDCWD, at("full/c"), AT_FDCWD, at("d"), 0);
  },
  "links": (guest, folder) => {
    const at = (name: string) => guest.place(`${folder}/${name}`);
    guest.call("openat", AT_FDCWD, at("file"), O_WRONLY | O_CREAT, 0o644);
    guest.call("mkdirat", AT_FDCWD, at("folder"), 0o755);
    const symlink = (target: string, name: string) =>
      guest.noteCall("symlinkat", guest.place(target), AT_FDCWD, at(name));
    const link = (name: string, to: string, flags = 0) =>
      guest.noteCall("linkat", AT_FDCWD, at(name), AT_FDCWD, at(to), flags);
    symlink("file", "symbolic");
    symlink("file", "symbolic");
    symlink("nothing", "dangling");
    symlink("", "none");
    link("file", "second");
    link("file", "second");
    link("nothing", "third");
    link("folder", "third");
    link("symbolic", "of-link");
    link("symbolic", "of-file", AT_SYMLINK_FOLLOW);
    link("dangling", "of-dangling", AT_SYMLINK_FOLLOW);
    link("file", "x", 1);
    guest.noteCall("unlinkat", AT_FDCWD, at("file"), 0);
    guest.noteCall("unlinkat", AT_FDCWD, at("dangling"), 0);
  },
  "changes permissions": (guest, folder) => {
    const at = (name: string) => guest.place(`${folder}/${name}`);
    guest.call("mkdirat", AT_FDCWD, at("folder"), 0o755);
    guest.call("openat", AT_FDCWD, at("file"), O_RDWR | O_CREAT, 0o644);
    guest.line("addi s2, a0, 0");
    guest.call("symlinkat", guest.place("file"), AT_FDCWD, at("link"));
    guest.noteCall("fchmod", "s2", 0o640);
    guest.noteCall("fchmod", 77, 0o640);
    guest.noteCall("fchmodat", AT_FDCWD, at("link"), 0o604);
    guest.noteCall("fchmodat", AT_FDCWD, at("folder"), 0o1750);
    guest.noteCall("fchmodat", AT_FDCWD, at("nothing"), 0o750);
  },
  "sets times": (guest, folder) => {
    const at = (name: string) => guest.place(`${folder}/${name}`);
    const times = (...words: readonly bigint[]) =>
      guest.place(new Uint8Array(new BigInt64Array(words).buffer));
    const NOW = 0x3fffffffn, OMIT = 0x3ffffffen;
    guest.call("openat", AT_FDCWD, at("file"), O_RDWR | O_CREAT, 0o644);
    guest.line("addi s2, a0, 0");
    const room = guest.place(128);
    const look = () => {
      guest.call("fstat", "s2", room);
      guest.noteWord(room + 88);
    };
    guest.noteCall("utimensat", AT_FDCWD, at("file"), times(5n, 0n, 1_000_000_007n, 0n), 0);
    look();
    guest.noteCall("utimensat", AT_FDCWD, at("file"), times(7n, 0n, 3n, OMIT), 0);
    look();
    guest.noteCall("utimensat", "s2", 0, times(0n, NOW, 77n, 0n), 0);
    look();
    guest.noteCall("utimensat", AT_FDCWD, at("file"), times(0n, 0n, 0n, -1n), 0);
    guest.noteCall("utimensat", AT_FDCWD, at("nothing"), 0, 0);
    guest.noteCall("utimensat", AT_FDCWD, at("file"), 8, 0);
    guest.noteCall("utimensat", AT_FDCWD, at("file"), 0, 1);
    guest.noteCall("utimensat", 77, 0, 0, 0);
    guest.noteCall("utimensat", AT_FDCWD, at("file"), 0, 0);
    guest.noteCall("fchownat", AT_FDCWD, at("file"), -1, -1, 0);
    guest.noteCall("fchownat", AT_FDCWD, at("nothing"), -1, -1, 0);
    guest.noteCall("fchown", "s2", -1, -1);
    guest.noteCall("fchown", 77, -1, -1);
  },
  "cuts and writes at places": (guest, folder) => {
    const path = guest.place(`${folder}/file`),
      text = guest.place("abcdefgh"),
      room = guest.place(64);
    guest.call("openat", AT_FDCWD, path, O_RDWR | O_CREAT, 0o644);
    guest.line("addi s2, a0, 0");
    guest.noteCall("pwrite64", "s2", text, 8, 4);
    guest.noteCall("lseek", "s2", 0, 1);
    guest.noteCall("write", "s2", text, 2);
    guest.noteCall("pread64", "s2", room, 16, 2);
    guest.noteWord(room);
    guest.noteCall("pwrite64", "s2", text, 8, -1);
    guest.noteCall("pread64", "s2", room, 8, -1);
    guest.noteCall("pwrite64", "s2", 8, 8, 0);
    guest.noteCall("ftruncate", "s2", 6);
    guest.noteCall("ftruncate", "s2", -1);
    guest.noteCall("ftruncate", 77, 6);
    guest.noteCall("fsync", "s2");
    guest.noteCall("fdatasync", "s2");
    guest.noteCall("fsync", 77);
    guest.noteCall("truncate", path, 20);
    guest.noteCall("truncate", guest.place(`${folder}/nothing`), 20);
    guest.noteCall("truncate", guest.place(folder), 20);
    guest.call("openat", AT_FDCWD, path, O_RDONLY, 0);
    guest.line("addi s3, a0, 0");
    guest.noteCall("ftruncate", "s3", 1);
    guest.noteCall("pwrite64", "s3", text, 1, 0);
    guest.call("openat", AT_FDCWD, path, O_WRONLY | O_APPEND, 0);
    guest.line("addi s4, a0, 0");
    guest.noteCall("pwrite64", "s4", text, 3, 0);
    guest.call("openat", AT_FDCWD, guest.place(folder), O_RDONLY, 0);
    guest.line("addi s5, a0, 0");
    guest.noteCall("pread64", "s5", room, 8, 0);
    guest.noteCall("pwrite64", "s5", text, 8, 0);
    guest.noteCall("ftruncate", "s5", 0);
    guest.noteCall("fsync", "s5");
  },
  "changes its folder": (guest, folder) => {
    guest.noteCall("chdir", guest.place(folder));
    guest.noteCall("mkdirat", AT_FDCWD, guest.place("one"), 0o755);
    guest.noteCall("chdir", guest.place("one"));
    guest.noteCall("mkdirat", AT_FDCWD, guest.place("two"), 0o755);
    guest.noteCall("openat", AT_FDCWD, guest.place("two"), O_RDONLY, 0);
    guest.line("addi s2, a0, 0");
    guest.noteCall("fchdir", "s2");
    guest.noteCall("openat", AT_FDCWD, guest.place("file"), O_WRONLY | O_CREAT, 0o600);
    guest.line("addi s3, a0, 0");
    const room = guest.place(256);
    guest.noteCall("getcwd", room, 256);
    for (const k of [0, 8, 16, 24]) guest.noteWord(room + k);
    guest.noteCall("chdir", guest.place("file"));
    guest.noteCall("chdir", guest.place("nothing"));
    guest.noteCall("fchdir", "s3");
    guest.noteCall("fchdir", 77);
    guest.noteCall("chdir", guest.place("../.."));
    guest.noteCall("unlinkat", AT_FDCWD, guest.place("one/two/file"), 0);
  },
};

for (const [what, program] of Object.entries(PROGRAMS)) {
  Deno.test({
    name: `a Linux program ${what} as under QEMU (needs qemu-user)`,
    ignore: !hasQemu,
    async fn() {
      // One folder for both, so that paths are the same.
      const folder = await Deno.realPath(await Deno.makeTempDir());
      const once = async (run: () => Promise<{ readonly notes: readonly bigint[] }>) => {
        await Deno.mkdir(folder, { recursive: true });
        const { notes } = await run();
        const files = await listing(folder);
        await Deno.remove(folder, { recursive: true });
        return { notes, files };
      };
      const write = (guest: GuestText) => {
        program(guest, folder);
        guest.finish();
      };
      const theirs = await once(() => askQemu(write));
      const ours = await once(() => runGuest(write, { allow: [`${folder}:rw`] }));
      assertEquals(ours, theirs);
    },
  });
}

Deno.test("a Linux program changes nothing that it may only read", () =>
  withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/shown`);
    await Deno.mkdir(`${folder}/open`);
    await Deno.writeTextFile(`${folder}/shown/file`, "kept");
    const before = await listing(folder);
    const program = (top: string) => (guest: GuestText) => {
      const at = (name: string) => guest.place(`${top}/${name}`);
      guest.noteCall("unlinkat", AT_FDCWD, at("shown/file"), 0);
      guest.noteCall("mkdirat", AT_FDCWD, at("shown/new"), 0o755);
      guest.noteCall("mkdirat", AT_FDCWD, at("shown"), 0o755);
      guest.noteCall("renameat2", AT_FDCWD, at("shown/file"), AT_FDCWD, at("open/file"), 0);
      guest.noteCall("linkat", AT_FDCWD, at("shown/file"), AT_FDCWD, at("open/file"), 0);
      guest.noteCall("fchmodat", AT_FDCWD, at("shown/file"), 0o777);
      guest.noteCall("truncate", at("shown/file"), 0);
      guest.noteCall("symlinkat", at("x"), AT_FDCWD, at("shown/link"));
      guest.call("openat", AT_FDCWD, at("shown/file"), O_RDONLY, 0);
      guest.line("addi s2, a0, 0");
      guest.noteCall("fchmod", "s2", 0o777);
      guest.finish();
    };
    const results = (
      refused: bigint,
      linked: bigint,
    ) => [refused, refused, EEXIST, refused, linked, refused, refused, refused, refused];
    const allowed = await runGuest(program(folder), {
      allow: [`${folder}/shown`, `${folder}/open:rw`],
    });
    assertEquals(allowed.notes, results(EACCES, EXDEV));
    const rooted = await runGuest(program(""), { root: folder });
    assertEquals(rooted.notes, results(EROFS, EROFS));
    assertEquals(await listing(folder), before);
  }));

Deno.test("a Linux program keeps the folders that --allow shows, and gives no setuid", () =>
  withFolder(async (folder) => {
    const { notes } = await runGuest((guest) => {
      const path = guest.place(folder);
      guest.noteCall("unlinkat", AT_FDCWD, path, AT_REMOVEDIR);
      guest.noteCall("renameat2", AT_FDCWD, path, AT_FDCWD, guest.place(`${folder}/x`), 0);
      guest.noteCall("openat", AT_FDCWD, guest.place(`${folder}/tool`), O_WRONLY | O_CREAT, 0o4755);
      guest.noteCall("fchmodat", AT_FDCWD, guest.place(`${folder}/tool`), 0o6755);
      guest.finish();
    }, { allow: [`${folder}:rw`] });
    assertEquals(notes, [EBUSY, EBUSY, 3n, 0n]);
    assertEquals(await listing(folder), ['/tool 755 1 names ""']);
  }));

Deno.test("a Linux program gives no file to another user", () =>
  withFolder(async (folder) => {
    const path = `${folder}/file`;
    await Deno.writeTextFile(path, "mine");
    const { notes } = await runGuest((guest) => {
      guest.noteCall("fchownat", AT_FDCWD, guest.place(path), 1000, 1000, 0);
      guest.noteCall("fchownat", AT_FDCWD, guest.place(path), 0, -1, 0);
      guest.finish();
    }, { allow: [`${folder}:rw`] });
    assertEquals(notes, [0n, EPERM]);
  }));

Deno.test("a Linux program removes a folder that its arguments name in one that it may write", () =>
  withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/named`);
    const { notes } = await runGuest((guest) => {
      guest.noteCall("unlinkat", AT_FDCWD, guest.place(`${folder}/named`), AT_REMOVEDIR);
      guest.finish();
    }, { allow: [`${folder}:rw`, `${folder}/named`] });
    assertEquals(notes, [0n]);
  }));

Deno.test("a Linux program that sees no file can make none", async () => {
  const { notes } = await runGuest((guest) => {
    guest.noteCall("mkdirat", AT_FDCWD, guest.place("/tmp/new"), 0o755);
    guest.noteCall("unlinkat", AT_FDCWD, guest.place("/tmp"), AT_REMOVEDIR);
    guest.noteCall("fchmod", 1, 0o600);
    guest.finish();
  });
  assertEquals(notes, [ENOENT, ENOENT, EPERM]);
});

Deno.test({
  name: "a Linux program gets of processes and of locked memory what QEMU gives (needs qemu-user)",
  ignore: !hasQemu,
  async fn() {
    const program = (guest: GuestText) => {
      const ids = guest.place(16);
      guest.noteCall("getpgid", 99999);
      guest.noteCall("getsid", 99999);
      guest.noteCall("getresuid", ids, ids + 4, 8);
      guest.noteCall("getgroups", -1, 0);
      guest.noteCall("times", 8);
      const page = 0x21000;
      guest.noteCall("mlock", page, 100);
      guest.noteCall("munlock", page + 1, 100);
      guest.noteCall("mlock", 0x7000_0000, 4096);
      guest.noteCall("mlockall", 0);
      guest.noteCall("mlockall", 8);
      guest.noteCall("munlockall");
      guest.noteCall("msync", page, 4096, 4);
      guest.noteCall("msync", page, 4096, 5);
      guest.noteCall("msync", page, 4096, 8);
      guest.noteCall("msync", page + 1, 4096, 4);
      guest.noteCall("msync", 0x7000_0000, 4096, 4);
      guest.noteCall("sync");
      guest.noteCall("syncfs", 77);
      guest.finish();
    };
    assertEquals((await runGuest(program)).notes, (await askQemu(program)).notes);
  },
});
