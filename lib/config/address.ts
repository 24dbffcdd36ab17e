// Where to listen, as Go writes it: `host:port`, an empty host meaning every interface.

export interface Address {
  /** '' is every interface; an IPv6 address comes without its brackets. */
  readonly host: string
  /** 0 is any free port. */
  readonly port: number
}

/** `:5000`, `127.0.0.1:5000`, `[::1]:5000` or `name:5000`; '' is any free port on every interface. undefined: neither. */
export function parseAddress(text: string): Address | undefined {
  if (text === '') return { host: '', port: 0 }
  const parts = /^(?:\[([0-9a-f:.%a-z]+)\]|([^\s:[\]/]*)):(\d{0,5})$/i.exec(text)
  if (parts === null || Number(parts[3]) > 65_535) return undefined
  return { host: parts[1] ?? parts[2] ?? '', port: Number(parts[3]) }
}
