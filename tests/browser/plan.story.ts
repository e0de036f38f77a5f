/** What a business's plan lets its people send. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Caller } from './caller.ts';
import type { Service } from './service.ts';
import { setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();

/** Without a limit Ann sends some three times as much. */
const LIMIT_KBPS = 250;
/** A browser that keeps to a limit is above it for a moment now and then. */
const OVER = 1.25;

/** Puts the business on a plan of its own. */
async function subscribe(service: Service, features: object): Promise<void> {
  const { vendor_id } = await service.post<{ vendor_id: string }>('/v1/vendors', { name: 'Fern Shop' });
  const { plan_id } = await service.post<{ plan_id: string }>('/v1/plans', { vendor_id, name: 'Seedling' });
  const price = { description: 'Seedling', model: 'flat', every: 'month', amount_micros: 5_000_000 };
  const { plan_version_id } = await service.post<{ plan_version_id: string }>(`/v1/plans/${plan_id}/versions`, {
    currency: 'USD',
    features,
    prices: [price],
  });
  const { subscriptions } = await service.get<{ subscriptions: { subscription_id: string }[] }>('/v1/subscriptions');
  assert.equal(subscriptions.length, 1, 'the business has one subscription');
  const change = { action: 'change', plan_version_id, quantities: {}, when: 'now' };
  await service.post(`/v1/subscriptions/${subscriptions[0]?.subscription_id}/changes`, change);
}

test('a browser sends no more than the plan of the business allows, and its picture and voice go on', async () => {
  await subscribe(stage.service, { bitrate_kbps_max: LIMIT_KBPS });
  const { link } = await stage.service.room('Small plants');
  const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
  const ben: Caller = await Caller.join(stage.browser, link, 'Ben');
  await ben.seesAndHears(await ben.seen());
  await sleep(5_000);
  const [before, heard] = [await ann.seen(), await ben.seen()];
  const begun: number = performance.now();
  await sleep(6_000);
  const { bytesSent } = await ann.seen();
  const kbps: number = ((bytesSent - before.bytesSent) * 8) / (performance.now() - begun);
  console.log(`Ann sends ${kbps.toFixed(0)} kbit/s of ${LIMIT_KBPS}`);
  assert.ok(kbps > 0.3 * LIMIT_KBPS && kbps < OVER * LIMIT_KBPS, `${kbps} kbit/s`);
  const now = await ben.seesAndHears(heard);
  assert.ok(now.framesDecoded - heard.framesDecoded > 30, `${now.framesDecoded - heard.framesDecoded} frames in six seconds`);
});
