import { expect, test } from 'vitest';
import { hrefOf, routeOf, type Route } from './route.ts';

const routes: readonly Route[] = [
  { at: 'overview' },
  { at: 'calls' },
  { at: 'call', callId: 'c1' },
  { at: 'usage', month: null },
  { at: 'usage', month: '2026-11' },
  { at: 'statements' },
  { at: 'statement', statementId: 'draft', lineId: null, hour: null },
  { at: 'statement', statementId: 's1', lineId: 'a/b', hour: null },
  { at: 'statement', statementId: 's1', lineId: 'l1', hour: '2026-11-21T22:00:00Z' },
  { at: 'paying' },
  { at: 'keys' },
  { at: 'clock' },
];

test.each(routes)('the address of %j leads back to it', (route) => {
  const [path = '', search = ''] = hrefOf(route).split('?');
  expect(routeOf(path, search)).toEqual(route);
});

test.each(['/console/', '/console'])('%s is the overview', (path) => expect(routeOf(path)).toEqual({ at: 'overview' }));
test.each(['/console/what', '/console/statements/s1/hours'])('%s is nowhere', (path) => expect(routeOf(path)).toEqual({ at: 'nowhere' }));
