import { ask } from '../sdk/http.ts';

/** What the page's address says. */
export interface Address {
  readonly roomId: string;
  /** The plain link to give to others. */
  readonly link: string;
  /** A token in the fragment: an invitation made for one person. */
  readonly token: string | undefined;
  /** Joins at once, without the device check. For tests and benches. */
  readonly autojoin: boolean;
  readonly name: string | undefined;
}

/** Reads the address and takes the token out of it, so that it is not copied along with the link. */
export function readAddress(location: Location, history: History): Address {
  const query = new URLSearchParams(location.search);
  const token: string | null = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) history.replaceState(history.state, '', location.pathname + location.search);
  const roomId: string = decodeURIComponent(location.pathname.split('/')[2] ?? '');
  return {
    roomId,
    link: `${location.origin}/r/${encodeURIComponent(roomId)}`,
    token: token ?? undefined,
    autojoin: query.get('autojoin') === '1',
    name: query.get('name') ?? undefined,
  };
}

/** A token for each join: the invitation while it lasts, else a guest's. */
export async function tokenFor({ roomId, token, name }: Address, now: () => number): Promise<string> {
  if (token !== undefined && !isOver(token, now())) return token;
  const path = `/v1/rooms/${encodeURIComponent(roomId)}/guest-tokens`;
  const issued: { readonly token: string } = await ask(path, { method: 'POST', body: name ? { name: name.slice(0, 64) } : {} });
  return issued.token;
}

/** The name that an invitation carries, for the name field. */
export function nameIn(token: string | undefined): string | undefined {
  const name: unknown = claims(token)['name'];
  return typeof name === 'string' ? name : undefined;
}

function isOver(token: string, nowMs: number): boolean {
  const exp: unknown = claims(token)['exp'];
  return typeof exp === 'number' && exp * 1000 <= nowMs;
}

/** The claims as written, for showing only: whether they are true is the hub's to say. */
function claims(token: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const body: string = (token?.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes: Uint8Array = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return {};
  }
}
