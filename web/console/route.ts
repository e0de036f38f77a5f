/** Where in the console one is. Each has its own address. */
export type Route =
  | { readonly at: 'overview' }
  | { readonly at: 'calls' }
  | { readonly at: 'call'; readonly callId: string }
  | { readonly at: 'usage'; readonly month: string | null }
  | { readonly at: 'statements' }
  | { readonly at: 'statement'; readonly statementId: string; readonly lineId: string | null; readonly hour: string | null }
  | { readonly at: 'paying' }
  | { readonly at: 'keys' }
  | { readonly at: 'clock' }
  | { readonly at: 'nowhere' };

/** Reads an address. */
export function routeOf(path: string, search = ''): Route {
  const [section, ...rest] = path.replace(/^\/console\/?/, '').split('/').filter(Boolean).map(decodeURIComponent);
  switch (section) {
    case undefined:
      return { at: 'overview' };
    case 'calls':
      return rest[0] === undefined ? { at: 'calls' } : { at: 'call', callId: rest[0] };
    case 'usage':
      return { at: 'usage', month: new URLSearchParams(search).get('month') };
    case 'statements':
      return statementRoute(rest);
    case 'paying':
      return { at: 'paying' };
    case 'keys':
      return { at: 'keys' };
    case 'clock':
      return { at: 'clock' };
    default:
      return { at: 'nowhere' };
  }
}

function statementRoute([statementId, lines, lineId, hours, hour]: readonly string[]): Route {
  if (statementId === undefined) return { at: 'statements' };
  if ((lines !== undefined && lines !== 'lines') || (hours !== undefined && hours !== 'hours')) return { at: 'nowhere' };
  return { at: 'statement', statementId, lineId: lineId ?? null, hour: hour ?? null };
}

/** The address of a route. */
export function hrefOf(route: Route): string {
  const path = (...parts: readonly string[]): string => ['/console', ...parts.map(encodeURIComponent)].join('/');
  switch (route.at) {
    case 'overview':
    case 'nowhere':
      return '/console';
    case 'call':
      return path('calls', route.callId);
    case 'usage':
      return path('usage') + (route.month === null ? '' : `?month=${route.month}`);
    case 'statement': {
      const { statementId, lineId, hour } = route;
      return path('statements', statementId, ...(lineId === null ? [] : ['lines', lineId]), ...(lineId === null || hour === null ? [] : ['hours', hour]));
    }
    default:
      return path(route.at);
  }
}
