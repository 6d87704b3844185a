/**
 * Types that need no declaration: C's own, and the names that RV64 Linux's headers give to integers,
 * so that a prototype can be written without them.
 *
 * @module
 */
import { type CType, integerType, pointerTo } from "./ctype.ts";

/** Words that a type can be made of. */
export const BASIC_WORDS: ReadonlySet<string> = new Set(
  ("void char short int long signed __signed__ __signed unsigned float double _Bool bool " +
    "_Complex __complex__ __complex __int128 _Float16 _Float32 _Float64 _Float128 _Float32x " +
    "_Float64x __float128 __fp16 __bf16 __auto_type _Decimal32 _Decimal64 _Decimal128").split(" "),
);

const FLOATS: Readonly<Record<string, 2 | 4 | 8 | 16>> = {
  float: 4,
  double: 8,
  _Float16: 2,
  __fp16: 2,
  _Float32: 4,
  _Float64: 8,
  _Float32x: 8,
  _Float64x: 16,
  _Float128: 16,
  __float128: 16,
};

/** `unsigned long`, `char`, in whatever order. A plain char is unsigned on RISC-V. */
export function basicType(words: readonly string[]): CType {
  const has = (word: string) => words.includes(word);
  const float = words.find((word) => FLOATS[word] !== undefined);
  const isComplex = words.some((word) => /complex/i.test(word));
  if (float !== undefined || isComplex) {
    const bytes = has("long") ? 16 : FLOATS[float ?? "double"]!;
    return isComplex ? { kind: "complex", part: bytes } : { kind: "float", bytes };
  }
  if (has("void")) return { kind: "void" };
  if (has("_Bool") || has("bool")) return { kind: "bool" };
  const odd = words.find((word) => /^(_Decimal|__bf16|__auto_type)/.test(word));
  if (odd !== undefined) return { kind: "unknown", name: odd };
  if (has("char")) {
    const signed = words.some((word) => /^(__)?signed/.test(word));
    const text = signed || has("unsigned") ? "spelled" : "plain";
    return { kind: "integer", bytes: 1, signed, text };
  }
  const bytes = has("__int128") ? 16 : has("short") ? 2 : has("long") ? 8 : 4;
  return integerType(bytes, !has("unsigned"));
}

/** Names by their integer type. */
const INTEGERS: readonly (readonly [bytes: number, signed: boolean, names: string])[] = [
  [1, true, "int8_t s8 __s8 __int8_t"],
  [1, false, "uint8_t u8 __u8 __uint8_t u_char u_int8_t char8_t"],
  [2, true, "int16_t s16 __s16 __int16_t"],
  [
    2,
    false,
    "uint16_t u16 __u16 __uint16_t u_short u_int16_t ushort char16_t in_port_t sa_family_t",
  ],
  [4, true, "int32_t s32 __s32 __int32_t pid_t __pid_t wchar_t key_t clockid_t blksize_t"],
  [
    4,
    false,
    "uint32_t u32 __u32 __uint32_t u_int u_int32_t uint char32_t wint_t mode_t uid_t gid_t id_t " +
    "nlink_t socklen_t in_addr_t __mode_t __uid_t __gid_t __socklen_t useconds_t",
  ],
  [
    8,
    true,
    "int64_t s64 __s64 __int64_t ssize_t __ssize_t intptr_t intmax_t ptrdiff_t off_t __off_t off64_t " +
    "__off64_t loff_t time_t __time_t clock_t suseconds_t blkcnt_t quad_t int_fast16_t " +
    "int_fast32_t int_fast64_t int_least64_t",
  ],
  [
    8,
    false,
    "uint64_t u64 __u64 __uint64_t size_t __SIZE_TYPE__ uintptr_t uintmax_t dev_t ino_t ino64_t " +
    "u_long u_int64_t ulong rlim_t pthread_t fsblkcnt_t fsfilcnt_t uint_fast16_t uint_fast32_t " +
    "uint_fast64_t uint_least64_t",
  ],
  [16, true, "__int128_t s128"],
  [16, false, "__uint128_t u128"],
];

/** A new table of the names that are there before any declaration. */
export function knownTypes(): Map<string, CType> {
  const types = new Map<string, CType>();
  for (const [bytes, signed, names] of INTEGERS) {
    const type = integerType(bytes, signed);
    for (const name of names.split(" ")) types.set(name, type);
  }
  const list = pointerTo({ kind: "void" });
  for (const name of ["va_list", "__builtin_va_list", "__gnuc_va_list"]) types.set(name, list);
  types.set("float_t", { kind: "float", bytes: 4 });
  types.set("double_t", { kind: "float", bytes: 8 });
  return types;
}
