/**
 * Linux's error numbers (`include/uapi/asm-generic/errno*.h`): those that can occur here, and those
 * that a program may be given on purpose.
 *
 * @module
 */
export const EPERM = 1,
  ENOENT = 2,
  ESRCH = 3,
  EINTR = 4,
  EIO = 5,
  ENXIO = 6,
  E2BIG = 7,
  ENOEXEC = 8,
  EBADF = 9,
  ECHILD = 10,
  EAGAIN = 11,
  ENOMEM = 12,
  EACCES = 13,
  EFAULT = 14,
  EBUSY = 16,
  EEXIST = 17,
  EXDEV = 18,
  ENODEV = 19,
  ENOTDIR = 20,
  EISDIR = 21,
  EINVAL = 22,
  ENFILE = 23,
  EMFILE = 24,
  ENOTTY = 25,
  ETXTBSY = 26,
  EFBIG = 27,
  ENOSPC = 28,
  ESPIPE = 29,
  EROFS = 30,
  EMLINK = 31,
  EPIPE = 32,
  EDOM = 33,
  ERANGE = 34,
  EDEADLK = 35,
  ENAMETOOLONG = 36,
  ENOLCK = 37,
  ENOSYS = 38,
  ENOTEMPTY = 39,
  ELOOP = 40,
  EPROTO = 71,
  EOVERFLOW = 75,
  EILSEQ = 84,
  EOPNOTSUPP = 95,
  EADDRINUSE = 98,
  ENETUNREACH = 101,
  ECONNRESET = 104,
  ENOBUFS = 105,
  ETIMEDOUT = 110,
  ECONNREFUSED = 111,
  EHOSTUNREACH = 113;

/**
 * What a call gives inside the kernel where a signal interrupts it (include/linux/errno.h): it begins
 * again behind a handler with SA_RESTART, or is EINTR behind any.
 */
export const ERESTARTSYS = 512, ERESTARTNOHAND = 514;
