/**
 * What a header meets that was never told of: the macros that gcc for RISC-V Linux defines by itself,
 * those that no such compiler has, and the few headers that are gcc's own.
 *
 * Floating-point limits and the names of single extensions are left out: no declaration asks.
 *
 * @module
 */
import { type Macro, macroWordsOf } from "./macros.ts";

/** Macros with their values, a line each. */
const PREDEFINED = `
__riscv 1
__riscv_xlen 64
__riscv_flen 64
__riscv_float_abi_double 1
__riscv_atomic 1
__riscv_mul 1
__riscv_div 1
__riscv_compressed 1
__linux 1
__linux__ 1
__gnu_linux__ 1
linux 1
__unix 1
__unix__ 1
unix 1
__ELF__ 1
__LP64__ 1
_LP64 1
__GNUC__ 12
__GNUC_MINOR__ 2
__GNUC_PATCHLEVEL__ 0
__GNUC_STDC_INLINE__ 1
__NO_INLINE__ 1
__VERSION__ "12.2.0"
__STDC__ 1
__STDC_HOSTED__ 1
__STDC_VERSION__ 201710L
__STDC_UTF_16__ 1
__STDC_UTF_32__ 1
__USER_LABEL_PREFIX__
__REGISTER_PREFIX__
__FINITE_MATH_ONLY__ 0
__BIGGEST_ALIGNMENT__ 16
__CHAR_BIT__ 8
__CHAR_UNSIGNED__ 1
__ORDER_LITTLE_ENDIAN__ 1234
__ORDER_BIG_ENDIAN__ 4321
__ORDER_PDP_ENDIAN__ 3412
__BYTE_ORDER__ __ORDER_LITTLE_ENDIAN__
__FLOAT_WORD_ORDER__ __ORDER_LITTLE_ENDIAN__
__WORDSIZE 64
__SIZEOF_SHORT__ 2
__SIZEOF_INT__ 4
__SIZEOF_LONG__ 8
__SIZEOF_LONG_LONG__ 8
__SIZEOF_INT128__ 16
__SIZEOF_POINTER__ 8
__SIZEOF_SIZE_T__ 8
__SIZEOF_PTRDIFF_T__ 8
__SIZEOF_WCHAR_T__ 4
__SIZEOF_WINT_T__ 4
__SIZEOF_FLOAT__ 4
__SIZEOF_DOUBLE__ 8
__SIZEOF_LONG_DOUBLE__ 16
__SCHAR_MAX__ 0x7f
__SHRT_MAX__ 0x7fff
__INT_MAX__ 0x7fffffff
__LONG_MAX__ 0x7fffffffffffffffL
__LONG_LONG_MAX__ 0x7fffffffffffffffLL
__SIZE_MAX__ 0xffffffffffffffffUL
__PTRDIFF_MAX__ 0x7fffffffffffffffL
__WCHAR_MAX__ 0x7fffffff
__WCHAR_MIN__ (-__WCHAR_MAX__ - 1)
__WINT_MAX__ 0xffffffffU
__WINT_MIN__ 0U
__SIZE_TYPE__ long unsigned int
__PTRDIFF_TYPE__ long int
__WCHAR_TYPE__ int
__WINT_TYPE__ unsigned int
__CHAR16_TYPE__ short unsigned int
__CHAR32_TYPE__ unsigned int
`;
/** How gcc spells integers of so many bits. */
const SPELLED: readonly (readonly [bits: number, type: string, suffix: string])[] = [
  [8, "char", ""],
  [16, "short", ""],
  [32, "int", ""],
  [64, "long", "L"],
];

/** `__INT16_TYPE__`, `__UINT_FAST16_MAX__` and their kin. */
function integerLines(): string[] {
  const named = (name: string, [bits, type, suffix]: (typeof SPELLED)[number]) => {
    const int = type === "int" || type === "char" ? "" : " int";
    const most = `0x${((1n << BigInt(bits - 1)) - 1n).toString(16)}${suffix}`;
    const mostUnsigned = `0x${"f".repeat(bits / 4)}${bits < 32 ? "" : `U${suffix}`}`;
    const unsigned = type === "char" || type === "int"
      ? `unsigned ${type}`
      : `${type} unsigned${int}`;
    return [
      `__INT${name}_TYPE__ ${type === "char" ? "signed char" : type + int}`,
      `__UINT${name}_TYPE__ ${unsigned}`,
      `__INT${name}_MAX__ ${most}`,
      `__UINT${name}_MAX__ ${mostUnsigned}`,
    ];
  };
  const long = SPELLED[3]!;
  return [
    ...SPELLED.flatMap((each) => [
      ...named(`${each[0]}`, each),
      ...named(`_LEAST${each[0]}`, each),
      ...named(`_FAST${each[0]}`, each[0] === 8 ? each : long),
    ]),
    ...named("MAX", long),
    ...named("PTR", long),
  ];
}

/** A new table of what is defined before any line is read. */
export function predefinedMacros(): Map<string, Macro> {
  const lines = [...PREDEFINED.trim().split("\n"), ...integerLines()];
  return new Map(lines.map((line) => {
    const [name = "", ...rest] = line.split(" ");
    const body = macroWordsOf(rest.join(" "));
    return [name, { parameters: undefined, variadic: false, body }];
  }));
}

/** What no gcc for RISC-V Linux that compiles C defines. */
export const NEVER_DEFINED: ReadonlySet<string> = new Set(
  ("__cplusplus _WIN32 _WIN64 WIN32 __WIN32__ _MSC_VER __MINGW32__ __CYGWIN__ __APPLE__ __OBJC__ " +
    "__ASSEMBLER__ __ASSEMBLY__ __clang__ __i386__ __x86_64__ __arm__ __aarch64__ __BORLANDC__ " +
    "__TURBOC__ MSDOS OS2 __DOXYGEN__ DOXYGEN __has_feature __has_extension _WIN32_WCE " +
    "__WATCOMC__ __OS2__ __DJGPP__ __EMX__ __VMS VMS __hpux _AIX __sun __sgi __osf__ __HAIKU__ " +
    "__FreeBSD__ __NetBSD__ __OpenBSD__ __DragonFly__ __ANDROID__ __BEOS__ __SYMBIAN32__ macintosh " +
    "__INTEL_COMPILER __SUNPRO_C __TINYC__ __PGI __IBMC__ __xlC__ __HP_cc __WINDOWS__ _Windows " +
    "__MSDOS__ THINK_C SWIG __powerpc__ __mips__ __s390__ __sparc__ __i386 " +
    "_M_IX86 _M_X64 _M_ARM64 __ia64__ __alpha__ __hppa__ __m68k__ __loongarch__ __wasm__ " +
    "__EMSCRIPTEN__ __MVS__ __QNX__ _SCO_DS __ILP32__ __NVCC__ __CUDACC__ " +
    "__ARMCC_VERSION __RSXNT__ __CHECKER__ __LCLINT__ __COVERITY__ lint")
    .split(" "),
);

/** The names that `__has_…` may ask a compiler for in parentheses. */
export const COMPILER_QUESTIONS: ReadonlySet<string> = new Set(
  ("__has_attribute __has_builtin __has_c_attribute __has_cpp_attribute __has_include " +
    "__has_include_next").split(" "),
);

/** Attributes that gcc for RISC-V knows; which of them matter is `attributes.ts`. */
export const GCC_ATTRIBUTES: ReadonlySet<string> = new Set(
  ("access alias aligned alloc_align alloc_size always_inline artificial assume_aligned cleanup " +
    "cold common const constructor copy deprecated designated_init destructor error externally_visible " +
    "fallthrough flatten format format_arg gnu_inline hot ifunc leaf malloc may_alias mode naked " +
    "no_icf no_instrument_function no_reorder no_sanitize no_sanitize_address no_sanitize_undefined " +
    "no_split_stack no_stack_limit no_stack_protector noclone noinline noipa nonnull nonstring " +
    "noplt noreturn nothrow optimize packed patchable_function_entry pure returns_nonnull " +
    "returns_twice scalar_storage_order section sentinel simd stack_protect symver target " +
    "target_clones tls_model transparent_union unavailable uninitialized unused used vector_size " +
    "visibility warn_if_not_aligned warn_unused_result warning weak weakref zero_call_used_regs")
    .split(" "),
);

/** Built-in functions of gcc's that headers ask for. */
export const GCC_BUILTINS =
  /^__builtin_((add|sub|mul)_overflow(_p)?|s?u?(add|sub|mul)l{0,2}_overflow|expect(_with_probability)?|unreachable|trap|bswap(16|32|64|128)|(clz|ctz|ffs|popcount|parity|clrsb)l{0,2}|constant_p|types_compatible_p|choose_expr|(dynamic_)?object_size|prefetch|(return|frame)_address|assume_aligned|alloca|offsetof|mem(cpy|set|move|cmp)|str(len|cmp|cpy|chr)|isnan|isinf|nanf?|inff?|huge_val[fl]?|fabs[fl]?|va_(start|end|copy)|has_attribute|shuffle|convertvector)$/;

const LIMITS = `
#ifndef CHAR_BIT
#define CHAR_BIT __CHAR_BIT__
#define SCHAR_MAX __SCHAR_MAX__
#define SCHAR_MIN (-SCHAR_MAX - 1)
#define UCHAR_MAX (SCHAR_MAX * 2 + 1)
#define CHAR_MIN 0
#define CHAR_MAX UCHAR_MAX
#define SHRT_MAX __SHRT_MAX__
#define SHRT_MIN (-SHRT_MAX - 1)
#define USHRT_MAX (SHRT_MAX * 2 + 1)
#define INT_MAX __INT_MAX__
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX (INT_MAX * 2U + 1U)
#define LONG_MAX __LONG_MAX__
#define LONG_MIN (-LONG_MAX - 1L)
#define ULONG_MAX (LONG_MAX * 2UL + 1UL)
#define LLONG_MAX __LONG_LONG_MAX__
#define LLONG_MIN (-LLONG_MAX - 1LL)
#define ULLONG_MAX (LLONG_MAX * 2ULL + 1ULL)
#endif
`;

/** Headers of the compiler's: what they have is known without them, or is here. */
export const COMPILER_HEADERS: ReadonlyMap<string, string> = new Map([
  ["stddef.h", ""],
  ["stdarg.h", ""],
  ["stdbool.h", ""],
  ["stdalign.h", ""],
  ["stdnoreturn.h", ""],
  ["iso646.h", ""],
  ["float.h", ""],
  ["stdint.h", ""],
  ["limits.h", LIMITS],
]);
