/**
 * What the Itanium C++ ABI abbreviates (section 5.1, "External Names"): types, operators, the names
 * of the standard library and of what a compiler makes.
 *
 * @module
 */

/** Builtin types by their letter. */
export const BUILTIN_TYPES: Readonly<Record<string, string>> = {
  a: "signed char",
  b: "bool",
  c: "char",
  d: "double",
  e: "long double",
  f: "float",
  g: "__float128",
  h: "unsigned char",
  i: "int",
  j: "unsigned int",
  l: "long",
  m: "unsigned long",
  n: "__int128",
  o: "unsigned __int128",
  s: "short",
  t: "unsigned short",
  v: "void",
  w: "wchar_t",
  x: "long long",
  y: "unsigned long long",
  z: "...",
};

/** Builtin types of two letters, the first of which is D. */
export const D_TYPES: Readonly<Record<string, string>> = {
  a: "auto",
  c: "decltype(auto)",
  d: "decimal64",
  e: "decimal128",
  f: "decimal32",
  h: "half",
  i: "char32_t",
  n: "decltype(nullptr)",
  s: "char16_t",
  u: "char8_t",
};

/** What a literal of a type has behind its number; other types are written in front of it. */
export const LITERAL_SUFFIXES: Readonly<Record<string, string>> = {
  "int": "",
  "unsigned int": "u",
  "long": "l",
  "unsigned long": "ul",
  "long long": "ll",
  "unsigned long long": "ull",
};

/** Operators by their code: how they are written, and how many operands they have. */
export const OPERATORS: Readonly<Record<string, readonly [text: string, operands: number]>> = {
  aN: ["&=", 2],
  aS: ["=", 2],
  aa: ["&&", 2],
  ad: ["&", 1],
  an: ["&", 2],
  at: ["alignof ", 1],
  aw: ["co_await ", 1],
  az: ["alignof ", 1],
  cc: ["const_cast", 2],
  cl: ["()", 2],
  cm: [",", 2],
  co: ["~", 1],
  dV: ["/=", 2],
  dX: ["[...]=", 3],
  da: ["delete[] ", 1],
  dc: ["dynamic_cast", 2],
  de: ["*", 1],
  di: ["=", 2],
  dl: ["delete ", 1],
  ds: [".*", 2],
  dt: [".", 2],
  dv: ["/", 2],
  dx: ["]=", 2],
  eO: ["^=", 2],
  eo: ["^", 2],
  eq: ["==", 2],
  fL: ["...", 3],
  fR: ["...", 3],
  fl: ["...", 2],
  fr: ["...", 2],
  ge: [">=", 2],
  gs: ["::", 1],
  gt: [">", 2],
  ix: ["[]", 2],
  lS: ["<<=", 2],
  le: ["<=", 2],
  li: ['operator"" ', 1],
  ls: ["<<", 2],
  lt: ["<", 2],
  mI: ["-=", 2],
  mL: ["*=", 2],
  mi: ["-", 2],
  ml: ["*", 2],
  mm: ["--", 1],
  na: ["new[]", 3],
  ne: ["!=", 2],
  ng: ["-", 1],
  nt: ["!", 1],
  nw: ["new", 3],
  nx: ["noexcept", 1],
  oR: ["|=", 2],
  oo: ["||", 2],
  or: ["|", 2],
  pL: ["+=", 2],
  pl: ["+", 2],
  pm: ["->*", 2],
  pp: ["++", 1],
  ps: ["+", 1],
  pt: ["->", 2],
  qu: ["?", 3],
  rM: ["%=", 2],
  rS: [">>=", 2],
  rc: ["reinterpret_cast", 2],
  rm: ["%", 2],
  rs: [">>", 2],
  sP: ["sizeof...", 1],
  sZ: ["sizeof...", 1],
  sc: ["static_cast", 2],
  ss: ["<=>", 2],
  st: ["sizeof ", 1],
  sz: ["sizeof ", 1],
  tr: ["throw", 0],
  tw: ["throw ", 1],
};

/** A class of the standard library: as people write it, in full, and what its constructor is called. */
export interface StandardName {
  /** The short name. */
  readonly text: string;
  /** The name with its template arguments. */
  readonly full: string;
  /** The last part of the name, which constructors have; undefined for a namespace. */
  readonly last: string | undefined;
}

const stream = (kind: string): StandardName => ({
  text: `std::${kind}`,
  full: `std::basic_${kind}<char, std::char_traits<char> >`,
  last: `basic_${kind}`,
});

/** What `S` and a letter stand for. */
export const STANDARD_NAMES: Readonly<Record<string, StandardName>> = {
  t: { text: "std", full: "std", last: undefined },
  a: { text: "std::allocator", full: "std::allocator", last: "allocator" },
  b: { text: "std::basic_string", full: "std::basic_string", last: "basic_string" },
  s: {
    text: "std::string",
    full: "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
    last: "basic_string",
  },
  i: stream("istream"),
  o: stream("ostream"),
  d: stream("iostream"),
};

/** Special names (`T` or `G` and a letter) that have a type or a name behind them. */
export const SPECIAL_NAMES: Readonly<Record<string, readonly [text: string, of: string]>> = {
  TV: ["vtable for ", "type"],
  TT: ["VTT for ", "type"],
  TI: ["typeinfo for ", "type"],
  TS: ["typeinfo name for ", "type"],
  TF: ["typeinfo fn for ", "type"],
  TJ: ["java Class for ", "type"],
  TA: ["template parameter object for ", "argument"],
  TH: ["TLS init function for ", "name"],
  TW: ["TLS wrapper function for ", "name"],
  GV: ["guard variable for ", "name"],
  GA: ["hidden alias for ", "encoding"],
};
