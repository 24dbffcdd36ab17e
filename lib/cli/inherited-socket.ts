// The socket that systemd has opened for us, if it has: its protocol is two variables and descriptors from 3 on.
const firstFd = 3

/** undefined: none was handed to this process. Throws Error for more than one. */
export function inheritedSocket(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const { LISTEN_FDS: count, LISTEN_PID: forWhom } = env
  if (count === undefined || Number(forWhom) !== pid) return undefined
  if (count === '0') return undefined
  if (count !== '1')
    throw new Error(`Cannot listen: the service manager hands over ${count} sockets, not one`)
  return firstFd
}
