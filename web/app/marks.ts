/** Moments that the join bench measures, each marked once. */
export type Moment = 'join-click' | 'joined' | 'entered' | 'first-remote-frame';

export function mark(moment: Moment): void {
  const name = `tuppence:${moment}`;
  if (performance.getEntriesByName(name, 'mark').length === 0) performance.mark(name);
}
